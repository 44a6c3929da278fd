//! Regenerates the committed Rust code of every schema
