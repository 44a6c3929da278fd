//! Unsealing: from what somebody brings to a store that is known to be whole.

use std::{path::Path, sync::Arc};

use tracing::warn;

use bindery_store::Batch;
use bindery_store_proto::v1 as disk;

use crate::{
    crypto::Key,
    error::OpenError,
    header::{self, Candidate, HeaderError},
    highwater::{HighWater, Mark},
    keys::{self, Keys},
    manifest::{self, Manifest},
    ring::KeyRing,
    slot::{self, Opener, SlotError, SlotInfo, Unlock},
};

use super::{Inner, Opened, RING_KEY, RING_TREE, SealedVault, Writer};

/// How strict opening is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OpenOptions {
    /// Takes a store that was rolled back to exactly this generation. What was acknowledged later is lost, and refresh
    /// tokens in it may be dead.
    pub accept_rollback: Option<u64>,
}

/// A store that is older than what was acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rollback {
    /// Its generation.
    pub found: u64,
    /// The highest one that was acknowledged.
    pub known: u64,
}

/// What the header gave.
pub(super) struct Unlocked {
    pub(super) root: Key,
    pub(super) header: disk::SealHeader,
    pub(super) store_id: [u8; 16],
    /// The two copies are not the same.
    pub(super) uneven: bool,
}

impl SealedVault {
    /// Finds the slot that something opens, and changes nothing: a drill. Works while sealed.
    ///
    /// # Errors
    ///
    /// It opens none.
    pub async fn find_slot(&self, unlock: Unlock) -> Result<SlotInfo, OpenError> {
        let folder = self.inner.folder.clone();
        let finding = tokio::task::spawn_blocking(move || find_slot(&folder, &unlock));
        finding.await.map_err(|_| OpenError::Crypto)?
    }

    /// Opens the vault with the first of `unlock` that fits one of its slots, and checks the whole store.
    ///
    /// # Errors
    ///
    /// Nothing fits, or the store is not what was acknowledged; the vault stays sealed.
    pub async fn unseal(&self, unlock: Vec<Unlock>, options: OpenOptions) -> Result<(), OpenError> {
        let inner = &self.inner;
        let mut writer = inner.writer.lock().await;
        if inner.keys().is_ok() {
            return Ok(());
        }
        let folder = inner.folder.clone();
        // A passphrase takes a second of computing.
        let unlocking = tokio::task::spawn_blocking(move || unlock_header(&folder, &unlock));
        let unlocked = unlocking.await.map_err(|_| OpenError::Crypto)??;
        let options = OpenOptions {
            accept_rollback: options.accept_rollback.or(*inner.accepted_rollback()),
        };
        let outcome = inner.open_store(&mut writer, unlocked, options).await;
        inner.note_rollback(&outcome);
        let accepted = outcome?;
        *inner.accepted_rollback() = None;
        drop(writer);
        if accepted {
            inner.step_back().await?;
        }
        Ok(())
    }

    /// Takes a store that was rolled back to exactly this generation, the next time that somebody opens it.
    pub fn accept_rollback(&self, generation: u64) {
        *self.inner.accepted_rollback() = Some(generation);
    }

    /// What the last attempt to open was refused for; hand its `found` to [`OpenOptions`] to accept it.
    pub(super) fn rollback(&self) -> Option<Rollback> {
        *self.inner.remembered_rollback()
    }

    /// Opens a vault that was just restored, and marks the grants in it.
    pub(crate) async fn open_restored(&self, root: Key) -> Result<(), OpenError> {
        let inner = &self.inner;
        let mut writer = inner.writer.lock().await;
        let mac = keys::header_mac(&root)?;
        let found = header::read(&inner.folder)?;
        let authentic = |candidate: &Candidate| candidate.is_authentic(&mac);
        let candidate = found.candidates.into_iter().find(authentic);
        let candidate = candidate.ok_or(OpenError::Header(HeaderError::Damaged))?;
        let unlocked = Unlocked {
            root,
            header: candidate.header,
            store_id: candidate.store_id,
            uneven: found.uneven,
        };
        let options = OpenOptions::default();
        inner.open_store(&mut writer, unlocked, options).await?;
        drop(writer);
        inner.step_back().await
    }
}

