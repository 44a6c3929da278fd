//! Regenerates the committed Rust code of every schema.
//!
//! Nothing here runs in a build: building Bindery needs neither `protoc` nor this crate. The test
//! `regenerate` generates every schema into memory, compares it with what is committed, and with
//! `BINDERY_REGENERATE=1` writes it.
//!
//! - [`schema`]: which `.proto` files belong together, and where their code goes
//! - [`generate`]: from `.proto` files to Rust text, service code and the descriptor set
//! - [`redact`]: `Debug` for messages that hold a secret
//! - [`mod@reference`]: `proto/API.md`, from the comments of the public schema
//! - [`tree`]: comparing with and writing to the folders of the repository
#![forbid(unsafe_code)]

pub mod generate;
pub mod redact;
pub mod reference;
pub mod schema;
pub mod tree;

use anyhow::Result;

pub use generate::Generated;
pub use protox::prost_reflect;

/// Generates the public API: messages, clients, servers, the descriptor set and its reference page.
///
/// # Errors
/// A schema does not compile, or the code can't be generated from it.
pub fn api() -> Result<Generated> {
    generate::run(&schema::API)
}

/// Generates the messages that cross the plugin boundary.
///
/// # Errors
/// A schema does not compile, or the code can't be generated from it.
pub fn plugin() -> Result<Generated> {
    generate::run(&schema::PLUGIN)
}

/// Generates the records of the store.
///
/// # Errors
/// A schema does not compile, or the code can't be generated from it.
pub fn store() -> Result<Generated> {
    generate::run(&schema::STORE)
}
