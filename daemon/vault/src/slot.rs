//! Slots: independent ways to one root key.
//!
//! | Module | What it holds |
//! |---|---|
//! | `file` | key files and systemd credentials |
//! | `opener` | what opens slots |
//! | `passphrase` | Argon2id and its cost |
//! | `prepared` | making a slot |
//! | `register` | what a header says of its slots |
//! | `shares` | 2-of-3 recovery shares |

use std::{fmt, path::PathBuf};

use ring::error::Unspecified;
use thiserror::Error;
use zeroize::Zeroizing;

use bindery_core::{secret::Secret, time::Timestamp};
use bindery_store_proto::v1 as disk;

use crate::crypto::Key;

pub use file::KeyFileError;
pub use passphrase::PassphraseCost;
pub use prepared::PreparedSlot;
pub use shares::ShareError;

pub(crate) use opener::{Opener, open_any, rewrap};
pub(crate) use register::{info, last_number, list, next_number, shares_needed, suffice};

mod file;
mod opener;
mod passphrase;
mod prepared;
mod register;
mod shares;

/// A slot to be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum NewSlot {
    /// Makes a key file at this path, mode 0400. It must not exist.
    CreateKeyFile(PathBuf),
    /// Uses a key file that is there.
    KeyFile(PathBuf),
    /// Uses a systemd credential; the path is the file in `$CREDENTIALS_DIRECTORY`.
    Credential(PathBuf),
    /// Uses a passphrase.
    Passphrase(Secret, PassphraseCost),
    /// Makes three recovery shares, of which two open the vault.
    Recovery,
    /// Makes recovery shares: how many, and how many of them are needed.
    Shares {
        /// How many are made, at most 16.
        count: u8,
        /// How many are needed, at least 2.
        needed: u8,
    },
    /// Uses bytes that somebody brings, and keeps as a key file or a systemd credential.
    Key(SlotKind, KeyBytes),
}

/// What somebody brings to open a vault.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unlock {
    /// A key file.
    KeyFile(PathBuf),
    /// A systemd credential; the path is the file in `$CREDENTIALS_DIRECTORY`.
    Credential(PathBuf),
    /// A passphrase.
    Passphrase(Secret),
    /// Recovery shares, as they were printed.
    Shares(Vec<Secret>),
    /// The bytes of a key file or credential.
    Key(KeyBytes),
}

/// The bytes of a key file. They can't be printed, and are wiped when they are dropped.
pub struct KeyBytes(Zeroizing<Vec<u8>>);

impl KeyBytes {
    /// Takes 32 to 4096 bytes.
    ///
    /// # Errors
    ///
    /// There are fewer or more.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SlotError> {
        let bytes = Zeroizing::new(bytes);
        if file::fits(bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SlotError::KeySize)
        }
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Kinds of slots.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SlotKind {
    /// A key file.
    KeyFile,
    /// A systemd credential.
    Credential,
    /// A passphrase.
    Passphrase,
    /// Recovery shares.
    Recovery,
}

/// A slot that exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotInfo {
    /// Its number.
    pub id: u8,
    /// Its kind.
    pub kind: SlotKind,
    /// What people call it, or the path of a file; may be empty.
    pub label: String,
    /// When it was made, if that is known.
    pub created: Option<Timestamp>,
    /// When it last opened the vault by hand or was verified, if it ever was.
    pub verified: Option<Timestamp>,
}

/// Why a slot could not be made or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SlotError {
    /// The key file or credential.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The shares.
    #[error(transparent)]
    Shares(#[from] ShareError),
    /// Too short to be safe.
    #[error("a passphrase has at least {least} characters; choose a longer one")]
    ShortPassphrase {
        /// The least.
        least: usize,
    },
    /// A key of another length than a key file has.
    #[error("a key has 32 to 4096 random bytes; make one with `head -c 32 /dev/urandom`")]
    KeySize,
    /// Fewer or more shares than there can be.
    #[error("a slot has 2 to 16 shares, and needs at least 2 of them; choose other numbers")]
    ShareCount,
    /// This kind of slot has no key that somebody brings.
    #[error("only a key file or a systemd credential has a key of its own; choose another kind")]
    Kind,
    /// The operating system gave no randomness, or not enough memory.
    #[error("the slot's key can't be computed; check that enough memory is free")]
    Crypto,
}

impl NewSlot {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> SlotKind {
        match self {
            Self::CreateKeyFile(_) | Self::KeyFile(_) => SlotKind::KeyFile,
            Self::Credential(_) => SlotKind::Credential,
            Self::Passphrase(..) => SlotKind::Passphrase,
            Self::Recovery | Self::Shares { .. } => SlotKind::Recovery,
            Self::Key(kind, _) => *kind,
        }
    }
}

impl SlotKind {
    const fn code(self) -> disk::SlotKind {
        match self {
            Self::KeyFile => disk::SlotKind::KeyFile,
            Self::Credential => disk::SlotKind::Credential,
            Self::Passphrase => disk::SlotKind::Passphrase,
            Self::Recovery => disk::SlotKind::Recovery,
        }
    }

    const fn read(code: disk::SlotKind) -> Option<Self> {
        match code {
            disk::SlotKind::KeyFile => Some(Self::KeyFile),
            disk::SlotKind::Credential => Some(Self::Credential),
            disk::SlotKind::Passphrase => Some(Self::Passphrase),
            disk::SlotKind::Recovery => Some(Self::Recovery),
            disk::SlotKind::Unspecified => None,
        }
    }
}

impl fmt::Display for SlotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyFile => "key file",
            Self::Credential => "systemd credential",
            Self::Passphrase => "passphrase",
            Self::Recovery => "recovery shares",
        })
    }
}

impl fmt::Display for SlotInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.kind)?;
        if self.label.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", self.label)
        }
    }
}

impl From<Unspecified> for SlotError {
    fn from(_: Unspecified) -> Self {
        Self::Crypto
    }
}

/// How many different shares these are.
///
/// # Errors
///
/// One of them was mistyped, or they are of different vaults.
pub fn different_shares(given: &[&Secret]) -> Result<usize, ShareError> {
    shares::collect(given, None).map(|shares| shares.len())
}

/// How a key is made from a passphrase that is long enough.
pub(crate) fn passphrase_parameters(
    text: &Secret,
    salt: Vec<u8>,
    cost: PassphraseCost,
) -> Result<disk::SlotParameters, SlotError> {
    passphrase::check(text)?;
    let mut parameters = disk::SlotParameters {
        salt,
        ..Default::default()
    };
    cost.write(&mut parameters);
    Ok(parameters)
}

/// The key that a passphrase makes.
pub(crate) fn passphrase_key(
    text: &Secret,
    parameters: &disk::SlotParameters,
) -> Result<Key, SlotError> {
    passphrase::key(text, parameters)
}

fn key_from(parameters: &disk::SlotParameters, material: &[u8]) -> Result<Key, Unspecified> {
    Key::from_material(&parameters.salt, material, b"bindery/slot/v1")
}

/// What a wrapped root key is bound to.
fn aad(slot: &disk::Slot, store_id: &[u8; 16]) -> Vec<u8> {
    let mut aad = b"BDYS".to_vec();
    aad.extend_from_slice(store_id);
    aad.extend_from_slice(&slot.id.to_be_bytes());
    aad.extend_from_slice(&slot.kind.to_be_bytes());
    aad.extend_from_slice(&slot.parameters);
    aad
}