impl Inner {
    async fn open_store(
        &self,
        writer: &mut Writer,
        unlocked: Unlocked,
        options: OpenOptions,
    ) -> Result<bool, OpenError> {
        let mut header = unlocked.header;
        let stored = self.store.get(RING_TREE, RING_KEY).await?;
        let ring = newest_ring(
            &unlocked.root,
            &unlocked.store_id,
            &header,
            stored.as_deref(),
        )?;
        let base = keys::open_base(&unlocked.root, &unlocked.store_id, &header.sealed_base)?;
        let keys = Keys::new(unlocked.store_id, unlocked.root, base, ring.ring)?;
        let highwater = HighWater::new(&self.highwater_folder, &keys);
        let (manifest, sealed_manifest) = self.check(&keys).await?;
        let accepted = settle_mark(&highwater, manifest.generation, options)?;
        if unlocked.uneven || header.sealed_ring != ring.sealed {
            header.sealed_ring.clone_from(&ring.sealed);
            header.generation += 1;
            header::write(&self.folder, &header, &keys::header_mac(&keys.root)?)?;
        }
        if stored.as_deref() != Some(ring.sealed.as_slice()) {
            let batch = Batch::new().put(RING_TREE, RING_KEY, ring.sealed);
            self.store.commit(batch).await?;
        }
        *writer = Writer {
            header,
            manifest,
            sealed_manifest,
            cursor: self.stored_cursor(keys.ring.active().0).await?,
            ..Writer::default()
        };
        self.recent.restart(manifest.generation);
        self.set_opened(Some(Opened {
            keys: Arc::new(keys),
            highwater: Arc::new(highwater),
        }));
        Ok(accepted)
    }

    /// Marks the grants of a store that was rolled back or restored; only then the mark goes down, so that a start that
    /// is cut off here is refused again.
    async fn step_back(self: &Arc<Self>) -> Result<(), OpenError> {
        let marked = self.suspect_grants().await;
        let writer = self.writer.lock().await;
        let opened = self.opened().map_err(|_| OpenError::Sealed)?;
        let settled = match marked {
            Ok(_) => opened.highwater.set(writer.manifest.generation),
            Err(_) => {
                self.set_opened(None);
                return Err(OpenError::Tampered);
            }
        };
        settled.map_err(OpenError::HighWater)
    }

    fn note_rollback(&self, outcome: &Result<bool, OpenError>) {
        *self.remembered_rollback() = match outcome {
            Err(OpenError::RolledBack { found, known }) => Some(Rollback {
                found: *found,
                known: *known,
            }),
            _ => None,
        };
    }

