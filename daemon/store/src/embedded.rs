//! The store on disk: sled 0.34, used the way its faults demand.
//!
//! | Module | Which fault it answers |
//! |---|---|
//! | `folder` | files that others can read, a second daemon, left-over snapshots, unsynced directories |
//! | `ballast` | a full disk, on which sled can't even be opened |
//! | `engine` | panics instead of errors, blobs that are removed before their replacement is durable |
//! | `layout` | how keys and long values become sled entries |
//! | `committer` | `flush()` that is no barrier, `flush_async` that deadlocks, errors that are swallowed |
//! | `watcher` | a `flush()` that waits for ever, because the write that failed woke nobody |
//! | `room` | closing what could not be opened again |
//! | `state` | going on after the first error as if nothing had happened |

use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::embedded::committer::{Committer, Job};
use crate::embedded::engine::Engine;
use crate::embedded::folder::{Folder, Lock};
use crate::embedded::state::State;
use crate::embedded::watcher::Watcher;
use crate::{Batch, BoxFuture, Health, OpenError, Page, Store, StoreError, Tree};

mod ballast;
mod committer;
mod engine;
pub(crate) mod folder;
mod layout;
pub(crate) mod room;
mod state;
#[cfg(test)]
mod tests;
mod watcher;

/// How the store on disk is run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SledConfig {
    /// Bytes of sled's page cache, kept between 8 and 16 MiB: sled's own default is 1 GiB, and the vault caches too.
    pub cache_bytes: u64,
    /// Bytes that are set aside and given back when the disk is full, so that the store can still be opened; 0 is none.
    pub ballast_bytes: u64,
    /// Free bytes below which [`Store::health`] says [`Health::LowSpace`].
    pub free_floor: u64,
    /// Batches that may wait for the disk before callers have to.
    pub queue: usize,
}

/// What the committer has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Batches that were written.
    pub batches: u64,
    /// How often the disk was waited for: many batches share one wait.
    pub syncs: u64,
}

/// Keeps everything in a folder, with sled.
///
/// Reads happen in the caller's thread, from sled's cache or the kernel's; commits in one thread of their own. After a
/// write that failed, reads may be refused, and show the batch of that write by half, until the store is opened again;
/// [`SwapStore`](crate::SwapStore) does that.
#[derive(Debug)]
pub struct SledStore {
    // Dropped in this order: the folder's lock goes last.
    queue: Option<mpsc::Sender<Job>>,
    committer: Option<JoinHandle<()>>,
    _watcher: Watcher,
    engine: Arc<Engine>,
    state: Arc<State>,
    _lock: Lock,
}

impl Default for SledConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 16 << 20,
            ballast_bytes: 64 << 20,
            free_floor: 128 << 20,
            queue: 256,
        }
    }
}

impl SledStore {
    /// Opens the store in `folder`, which is created if it is absent. Blocks while sled recovers.
    ///
    /// An existing folder that lost its contents opens as an empty store: noticing that is the vault's manifest's task.
    ///
    /// # Errors
    /// See [`OpenError`]; a panic inside sled becomes [`OpenError::Corrupt`].
    pub fn open(folder: impl AsRef<Path>, config: SledConfig) -> Result<Self, OpenError> {
        let folder = folder.as_ref();
        let store = Self::insist(folder, &config)?;
        ballast::ensure(folder, &config);
        Ok(store)
    }

    /// Opens the store in `folder` for reads alone, after a write of this process failed for `reason`. The ballast
    /// stays as it is.
    pub(crate) fn open_for_reads(
        folder: &Path,
        config: &SledConfig,
        reason: &str,
    ) -> Result<Self, OpenError> {
        let store = Self::insist(folder, config)?;
        store.state.stay_failed(reason);
        Ok(store)
    }

