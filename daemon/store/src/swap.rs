//! A store on disk that can be exchanged for a copy of itself while it is used.
//!
//! sled never shrinks, and what was removed stays readable in its file. So the vault copies everything that there is into a
//! new folder, and the two folders change places:
//!
//! | Step | A death after it leaves |
//! |---|---|
//! | the copy is written to `<folder>.new` | the old store, and a copy that is thrown away |
//! | `<folder>` becomes `<folder>.old` | no store, which opening takes as the sign to put the old one back |
//! | `<folder>.new` becomes `<folder>` | the new store, and an old one that is thrown away |
//! | `<folder>.old` is removed | the new store |
//!
//! After a write that failed it is opened anew in its place (`current`): until then, reads may be wrong or refused.

use std::ffi::OsString;
use std::fs::{self, File};
use std::future::ready;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::RwLock;
use tracing::{error, warn};

use crate::embedded::folder::{self, Lock};
use crate::swap::current::Current;
use crate::{
    Batch, BoxFuture, Health, OpenError, Page, SledConfig, SledStore, Store, StoreError, Tree,
};

mod current;

/// A [`SledStore`] whose folder can be exchanged, and whose reads go on after a write that failed.
///
/// Calls wait while it is exchanged or opened anew; a batch that comes then is taken in when its future is polled
/// afterwards.
#[derive(Debug)]
pub struct SwapStore {
    folder: PathBuf,
    config: SledConfig,
    current: Arc<RwLock<Current>>,
    health: Mutex<Health>,
    step: fn(&'static str),
    _lock: Lock,
}

/// What an exchange did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchanged {
    /// Bytes on disk before.
    pub before: u64,
    /// Bytes on disk after.
    pub after: u64,
}

impl SwapStore {
    /// Opens the store in `folder`, after what an exchange left unfinished is settled. Blocks while sled recovers.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn open(folder: impl AsRef<Path>, config: SledConfig) -> Result<Self, OpenError> {
        let folder = folder.as_ref().to_owned();
        let lock = Lock::beside(&folder, &beside(&folder, "lock"))?;
        let at = |error| folder::error_at(&folder, error);
        put_back(&folder).map_err(at)?;
        let store = SledStore::open(&folder, config.clone())?;
        for name in [NEW, OLD] {
            remove(&beside(&folder, name)).map_err(at)?;
        }
        Ok(Self {
            health: Mutex::new(store.health()),
            current: Arc::new(RwLock::new(Current::new(Some(store)))),
            folder,
            config,
            step: |_| {},
            _lock: lock,
        })
    }

    /// A test control: is told of each step of an exchange.
    #[must_use]
    pub fn told(mut self, step: fn(&'static str)) -> Self {
        self.step = step;
        self
    }

    /// Bytes on disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        size(&self.folder)
    }

    /// A new, empty store beside this one, to be handed to [`Self::exchange`]. Blocks.
    ///
    /// # Errors
    /// As [`SledStore::open`]; [`OpenError::NoSpace`] where there is no room for a copy.
    pub fn fresh(&self) -> Result<SledStore, OpenError> {
        let path = beside(&self.folder, NEW);
        let at = |error| folder::error_at(&path, error);
        remove(&path).map_err(at)?;
        let parent = parent(&self.folder);
        let needed = self.size().saturating_add(self.config.free_floor);
        if folder::free_space(&parent).map_err(at)? < needed {
            return Err(OpenError::NoSpace { path });
        }
        let mut config = self.config.clone();
        // It is set aside once the copy is the store.
        config.ballast_bytes = 0;
        SledStore::open(&path, config)
    }

    /// Puts `fresh` into the place of the current store, and removes that. Calls wait meanwhile.
    ///
    /// No commit may be under way: it would be acknowledged, and not be in `fresh`.
    ///
    /// Whoever drops the future before it ends has no store until the daemon is started again: give it a task of its own.
    ///
    /// # Errors
    /// The folders can't change places, or the copy does not open; the old store is then used again.
    pub async fn exchange(&self, fresh: SledStore) -> Result<Exchanged, OpenError> {
        let before = self.size();
        let mut current = self.current.write().await;
        let old = current.store.take();
        let (folder, config, step) = (self.folder.clone(), self.config.clone(), self.step);
        let trading = tokio::task::spawn_blocking(move || {
            drop((old, fresh));
            trade(&folder, &config, step)
        });
        let traded = trading.await.unwrap_or(Traded {
            store: None,
            error: Some(OpenError::Corrupt {
                path: self.folder.clone(),
                what_to_do: RESTART,
            }),
        });
        *current = Current::new(traded.store);
        drop(current);
        match traded.error {
            Some(error) => Err(error),
            None => Ok(Exchanged {
                before,
                after: self.size(),
            }),
        }
    }
}

