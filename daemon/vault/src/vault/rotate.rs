//! New keys: epochs of the ring, and the root key. Each step is crash-safe on its own.
//!
//! A new epoch is written whole, in the header and in the store, and read back before anything is sealed under it. Records
//! are sealed again in steps; where the last step ended is in the store, so a daemon that dies goes on there. The key of an
//! old epoch is destroyed once a scan over the whole store has found no record under it.

use std::{collections::BTreeMap, sync::Arc};

use bindery_core::{port::VaultError, time::Timestamp};
use bindery_store::{Batch, StoreError, Write};
use bindery_store_proto::v1 as disk;
use tokio::sync::MutexGuard;

use crate::{
    address::Place,
    crypto::Key,
    error::{ChangeError, of_store},
    header::{self, Copy},
    keys::{self, Keys},
    kind::Kind,
    mortal,
    ring::KeyRing,
    sealed::Prefix,
    slot::{self, Opener, SlotInfo, Unlock},
};

use super::{CURSOR_KEY, Inner, Opened, RING_KEY, RING_TREE, SealedVault, Writer, commit::Planner};

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

/// What a new root key did.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NewRoot {
    /// The epoch that began with it.
    pub epoch: u32,
    /// Slots that do not open it, and are gone.
    pub lost: Vec<SlotInfo>,
}

impl SealedVault {
    /// Begins a new epoch. It is used once both copies of the ring are durable and read back right.
    ///
    /// # Errors
    ///
    /// A copy can't be written or read back; the old epoch stays in use, and no record is lost.
    pub async fn rotate_epoch(&self, now: Timestamp) -> Result<u32, ChangeError> {
        let mut writer = self.inner.writer.lock().await;
        let opened = self.inner.opened().map_err(|_| ChangeError::Sealed)?;
        // What is on its way is sealed under the old epoch: a scan that begins after this must meet it.
        self.inner.drain().await;
        let ring = opened.keys.ring.rotated(now)?;
        let epoch = ring.active().0;
        self.inner.adopt_ring(&mut writer, opened, ring).await?;
        writer.cursor = None;
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
        let limit = limit.clamp(1, STEP);
        let (places, done) = self.inner.places_after(writer.cursor, limit).await?;
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
        let next = places.last().copied().filter(|_| !done);
        self.inner
            .submit_step(writer, &opened, planner, next)
            .await?;
        Ok(step)
    }

    /// How many records each epoch has sealed. Reads the whole store, and holds nobody up.
    ///
    /// # Errors
    ///
    /// The vault is sealed, or the store fails.
    pub async fn count_epochs(&self) -> Result<BTreeMap<u32, u64>, VaultError> {
        let keys = self.inner.keys()?;
        let mut counts: BTreeMap<u32, u64> = keys.ring.ids().map(|id| (id, 0)).collect();
        for kind in Kind::ALL.iter().copied() {
            self.inner.count_kind(kind, &mut counts).await?;
        }
        self.inner.writer.lock().await.counts = counts.clone();
        Ok(counts)
    }

    /// Destroys the keys of old epochs under which a scan over the whole store finds no record.
    ///
    /// # Errors
    ///
    /// The vault is sealed, the store fails, or the ring can't be written; the keys then stay.
    pub async fn retire_epochs(&self) -> Result<Vec<u32>, ChangeError> {
        let old: Vec<u32> = self.inner.keys()?.ring.old_ids().collect();
        if old.is_empty() {
            return Ok(old);
        }
        // No record is sealed under these any more: that ended when the active epoch began.
        let counts = self.count_epochs().await?;
        let empty = |id: &u32| counts.get(id).copied().unwrap_or_default() == 0;
        let retired: Vec<u32> = old.into_iter().filter(empty).collect();
        if retired.is_empty() {
            return Ok(retired);
        }
        let mut writer = self.inner.writer.lock().await;
        let opened = self.inner.opened().map_err(|_| ChangeError::Sealed)?;
        let ring = opened.keys.ring.without(&retired);
        self.inner.adopt_ring(&mut writer, opened, ring).await?;
        writer.counts.retain(|id, _| !retired.contains(id));
        Ok(retired)
    }

    /// A new epoch, everything sealed again under it, and the keys of the old ones destroyed.
    ///
    /// # Errors
    ///
    /// As those of its steps. It goes on where it stopped when it is called again.
    pub async fn renew(&self, now: Timestamp) -> Result<Renewed, ChangeError> {
        let epoch = self.rotate_epoch(now).await?;
        let resealed = self.reseal_all().await?;
        let retired = self.retire_epochs().await?;
        Ok(Renewed {
            epoch,
            resealed,
            retired,
        })
    }

