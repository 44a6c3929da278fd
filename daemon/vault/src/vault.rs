//! A vault in use.
//!
//! | Module | What it does |
//! |---|---|
//! | `open` | unseals: slots, key ring, manifest, high-water mark |
//! | `read` | one record, a page of records |
//! | `commit` | changes, in one order, many of them on their way at once |
//! | `maintain` | slots, checking |
//! | `rotate` | epochs, re-sealing, root key |
//! | `copy` | the whole store, into another one |
//! | `walk` | all records while the vault is in use |
//! | `inspect` | opening every record |
//! | `suspect` | refresh tokens after a step back in time |
//! | `recover` | a new slot before anybody has decided about the store |
//! | `waiting` | commits that wait for the disk |

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, Weak},
};

use tokio::sync::{Mutex, Semaphore};

use bindery_core::{
    port::{BoxFuture, Change, Entry, Key, Listing, Page, Record, Vault, VaultError, VaultHealth},
    time::Timestamp,
};
use bindery_store::{Health, Store, Tree};
use bindery_store_proto::v1 as disk;

use crate::{
    address::Place,
    error::OpenError,
    header,
    highwater::HighWater,
    keys::Keys,
    manifest::Manifest,
    recent::Recent,
    slot::{self, SlotInfo, Unlock},
};

pub use copy::{Copied, Hold};
pub use inspect::Inspection;
pub use open::{OpenOptions, Rollback};
pub use rotate::{NewRoot, Renewed, Resealed};
use waiting::Waiting;
pub(crate) use walk::{Item, Walk};

mod commit;
mod copy;
mod inspect;
mod maintain;
mod open;
mod read;
mod recover;
mod rotate;
mod suspect;
mod waiting;
mod walk;

/// Sealed records over a store.
///
/// Needs a tokio runtime with time: commits and the high-water mark go on in tasks of their own.
pub struct SealedVault {
    inner: Arc<Inner>,
}

/// What an operator wants to know of a vault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// No root key: nothing can be read or written.
    pub sealed: bool,
    /// It hangs on one kind of slot; fit for development only.
    pub development: bool,
    /// Its slots.
    pub slots: Vec<SlotInfo>,
    /// How many recovery shares open it; `None` without a slot for them.
    pub shares_needed: Option<u8>,
    /// Epochs in the key ring, oldest first; the last one seals.
    pub epochs: Vec<EpochInfo>,
    /// Number of the epoch that seals.
    pub active_epoch: u32,
    /// Records of older epochs are being sealed again, or wait for it.
    pub resealing: bool,
    /// Commits so far.
    pub generation: u64,
    /// Records that there are.
    pub records: u64,
    /// The store is older than what was acknowledged, and nobody has accepted that yet.
    pub rollback: Option<Rollback>,
}

/// An epoch of the key ring.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EpochInfo {
    /// Its number.
    pub id: u32,
    /// When it began.
    pub created: Timestamp,
    /// Records that the last count found under it; `None` before the first one.
    pub records: Option<u64>,
}

pub(crate) struct Inner {
    folder: PathBuf,
    highwater_folder: PathBuf,
    store: Arc<dyn Store>,
    opened: RwLock<Option<Opened>>,
    recent: Recent,
    waiting: Waiting,
    /// Held while a commit is planned and handed to the store, not while it waits for the disk.
    writer: Mutex<Writer>,
    /// One permit for each commit that waits for the disk.
    in_flight: Arc<Semaphore>,
    /// What changes behind a walk over all records, while there is one.
    changes: std::sync::Mutex<Option<walk::Changes>>,
    /// What the last attempt to open was refused for.
    rollback: std::sync::Mutex<Option<Rollback>>,
    /// The generation that an operator accepts, until the vault is open.
    accepted: std::sync::Mutex<Option<u64>>,
}

/// What is there while the vault is open.
#[derive(Clone)]
struct Opened {
    keys: Arc<Keys>,
    highwater: Arc<HighWater>,
}

/// What the next change builds on.
#[derive(Default)]
struct Writer {
    header: disk::SealHeader,
    /// As it will be when everything on its way is durable.
    manifest: Manifest,
    /// The stored value that `manifest` was sealed to.
    sealed_manifest: Vec<u8>,
    sequence: u64,
    /// Where re-sealing goes on.
    cursor: Option<Place>,
    /// Records of each epoch, as they were last counted.
    counts: BTreeMap<u32, u64>,
    /// Where places are noted that change while the store is copied.
    changed: Weak<copy::Changed>,
}

