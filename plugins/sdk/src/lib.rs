//! Write a provider plugin in straight-line async Rust
