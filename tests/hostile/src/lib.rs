//! A plugin that misbehaves in every way, for tests only
//!
//! Without the setting `attack` it is a small honest plugin for servers whose API looks like Gitea's or GitHub's. With
//! it, each operation does what the setting names, or one operation does: `panic`, `list_repositories:panic`. All names
//! and what has to come of them are in `attacks.toml`.
//!
//! A try that is refused ends in `PERMISSION_DENIED` and `refused: ...`; one that works ends in [`ESCAPED`], which no
//! test lets pass.
//!
//! | module | holds |
//! |---|---|
//! | [`provider`] | the honest part |
//! | [`attack`] | what is attacked with |
//! | `table` | the boundary, with lies that the SDK can't tell |

pub mod attack;
pub mod provider;
mod table;

/// Starts the message of an attack that worked.
pub const ESCAPED: &str = "ESCAPED";

#[cfg(feature = "export")]
bindery_plugin_sdk::abi::export_plugin! {
    flags: bindery_plugin_sdk::abi::FLAG_PANIC_UNWIND | bindery_plugin_sdk::abi::FLAG_RUST_SDK,
    describe: bindery_plugin_sdk::export::describe::<provider::Hostile>,
    start: table::start,
    resume: table::resume,
    drop: table::drop,
}
