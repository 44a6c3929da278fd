//! The whole store, copied into another one while it is in use.
//!
//! What is stored now is copied without holding anybody up, and read back; places that change meanwhile are noted. Then
//! commits wait while those are copied as well, and the copy is compared with the manifest. What was erased is in no copy:
//! not the sealed bytes, and not the keys.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bindery_store::{Batch, Store};
use tokio::sync::MutexGuard;

use crate::{
    address::Place,
    error::OpenError,
    keys::Keys,
    kind::Kind,
    manifest::{self, Manifest},
    mortal,
};

use super::{Inner, RING_KEY, RING_TREE, SealedVault, Writer};

/// Places that changed since a copy began.
pub(super) type Changed = Mutex<HashSet<Place>>;

/// A copy that lacks what changed since it began.
#[derive(Debug)]
pub struct Copied {
    keys: Arc<Keys>,
    manifest: Manifest,
    changed: Arc<Changed>,
}

/// A copy that is whole. As long as this is kept, nothing is committed.
pub struct Hold<'a> {
    _writer: MutexGuard<'a, Writer>,
    records: u64,
}

impl Hold<'_> {
    /// How many records there are.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }
}

impl std::fmt::Debug for Hold<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl SealedVault {
    /// Copies what is stored into `fresh`, which must be empty, and reads it back.
    ///
    /// # Errors
    ///
    /// The vault is sealed, one of the stores fails, or the copy reads back differently.
    pub async fn copy_to(&self, fresh: &dyn Store) -> Result<Copied, OpenError> {
        let changed = Arc::new(Changed::default());
        let mut writer = self.inner.writer.lock().await;
        // What is on its way was planned before changes are noted: the copy must meet it.
        self.inner.drain().await;
        writer.changed = Arc::downgrade(&changed);
        drop(writer);
        let keys = self.inner.keys().map_err(|_| OpenError::Sealed)?;
        let mut manifest = Manifest::default();
        for kind in Kind::ALL.iter().copied() {
            self.inner
                .copy_kind(kind, &keys, fresh, &mut manifest)
                .await?;
        }
        if Manifest::recompute(fresh, &keys).await? != manifest {
            return Err(OpenError::Tampered);
        }
        Ok(Copied {
            keys,
            manifest,
            changed,
        })
    }

    /// Adds what changed, and compares the copy with the manifest. From then on nothing is committed until the answer is
    /// dropped.
    ///
    /// # Errors
    ///
    /// As [`Self::copy_to`].
    pub async fn complete(&self, copied: Copied, fresh: &dyn Store) -> Result<Hold<'_>, OpenError> {
        let mut writer = self.inner.writer.lock().await;
        self.inner.drain().await;
        let refreshed = self.inner.refresh(&mut writer).await;
        refreshed.map_err(|_| OpenError::Tampered)?;
        writer.changed = Weak::new();
        let Copied {
            keys,
            mut manifest,
            changed,
        } = copied;
        let changed = std::mem::take(&mut *changed.lock().unwrap_or_else(PoisonError::into_inner));
        for place in changed {
            self.inner
                .copy_again(&place, &keys, fresh, &mut manifest)
                .await?;
        }
        let known = writer.manifest;
        if (manifest.count, manifest.set) != (known.count, known.set) {
            return Err(OpenError::Tampered);
        }
        self.inner.copy_own(fresh).await?;
        mortal::step("copy: whole");
        Ok(Hold {
            _writer: writer,
            records: known.count,
        })
    }
}

impl Inner {
    async fn copy_kind(
        &self,
        kind: Kind,
        keys: &Keys,
        fresh: &dyn Store,
        manifest: &mut Manifest,
    ) -> Result<(), OpenError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self
                .store
                .page(kind.tree(), b"", after.as_deref(), kind.at_once());
            let page = page.await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            let mut batch = Batch::new();
            for (key, value) in page {
                manifest.add(keys.mark(kind, &key, &value));
                batch = batch.put(kind.tree(), key, value);
            }
            mortal::step("copy: page");
            fresh.commit(batch).await?;
        }
    }

    /// Brings one place of the copy to what it is now.
    async fn copy_again(
        &self,
        place: &Place,
        keys: &Keys,
        fresh: &dyn Store,
        manifest: &mut Manifest,
    ) -> Result<(), OpenError> {
        let (tree, key) = (place.kind.tree(), place.key.as_slice());
        if let Some(copied) = fresh.get(tree, key).await? {
            manifest.remove(keys.mark(place.kind, key, &copied));
        }
        let batch = match self.store.get(tree, key).await? {
            Some(value) => {
                manifest.add(keys.mark(place.kind, key, &value));
                Batch::new().put(tree, key, value)
            }
            None => Batch::new().delete(tree, key),
        };
        Ok(fresh.commit(batch).await?)
    }

    /// Manifest and ring, which are no records.
    async fn copy_own(&self, fresh: &dyn Store) -> Result<(), OpenError> {
        let manifest = self.store.get(manifest::TREE, manifest::KEY).await?;
        let ring = self.store.get(RING_TREE, RING_KEY).await?;
        let batch = Batch::new()
            .put(
                manifest::TREE,
                manifest::KEY,
                manifest.ok_or(OpenError::MissingManifest)?,
            )
            .put(RING_TREE, RING_KEY, ring.ok_or(OpenError::Tampered)?);
        Ok(fresh.commit(batch).await?)
    }
}
