//! What the fuzzer reaches of the daemon, which itself is a program. Empty unless the fuzzer builds it.
#![forbid(unsafe_code)]

#[cfg(fuzzing)]
#[allow(
    dead_code,
    reason = "the daemon uses what is read; the fuzzer only reads"
)]
mod config;

/// Targets of the fuzzer: each takes any bytes, and panics when a property does not hold.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    /// See `config::fuzz`.
    pub fn config(data: &[u8]) {
        crate::config::fuzz::config(data);
    }
}
