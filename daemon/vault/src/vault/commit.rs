//! Changes. They are planned one after the other, each on the manifest that the one before will leave, and handed to the
//! store without waiting for its disk, so that the store can write many at once.
//!
//! The manifest is in every batch, with its old value as expectation. So when one batch fails, all that were planned on
//! it fail too, without any effect; the store is then read anew, and they are planned again.

use std::sync::{Arc, PoisonError};

use futures_util::future::{Either, FutureExt, ready};
use tokio::sync::MutexGuard;
use tracing::error;
use zeroize::Zeroizing;

use bindery_core::port::{Change, Expect, VaultError};
use bindery_store::{Batch, Expect as Stored, StoreError, Tree, Write};

use crate::{
    address::{Address, Place},
    convert,
    error::of_store,
    keys::Keys,
    kind::Kind,
    manifest::{self, Manifest},
    recent::Value,
    sealed::Prefix,
};

use super::{Inner, Opened, Writer};

/// A change whose record is encoded.
struct Prepared {
    address: Address,
    expect: Expect,
    plaintext: Option<Zeroizing<Vec<u8>>>,
}

/// New sealed values, and the manifest and batch that go with them.
pub(super) struct Plan {
    batch: Batch,
    manifest: Manifest,
    sealed_manifest: Vec<u8>,
    writes: Vec<(Place, Value)>,
    /// Marks of what is replaced.
    replaced: Vec<(Place, Option<[u8; 32]>)>,
}

impl Inner {
    pub(super) async fn commit(self: Arc<Self>, changes: Vec<Change>) -> Result<(), VaultError> {
        if changes.is_empty() {
            return Ok(());
        }
        let prepared = prepare(&*self.keys()?, changes)?;
        for _ in 0..ATTEMPTS {
            let mut writer = self.writer.lock().await;
            self.refresh(&mut writer).await?;
            let opened = self.opened()?;
            let plan = self.plan(&opened.keys, &writer, &prepared).await?;
            match self.submit(writer, &opened, plan).await {
                Err(StoreError::Conflict { .. }) => {}
                outcome => return outcome.map_err(|error| of_store(&error)),
            }
        }
        Err(VaultError::Conflict)
    }

    /// Hands a plan to the store, lets the next writer in, and waits for the disk.
    pub(super) async fn submit(
        &self,
        mut writer: MutexGuard<'_, Writer>,
        opened: &Opened,
        plan: Plan,
    ) -> Result<(), StoreError> {
        let permit = self.in_flight.acquire().await;
        writer.sequence += 1;
        let (sequence, generation) = (writer.sequence, plan.manifest.generation);
        self.recent.submit(sequence, &plan.writes);
        self.note_changes(&plan.replaced);
        if let Some(changed) = writer.changed.upgrade() {
            let mut changed = changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.extend(plan.writes.iter().map(|(place, _)| *place));
        }
        writer.manifest = plan.manifest;
        writer.sealed_manifest = plan.sealed_manifest;
        let mut commit = self.store.commit(plan.batch);
        // Asked once before the next writer comes, so that the store has it in this order.
        let commit = match (&mut commit).now_or_never() {
            Some(outcome) => Either::Left(ready(outcome)),
            None => Either::Right(commit),
        };
        drop(writer);
        let waits = self.waiting.begin(sequence);
        let outcome = commit.await;
        drop(waits);
        match &outcome {
            Ok(()) => {
                self.recent.acknowledge(sequence, generation, &plan.writes);
                opened.highwater.note(generation);
            }
            Err(_) => self.recent.fail(sequence, &plan.writes),
        }
        drop(permit);
        outcome
    }

    /// After a failure: waits for what is on its way, then reads what the store really holds.
    pub(super) async fn refresh(&self, writer: &mut Writer) -> Result<(), VaultError> {
        if !self.recent.is_stale() {
            return Ok(());
        }
        self.drain().await;
        let keys = self.keys()?;
        let stored = self.store.get(manifest::TREE, manifest::KEY).await;
        let stored = stored.map_err(|error| of_store(&error))?;
        let sealed = stored.ok_or(VaultError::Tampered)?;
        let found = keys.open_manifest(&sealed).ok_or(VaultError::Tampered)?;
        let acknowledged = self.recent.acknowledged();
        if found.generation < acknowledged {
            error!(
                acknowledged,
                found = found.generation,
                "The store lost acknowledged commits"
            );
            return Err(VaultError::Tampered);
        }
        writer.manifest = found;
        writer.sealed_manifest = sealed;
        self.recent.restart(found.generation);
        Ok(())
    }

