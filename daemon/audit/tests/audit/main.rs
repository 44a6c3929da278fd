//! The audit log's contracts, over a real vault.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]

mod breaks;
mod disks;
mod life;
mod support;
