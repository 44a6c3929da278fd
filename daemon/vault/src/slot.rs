//! Slots: independent ways to one root key.
//!
//! | Module | What it holds |
//! |---|---|
//! | `file` | key files and systemd credentials |
//! | `passphrase` | Argon2id and its cost |
//! | `shares` | 2-of-3 recovery shares |

use std::{fmt, io, path::PathBuf};

use blahaj::Share;
use prost::Message;
use ring::error::Unspecified;
use thiserror::Error;
use zeroize::Zeroizing;

use bindery_core::{secret::Secret, time::Timestamp};
use bindery_store_proto::v1 as disk;

use crate::{
    crypto::{self, Key},
    files,
    keys::Keys,
};

pub use file::KeyFileError;
pub use passphrase::PassphraseCost;
pub use shares::ShareError;

mod file;
mod passphrase;
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

/// A slot that is made but not yet in the header.
pub struct PreparedSlot {
    pub(crate) record: disk::Slot,
    shares: Vec<Secret>,
    needed: u8,
    confirmed: bool,
    file: Option<(PathBuf, Zeroizing<Vec<u8>>)>,
    secret: Option<Key>,
}

impl PreparedSlot {
    pub(crate) fn new(
        new: NewSlot,
        id: u8,
        store_id: &[u8; 16],
        root: &Key,
    ) -> Result<Self, SlotError> {
        let kind = new.kind();
        let mut parameters = disk::SlotParameters {
            salt: crypto::random::<32>()?.to_vec(),
            ..Default::default()
        };
        let mut prepared = Self::blank(id, kind);
        let key = prepared.key_of(new, &mut parameters, store_id)?;
        prepared.record.parameters = parameters.encode_to_vec();
        prepared.wrap(&key, store_id, root)?;
        Ok(prepared)
    }

    /// The recovery shares, to be printed once; empty for other kinds.
    #[must_use]
    pub fn shares(&self) -> &[Secret] {
        &self.shares
    }

    /// Takes two shares back, as proof that they were written down.
    ///
    /// # Errors
    ///
    /// They are not two different shares of this slot.
    pub fn confirm_shares(&mut self, first: &Secret, second: &Secret) -> Result<(), ShareError> {
        self.confirm(&[first, second])
    }

    /// As [`Self::confirm_shares`], with as many shares as the slot needs.
    ///
    /// # Errors
    ///
    /// They are too few, or not of this slot.
    pub fn confirm(&mut self, given: &[&Secret]) -> Result<(), ShareError> {
        let Some(secret) = &self.secret else {
            return Err(ShareError::NotOfThisVault);
        };
        let given = shares::join(&shares::collect(given, None)?, self.needed)?;
        if given != *secret {
            return Err(ShareError::NotOfThisVault);
        }
        self.confirmed = true;
        Ok(())
    }

    /// Gives it a name for people.
    #[must_use]
    pub fn labelled(mut self, label: &str) -> Self {
        if !label.is_empty() {
            label.clone_into(&mut self.record.label);
        }
        self
    }

    /// Notes when it was made.
    #[must_use]
    pub const fn made(mut self, now: Timestamp) -> Self {
        self.record.created_ms = now.unix_ms();
        self
    }

    /// What it will be.
    #[must_use]
    pub fn info(&self) -> Option<SlotInfo> {
        info(&self.record)
    }

    /// Whether it may go into the header.
    pub(crate) const fn is_confirmed(&self) -> bool {
        self.confirmed || self.secret.is_none()
    }

