//! The key ring: epochs of record keys, written whole.

use std::collections::BTreeMap;

use prost::Message;
use ring::error::Unspecified;
use zeroize::{Zeroize, Zeroizing};

use bindery_core::time::Timestamp;
use bindery_store_proto::v1 as disk;

use crate::{crypto::Key, vault::EpochInfo};

/// Epochs, oldest first; the last one is the active one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct KeyRing {
    revision: u64,
    epochs: Vec<Epoch>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Epoch {
    id: u32,
    key: Key,
    created: Timestamp,
}

impl KeyRing {
    /// A ring with its first epoch.
    pub(crate) fn new(now: Timestamp) -> Result<Self, Unspecified> {
        let epochs = vec![Epoch::new(1, now)?];
        Ok(Self {
            revision: 1,
            epochs,
        })
    }

    /// The ring with one more epoch, which is active.
    pub(crate) fn rotated(&self, now: Timestamp) -> Result<Self, Unspecified> {
        let mut next = self.clone();
        next.revision += 1;
        let id = self.active().0.checked_add(1).ok_or(Unspecified)?;
        next.epochs.push(Epoch::new(id, now)?);
        Ok(next)
    }

    /// The ring without these epochs. The active one stays.
    pub(crate) fn without(&self, ids: &[u32]) -> Self {
        let (mut next, active) = (self.clone(), self.active().0);
        next.revision += 1;
        next.epochs
            .retain(|epoch| epoch.id == active || !ids.contains(&epoch.id));
        next
    }

    /// Numbers of all epochs, oldest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.epochs.iter().map(|epoch| epoch.id)
    }

    /// Numbers of the epochs that seal nothing any more.
    pub(crate) fn old_ids(&self) -> impl Iterator<Item = u32> {
        self.ids().take(self.epochs.len() - 1)
    }

    /// What can be told of the epochs, with the records that were counted.
    pub(crate) fn epochs(&self, counts: &BTreeMap<u32, u64>) -> Vec<EpochInfo> {
        let epochs = self.epochs.iter().map(|epoch| EpochInfo {
            id: epoch.id,
            created: epoch.created,
            records: counts.get(&epoch.id).copied(),
        });
        epochs.collect()
    }

    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    /// Number and key of the epoch that seals.
    pub(crate) fn active(&self) -> (u32, &Key) {
        let epoch = self.epochs.last().expect("a ring has an epoch");
        (epoch.id, &epoch.key)
    }

    /// The key of an epoch.
    pub(crate) fn key(&self, id: u32) -> Option<&Key> {
        let found = self.epochs.iter().rev().find(|epoch| epoch.id == id);
        found.map(|epoch| &epoch.key)
    }

    /// Seals the whole ring under the key-encryption key.
    pub(crate) fn seal(&self, kek: &Key, store_id: &[u8; 16]) -> Result<Vec<u8>, Unspecified> {
        let mut message = self.message();
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(message.encoded_len()));
        let encoded = message.encode(&mut *plaintext);
        message
            .epochs
            .iter_mut()
            .for_each(|epoch| epoch.key.zeroize());
        encoded.map_err(|_| Unspecified)?;
        kek.seal(LABEL, store_id, &plaintext)
    }

    /// Opens a sealed ring.
    pub(crate) fn open(kek: &Key, store_id: &[u8; 16], sealed: &[u8]) -> Result<Self, Unspecified> {
        let plaintext = kek.open(LABEL, store_id, sealed)?;
        let mut message = disk::KeyRing::decode(plaintext.as_slice()).map_err(|_| Unspecified)?;
        let ring = Self::read(&message);
        message
            .epochs
            .iter_mut()
            .for_each(|epoch| epoch.key.zeroize());
        ring
    }

    fn read(message: &disk::KeyRing) -> Result<Self, Unspecified> {
        let last = message.epochs.len().checked_sub(1).ok_or(Unspecified)?;
        let epochs = message.epochs.iter().enumerate().map(|(at, epoch)| {
            let expected = state(at == last);
            if epoch.state() != expected {
                return Err(Unspecified);
            }
            Ok(Epoch {
                id: epoch.id,
                key: Key::from_slice(&epoch.key)?,
                created: Timestamp::from_unix_ms(epoch.created_ms),
            })
        });
        Ok(Self {
            revision: message.revision,
            epochs: epochs.collect::<Result<_, _>>()?,
        })
    }

    fn message(&self) -> disk::KeyRing {
        let last = self.epochs.len() - 1;
        let epochs = self
            .epochs
            .iter()
            .enumerate()
            .map(|(at, epoch)| disk::Epoch {
                id: epoch.id,
                key: epoch.key.expose().to_vec(),
                state: state(at == last).into(),
                created_ms: epoch.created.unix_ms(),
            });
        disk::KeyRing {
            revision: self.revision,
            epochs: epochs.collect(),
        }
    }
}

impl Epoch {
    fn new(id: u32, created: Timestamp) -> Result<Self, Unspecified> {
        let key = Key::random()?;
        Ok(Self { id, key, created })
    }
}

const fn state(active: bool) -> disk::EpochState {
    if active {
        disk::EpochState::Active
    } else {
        disk::EpochState::Decrypt
    }
}

const LABEL: &[u8] = b"bindery/ring/v1";
