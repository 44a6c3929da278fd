//! What can go wrong, one type per operation.

use std::io;

use thiserror::Error;

use bindery_core::port::VaultError;
use bindery_store::StoreError;

use crate::{
    convert::Unreadable,
    header::HeaderError,
    sealed::{CannotSeal, DoesNotOpen},
    slot::{KeyFileError, SlotError},
};

/// Why a vault was not made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InitError {
    /// It would hang on one kind of key.
    #[error(
        "a vault needs at least two slots of different kind, such as a key file and recovery shares, so that losing one does not lose every link; name another slot, or use the development mode"
    )]
    TooFewSlots,
    /// There is one already.
    #[error("there is a vault in this folder already; open it, or choose another folder")]
    Exists,
    /// The store has records.
    #[error(
        "the store is not empty, but its header is gone; restore seal.hdr.a from a backup, or choose another folder"
    )]
    StoreNotEmpty,
    /// Nobody has shown that the shares were written down.
    #[error("the recovery shares are not confirmed; write them down and give two of them back")]
    SharesNotConfirmed,
    /// Too many slots.
    #[error("a vault has at most 16 slots; remove one first")]
    TooManySlots,
    /// A slot could not be made.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder.
    #[error("the vault's folder can't be written; check its owner, permissions and disk")]
    Io(#[from] io::Error),
    /// No randomness.
    #[error("the operating system gives no randomness; restart the machine")]
    Crypto,
}

/// Why a vault was not opened. It stays sealed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// What was brought can't be read.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// What was brought is wrong.
    #[error(
        "nothing that was given opens this vault; check that it belongs to this folder, or use another of its slots ({slots})"
    )]
    WrongKey {
        /// The slots that there are.
        slots: String,
    },
    /// Records are missing.
    #[error("records are missing: {expected} were written and {found} are there; restore a backup")]
    MissingRecords {
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The whole store is missing, or another one is in its place.
    #[error("the store has lost its manifest: it was emptied or replaced; restore a backup")]
    MissingManifest,
    /// The store is older than what was acknowledged.
    #[error(
        "the store was rolled back to generation {found}, and {known} was acknowledged; restore the newest backup, or accept generation {found} explicitly"
    )]
    RolledBack {
        /// Its generation.
        found: u64,
        /// The highest one that was acknowledged.
        known: u64,
    },
    /// Records were changed.
    #[error("records were changed, added or rolled back outside of bindery; restore a backup")]
    Tampered,
    /// There is no root key to check with.
    #[error("the vault is sealed; unseal it first")]
    Sealed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The high-water mark can't be read or written.
    #[error("the high-water mark can't be used; check the folder's owner, permissions and disk")]
    HighWater(#[source] io::Error),
    /// Keys can't be computed.
    #[error("the keys can't be computed; restart the machine")]
    Crypto,
}

/// Why slots or epochs were not changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// No root key.
    #[error("the vault is sealed; unseal it first")]
    Sealed,
    /// No such slot.
    #[error("there is no slot {0}; list the slots")]
    NoSlot(u8),
    /// It would hang on one kind of key.
    #[error("the slots that remain would be fewer than two kinds; add another slot first")]
    TooFewSlots,
    /// Too many slots.
    #[error("a vault has at most 16 slots; remove one first")]
    TooManySlots,
    /// No slot would open a new root key.
    #[error(
        "nothing that the daemon can read by itself opens a slot, so nothing would open a new root key; configure a key file, a credential or a passphrase file"
    )]
    NoSlotOnline,
    /// No number is left for another slot.
    #[error(
        "a vault gives each of its 255 slot numbers once, and all were given; keep the slots that there are"
    )]
    NumbersUsedUp,
    /// Nobody has shown that the shares were written down.
    #[error("the recovery shares are not confirmed; write them down and give two of them back")]
    SharesNotConfirmed,
    /// A slot with this number came in between.
    #[error("another slot was added meanwhile; prepare the slot again")]
    Overtaken,
    /// Nothing that was brought opens the header.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A slot could not be made.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The header could not be written, or reads back differently.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header or the ring reads back differently than it was written.
    #[error("what was written reads back differently, so it is not used; check the disk")]
    NotDurable,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Keys can't be computed.
    #[error("the keys can't be computed; restart the machine")]
    Crypto,
}

impl From<KeyFileError> for InitError {
    fn from(error: KeyFileError) -> Self {
        Self::Slot(error.into())
    }
}

impl From<KeyFileError> for ChangeError {
    fn from(error: KeyFileError) -> Self {
        Self::Slot(error.into())
    }
}

impl From<ring::error::Unspecified> for InitError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Crypto
    }
}

impl From<ring::error::Unspecified> for OpenError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Crypto
    }
}

impl From<ring::error::Unspecified> for ChangeError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Crypto
    }
}

impl From<DoesNotOpen> for VaultError {
    fn from(_: DoesNotOpen) -> Self {
        Self::Tampered
    }
}

impl From<Unreadable> for VaultError {
    fn from(error: Unreadable) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<CannotSeal> for VaultError {
    fn from(error: CannotSeal) -> Self {
        Self::Store(error.to_string())
    }
}

/// What a failure of the store is to whoever uses the vault.
pub(crate) fn of_store(error: &StoreError) -> VaultError {
    match error {
        StoreError::Conflict { .. } => VaultError::Conflict,
        StoreError::ReadOnly { .. } => VaultError::ReadOnly,
        other => VaultError::Store(other.to_string()),
    }
}
