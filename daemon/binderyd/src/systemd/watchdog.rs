//! The watchdog of systemd, fed by what it watches.
//!
//! A beat is sent when a whole round has come back: a value was written to the store and read again, a task ran, and a thread of
//! the blocking pool ran. Nothing else sends one, so a part that hangs ends the beats at once and systemd restarts the daemon.
//! A store that *refuses* a write does not hang: a restart on a full or broken disk would take away the reads that still go on.
//! How forges are has no part in it.

use std::{sync::Arc, time::Duration};

use bindery_store::{Batch, Expect, Operation, Store, StoreError, Tree, Write};
use sd_notify::NotifyState;
use tokio::task::JoinHandle;

/// Longest time between two rounds.
const LONGEST: Duration = Duration::from_secs(10);

/// Beside the vault's trees, which know nothing of it.
const TREE: Tree = Tree::new("probe");
const KEY: &[u8] = b"watchdog";

/// Feeds the watchdog, if systemd asks for that, until it is aborted.
pub(crate) fn start(store: Arc<dyn Store>) -> Option<JoinHandle<()>> {
    let patience = sd_notify::watchdog_enabled()?;
    tracing::info!(seconds = patience.as_secs_f64(), "The watchdog is fed");
    Some(tokio::spawn(feed(store, between(patience), || {
        super::tell(&[NotifyState::Watchdog]);
    })))
}

/// A third of systemd's patience, so that a slow round is no death.
fn between(patience: Duration) -> Duration {
    (patience / 3).min(LONGEST)
}

async fn feed(store: Arc<dyn Store>, between: Duration, beat: impl Fn()) {
    let mut number = 0_u64;
    loop {
        number = number.wrapping_add(1);
        match round(store.as_ref(), number).await {
            Ok(()) => beat(),
            Err(error) => {
                tracing::error!(%error, "The store does not give back what was written; the watchdog is not fed")
            }
        }
        tokio::time::sleep(between).await;
    }
}

/// Comes back when all parts have worked.
async fn round(store: &dyn Store, number: u64) -> Result<(), StoreError> {
    probe(store, number).await?;
    // One that panicked would be our own defect, and ends this task with it: no more beats.
    let stopped = |_| StoreError::Closed;
    tokio::spawn(async {}).await.map_err(stopped)?;
    tokio::task::spawn_blocking(|| {}).await.map_err(stopped)
}

/// Writes a value and reads it again.
async fn probe(store: &dyn Store, number: u64) -> Result<(), StoreError> {
    let value = number.to_be_bytes().to_vec();
    let operation = Operation {
        tree: TREE,
        key: KEY.to_vec(),
        expect: Expect::Anything,
        write: Write::Put(value.clone()),
    };
    let written = store
        .commit(Batch {
            operations: vec![operation],
        })
        .await;
    let read = store.get(TREE, KEY).await?;
    match written {
        Ok(()) if read.as_ref() != Some(&value) => Err(StoreError::Corrupt),
        Ok(()) => Ok(()),
        Err(error) => {
            tracing::warn!(%error, "The store takes no write, and is read on");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bindery_store::{Call, Fault, FaultyStore, MemoryStore};

    use super::*;

    type Faulty = FaultyStore<MemoryStore>;

    fn store() -> Arc<Faulty> {
        Arc::new(FaultyStore::new(MemoryStore::default()))
    }

    /// Feeds from `store`, and counts.
    fn fed(store: &Arc<Faulty>) -> (JoinHandle<()>, Arc<AtomicUsize>) {
        let beats = Arc::<AtomicUsize>::default();
        let (count, store) = (Arc::clone(&beats), Arc::clone(store));
        let beat = move || {
            count.fetch_add(1, Ordering::Relaxed);
        };
        (
            tokio::spawn(feed(store, Duration::from_secs(10), beat)),
            beats,
        )
    }

    /// D8: while the store holds a write there is no beat, however long it takes; then they go on.
    #[tokio::test(start_paused = true)]
    async fn d8_a_store_that_hangs_gets_no_beat() {
        let store = store();
        let mut stall = store.stall(Call::Commit, 3);
        let (_task, beats) = fed(&store);
        stall.reached().await;
        assert_eq!(
            beats.load(Ordering::Relaxed),
            2,
            "two rounds came back before it"
        );
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(
            beats.load(Ordering::Relaxed),
            2,
            "a store that hangs was called alive"
        );
        stall.release();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(beats.load(Ordering::Relaxed) > 4, "it works again");
    }

    /// D8: a store that says it has written, and has not, gets no beat; one that refuses to write and is read on does.
    #[tokio::test(start_paused = true)]
    async fn d8_a_lost_write_is_no_beat_and_a_refused_one_is() {
        let store = store();
        assert!(probe(store.as_ref(), 1).await.is_ok());
        store.inject(Call::Commit, 1, Fault::Lose);
        assert!(probe(store.as_ref(), 2).await.is_err());
        store.inject(Call::Commit, 1, Fault::Fail);
        assert!(probe(store.as_ref(), 3).await.is_ok());
        store.inject(Call::Get, 1, Fault::Fail);
        assert!(probe(store.as_ref(), 4).await.is_err());
    }

    /// The store's last answer is at most ten seconds old, and a short patience is kept as well.
    #[test]
    fn rounds_are_often_enough() {
        assert_eq!(between(Duration::from_secs(30)), Duration::from_secs(10));
        assert_eq!(between(Duration::from_secs(300)), Duration::from_secs(10));
        assert!(between(Duration::from_secs(2)) < Duration::from_secs(1));
    }
}
