//! Slots, epochs, re-sealing, checking: what is done to a vault, not with it.

use std::sync::Arc;

use bindery_core::{port::VaultError, time::Timestamp};
use bindery_store::{Batch, StoreError};
use bindery_store_proto::v1 as disk;

use crate::{
    address::Place,
    error::{ChangeError, OpenError, of_store},
    header::{self, HeaderError},
    keys::{self, Keys},
    kind::Kind,
    ring::KeyRing,
    slot::{self, NewSlot, PreparedSlot, SlotInfo},
};

use super::{Inner, MOST_SLOTS, Opened, RING_KEY, RING_TREE, SealedVault, Writer, commit::Planner};

/// What one step of re-sealing did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Resealed {
    /// Records that were looked at.
    pub seen: usize,
    /// Records that were sealed again.
    pub resealed: usize,
    /// Every record was looked at since the scan began; the next step begins again.
    pub done: bool,
}

impl SealedVault {
    /// The slots.
    pub async fn list_slots(&self) -> Vec<SlotInfo> {
        slot::list(&self.inner.writer.lock().await.header)
    }

    /// Makes a slot, to be handed to [`Self::add_slot`]; its shares must be confirmed before.
    ///
    /// # Errors
    ///
    /// The vault is sealed, or the slot can't be made.
    pub async fn prepare_slot(&self, new: NewSlot) -> Result<PreparedSlot, ChangeError> {
        let writer = self.inner.writer.lock().await;
        let keys = self.inner.keys().map_err(|_| ChangeError::Sealed)?;
        let used = |id: &u8| {
            writer
                .header
                .slots
                .iter()
                .any(|slot| slot.id == u32::from(*id))
        };
        let id = (1..=u8::MAX)
            .find(|id| !used(id))
            .ok_or(ChangeError::TooManySlots)?;
        drop(writer);
        // A passphrase takes a second of computing.
        let making = tokio::task::spawn_blocking(move || {
            PreparedSlot::new(new, id, &keys.store_id, &keys.root)
        });
        Ok(making.await.map_err(|_| ChangeError::Crypto)??)
    }

    /// Adds a slot: from then on it opens the vault.
    ///
    /// # Errors
    ///
    /// Its shares are not confirmed, there are too many, or the header can't be written.
    pub async fn add_slot(&self, slot: PreparedSlot) -> Result<(), ChangeError> {
        let mut writer = self.inner.writer.lock().await;
        let opened = self.inner.opened().map_err(|_| ChangeError::Sealed)?;
        if !slot.is_confirmed() {
            return Err(ChangeError::SharesNotConfirmed);
        }
        if writer.header.slots.len() >= MOST_SLOTS {
            return Err(ChangeError::TooManySlots);
        }
        if writer
            .header
            .slots
            .iter()
            .any(|other| other.id == slot.record.id)
        {
            return Err(ChangeError::Overtaken);
        }
        slot.settle()?;
        let mut header = writer.header.clone();
        header.slots.push(slot.record);
        let kinds = slot::list(&header).into_iter().map(|slot| slot.kind);
        header.development &= !slot::suffice(kinds);
        self.inner.write_header(&mut writer, &opened, header).await
    }

    /// Notes that a slot opened the vault by hand, or was verified.
    ///
    /// # Errors
    ///
    /// The vault is sealed, there is no such slot, or the header can't be written.
    pub async fn note_verified(&self, id: u8, now: Timestamp) -> Result<(), ChangeError> {
        let mut writer = self.inner.writer.lock().await;
        let opened = self.inner.opened().map_err(|_| ChangeError::Sealed)?;
        let mut header = writer.header.clone();
        let mut slots = header.slots.iter_mut();
        let slot = slots.find(|slot| slot.id == u32::from(id));
        slot.ok_or(ChangeError::NoSlot(id))?.verified_ms = now.unix_ms();
        self.inner.write_header(&mut writer, &opened, header).await
    }

