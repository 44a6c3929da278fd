//! Domain types, pure decisions, and the ports they need.
//!
//! No input or output, no clock, no runtime, no `unsafe`: time and randomness come in as arguments, so every decision here
//! runs under a virtual clock.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`name`] | names and ids, parsed once |
//! | [`secret`] | [`Secret`](secret::Secret): text that can't be printed |
//! | [`time`] | [`Timestamp`](time::Timestamp) |
//! | [`problem`] | [`Problem`](problem::Problem) and its stable [`Reason`](problem::Reason) |
//! | [`host`], [`namespace`], [`link`], [`flow`], [`receipt`] | the records |
//! | [`lease`] | what was handed out |
//! | [`audit`] | what was done, by whom, and how it ended |
//! | [`source`], [`hook`], [`rotation`], [`delivery`], [`event`], [`trigger`] | from a push to the registry |
//! | [`rules`], [`refs`] | what becomes of a change: what its source says, and whether it is new |
//! | [`refresh`] | when to refresh, and what an answer means |
//! | [`provider`] | what a plugin describes and is asked for |
//! | [`exchange`] | requests with secrets as segments, and their responses |
//! | [`origin`] | exact scheme, host and port |
//! | [`port`] | the traits that the engine stands on |
#![forbid(unsafe_code)]

pub mod audit;
pub mod breaker;
pub mod delivery;
pub mod event;
pub mod exchange;
pub mod filter;
pub mod flow;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod hook;
pub mod host;
pub mod lease;
pub mod link;
pub mod name;
pub mod namespace;
pub mod origin;
pub mod port;
pub mod problem;
pub mod provider;
pub mod receipt;
pub mod refresh;
pub mod refs;
pub mod rotation;
pub mod rules;
pub mod secret;
pub mod source;
pub mod time;
pub mod trigger;