impl SealedVault {
    /// A vault without its root key. `highwater` is the folder of the high-water mark; best on another disk.
    #[must_use]
    pub fn sealed(
        folder: impl AsRef<Path>,
        highwater: impl AsRef<Path>,
        store: Arc<dyn Store>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                folder: folder.as_ref().to_owned(),
                highwater_folder: highwater.as_ref().to_owned(),
                store,
                opened: RwLock::new(None),
                recent: Recent::default(),
                waiting: Waiting::default(),
                writer: Mutex::new(Writer::default()),
                in_flight: Arc::new(Semaphore::new(usize::from(MOST_IN_FLIGHT))),
                changes: std::sync::Mutex::default(),
                rollback: std::sync::Mutex::default(),
                accepted: std::sync::Mutex::default(),
            }),
        }
    }

    /// Opens a vault, with its high-water mark beside its header.
    ///
    /// # Errors
    ///
    /// As for [`Self::unseal`].
    pub async fn open(
        folder: impl AsRef<Path>,
        store: Arc<dyn Store>,
        unlock: Vec<Unlock>,
    ) -> Result<Self, OpenError> {
        let vault = Self::sealed(&folder, &folder, store);
        vault.unseal(unlock, OpenOptions::default()).await?;
        Ok(vault)
    }

    /// Drops all keys, once what is on its way is durable.
    pub async fn seal(&self) {
        let mut writer = self.inner.writer.lock().await;
        self.inner.drain().await;
        if let Some(opened) = self.inner.set_opened(None) {
            opened.highwater.close();
        }
        self.inner.recent.restart(0);
        *writer = Writer::default();
    }

    /// How it is, in numbers.
    pub async fn status(&self) -> Status {
        let writer = self.inner.writer.lock().await;
        let keys = self.inner.keys().ok();
        let ring = keys.as_ref().map(|keys| &keys.ring);
        let header = match &keys {
            Some(_) => writer.header.clone(),
            // Nobody has authenticated it, which is good enough to be shown.
            None => header::shown(&self.inner.folder),
        };
        Status {
            sealed: keys.is_none(),
            development: header.development,
            slots: slot::list(&header),
            shares_needed: slot::shares_needed(&header),
            epochs: ring.map_or_else(Vec::new, |ring| ring.epochs(&writer.counts)),
            resealing: ring.is_some_and(|ring| ring.old_ids().next().is_some()),
            active_epoch: ring.map_or(0, |ring| ring.active().0),
            generation: writer.manifest.generation,
            records: writer.manifest.count,
            rollback: self.rollback(),
        }
    }
}

impl Vault for SealedVault {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry<Record>>, VaultError>> {
        Box::pin(self.inner.get(key))
    }

    fn page<'a>(
        &'a self,
        listing: &'a Listing,
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, VaultError>> {
        Box::pin(self.inner.page(listing, after, limit))
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), VaultError>> {
        // A task of its own, begun at once: whoever drops the future does not take the change back.
        let task = tokio::spawn(Arc::clone(&self.inner).commit(changes));
        Box::pin(async move {
            let stopped = |_| VaultError::Store("the daemon is stopping".to_owned());
            task.await.map_err(stopped)?
        })
    }

    fn is_sealed(&self) -> bool {
        let opened = self.inner.opened.read();
        opened.unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn health(&self) -> VaultHealth {
        if self.is_sealed() {
            return VaultHealth::Sealed;
        }
        match self.inner.store.health() {
            Health::Writable | Health::LowSpace { .. } if self.inner.waiting.is_stalled() => {
                VaultHealth::Stalled
            }
            Health::Writable => VaultHealth::Serving,
            Health::LowSpace { .. } => VaultHealth::LowSpace,
            // Whatever a newer store says, writing is not known to work.
            _ => VaultHealth::ReadOnly,
        }
    }
}

impl fmt::Debug for SealedVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedVault")
            .field("folder", &self.inner.folder)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn opened(&self) -> Result<Opened, VaultError> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.clone().ok_or(VaultError::Sealed)
    }

    fn keys(&self) -> Result<Arc<Keys>, VaultError> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        let keys = opened.as_ref().map(|opened| Arc::clone(&opened.keys));
        keys.ok_or(VaultError::Sealed)
    }

    fn set_opened(&self, new: Option<Opened>) -> Option<Opened> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *opened, new)
    }

    /// Waits until no commit is on its way. Whoever calls this holds the writer, so none begins.
    async fn drain(&self) {
        let most = u32::from(MOST_IN_FLIGHT);
        // The semaphore is never closed, so the only answer is that nothing is left on its way.
        drop(self.in_flight.acquire_many(most).await);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(opened) = self.set_opened(None) {
            opened.highwater.close();
        }
    }
}

/// Where the second copy of the key ring is kept.
pub(crate) const RING_TREE: Tree = Tree::new("ring");
/// Its key.
pub(crate) const RING_KEY: &[u8] = b"ring";
/// Where re-sealing goes on, in the same tree.
pub(crate) const CURSOR_KEY: &[u8] = b"cursor";
/// Most slots of a header.
pub(crate) const MOST_SLOTS: usize = 16;
const MOST_IN_FLIGHT: u16 = 1024;
