//! Going through all records while the vault is in use, so that what was seen is the store as it is at the end.
//!
//! Records are read page by page, in the order of kinds and store keys. What changes behind the page that was read last
//! is remembered, and read again at the end, until nothing has changed since.

use std::{
    collections::HashMap,
    sync::{Arc, MutexGuard as Guard, PoisonError},
};

use tokio::sync::MutexGuard;

use bindery_store_proto::v1 as disk;

use crate::{
    address::Place,
    backup::{BackupError, Opening},
    error::of_store,
    keys::Keys,
    kind::Kind,
    manifest::Manifest,
};

use super::{Inner, SealedVault, Writer};

/// A record on the way.
pub(crate) struct Item {
    pub(crate) place: Place,
    /// Its sealed value; `None` when it was deleted since it was seen.
    pub(crate) value: Option<Vec<u8>>,
    /// The mark of the value that was seen before.
    pub(crate) replaces: Option<[u8; 32]>,
}

/// What one step saw.
pub(crate) struct Step {
    /// The header, when it is new since the last step.
    pub(crate) header: Option<disk::SealHeader>,
    /// Records.
    pub(crate) items: Vec<Item>,
    /// At the end: what the manifest says, and how it is stored.
    pub(crate) end: Option<(Manifest, Vec<u8>)>,
}

/// A walk over all records.
pub(crate) struct Walk<'a> {
    inner: &'a Inner,
    keys: Arc<Keys>,
    header: disk::SealHeader,
    /// Generation of the header that the last step gave.
    told: Option<u64>,
    at: Position,
    scanned: bool,
    rounds: u32,
    /// Held when changes come faster than they are read.
    held: Option<MutexGuard<'a, Writer>>,
}

/// What changes while a walk goes on.
#[derive(Default)]
pub(super) struct Changes {
    passed: Position,
    /// What was changed behind the walk, with the mark of what the walk saw there.
    places: HashMap<Place, Option<[u8; 32]>>,
}

/// The last place that was read; kinds in the order of their numbers.
type Position = (u8, [u8; 32]);

impl SealedVault {
    /// Begins a walk; there is one at a time.
    pub(crate) async fn walk(&self) -> Result<Walk<'_>, BackupError> {
        let inner = &*self.inner;
        let writer = inner.writer.lock().await;
        let keys = inner.keys().map_err(|_| BackupError::Sealed)?;
        let mut changes = inner.changes();
        if changes.is_some() {
            return Err(BackupError::Busy);
        }
        *changes = Some(Changes::default());
        Ok(Walk {
            inner,
            keys,
            header: writer.header.clone(),
            told: None,
            at: Position::default(),
            scanned: false,
            rounds: 0,
            held: None,
        })
    }
}

impl SealedVault {
    /// The root key, for a backup of this vault.
    pub(crate) fn opening(&self) -> Result<Opening, BackupError> {
        let keys = self.inner.keys().map_err(|_| BackupError::Sealed)?;
        Ok(Opening::root(keys.root.clone(), keys.store_id))
    }
}