    /// What the committer has done since the store was opened.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            batches: self.state.batches.load(Relaxed),
            syncs: self.state.syncs.load(Relaxed),
        }
    }

    /// Opens it with the ballast's room, if there is no other.
    fn insist(folder: &Path, config: &SledConfig) -> Result<Self, OpenError> {
        match Self::attempt(folder, config) {
            Err(OpenError::NoSpace { .. }) if ballast::release(folder) => {
                warn!("The disk is full: released the ballast to open the store");
                Self::attempt(folder, config)
            }
            opened => opened,
        }
    }

    fn attempt(path: &Path, config: &SledConfig) -> Result<Self, OpenError> {
        let folder = Folder::enter(path)?;
        folder.prepare()?;
        let opened =
            Engine::open(&folder, config).and_then(|engine| Ok((folder.settle()?, engine)));
        let (data, engine) = opened.inspect_err(|_| folder.withdraw())?;
        let engine = Arc::new(engine);
        let state = Arc::new(State::new(path, config.free_floor));
        let (queue, jobs) = mpsc::channel(config.queue.max(1));
        let watcher = Watcher::start(Arc::clone(&engine), Arc::clone(&state))
            .map_err(|error| folder.error(error))?;
        let committer = Committer::new(Arc::clone(&engine), Arc::clone(&state), data, jobs);
        let thread = committer.start().map_err(|error| folder.error(error))?;
        Ok(Self {
            queue: Some(queue),
            committer: Some(thread),
            _watcher: watcher,
            engine,
            state,
            _lock: folder.into_lock(),
        })
    }

    /// As [`Store::commit`], with a future that does not borrow the store.
    pub(crate) fn take_in(&self, batch: Batch) -> BoxFuture<'static, Result<(), StoreError>> {
        match batch.check().and_then(|()| self.state.check()) {
            Ok(()) => self.enqueue(batch),
            Err(refused) => Box::pin(ready(Err(refused))),
        }
    }

    /// Puts a batch into the queue at once, so that dropping the future can't take it out again.
    fn enqueue(&self, batch: Batch) -> BoxFuture<'static, Result<(), StoreError>> {
        let Some(queue) = &self.queue else {
            return Box::pin(ready(Err(StoreError::Closed)));
        };
        let (answer, outcome) = oneshot::channel();
        match queue.try_send(Job { batch, answer }) {
            Ok(()) => Box::pin(settled(outcome)),
            Err(TrySendError::Closed(_)) => Box::pin(ready(Err(StoreError::Closed))),
            Err(TrySendError::Full(job)) => {
                let queue = queue.clone();
                Box::pin(async move {
                    queue.send(job).await.map_err(|_| StoreError::Closed)?;
                    settled(outcome).await
                })
            }
        }
    }

    /// A test control: what a write does that finds the disk full.
    #[cfg(test)]
    pub(crate) fn fill_the_disk(&self) {
        let full: std::io::Error = std::io::ErrorKind::StorageFull.into();
        self.state.fail_with(&full.into());
    }

    /// Whether a write failed, and nothing is written any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.state.check().is_err()
    }

    /// As [`Store::get`], in this thread.
    pub(crate) fn read_value(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|engine| engine.get(tree, key))
    }

    /// As [`Store::page`], in this thread.
    pub(crate) fn read_page(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.read(|engine| engine.page(tree, prefix, after, limit))
    }

    /// A panic in a read leaves sled in an unknown state: nothing is written any more.
    fn read<T>(
        &self,
        read: impl FnOnce(&Engine) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcome = engine::guard(|| read(&self.engine)).unwrap_or_else(|_| {
            self.state.fail("the engine panicked while it read");
            Err(StoreError::Corrupt)
        });
        if let Err(error @ StoreError::Io(_)) = &outcome
            && self.engine.is_broken()
        {
            // A reader can be the first to meet the write that failed.
            self.state.fail_with(error);
        }
        outcome
    }
}

impl Store for SledStore {
    fn get<'a>(
        &'a self,
        tree: Tree,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { self.read_value(tree, key) })
    }

    fn page<'a>(
        &'a self,
        tree: Tree,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async move { self.read_page(tree, prefix, after, limit) })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        self.take_in(batch)
    }

    fn health(&self) -> Health {
        self.state.health()
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // The committer finishes what was taken in, then ends. It catches its own panics, so joining can't fail;
        // the watcher still runs, so it can't hang either.
        self.queue = None;
        if let Some(committer) = self.committer.take() {
            _ = committer.join();
        }
    }
}

async fn settled(outcome: oneshot::Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
    outcome.await.unwrap_or(Err(StoreError::Closed))
}