    /// Writes the key file that was asked for.
    pub(crate) fn settle(&self) -> Result<(), KeyFileError> {
        let Some((path, bytes)) = &self.file else {
            return Ok(());
        };
        let written = files::write_new(path, bytes, 0o400).and_then(|()| {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            folder.map_or(Ok(()), files::sync_folder)
        });
        written.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.clone()),
            _ => KeyFileError::Io(path.clone(), source),
        })
    }

    fn blank(id: u8, kind: SlotKind) -> Self {
        Self {
            record: disk::Slot {
                id: id.into(),
                kind: kind.code().into(),
                ..Default::default()
            },
            shares: Vec::new(),
            needed: shares::THRESHOLD,
            confirmed: false,
            file: None,
            secret: None,
        }
    }

    /// The key of the slot; fills in what it depends on.
    fn key_of(
        &mut self,
        new: NewSlot,
        parameters: &mut disk::SlotParameters,
        store_id: &[u8; 16],
    ) -> Result<Key, SlotError> {
        let material = match new {
            NewSlot::CreateKeyFile(path) => {
                let bytes = Zeroizing::new(crypto::random::<32>()?.to_vec());
                self.record.label = path.display().to_string();
                self.file = Some((path, bytes.clone()));
                bytes
            }
            NewSlot::KeyFile(path) => {
                self.record.label = path.display().to_string();
                file::read_key_file(&path)?
            }
            NewSlot::Credential(path) => {
                self.record.label = path.display().to_string();
                file::read_credential(&path)?
            }
            NewSlot::Passphrase(text, cost) => {
                passphrase::check(&text)?;
                cost.write(parameters);
                return passphrase::key(&text, parameters);
            }
            NewSlot::Recovery => {
                return self.share(parameters, store_id, shares::SHARES, shares::THRESHOLD);
            }
            NewSlot::Shares { count, needed } => {
                return self.share(parameters, store_id, count, needed);
            }
            NewSlot::Key(SlotKind::KeyFile | SlotKind::Credential, KeyBytes(bytes)) => bytes,
            NewSlot::Key(..) => return Err(SlotError::Kind),
        };
        Ok(key_from(parameters, &material)?)
    }

    /// The key of a slot that shares open.
    fn share(
        &mut self,
        parameters: &mut disk::SlotParameters,
        store_id: &[u8; 16],
        count: u8,
        needed: u8,
    ) -> Result<Key, SlotError> {
        if needed < shares::THRESHOLD || count < needed || count > shares::MOST {
            return Err(SlotError::ShareCount);
        }
        let secret = Key::random()?;
        self.shares = shares::split(&secret, store_id, needed, count);
        self.needed = needed;
        parameters.threshold = needed.into();
        parameters.shares = count.into();
        let key = key_from(parameters, secret.expose())?;
        self.secret = Some(secret);
        Ok(key)
    }

    fn wrap(&mut self, key: &Key, store_id: &[u8; 16], root: &Key) -> Result<(), Unspecified> {
        let nonce = crypto::random()?;
        self.record.nonce = nonce.to_vec();
        self.record.wrapped = key.wrap(nonce, &aad(&self.record, store_id), root.expose())?;
        Ok(())
    }
}

impl fmt::Debug for PreparedSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedSlot")
            .field("id", &self.record.id)
            .field("kind", &self.record.kind())
            .finish_non_exhaustive()
    }
}

/// Something that opens slots, read once and tried on each of them.
pub(crate) enum Opener {
    Material(Zeroizing<Vec<u8>>),
    Passphrase(Secret),
    Shares(Vec<Share>),
}

impl Opener {
    /// Reads what somebody brought.
    pub(crate) fn read(unlock: &Unlock, store_id: &[u8; 16]) -> Result<Self, SlotError> {
        Ok(match unlock {
            Unlock::KeyFile(path) => Self::Material(file::read_key_file(path)?),
            Unlock::Credential(path) => Self::Material(file::read_credential(path)?),
            Unlock::Passphrase(text) => Self::Passphrase(text.duplicate()),
            Unlock::Shares(given) => {
                let given: Vec<&Secret> = given.iter().collect();
                Self::Shares(shares::collect(&given, Some(store_id))?)
            }
            Unlock::Key(KeyBytes(bytes)) => Self::Material(bytes.clone()),
        })
    }

    /// The root key, if this slot is opened by it.
    pub(crate) fn open(
        &self,
        slot: &disk::Slot,
        store_id: &[u8; 16],
    ) -> Result<Option<Key>, SlotError> {
        let Some(key) = self.key(slot)? else {
            return Ok(None);
        };
        let Ok(nonce) = slot.nonce.as_slice().try_into() else {
            return Ok(None);
        };
        let opened = key.unwrap(nonce, &aad(slot, store_id), &slot.wrapped);
        Ok(opened.and_then(|root| Key::from_slice(&root)).ok())
    }

    /// The slot with another root key in it.
    fn wrap(&self, slot: &disk::Slot, keys: &Keys) -> Result<disk::Slot, SlotError> {
        let mut slot = slot.clone();
        let parameters = disk::SlotParameters::decode(slot.parameters.as_slice());
        let mut parameters = parameters.map_err(|_| SlotError::Crypto)?;
        parameters.salt = crypto::random::<32>()?.to_vec();
        slot.parameters = parameters.encode_to_vec();
        let key = self.key(&slot)?.ok_or(SlotError::Crypto)?;
        let nonce = crypto::random()?;
        slot.nonce = nonce.to_vec();
        slot.wrapped = key.wrap(nonce, &aad(&slot, &keys.store_id), keys.root.expose())?;
        Ok(slot)
    }