impl Walk<'_> {
    /// The keys that open what was seen last.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The header as it was seen last.
    pub(crate) const fn header(&self) -> &disk::SealHeader {
        &self.header
    }

    /// Reads on. Commits wait for one step, not for the walk.
    pub(crate) async fn step(&mut self) -> Result<Step, BackupError> {
        let inner = self.inner;
        let mut writer = match self.held.take() {
            Some(writer) => writer,
            None => inner.writer.lock().await,
        };
        inner.refresh(&mut writer).await?;
        inner.drain().await;
        let header = self.look_at_keys(&writer)?;
        let items = if self.scanned {
            self.changed().await?
        } else {
            self.page().await?
        };
        let end = (self.scanned && self.inner.changed_behind() == 0)
            .then(|| (writer.manifest, writer.sealed_manifest.clone()));
        if self.rounds > PATIENT_ROUNDS && end.is_none() {
            self.held = Some(writer);
        }
        Ok(Step { header, items, end })
    }

    /// The header, when it is new. A new root key makes what was seen so far worthless.
    fn look_at_keys(&mut self, writer: &Writer) -> Result<Option<disk::SealHeader>, BackupError> {
        let keys = self.inner.keys().map_err(|_| BackupError::Sealed)?;
        if keys.root != self.keys.root {
            return Err(BackupError::KeysChanged);
        }
        self.keys = keys;
        if self.told == Some(writer.header.generation) {
            return Ok(None);
        }
        self.told = Some(writer.header.generation);
        self.header = writer.header.clone();
        Ok(Some(self.header.clone()))
    }

    /// The next records of the scan.
    async fn page(&mut self) -> Result<Vec<Item>, BackupError> {
        let mut seen = Seen::default();
        let begun_at = self.at.0;
        let begun = |kind: &&Kind| kind.code() >= begun_at;
        for kind in Kind::ALL.iter().filter(begun).copied() {
            let after = (kind.code() == self.at.0).then_some(self.at.1);
            self.at = self.scan_kind(kind, after, &mut seen).await?;
            if seen.is_full() {
                break;
            }
        }
        self.scanned = !seen.is_full();
        if let Some(changes) = self.inner.changes().as_mut() {
            changes.passed = if self.scanned { LAST } else { self.at };
        }
        Ok(seen.items)
    }

    /// Goes through one kind until its end, or until there is enough for one step. Says where it is then.
    async fn scan_kind(
        &self,
        kind: Kind,
        mut after: Option<[u8; 32]>,
        seen: &mut Seen,
    ) -> Result<Position, BackupError> {
        let limit = if kind.is_bulky() { 1 } else { STEP };
        loop {
            let from = after.as_ref().map(<[u8; 32]>::as_slice);
            let page = self.inner.store.page(kind.tree(), b"", from, limit).await?;
            if page.is_empty() {
                return Ok((kind.code(), LAST.1));
            }
            for (key, value) in page {
                let key = <[u8; 32]>::try_from(key).map_err(|_| BackupError::Tampered)?;
                after = Some(key);
                seen.add(Place { kind, key }, value);
            }
            if let Some(key) = after.filter(|_| seen.is_full()) {
                return Ok((kind.code(), key));
            }
        }
    }

    /// What changed behind the walk, as it is now.
    async fn changed(&mut self) -> Result<Vec<Item>, BackupError> {
        self.rounds += 1;
        let mut items = Vec::new();
        let mut bytes = 0;
        while items.len() < STEP && bytes < STEP_BYTES {
            let Some((place, replaces)) = self.inner.take_changed() else {
                break;
            };
            let value = self.inner.store.get(place.kind.tree(), &place.key).await;
            let value = value.map_err(|error| of_store(&error))?;
            bytes += value.as_ref().map_or(0, Vec::len);
            if value.is_some() || replaces.is_some() {
                items.push(Item {
                    place,
                    value,
                    replaces,
                });
            }
        }
        Ok(items)
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        *self.inner.changes() = None;
    }
}

impl Inner {
    /// Remembers what a commit replaces behind a walk.
    pub(super) fn note_changes(&self, replaced: &[(Place, Option<[u8; 32]>)]) {
        let mut changes = self.changes();
        let Some(changes) = changes.as_mut() else {
            return;
        };
        for (place, mark) in replaced {
            if (place.kind.code(), place.key) <= changes.passed {
                changes.places.entry(*place).or_insert(*mark);
            }
        }
    }

    fn take_changed(&self) -> Option<(Place, Option<[u8; 32]>)> {
        let mut changes = self.changes();
        let places = &mut changes.as_mut()?.places;
        let place = *places.keys().next()?;
        places.remove_entry(&place)
    }

    fn changed_behind(&self) -> usize {
        let changes = self.changes();
        changes.as_ref().map_or(0, |changes| changes.places.len())
    }

    fn changes(&self) -> Guard<'_, Option<Changes>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one step collects.
#[derive(Default)]
struct Seen {
    items: Vec<Item>,
    bytes: usize,
}

impl Seen {
    fn add(&mut self, place: Place, value: Vec<u8>) {
        self.bytes += value.len();
        self.items.push(Item {
            place,
            value: Some(value),
            replaces: None,
        });
    }

    const fn is_full(&self) -> bool {
        self.items.len() >= STEP || self.bytes >= STEP_BYTES
    }
}

/// Behind all records.
const LAST: Position = (u8::MAX, [u8::MAX; 32]);
/// Records and bytes of one step.
const STEP: usize = 500;
const STEP_BYTES: usize = 1 << 20;
/// After so many rounds of changes, commits wait for the end.
const PATIENT_ROUNDS: u32 = 100;