    /// Makes all steps of re-sealing that are left, and returns how many records were sealed again.
    ///
    /// # Errors
    ///
    /// As [`Self::reseal_step`].
    pub async fn reseal_all(&self) -> Result<u64, VaultError> {
        let mut resealed = 0;
        loop {
            let step = self.reseal_step(STEP).await?;
            resealed += step.resealed as u64;
            if step.done {
                return Ok(resealed);
            }
            // Commits get their turn between two steps.
            tokio::task::yield_now().await;
        }
    }

    /// Makes a new root key, and a new epoch with it. Slots that one of `online` opens are made anew; the others are gone.
    ///
    /// The header's second copy is written, and opened again from what `online` brings; only then the first one.
    ///
    /// # Errors
    ///
    /// Nothing that is online opens a slot, or what was written can't be read back; the old root key then stays.
    pub async fn rotate_root(
        &self,
        now: Timestamp,
        online: Vec<Unlock>,
    ) -> Result<NewRoot, ChangeError> {
        let mut writer = self.inner.writer.lock().await;
        let opened = self.inner.opened().map_err(|_| ChangeError::Sealed)?;
        self.inner.drain().await;
        let old = Arc::clone(&opened.keys);
        let (header, folder) = (writer.header.clone(), self.inner.folder.clone());
        // A failure may leave a copy with this number, so the next attempt takes a higher one.
        writer.header.generation += 1;
        let root = Key::random()?;
        let ring = old.ring.rotated(now)?;
        let keys = Keys::new(old.store_id, root, old.base.clone(), ring)?;
        let sealed_ring = keys.ring.seal(&keys.kek, &keys.store_id)?;
        // Who opens with the old root key meets a copy of the ring that does not open, and takes the header's.
        self.inner.write_ring(&keys, &sealed_ring).await?;
        let making = tokio::task::spawn_blocking(move || {
            let made = remake(&header, &old, &keys, sealed_ring, &online)?;
            write_root(&folder, &made.header, &old, &keys, &online)?;
            Ok::<_, ChangeError>((made, keys))
        });
        let (made, keys) = making.await.map_err(|_| ChangeError::Crypto)??;
        let epoch = keys.ring.active().0;
        writer.header = made.header;
        writer.cursor = None;
        self.inner.set_opened(Some(Opened {
            keys: Arc::new(keys),
            highwater: opened.highwater,
        }));
        Ok(NewRoot {
            epoch,
            lost: made.lost,
        })
    }
}

/// What [`SealedVault::renew`] did.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Renewed {
    /// The epoch that began.
    pub epoch: u32,
    /// Records that were sealed again.
    pub resealed: u64,
    /// Epochs whose keys are destroyed.
    pub retired: Vec<u32>,
}

/// A header for another root key.
struct Remade {
    header: disk::SealHeader,
    lost: Vec<SlotInfo>,
}

/// The header as it will be, with the slots that are online.
fn remake(
    header: &disk::SealHeader,
    old: &Keys,
    new: &Keys,
    sealed_ring: Vec<u8>,
    online: &[Unlock],
) -> Result<Remade, ChangeError> {
    let readable = |given: &Unlock| Opener::read(given, &old.store_id).ok();
    let openers: Vec<Opener> = online.iter().filter_map(readable).collect();
    let (mut slots, mut lost) = (Vec::new(), Vec::new());
    for slot in &header.slots {
        match slot::rewrap(slot, &openers, old, new)? {
            Some(slot) => slots.push(slot),
            None => lost.extend(slot::info(slot)),
        }
    }
    if slots.is_empty() {
        return Err(ChangeError::NoSlotOnline);
    }
    let header = disk::SealHeader {
        generation: header.generation + 1,
        last_slot: slot::last_number(header),
        slots,
        sealed_ring,
        sealed_base: keys::seal_base(&new.root, &new.store_id, &new.base)?,
        ..header.clone()
    };
    Ok(Remade { header, lost })
}

/// Second copy, opened again as a start would, then the first.
fn write_root(
    folder: &std::path::Path,
    header: &disk::SealHeader,
    old: &Keys,
    new: &Keys,
    online: &[Unlock],
) -> Result<(), ChangeError> {
    let mac = keys::header_mac(&new.root)?;
    let before = header::read_one(folder, Copy::Second)?;
    header::write_one(folder, Copy::Second, header, &mac)?;
    mortal::step("root key: second copy");
    if !opens(folder, header, new, online)? {
        // Newer than what was written, so that the old root key's header is the newest again.
        let mut back = before.header;
        back.generation = header.generation + 1;
        header::write_one(folder, Copy::Second, &back, &keys::header_mac(&old.root)?)?;
        return Err(ChangeError::NotDurable);
    }
    header::write_one(folder, Copy::First, header, &mac)?;
    mortal::step("root key: first copy");
    Ok(())
}

