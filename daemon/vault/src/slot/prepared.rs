//! Making a slot: its key, its shares or its file, and the root key wrapped in it.

use std::{fmt, io, path::PathBuf};

use prost::Message;
use ring::error::Unspecified;
use zeroize::Zeroizing;

use bindery_core::{secret::Secret, time::Timestamp};
use bindery_store_proto::v1 as disk;

use super::{
    KeyBytes, KeyFileError, NewSlot, ShareError, SlotError, SlotInfo, SlotKind, aad, file, info,
    key_from, passphrase, shares,
};
use crate::{
    crypto::{self, Key},
    files,
};

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
