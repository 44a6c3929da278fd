//! Backups: every record as it is sealed, in one sealed stream, with the manifest last.
//!
//! | Module | What it does |
//! |---|---|
//! | `stream` | the bytes: a lead in clear, chunks that can't be cut, swapped or moved |
//! | `key` | from the root key, its slots or a passphrase to the key of a backup |
//! | `check` | opens what a backup holds and compares it with its manifest |
//! | `read` | from bytes to frames, checked |
//! | `write` | makes a backup of a vault in use, and reads back what it made |
//! | `restore` | from a backup to a new folder |
//!
//! Records stay sealed under the root key inside the backup, so a restored vault opens with the slots that it had when
//! the backup was made. The stream around them is sealed under a key that is derived from the root key, or from a
//! passphrase: then both are needed.

use std::io;

use thiserror::Error;

use bindery_core::{port::VaultError, time::Timestamp};
use bindery_store::StoreError;

use crate::{error::OpenError, header::HeaderError, slot::SlotError};

pub(crate) use check::opens;
pub use key::Opening;
pub use read::verify;
pub use restore::{Target, restore};

mod check;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod key;
mod read;
mod restore;
mod stream;
#[cfg(test)]
mod tests;
mod write;

/// What a backup holds, as it was read back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BackupFacts {
    /// Random name of the store.
    pub store_id: [u8; 16],
    /// When it was made.
    pub created: Timestamp,
    /// Records in it.
    pub records: u64,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Number of the last commit in it.
    pub generation: u64,
}

/// Why there is no backup, or none that can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Cut, changed, reordered, or no backup at all.
    #[error("this is no whole backup: {0}; use another one")]
    Invalid(&'static str),
    /// Another key made it.
    #[error("this backup does not open: {0}")]
    Key(&'static str),
    /// A slot of it can't be opened.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// There is no root key.
    #[error("the vault is sealed; unseal it first")]
    Sealed,
    /// A record of the store does not open, so it can't be backed up.
    #[error("a record of the store does not open; verify the store and restore an older backup")]
    Tampered,
    /// A backup is being made.
    #[error("a backup or a verification is under way; wait for its end")]
    Busy,
    /// The keys were replaced meanwhile.
    #[error("the root key was replaced meanwhile; make the backup again")]
    KeysChanged,
    /// Whoever reads it went away, or reads too slowly.
    #[error("the reader of the backup went away or is too slow; make it again")]
    ReaderGone,
    /// The new folder holds something.
    #[error("the folder is not empty; name a new one")]
    NotEmpty,
    /// What was restored reads back differently.
    #[error("what was restored reads back differently; check the disk and restore again: {0}")]
    NotRestored(#[source] Box<OpenError>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record could not be written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The header could not be written.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A file could not be written.
    #[error("the folder can't be written; check its owner, permissions and disk")]
    Io(#[from] io::Error),
    /// Keys can't be computed.
    #[error("the keys can't be computed; restart the machine")]
    Crypto,
}

impl From<ring::error::Unspecified> for BackupError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Crypto
    }
}
