//! The command as people and scripts see it, against a daemon in the own process.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod credentials;
mod events;
mod failures;
mod help;
mod hooks;
mod hosts;
mod life;
mod linking;
mod output;
mod sources;
mod support;
mod triggers;
