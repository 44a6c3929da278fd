//! sled, with its panics caught and its long values cut.

use std::any::Any;
use std::fmt;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tracing::{error, warn};

use crate::embedded::SledConfig;
use crate::embedded::folder::Folder;
use crate::embedded::layout::{self, Head};
use crate::{Batch, OpenError, Operation, Page, StoreError, Tree, Write};

/// An open sled database.
pub(super) struct Engine {
    // Empty only while the destructor runs.
    db: Option<sled::Db>,
    // Batches are applied under the write half, so that what takes several sled reads sees them whole.
    gate: RwLock<()>,
}

/// sled panicked. What it said may quote stored bytes, so it is not kept.
#[derive(Debug)]
pub(super) struct Panicked;

enum Failure {
    Panicked,
    Sled(sled::Error),
}

/// Runs something that sled may panic in.
pub(super) fn guard<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        // A payload may panic when it is dropped.
        std::mem::forget::<Box<dyn Any + Send>>(payload);
        Panicked
    })
}

impl Engine {
    /// Opens sled; a snapshot that it can't read is put aside, once.
    pub(super) fn open(folder: &Folder, config: &SledConfig) -> Result<Self, OpenError> {
        let db = match start(folder, config) {
            Err(Failure::Sled(sled::Error::Corruption { .. }))
                if folder.quarantine_snapshots()? =>
            {
                warn!("Moved a damaged snapshot to quarantine, opening the store without it");
                start(folder, config)
            }
            started => started,
        };
        let db = db.map_err(|failure| refusal(folder, failure))?;
        Ok(Self {
            db: Some(db),
            gate: RwLock::new(()),
        })
    }

    pub(super) fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(entry) = self.entry(tree, key)? else {
            return Ok(None);
        };
        if let Head::Whole(value) = Head::parse(&entry)? {
            return Ok(Some(value.to_vec()));
        }
        // Between head and parts a batch could replace the value, so begin again under the gate.
        let _gate = self.shared();
        let entry = self.entry(tree, key)?;
        entry.map(|entry| self.value(tree, key, &entry)).transpose()
    }

    pub(super) fn page(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let _gate = self.shared();
        let space = layout::entry_key(tree, &[]);
        let within = layout::entry_key(tree, prefix);
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(layout::entry_key(tree, after)),
            _ => Bound::Included(within.clone()),
        };
        let mut page = Page::new();
        for found in self.db()?.range((from, Bound::Unbounded)).take(limit) {
            let (at, entry) = found.map_err(failed)?;
            if !at.starts_with(&within) {
                break;
            }
            let key = at[space.len()..].to_vec();
            let value = self.value(tree, &key, &entry)?;
            page.push((key, value));
        }
        Ok(page)
    }

    /// Checks a batch and applies it whole. The caller holds [`Self::exclusive`] and is the only writer.
    pub(super) fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut writes = sled::Batch::default();
        for (index, operation) in batch.operations.iter().enumerate() {
            let entry = self.entry(operation.tree, &operation.key)?;
            self.check(index, operation, entry.as_deref())?;
            translate(operation, entry.as_deref(), &mut writes)?;
        }
        if !batch.writes() {
            return Ok(());
        }
        self.db()?.apply_batch(writes).map_err(failed)?;
        self.finish_splits(batch)
    }

    /// Hands what was applied to the kernel. Durable it is only after the file was synced.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.db()?.flush().map(|_| ()).map_err(failed)
    }

    /// Whether one of sled's own threads met an error.
    pub(super) fn is_broken(&self) -> bool {
        self.db
            .as_ref()
            .is_some_and(|db| db.context.global_error().is_err())
    }

    pub(super) fn exclusive(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps batches from being applied.
    pub(super) fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Splits the pages that a batch made too long. sled leaves that to the next reader, who fails if the disk does.
    fn finish_splits(&self, batch: &Batch) -> Result<(), StoreError> {
        for Operation {
            tree, key, write, ..
        } in &batch.operations
        {
            self.entry(*tree, key)?;
            let Write::Put(value) = write else { continue };
            for number in 0..layout::parts(value) {
                self.db()?
                    .get(layout::part_key(*tree, key, number))
                    .map_err(failed)?;
            }
        }
        Ok(())
    }

    fn db(&self) -> Result<&sled::Db, StoreError> {
        self.db.as_ref().ok_or(StoreError::Closed)
    }

    fn check(
        &self,
        index: usize,
        operation: &Operation,
        entry: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let Operation {
            tree, key, expect, ..
        } = operation;
        let current = match (entry.map(Head::parse).transpose()?, entry) {
            (Some(Head::Parts(_)), Some(entry)) => Some(self.value(*tree, key, entry)?),
            (Some(Head::Whole(value)), _) => Some(value.to_vec()),
            _ => None,
        };
        if expect.holds(current.as_deref()) {
            Ok(())
        } else {
            Err(StoreError::Conflict { index })
        }
    }

    fn entry(&self, tree: Tree, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.db()?.get(layout::entry_key(tree, key)).map_err(failed)
    }

    fn value(&self, tree: Tree, key: &[u8], entry: &[u8]) -> Result<Vec<u8>, StoreError> {
        let parts = match Head::parse(entry)? {
            Head::Whole(value) => return Ok(value.to_vec()),
            Head::Parts(parts) => parts,
        };
        let mut value = Vec::new();
        for number in 0..parts {
            let part = self
                .db()?
                .get(layout::part_key(tree, key, number))
                .map_err(failed)?;
            value.extend_from_slice(&part.ok_or(StoreError::Corrupt)?);
        }
        Ok(value)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // sled's own output lists what is stored.
        out.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // sled syncs in its destructor and panics if that fails.
        let db = self.db.take();
        if guard(|| drop(db)).is_err() {
            error!(
                "The engine panicked while the store was closed; acknowledged writes are not affected"
            );
        }
    }
}

