//! Plugin supervision: which plugins may run, their workers, and what they say
//!
//! A plugin is foreign native code, so this crate loads none. It decides from the outside whether a library may run,
//! hands exactly the bytes that it decided about to a confined worker process, and believes nothing that comes back.
//!
//! | module | holds |
//! |---|---|
//! | [`host`] | [`PluginHost`]: all plugins, as the port that the engine calls |
//! | [`config`], [`limits`] | what the operator says |
//! | [`catalog`] | folders of plugins, and all checks before one runs |
//! | [`files`] | files that only the operator can have written |
//! | [`manifest`], [`allowlist`] | what the publisher signs, requests of each operation above all |
//! | [`signature`] | who may sign what |
//! | [`lock`], [`mod@pin`] | what the operator agreed to, and the command that changes it |
//! | [`inspect`] | a library without loading it |
//! | `image`, `spawn`, `process`, `wire`, `worker` | one worker: sealed bytes, process, frames, calls |
//! | `backoff`, `supervisor` | a worker that is always there |
//! | `convert` | messages into types of the core, checked |
//! | `guard` | whether the manifest allows an effect |
//! | `operation` | one operation, step by step |
//! | [`manual`] | one worker by hand, for the conformance kit |
//!
//! Unsafe code is in `spawn` alone.

pub mod allowlist;
mod backoff;
pub mod catalog;
pub mod config;
mod convert;
pub mod digest;
pub mod files;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod guard;
pub mod host;
mod image;
pub mod inspect;
pub mod limits;
pub mod lock;
mod logs;
pub mod manifest;
pub mod manual;
mod operation;
pub mod pin;
mod plugin;
mod process;
pub mod signature;
mod spawn;
mod supervisor;
#[cfg(test)]
mod testing;
mod text;
pub mod version;
mod wire;
mod worker;

pub use catalog::{Catalog, CatalogError};
pub use config::{Enabled, HostConfig, WorkerConfig, WorkerUser};
pub use convert::{check::Invalid, description::DescriptionError};
pub use digest::Digest;
pub use files::PluginTrust;
pub use host::{LoadFailure, PluginHost, StartHostError};
pub use limits::Limits;
pub use pin::{PinDiff, PinPlan, pin};
pub use plugin::LoadError;
pub use version::Version;
pub use worker::{CallError, StartError};