    /// Removes a slot: from then on it opens nothing. Its key file, if any, stays where it is.
    ///
    /// # Errors
    ///
    /// There is no such slot, too few would be left, or the header can't be written.
    pub async fn remove_slot(&self, id: u8) -> Result<(), ChangeError> {
        let mut writer = self.inner.writer.lock().await;
        let opened = self.inner.opened().map_err(|_| ChangeError::Sealed)?;
        let mut header = writer.header.clone();
        header.slots.retain(|slot| slot.id != u32::from(id));
        if header.slots.len() == writer.header.slots.len() {
            return Err(ChangeError::NoSlot(id));
        }
        let kinds = slot::list(&header).into_iter().map(|slot| slot.kind);
        let sufficient = slot::suffice(kinds) || header.development && !header.slots.is_empty();
        if !sufficient {
            return Err(ChangeError::TooFewSlots);
        }
        self.inner.write_header(&mut writer, &opened, header).await
    }

    /// Begins a new epoch. It is used once both copies of the ring are durable and read back right.
    ///
    /// # Errors
    ///
    /// A copy can't be written or read back; the old epoch stays in use, and no record is lost.
    pub async fn rotate_epoch(&self, now: Timestamp) -> Result<u32, ChangeError> {
        let inner = &self.inner;
        let mut writer = inner.writer.lock().await;
        let opened = inner.opened().map_err(|_| ChangeError::Sealed)?;
        let keys = &opened.keys;
        let ring = keys.ring.rotated(now)?;
        let sealed = ring.seal(&keys.kek, &keys.store_id)?;
        inner.write_ring(keys, &ring, &sealed).await?;
        let mut header = writer.header.clone();
        header.sealed_ring = sealed;
        inner.write_header(&mut writer, &opened, header).await?;
        let epoch = ring.active().0;
        inner.set_opened(Some(Opened {
            keys: Arc::new(keys.with_ring(ring)?),
            highwater: opened.highwater,
        }));
        Ok(epoch)
    }

    /// Seals up to `limit` records again that an older epoch sealed, where the last step ended. Versions stay.
    ///
    /// # Errors
    ///
    /// The vault is sealed, a record does not open, or the store fails; the step can be made again.
    pub async fn reseal_step(&self, limit: usize) -> Result<Resealed, VaultError> {
        let mut writer = self.inner.writer.lock().await;
        self.inner.refresh(&mut writer).await?;
        let opened = self.inner.opened()?;
        let (places, done) = self
            .inner
            .places_after(writer.cursor, limit.clamp(1, STEP))
            .await?;
        let mut planner = Planner::new(&opened.keys, writer.manifest);
        let mut step = Resealed {
            seen: places.len(),
            resealed: 0,
            done,
        };
        for place in &places {
            let Some(current) = self.inner.newest(place).await? else {
                continue;
            };
            if let Some(new) = opened.keys.reseal(place, &current)? {
                step.resealed += 1;
                planner.write(*place, Some(&current), Some(new));
            }
        }
        let before = writer.cursor;
        writer.cursor = places.last().copied().filter(|_| !done);
        if planner.is_empty() {
            return Ok(step);
        }
        let plan = planner.finish(&writer.sealed_manifest)?;
        let outcome = self.inner.submit(writer, &opened, plan).await;
        if outcome.is_err() {
            self.inner.writer.lock().await.cursor = before;
        }
        outcome.map_err(|error| of_store(&error))?;
        Ok(step)
    }

    /// Compares the whole store with its manifest, as opening does. Commits wait meanwhile.
    ///
    /// # Errors
    ///
    /// The store is not what it should be, or can't be read.
    pub async fn verify(&self) -> Result<(), OpenError> {
        let mut writer = self.inner.writer.lock().await;
        self.inner.drain().await;
        let keys = self.inner.keys().map_err(|_| OpenError::Sealed)?;
        let refreshed = self.inner.refresh(&mut writer).await;
        refreshed.map_err(|_| OpenError::Tampered)?;
        let (found, _) = self.inner.check(&keys).await?;
        let known = writer.manifest.generation;
        if found.generation < known {
            let found = found.generation;
            return Err(OpenError::RolledBack { found, known });
        }
        if found == writer.manifest {
            Ok(())
        } else {
            Err(OpenError::Tampered)
        }
    }
}

