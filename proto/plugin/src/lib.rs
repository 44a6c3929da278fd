//! Messages that cross the plugin boundary, generated from `bindery/plugin/v1`.
//!
//! The code is committed; `BINDERY_REGENERATE=1 cargo test -p bindery-codegen` rewrites it after a
//! change of the schema. Maps are ordered: the same message always has the same bytes.
#![forbid(unsafe_code)]

/// Package `bindery.plugin.v1`.
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::use_self,
    missing_docs,
    rustdoc::all,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
pub mod v1 {
    include!("gen/bindery.plugin.v1.rs");
}