    async fn plan(
        &self,
        keys: &Keys,
        writer: &Writer,
        prepared: &[Prepared],
    ) -> Result<Plan, VaultError> {
        let mut planner = Planner::new(keys, writer.manifest);
        for change in prepared {
            let current = self.newest(&change.address.place).await?;
            let version = version_of(current.as_deref())?;
            let as_expected = match change.expect {
                Expect::Any => true,
                Expect::Absent => version == 0,
                Expect::Version(expected) => version == expected,
            };
            if !as_expected {
                return Err(VaultError::Conflict);
            }
            let new = match &change.plaintext {
                Some(plaintext) => {
                    Some(keys.seal_record(&change.address, version + 1, plaintext)?)
                }
                None => None,
            };
            planner.write(change.address.place, current.as_deref(), new);
        }
        planner.finish(&writer.sealed_manifest)
    }

    /// The sealed value that the next commit meets.
    pub(super) async fn newest(&self, place: &Place) -> Result<Value, VaultError> {
        if let Some(value) = self.recent.newest(place) {
            return Ok(value);
        }
        let found = self.store.get(place.kind.tree(), &place.key).await;
        Ok(found.map_err(|error| of_store(&error))?.map(Arc::from))
    }
}

/// Collects writes into a plan.
pub(super) struct Planner<'a> {
    keys: &'a Keys,
    manifest: Manifest,
    batch: Batch,
    writes: Vec<(Place, Value)>,
    replaced: Vec<(Place, Option<[u8; 32]>)>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(keys: &'a Keys, mut manifest: Manifest) -> Self {
        manifest.generation += 1;
        Self {
            keys,
            manifest,
            batch: Batch::new(),
            writes: Vec::new(),
            replaced: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, place: Place, current: Option<&[u8]>, new: Option<Vec<u8>>) {
        let mark = |value: &[u8]| self.keys.mark(place.kind, &place.key, value);
        let replaced = current.map(mark);
        if let Some(replaced) = replaced {
            self.manifest.remove(replaced);
        }
        self.replaced.push((place, replaced));
        if let Some(new) = &new {
            self.manifest.add(mark(new));
        }
        self.writes.push((place, new.as_deref().map(Arc::from)));
        let write = new.map_or(Write::Delete, Write::Put);
        self.push(place, write);
    }

    /// Something of the vault's own that is no record.
    pub(super) fn also(&mut self, tree: Tree, key: &[u8], write: Write) {
        let batch = std::mem::take(&mut self.batch);
        self.batch = batch.operation(tree, key, Stored::Anything, write);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The plan, on the manifest that is stored or on its way as `current`.
    pub(super) fn finish(mut self, current: &[u8]) -> Result<Plan, VaultError> {
        let sealed = self.keys.seal_manifest(&self.manifest);
        let sealed = sealed.ok_or_else(|| VaultError::from(crate::sealed::CannotSeal::Crypto))?;
        self.batch = self
            .batch
            .replace(manifest::TREE, manifest::KEY, current, sealed.clone());
        Ok(Plan {
            batch: self.batch,
            manifest: self.manifest,
            sealed_manifest: sealed,
            writes: self.writes,
            replaced: self.replaced,
        })
    }

    fn push(&mut self, place: Place, write: Write) {
        let batch = std::mem::take(&mut self.batch);
        // The manifest's expectation stands for all: nothing changes without it.
        self.batch = batch.operation(place.kind.tree(), place.key, Stored::Anything, write);
    }
}

fn prepare(keys: &Keys, changes: Vec<Change>) -> Result<Vec<Prepared>, VaultError> {
    let mut prepared: Vec<Prepared> = Vec::with_capacity(changes.len());
    for change in changes {
        let address = keys.address(&change.key);
        if prepared
            .iter()
            .any(|other| other.address.place == address.place)
        {
            return Err(VaultError::Store(
                "a record is changed twice at once".to_owned(),
            ));
        }
        let record = change.write.as_ref();
        let fits = record.is_none_or(|record| {
            Kind::of(record) == address.place.kind
                && keys
                    .own_place(record)
                    .is_none_or(|own| own == address.place)
        });
        if !fits {
            return Err(VaultError::Store(
                "a record does not belong under its key".to_owned(),
            ));
        }
        prepared.push(Prepared {
            address,
            expect: change.expect,
            plaintext: record.map(convert::encode),
        });
    }
    Ok(prepared)
}

/// The version of a stored value; 0 when there is none.
fn version_of(value: Option<&[u8]>) -> Result<u64, VaultError> {
    match value {
        Some(value) => Ok(Prefix::parse(value)?.0.version),
        None => Ok(0),
    }
}

const ATTEMPTS: usize = 16;