impl Inner {
    /// Writes both copies, reads them back, and only then believes them.
    async fn write_header(
        &self,
        writer: &mut Writer,
        opened: &Opened,
        mut header: disk::SealHeader,
    ) -> Result<(), ChangeError> {
        header.generation += 1;
        // A failure may leave one copy with this number, so the next attempt takes a higher one.
        writer.header.generation = header.generation;
        let mac = keys::header_mac(&opened.keys.root)?;
        let (folder, written) = (self.folder.clone(), header.clone());
        let task = tokio::task::spawn_blocking(move || {
            header::write(&folder, &written, &mac)?;
            let found = header::read(&folder)?;
            let same = !found.uneven
                && found
                    .candidates
                    .iter()
                    .all(|candidate| candidate.header == written && candidate.is_authentic(&mac));
            Ok::<_, HeaderError>(same)
        });
        if !task.await.map_err(|_| ChangeError::Crypto)?? {
            return Err(ChangeError::NotDurable);
        }
        writer.header = header;
        Ok(())
    }

    async fn write_ring(
        &self,
        keys: &Keys,
        ring: &KeyRing,
        sealed: &[u8],
    ) -> Result<(), ChangeError> {
        let batch = Batch::new().put(RING_TREE, RING_KEY, sealed);
        self.store.commit(batch).await?;
        let found = self.store.get(RING_TREE, RING_KEY).await?;
        let read = found.and_then(|found| KeyRing::open(&keys.kek, &keys.store_id, &found).ok());
        if read.as_ref() == Some(ring) {
            Ok(())
        } else {
            Err(ChangeError::NotDurable)
        }
    }

    /// The next places of the scan over all records, and whether these are the last. What is at them fits into a batch.
    async fn places_after(
        &self,
        cursor: Option<Place>,
        limit: usize,
    ) -> Result<(Vec<Place>, bool), VaultError> {
        let mut scan = Scan::default();
        let begun = |kind: &Kind| cursor.is_none_or(|cursor| kind.code() >= cursor.kind.code());
        for kind in Kind::ALL.iter().copied().filter(begun) {
            let after = cursor.filter(|cursor| cursor.kind == kind);
            self.scan_kind(kind, after.map(|cursor| cursor.key), limit, &mut scan)
                .await?;
            if scan.is_full(limit) {
                return Ok((scan.places, false));
            }
        }
        Ok((scan.places, true))
    }

    /// Goes through one kind until its end, or until the scan is full.
    async fn scan_kind(
        &self,
        kind: Kind,
        mut after: Option<[u8; 32]>,
        limit: usize,
        scan: &mut Scan,
    ) -> Result<(), VaultError> {
        loop {
            let room = kind.at_once().min(limit - scan.places.len());
            let after_key = after.as_ref().map(<[u8; 32]>::as_slice);
            let page = self.store.page(kind.tree(), b"", after_key, room).await;
            let page = page.map_err(|error: StoreError| of_store(&error))?;
            let last = page.len() < room;
            for (key, value) in page {
                let key = <[u8; 32]>::try_from(key).map_err(|_| VaultError::Tampered)?;
                scan.places.push(Place { kind, key });
                scan.bytes += value.len();
                after = Some(key);
                if scan.is_full(limit) {
                    return Ok(());
                }
            }
            if last {
                return Ok(());
            }
        }
    }
}

/// Places that were found, and how long the values are that are there.
#[derive(Default)]
struct Scan {
    places: Vec<Place>,
    bytes: usize,
}

impl Scan {
    fn is_full(&self, limit: usize) -> bool {
        self.places.len() >= limit || self.bytes >= STEP_BYTES
    }
}

const STEP: usize = 500;
/// With the longest record on top, this is less than a batch of the store may hold.
const STEP_BYTES: usize = 8 << 20;
