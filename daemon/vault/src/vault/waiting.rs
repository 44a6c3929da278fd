//! Commits that wait for the disk, so that somebody notices when it does not answer.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The numbers of commits that wait, and since when.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<BTreeMap<u64, Instant>>);

impl Waiting {
    /// A commit waits until the guard is dropped.
    pub(super) fn begin(&self, sequence: u64) -> Waits<'_> {
        self.open().insert(sequence, Instant::now());
        Waits(self, sequence)
    }

    /// Whether one has waited for longer than a disk takes that works.
    pub(super) fn is_stalled(&self) -> bool {
        let oldest = self.open().first_key_value().map(|(_, began)| *began);
        oldest.is_some_and(|began| began.elapsed() >= STALLED)
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One commit that waits.
pub(super) struct Waits<'a>(&'a Waiting, u64);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.open().remove(&self.1);
    }
}

/// A disk that needs longer for one commit is said to be stalled (THREATS D5: within three seconds).
const STALLED: Duration = Duration::from_secs(2);
