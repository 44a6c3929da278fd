//! Making a vault.

use std::path::{Path, PathBuf};

use bindery_core::{secret::Secret, time::Timestamp};
use bindery_store::{Batch, Store};
use bindery_store_proto::v1 as disk;

use crate::{
    crypto::{self, Key},
    error::InitError,
    files, header,
    keys::{self, Keys},
    kind::Kind,
    manifest::{self, Manifest},
    ring::KeyRing,
    slot::{self, NewSlot, PreparedSlot, ShareError},
    vault,
};

/// How careful a new vault must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InitMode {
    /// At least two slots of different kind.
    Production,
    /// One slot is enough. The header remembers it, and the status says it, until a second kind is added.
    Development,
}

/// A vault that is being made: print its shares, take two of them back, then finish.
///
/// Nothing is written before [`Init::finish`].
#[derive(Debug)]
pub struct Init {
    folder: PathBuf,
    store_id: [u8; 16],
    root: Key,
    slots: Vec<PreparedSlot>,
    development: bool,
}

impl Init {
    /// Makes the root key and its slots. Blocks for about a second when there is a passphrase.
    ///
    /// # Errors
    ///
    /// There are too few slots for the mode, one of them can't be made, or there is a vault already.
    pub fn prepare(
        folder: impl AsRef<Path>,
        slots: Vec<NewSlot>,
        mode: InitMode,
    ) -> Result<Self, InitError> {
        let folder = folder.as_ref();
        if header::exists(folder) {
            return Err(InitError::Exists);
        }
        let sufficient = slot::suffice(slots.iter().map(NewSlot::kind));
        if slots.is_empty() || (!sufficient && mode == InitMode::Production) {
            return Err(InitError::TooFewSlots);
        }
        if slots.len() > vault::MOST_SLOTS {
            return Err(InitError::TooManySlots);
        }
        let (store_id, root) = (crypto::random()?, Key::random()?);
        let slots = (1u8..)
            .zip(slots)
            .map(|(id, new)| PreparedSlot::new(new, id, &store_id, &root));
        Ok(Self {
            folder: folder.to_owned(),
            store_id,
            slots: slots.collect::<Result<_, _>>()?,
            root,
            development: !sufficient,
        })
    }

    /// The recovery shares, to be printed once; empty without a recovery slot.
    #[must_use]
    pub fn shares(&self) -> &[Secret] {
        let with_shares = self.slots.iter().find(|slot| !slot.shares().is_empty());
        with_shares.map(PreparedSlot::shares).unwrap_or_default()
    }

    /// Takes two shares back, as proof that they were written down.
    ///
    /// # Errors
    ///
    /// They are not two different shares of this vault.
    pub fn confirm_shares(&mut self, first: &Secret, second: &Secret) -> Result<(), ShareError> {
        let unconfirmed = self.slots.iter_mut().find(|slot| !slot.is_confirmed());
        match unconfirmed {
            Some(slot) => slot.confirm_shares(first, second),
            None => Ok(()),
        }
    }

    /// Writes key files, the empty store's manifest and, last, the header.
    ///
    /// # Errors
    ///
    /// The shares are not confirmed, the store holds something, or it can't be written. Until the header is there,
    /// making a vault can be begun again.
    pub async fn finish(self, store: &dyn Store, now: Timestamp) -> Result<(), InitError> {
        if !self.slots.iter().all(PreparedSlot::is_confirmed) {
            return Err(InitError::SharesNotConfirmed);
        }
        refuse_records(store).await?;
        files::make_folder(&self.folder)?;
        if header::exists(&self.folder) {
            return Err(InitError::Exists);
        }
        self.slots.iter().try_for_each(PreparedSlot::settle)?;
        let ring = KeyRing::new(now)?;
        let keys = Keys::new(self.store_id, self.root, Key::random()?, ring)?;
        let sealed_ring = keys.ring.seal(&keys.kek, &keys.store_id)?;
        store.commit(first_batch(&keys, &sealed_ring)?).await?;
        let last_slot = self.slots.iter().map(|slot| slot.record.id).max();
        let slots = self.slots.into_iter();
        let first = disk::SealHeader {
            store_id: keys.store_id.to_vec(),
            generation: 1,
            development: self.development,
            slots: slots.map(|slot| slot.made(now).record).collect(),
            sealed_ring,
            sealed_base: keys::seal_base(&keys.root, &keys.store_id, &keys.base)?,
            last_slot: last_slot.unwrap_or_default(),
        };
        let mac = keys::header_mac(&keys.root)?;
        Ok(header::write(&self.folder, &first, &mac)?)
    }
}

/// A manifest alone is what an earlier attempt left; records are somebody's links.
async fn refuse_records(store: &dyn Store) -> Result<(), InitError> {
    for kind in Kind::ALL.iter().copied() {
        if !store.page(kind.tree(), b"", None, 1).await?.is_empty() {
            return Err(InitError::StoreNotEmpty);
        }
    }
    Ok(())
}

fn first_batch(keys: &Keys, sealed_ring: &[u8]) -> Result<Batch, InitError> {
    let first = Manifest {
        generation: 1,
        ..Manifest::default()
    };
    let manifest = keys.seal_manifest(&first).ok_or(InitError::Crypto)?;
    Ok(Batch::new()
        .put(manifest::TREE, manifest::KEY, manifest)
        .put(vault::RING_TREE, vault::RING_KEY, sealed_ring))
}
