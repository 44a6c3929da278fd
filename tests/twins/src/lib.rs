//! Deterministic twins of forges
//!
//! A twin is a forge as a value: people, repositories, tokens and rules. It has no socket, no clock, no runtime and no
//! randomness. What time it is comes in with each request, in milliseconds since 1970, and every secret that it mints
//! follows from the seed that it was made with. The same requests at the same times get the same answers.
//!
//! So one twin serves two ends:
//!
//! - *end-to-end tests* put a real HTTP front before it (`bindery_tests::twin`), with git beside it, and let the whole
//!   daemon talk to it;
//! - *simulations* call [`Twin::exchange`] themselves and let months pass in a loop.
//!
//! # What is in it
//!
//! - [`http`]: a request and an answer as plain values
//! - [`mint`]: secrets from a seed, and the list of all that were ever made
//! - [`oauth`]: an authorization server whose every rule is data: lifetimes, PKCE, rotation, what a second use of a
//!   refresh token does, the shapes of tokens and replies, the words of errors
//! - [`world`]: people, groups, repositories, personal tokens
//! - [`hooks`]: webhooks: what is registered, what is to be sent, what was answered
//! - [`knobs`]: faults: outages, used-up rate limits, replies lost after the work was done, lagging replicas
//! - [`State`]: all of the above together, which each twin owns
//! - [`gitlab`]: the first twin, and the pattern for others
//! - [`bitbucket`] (Cloud and Data Center), [`gitea`], [`gitee`]: the others
//!
//! # Writing another one
//!
//! 1. Write down the forge's [`oauth::Rules`], each rule with its source. Where a forge differs in a way that no rule
//!    knows, add a rule: the core has no `if` about a provider.
//! 2. Make a struct that owns a [`State`] and the base URLs, and implement [`Twin`] for it. Lead each path to a function
//!    that takes the state and returns a [`http::Response`].
//!    `bindery_tests::twin::Served` puts it on a socket as it is; `bindery_tests::forge` says what the end-to-end
//!    contracts need besides.
//! 3. Hold its answers against recorded ones: every member of a recorded answer is in the twin's, with the same type.
//! 4. Name tests after the traps that the twin sets.
//!
//! A twin does what the forge is documented or seen to do, not what a client would like. Where neither says anything,
//! it does what is harder for a client, and a comment says so.

#![forbid(unsafe_code)]

pub mod bitbucket;
mod caller;
pub mod gitea;
pub mod gitee;
pub mod gitlab;
pub mod hooks;
pub mod http;
pub mod knobs;
pub mod mint;
pub mod oauth;
pub mod page;
mod state;
pub mod time;
mod twin;
pub mod world;

pub use state::State;
pub use twin::{Exchange, Git, GitRequest, Twin};