fn start(folder: &Folder, config: &SledConfig) -> Result<sled::Db, Failure> {
    let settings = sled::Config::new()
        .path(folder.path())
        .cache_capacity(config.cache_bytes.clamp(8 << 20, 16 << 20))
        .use_compression(false)
        // The committer flushes, and it alone: sled's own flusher swallows errors.
        .flush_every_ms(None);
    match guard(|| settings.open()) {
        Ok(opened) => opened.map_err(Failure::Sled),
        Err(Panicked) => Err(Failure::Panicked),
    }
}

fn refusal(folder: &Folder, failure: Failure) -> OpenError {
    match failure {
        Failure::Sled(sled::Error::Io(source)) => folder.error(source),
        _ if folder.is_full() => folder.error(io::ErrorKind::StorageFull.into()),
        _ => OpenError::Corrupt {
            path: folder.path().to_owned(),
            what_to_do: RESTORE,
        },
    }
}

/// Adds an operation's writes, and the removal of parts that they leave behind.
fn translate(
    operation: &Operation,
    entry: Option<&[u8]>,
    writes: &mut sled::Batch,
) -> Result<(), StoreError> {
    let Operation {
        tree, key, write, ..
    } = operation;
    let old = match entry.map(Head::parse).transpose()? {
        Some(Head::Parts(parts)) => parts,
        _ => 0,
    };
    let new = match write {
        Write::Keep => return Ok(()),
        Write::Delete => {
            writes.remove(layout::entry_key(*tree, key));
            0
        }
        Write::Put(value) => put(*tree, key, value, writes),
    };
    (new..old).for_each(|number| writes.remove(layout::part_key(*tree, key, number)));
    Ok(())
}

/// Adds a value and returns how many parts it took.
fn put(tree: Tree, key: &[u8], value: &[u8], writes: &mut sled::Batch) -> u32 {
    let parts = layout::parts(value);
    if parts == 0 {
        writes.insert(layout::entry_key(tree, key), layout::whole(value));
        return 0;
    }
    for (number, part) in (0..parts).zip(value.chunks(layout::PART)) {
        writes.insert(layout::part_key(tree, key, number), part);
    }
    writes.insert(layout::entry_key(tree, key), layout::cut(parts));
    parts
}

fn failed(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => error.into(),
        sled::Error::Corruption { .. } => StoreError::Corrupt,
        // The other messages may quote what is stored.
        _ => io::Error::other("the storage engine stopped").into(),
    }
}

const RESTORE: &str = "keep the folder as it is and restore the latest backup into a new one";
