//! The C boundary of a plugin, in Rust and as a header
