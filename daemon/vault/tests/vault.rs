//! The vault over its stores, through its public face only.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "vault/backup.rs"]
mod backup;
#[path = "vault/bulky.rs"]
mod bulky;
#[path = "vault/commits.rs"]
mod commits;
#[path = "vault/erasure.rs"]
mod erasure;
#[path = "vault/kills.rs"]
mod kills;
#[path = "vault/loss.rs"]
mod loss;
#[path = "vault/model.rs"]
mod model;
#[path = "vault/records.rs"]
mod records;
#[path = "vault/rotation.rs"]
mod rotation;
#[path = "vault/slots.rs"]
mod slots;
#[path = "vault/support.rs"]
mod support;
