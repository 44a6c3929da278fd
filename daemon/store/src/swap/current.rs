//! The store that is used now, and how it is opened anew after a write that failed (THREATS K8).
//!
//! sled applies a batch to its pages and moves pages by writing them elsewhere. When a write fails on the way, the batch
//! may show by half, and sled may refuse whatever lies below the page that it was moving, for as long as it is open. What
//! is on the disk is whole, as after a crash: opened anew, everything that was acknowledged is read, and nothing by half.
//! It is opened for reads alone, since the disk has shown that it loses what is written.

use std::path::Path;
use std::time::{Duration, Instant};

use tracing::{error, warn};

use crate::embedded::room;
use crate::{Health, OpenError, SledConfig, SledStore, Store, StoreError};

/// The store that is used now.
#[derive(Debug)]
pub(super) struct Current {
    /// Nothing while the folders change places, and after the store could not be opened again.
    pub(super) store: Option<SledStore>,
    /// The failure after which it was opened anew.
    pub(super) failure: Option<String>,
    /// When that was tried last.
    pub(super) tried: Option<Instant>,
}

impl Current {
    pub(super) const fn new(store: Option<SledStore>) -> Self {
        Self {
            store,
            failure: None,
            tried: None,
        }
    }

    pub(super) fn read<T>(
        &self,
        read: impl Fn(&SledStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.store.as_ref().map_or(Err(StoreError::Closed), read)
    }

    /// Whether what it reads can't be relied on, and opening it anew may help. One that was opened anew is relied on, unless
    /// it `refused` a read.
    pub(super) fn is_in_doubt(&self, refused: bool) -> bool {
        let is_new = self.failure.is_some();
        let in_doubt = match &self.store {
            Some(store) => store.has_failed() && (refused || !is_new),
            None => is_new,
        };
        // What did not help will not help at once again.
        in_doubt && self.tried.is_none_or(|tried| tried.elapsed() >= PAUSE)
    }

    /// Opens the store anew, for reads alone. Blocks.
    pub(super) fn reopen(&mut self, folder: &Path, config: &SledConfig) {
        if let Some(Health::ReadOnly { reason }) = self.store.as_ref().map(Store::health) {
            if !room::is_there(folder) {
                warn!(
                    "There is no room to open the store anew after a write that failed; some reads may be refused"
                );
                self.tried = Some(Instant::now());
                return;
            }
            self.failure = Some(reason);
        }
        if let Some(failure) = &self.failure {
            drop(self.store.take());
            self.store = open(folder, config, failure);
            self.tried = Some(Instant::now());
        }
    }
}

fn open(folder: &Path, config: &SledConfig, failure: &str) -> Option<SledStore> {
    let mut tries = (0..TRIES).map(|_| SledStore::open_for_reads(folder, config, failure));
    // Nobody else can hold the folder: sled lets go of its lock when the last of its threads is done.
    let opened = tries.find(|opened| !matches!(opened, Err(OpenError::Locked { .. })));
    match opened {
        Some(Ok(store)) => {
            warn!(
                "The store was opened anew after a write that failed; writes stay refused until a restart"
            );
            return Some(store);
        }
        Some(Err(error)) => {
            error!(%error, "The store can't be opened anew; a later read tries again")
        }
        None => error!("The store that failed does not close; a later read tries again"),
    }
    None
}

/// Time between two tries.
const PAUSE: Duration = Duration::from_secs(10);
/// How often a lock is tried for, a quarter of a second each time.
const TRIES: usize = 20;
