//! The only way to the store: sealing, key ring, records, manifest.
//!
//! [`Init`] makes a vault, [`SealedVault`] is one: it implements [`bindery_core::port::Vault`] over any
//! [`bindery_store::Store`]. A slot opens the root key; the root key opens the key ring and gives every other key; an
//! epoch of the ring gives each record a key of its own.
//!
//! | Module | What it holds |
//! |---|---|
//! | `crypto` | keys and envelopes, all of it `ring` |
//! | `slot` | key file, systemd credential, passphrase, recovery shares |
//! | `header` | two copies of slots and ring in the vault's folder |
//! | `ring`, `keys` | epochs, and what is derived from the root key |
//! | `kind` | kinds of records, their trees and bounds |
//! | `address` | where a record is kept, computed from what is asked for |
//! | `sealed` | what a value on disk looks like, and what it is bound to |
//! | `manifest`, `highwater` | what the store should hold, and how new it is |
//! | `backup` | all records in one sealed stream, and back into a new folder |
//! | `convert` | records and their messages on disk |
//! | `recent` | sealed values on their way to the disk, or read lately |
//! | `mortal` | with the feature of that name: tests are told of each step, and may die there |
//! | `init`, `vault` | making a vault, and using one |
#![forbid(unsafe_code)]

pub use crate::backup::{BackupError, BackupFacts, Opening, Target, restore, verify};
pub use crate::error::{ChangeError, InitError, OpenError};
pub use crate::header::HeaderError;
pub use crate::init::{Init, InitMode};
pub use crate::slot::{
    KeyBytes, KeyFileError, NewSlot, PassphraseCost, PreparedSlot, ShareError, SlotError, SlotInfo,
    SlotKind, Unlock, different_shares,
};
pub use crate::vault::{
    Copied, EpochInfo, Hold, Inspection, NewRoot, OpenOptions, Renewed, Resealed, Rollback,
    SealedVault, Status,
};

mod address;
mod backup;
mod convert;
mod crypto;
mod error;
mod files;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod header;
mod highwater;
mod init;
mod keys;
mod kind;
mod manifest;
#[cfg(feature = "mortal")]
pub mod mortal;
#[cfg(not(feature = "mortal"))]
mod mortal {
    /// Nothing is told of the steps in a daemon.
    pub(crate) const fn step(_: &'static str) {}
}
mod recent;
mod ring;
mod sealed;
mod slot;
mod vault;