    fn accepted_rollback(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.accepted
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn remembered_rollback(&self) -> std::sync::MutexGuard<'_, Option<Rollback>> {
        self.rollback
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Compares the store with its manifest.
    pub(super) async fn check(&self, keys: &Keys) -> Result<(Manifest, Vec<u8>), OpenError> {
        let found = Manifest::recompute(&*self.store, keys).await?;
        let stored = self.store.get(manifest::TREE, manifest::KEY).await?;
        let stored = stored.ok_or(OpenError::MissingManifest)?;
        let expected = keys.open_manifest(&stored).ok_or(OpenError::Tampered)?;
        if found.count < expected.count {
            return Err(OpenError::MissingRecords {
                expected: expected.count,
                found: found.count,
            });
        }
        if (found.count, found.set) != (expected.count, expected.set) {
            return Err(OpenError::Tampered);
        }
        Ok((expected, stored))
    }
}

/// A ring, and its bytes as they were found.
struct FoundRing {
    ring: KeyRing,
    sealed: Vec<u8>,
}

/// The newer of the two copies: a rotation may have been interrupted between them.
fn newest_ring(
    root: &Key,
    store_id: &[u8; 16],
    header: &disk::SealHeader,
    stored: Option<&[u8]>,
) -> Result<FoundRing, OpenError> {
    let kek = keys::kek(root)?;
    let copies = [Some(header.sealed_ring.as_slice()), stored];
    let opened = copies.into_iter().flatten().filter_map(|sealed| {
        let ring = KeyRing::open(&kek, store_id, sealed).ok()?;
        Some(FoundRing {
            ring,
            sealed: sealed.to_vec(),
        })
    });
    // Of two equal ones the header's: it comes last in the comparison.
    let mut found: Vec<_> = opened.collect();
    found.sort_by_key(|found| std::cmp::Reverse(found.ring.revision()));
    found.into_iter().next().ok_or(OpenError::Tampered)
}

/// Refuses a store that is older than what was acknowledged, then sets the mark. Says whether an older one was accepted;
/// the mark is held then.
fn settle_mark(highwater: &HighWater, found: u64, options: OpenOptions) -> Result<bool, OpenError> {
    match highwater.read().map_err(OpenError::HighWater)? {
        Mark::Known(known) if known > found => {
            if options.accept_rollback != Some(found) {
                return Err(OpenError::RolledBack { found, known });
            }
            warn!(found, known, "A rolled-back store was accepted");
            highwater.hold();
            return Ok(true);
        }
        Mark::Known(_) => {}
        Mark::Absent if found <= 1 => {}
        Mark::Absent => warn!("There is no high-water mark: a rolled-back store is not noticed"),
        Mark::Unreadable => {
            warn!("The high-water mark is damaged: a rolled-back store is not noticed");
        }
    }
    highwater.set(found).map_err(OpenError::HighWater)?;
    Ok(false)
}

/// The newest header that is authentic, with the root key that opens it.
pub(super) fn unlock_header(folder: &Path, unlock: &[Unlock]) -> Result<Unlocked, OpenError> {
    let found = header::read(folder)?;
    let mut refused = None;
    for candidate in found.candidates {
        match try_slots(&candidate, unlock) {
            Ok(root) if candidate.is_authentic(&keys::header_mac(&root)?) => {
                return Ok(Unlocked {
                    root,
                    header: candidate.header,
                    store_id: candidate.store_id,
                    uneven: found.uneven || refused.is_some(),
                });
            }
            // Its slots are right, its rest is not: the other copy may be whole.
            Ok(_) => refused = Some(OpenError::Header(HeaderError::Damaged)),
            // An older copy may have a slot that was removed since: it must not open.
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or(OpenError::Header(HeaderError::Damaged)))
}

fn find_slot(folder: &Path, unlock: &Unlock) -> Result<SlotInfo, OpenError> {
    let found = header::read(folder)?;
    let newest = found.candidates.first();
    let candidate = newest.ok_or(OpenError::Header(HeaderError::Absent))?;
    let (slot, root) = try_one(candidate, unlock)?.ok_or_else(|| wrong_key(candidate))?;
    if !candidate.is_authentic(&keys::header_mac(&root)?) {
        return Err(OpenError::Header(HeaderError::Damaged));
    }
    slot::info(slot).ok_or(OpenError::Crypto)
}

pub(super) fn try_slots(candidate: &Candidate, unlock: &[Unlock]) -> Result<Key, OpenError> {
    let mut unusable: Option<SlotError> = None;
    for given in unlock {
        match try_one(candidate, given) {
            Ok(Some((_, root))) => return Ok(root),
            Ok(None) => {}
            Err(error) => unusable = unusable.or(Some(error)),
        }
    }
    Err(unusable.map_or_else(|| wrong_key(candidate), OpenError::Slot))
}

fn wrong_key(candidate: &Candidate) -> OpenError {
    let slots: Vec<_> = slot::list(&candidate.header);
    let slots = slots.iter().map(SlotInfo::to_string).collect::<Vec<_>>();
    OpenError::WrongKey {
        slots: slots.join("; "),
    }
}

/// The slot that something opens, and the root key in it.
fn try_one<'a>(
    candidate: &'a Candidate,
    given: &Unlock,
) -> Result<Option<(&'a disk::Slot, Key)>, SlotError> {
    let opener = Opener::read(given, &candidate.store_id)?;
    let mut unusable = None;
    for slot in &candidate.header.slots {
        match opener.open(slot, &candidate.store_id) {
            Ok(Some(root)) => return Ok(Some((slot, root))),
            Ok(None) => {}
            // Too few shares for one slot may be enough for another.
            Err(error) => unusable = Some(error),
        }
    }
    unusable.map_or(Ok(None), Err)
}