    /// The key that this makes for a slot; `None` where the slot is of another kind.
    fn key(&self, slot: &disk::Slot) -> Result<Option<Key>, SlotError> {
        let Ok(parameters) = disk::SlotParameters::decode(slot.parameters.as_slice()) else {
            return Ok(None);
        };
        Ok(Some(match (self, slot.kind()) {
            // The same bytes may come as a file today and as a credential tomorrow.
            (Self::Material(bytes), disk::SlotKind::KeyFile | disk::SlotKind::Credential) => {
                key_from(&parameters, bytes)?
            }
            (Self::Passphrase(text), disk::SlotKind::Passphrase) => {
                passphrase::key(text, &parameters)?
            }
            (Self::Shares(given), disk::SlotKind::Recovery) => {
                let needed = u8::try_from(parameters.threshold).unwrap_or(shares::MOST);
                let secret = shares::join(given, needed.max(shares::THRESHOLD))?;
                key_from(&parameters, secret.expose())?
            }
            _ => return Ok(None),
        }))
    }
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

/// The slots of a header, without those of a kind that this version doesn't know.
pub(crate) fn list(header: &disk::SealHeader) -> Vec<SlotInfo> {
    header.slots.iter().filter_map(info).collect()
}

/// The highest number that a slot ever had. A header from before this was kept knows its own slots only.
pub(crate) fn last_number(header: &disk::SealHeader) -> u32 {
    let own = header.slots.iter().map(|slot| slot.id).max();
    header.last_slot.max(own.unwrap_or_default())
}

/// The number of the next slot; `None` where all were used.
pub(crate) fn next_number(header: &disk::SealHeader) -> Option<u8> {
    u8::try_from(last_number(header) + 1).ok()
}

/// How many shares the recovery slot of a header needs; `None` where it has none.
pub(crate) fn shares_needed(header: &disk::SealHeader) -> Option<u8> {
    let of_shares = |slot: &&disk::Slot| slot.kind() == disk::SlotKind::Recovery;
    let slot = header.slots.iter().find(of_shares)?;
    let parameters = disk::SlotParameters::decode(slot.parameters.as_slice()).ok()?;
    u8::try_from(parameters.threshold).ok()
}

/// What a slot is; `None` for a kind that this version doesn't know.
pub(crate) fn info(slot: &disk::Slot) -> Option<SlotInfo> {
    let time = |ms: u64| (ms > 0).then(|| Timestamp::from_unix_ms(ms));
    Some(SlotInfo {
        id: u8::try_from(slot.id).ok()?,
        kind: SlotKind::read(slot.kind())?,
        label: slot.label.clone(),
        created: time(slot.created_ms),
        verified: time(slot.verified_ms),
    })
}

/// The root key, if anything that was brought opens any of these slots.
pub(crate) fn open_any(
    slots: &[disk::Slot],
    store_id: &[u8; 16],
    unlock: &[Unlock],
) -> Result<Option<Key>, SlotError> {
    let mut unusable = None;
    for given in unlock {
        let opener = match Opener::read(given, store_id) {
            Ok(opener) => opener,
            Err(error) => {
                unusable = unusable.or(Some(error));
                continue;
            }
        };
        for slot in slots {
            if let Some(root) = opener.open(slot, store_id)? {
                return Ok(Some(root));
            }
        }
    }
    unusable.map_or(Ok(None), Err)
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

/// Whether these are at least two slots of different kind.
pub(crate) fn suffice(kinds: impl IntoIterator<Item = SlotKind>) -> bool {
    let kinds: std::collections::HashSet<_> = kinds.into_iter().collect();
    kinds.len() >= 2
}

fn key_from(parameters: &disk::SlotParameters, material: &[u8]) -> Result<Key, Unspecified> {
    Key::from_material(&parameters.salt, material, b"bindery/slot/v1")
}

/// The slot with another root key in it, if one of `openers` opens it; its salt is new as well.
pub(crate) fn rewrap(
    slot: &disk::Slot,
    openers: &[Opener],
    old: &Keys,
    new: &Keys,
) -> Result<Option<disk::Slot>, SlotError> {
    for opener in openers {
        if opener
            .open(slot, &old.store_id)
            .is_ok_and(|root| root.as_ref() == Some(&old.root))
        {
            return opener.wrap(slot, new).map(Some);
        }
    }
    Ok(None)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A header from before the highest number was kept goes on after its own slots; the mark of a newer one counts where
    /// its slot is gone.
    #[test]
    fn numbers_go_on_after_all_that_were_given() {
        let header = |slots: &[u32], last_slot| disk::SealHeader {
            slots: slots
                .iter()
                .map(|id| disk::Slot {
                    id: *id,
                    ..Default::default()
                })
                .collect(),
            last_slot,
            ..Default::default()
        };
        for (slots, last, next) in [
            (&[1, 2][..], 0, Some(3)),
            (&[2, 7, 3], 0, Some(8)),
            (&[1], 9, Some(10)),
            (&[1], 254, Some(255)),
            (&[1], 255, None),
        ] {
            assert_eq!(next_number(&header(slots, last)), next, "{slots:?} {last}");
        }
    }
}