impl SwapStore {
    /// Opens the store anew, for reads alone: until the daemon is started again, writes stay refused.
    ///
    /// Goes on to its end if the future is dropped.
    async fn reopen(&self, refused: bool) {
        let mut current = Arc::clone(&self.current).write_owned().await;
        let (folder, config) = (self.folder.clone(), self.config.clone());
        let reopening = tokio::task::spawn_blocking(move || {
            // Of many readers that come here at once, one does it.
            if current.is_in_doubt(refused) {
                current.reopen(&folder, &config);
            }
        });
        if reopening.await.is_err() {
            error!("The store could not be opened anew; restart the daemon");
        }
    }

    /// A read after a write that failed waits until the store is opened anew. So does one that was under way then.
    async fn read<T: Send>(
        &self,
        read: impl Fn(&SledStore) -> Result<T, StoreError> + Sync,
    ) -> Result<T, StoreError> {
        let (outcome, refused, in_doubt) = {
            let current = self.current.read().await;
            let outcome = current.read(&read);
            let refused = matches!(outcome, Err(StoreError::Io(_)));
            (outcome, refused, current.is_in_doubt(refused))
        };
        if !in_doubt {
            return outcome;
        }
        self.reopen(refused).await;
        self.current.read().await.read(&read)
    }
}

impl Store for SwapStore {
    fn get<'a>(
        &'a self,
        tree: Tree,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.read(move |store| store.read_value(tree, key)))
    }

    fn page<'a>(
        &'a self,
        tree: Tree,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(self.read(move |store| store.read_page(tree, prefix, after, limit)))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        // Taken in at once, unless the folders change places just now.
        if let Ok(current) = self.current.try_read() {
            return match &current.store {
                Some(store) => store.take_in(batch),
                None => Box::pin(ready(Err(StoreError::Closed))),
            };
        }
        Box::pin(async move {
            match &self.current.read().await.store {
                Some(store) => store.commit(batch).await,
                None => Err(StoreError::Closed),
            }
        })
    }

    fn health(&self) -> Health {
        let mut known = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        // While it is exchanged or opened anew, it is as it was.
        if let Ok(current) = self.current.try_read() {
            *known = current
                .store
                .as_ref()
                .map_or_else(closed, SledStore::health);
        }
        known.clone()
    }
}

/// What came of the folders' change of places.
struct Traded {
    store: Option<SledStore>,
    error: Option<OpenError>,
}

/// Both stores are closed. Blocks.
fn trade(folder: &Path, config: &SledConfig, step: fn(&'static str)) -> Traded {
    let opened = change_places(folder, step)
        .map_err(|error| folder::error_at(folder, error))
        .and_then(|()| SledStore::open(folder, config.clone()));
    match opened {
        Ok(store) => {
            if let Err(error) = remove(&beside(folder, OLD)) {
                warn!(%error, "The store that was replaced is not removed yet; the next start tries again");
            }
            step("exchange: old store removed");
            Traded {
                store: Some(store),
                error: None,
            }
        }
        Err(refused) => go_back(folder, config, refused),
    }
}

fn change_places(folder: &Path, step: fn(&'static str)) -> io::Result<()> {
    step("exchange: begun");
    fs::rename(folder, beside(folder, OLD))?;
    sync(&parent(folder))?;
    step("exchange: no store");
    fs::rename(beside(folder, NEW), folder)?;
    sync(&parent(folder))?;
    step("exchange: new store");
    Ok(())
}

fn go_back(folder: &Path, config: &SledConfig, refused: OpenError) -> Traded {
    error!(error = %refused, "The copy of the store can't be used; the store stays as it is");
    let back = || -> io::Result<()> {
        if beside(folder, OLD).exists() {
            remove(folder)?;
        }
        put_back(folder)
    };
    let opened = back()
        .map_err(|error| folder::error_at(folder, error))
        .and_then(|()| SledStore::open(folder, config.clone()));
    if let Err(error) = &opened {
        error!(%error, "The store can't be opened again; restart the daemon");
    }
    Traded {
        store: opened.ok(),
        error: Some(refused),
    }
}

/// A store that was moved away while its copy was not in its place yet.
fn put_back(folder: &Path) -> io::Result<()> {
    let old = beside(folder, OLD);
    if folder.exists() || !old.exists() {
        return Ok(());
    }
    warn!("The last exchange of the store was cut off; the old store is used");
    fs::rename(old, folder)?;
    sync(&parent(folder))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(folder);
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn parent(folder: &Path) -> PathBuf {
    let parent = folder.parent().filter(|path| !path.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new(".")).to_owned()
}

/// Bytes that a folder takes on the disk; what can't be looked at counts as nothing.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => size(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

fn closed() -> Health {
    Health::ReadOnly {
        reason: RESTART.to_owned(),
    }
}

const NEW: &str = "new";
const OLD: &str = "old";
const RESTART: &str = "the store could not be opened again; restart the daemon";

#[cfg(test)]
mod tests;
