//! The client against a daemon in the own process.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod builds;
mod calls;
mod errors;
mod lists;
mod sources;
mod tls;
mod waiting;
mod watching;