/// Whether the second copy is what was meant, and what is online opens it.
fn opens(
    folder: &std::path::Path,
    header: &disk::SealHeader,
    new: &Keys,
    online: &[Unlock],
) -> Result<bool, ChangeError> {
    let found = header::read_one(folder, Copy::Second)?;
    if found.header != *header || !found.is_authentic(&keys::header_mac(&new.root)?) {
        return Ok(false);
    }
    let Ok(root) = super::open::try_slots(&found, online) else {
        return Ok(false);
    };
    let base = keys::open_base(&root, &found.store_id, &found.header.sealed_base)?;
    let ring = KeyRing::open(
        &keys::kek(&root)?,
        &found.store_id,
        &found.header.sealed_ring,
    )?;
    Ok(root == new.root && base == new.base && ring == new.ring)
}

impl Inner {
    /// Writes a ring to both places, reads it back, and uses it.
    async fn adopt_ring(
        &self,
        writer: &mut Writer,
        opened: Opened,
        ring: KeyRing,
    ) -> Result<(), ChangeError> {
        let keys = opened.keys.with_ring(ring)?;
        let sealed = keys.ring.seal(&keys.kek, &keys.store_id)?;
        self.write_ring(&keys, &sealed).await?;
        let mut header = writer.header.clone();
        header.sealed_ring = sealed;
        self.write_header(writer, &opened, header).await?;
        self.set_opened(Some(Opened {
            keys: Arc::new(keys),
            highwater: opened.highwater,
        }));
        Ok(())
    }

    async fn write_ring(&self, keys: &Keys, sealed: &[u8]) -> Result<(), ChangeError> {
        mortal::step("ring: store");
        let batch = Batch::new().put(RING_TREE, RING_KEY, sealed);
        self.store.commit(batch).await?;
        mortal::step("ring: stored");
        let found = self.store.get(RING_TREE, RING_KEY).await?;
        let read = found.and_then(|found| KeyRing::open(&keys.kek, &keys.store_id, &found).ok());
        if read.as_ref() == Some(&keys.ring) {
            Ok(())
        } else {
            Err(ChangeError::NotDurable)
        }
    }

    /// Hands the step to the store, with the place where the next one begins.
    async fn submit_step(
        &self,
        mut writer: MutexGuard<'_, Writer>,
        opened: &Opened,
        mut planner: Planner<'_>,
        next: Option<Place>,
    ) -> Result<(), VaultError> {
        let before = std::mem::replace(&mut writer.cursor, next);
        if planner.is_empty() {
            return Ok(());
        }
        let write = match next {
            Some(place) => Write::Put(cursor(opened.keys.ring.active().0, place)),
            None => Write::Delete,
        };
        planner.also(RING_TREE, CURSOR_KEY, write);
        let plan = planner.finish(&writer.sealed_manifest)?;
        mortal::step("reseal: step");
        let outcome = self.submit(writer, opened, plan).await;
        mortal::step("reseal: stepped");
        if outcome.is_err() {
            self.writer.lock().await.cursor = before;
        }
        outcome.map_err(|error| of_store(&error))
    }

    /// Where re-sealing goes on, if it was under way for this epoch. It is only a hint: what it passes over wrongly keeps
    /// its old epoch in use.
    pub(super) async fn stored_cursor(&self, epoch: u32) -> Result<Option<Place>, StoreError> {
        let stored = self.store.get(RING_TREE, CURSOR_KEY).await?;
        Ok(stored.and_then(|bytes| read_cursor(epoch, &bytes)))
    }

    async fn count_kind(
        &self,
        kind: Kind,
        counts: &mut BTreeMap<u32, u64>,
    ) -> Result<(), VaultError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self
                .store
                .page(kind.tree(), b"", after.as_deref(), kind.at_once());
            let page = page.await.map_err(|error| of_store(&error))?;
            for (_, value) in &page {
                *counts.entry(Prefix::parse(value)?.0.epoch).or_default() += 1;
            }
            match page.into_iter().last() {
                Some((last, _)) => after = Some(last),
                None => return Ok(()),
            }
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

fn cursor(epoch: u32, place: Place) -> Vec<u8> {
    [
        epoch.to_be_bytes().as_slice(),
        &[place.kind.code()],
        &place.key,
    ]
    .concat()
}

fn read_cursor(epoch: u32, bytes: &[u8]) -> Option<Place> {
    let (of, rest) = bytes.split_first_chunk()?;
    let (code, key) = rest.split_first()?;
    let kind = Kind::ALL
        .iter()
        .copied()
        .find(|kind| kind.code() == *code)?;
    let key = key.try_into().ok()?;
    (u32::from_be_bytes(*of) == epoch).then_some(Place { kind, key })
}

const STEP: usize = 500;
/// With the longest record on top, this is less than a batch of the store may hold.
const STEP_BYTES: usize = 8 << 20;
