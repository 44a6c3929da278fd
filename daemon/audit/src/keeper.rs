//! What happens behind the writer: records come to the disk, the place that was reached is sealed, old files go.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bindery_core::{
    audit::{AuditMark, Deed, Survives},
    port::{Change, Expect, Key, Record, Vault, VaultError},
    problem::Problem,
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    tail::Current,
    unavailable,
    writer::{Job, Refused},
};

/// When the disk took something last; `None` where nothing was tried yet, or since it refused.
pub(crate) type Good = Arc<Mutex<Option<Instant>>>;

/// When records go to the disk.
pub(crate) struct Haste {
    /// Somebody waits for it.
    pub(crate) now: Arc<Notify>,
    /// Where nobody does.
    pub(crate) within: Duration,
}

/// An open log. Dropping it ends its thread and its tasks.
pub(crate) struct Running {
    pub(crate) jobs: mpsc::Sender<Job>,
    pub(crate) written: watch::Receiver<AuditMark>,
    pub(crate) synced: watch::Receiver<AuditMark>,
    /// Somebody waits for the disk.
    pub(crate) hurry: Arc<Notify>,
    /// The last caller waited in vain.
    pub(crate) stuck: AtomicBool,
    /// Held by the one who tries a disk that did not answer.
    pub(crate) trying: tokio::sync::Mutex<()>,
    pub(crate) good: Good,
    /// An fsync failed: nobody knows what is on the disk, so nothing is promised any more.
    pub(crate) failed: Arc<AtomicBool>,
    /// Key of the chain, for whoever checks it.
    pub(crate) key: ring::hmac::Key,
    /// Held while files are read, so that none goes meanwhile.
    pub(crate) files: Arc<tokio::sync::RwLock<()>>,
    pub(crate) tasks: Vec<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Running {
    /// Writes a record and waits until it survives what it must.
    pub(crate) async fn write(&self, deed: Deed, survives: Survives) -> Result<(), Refused> {
        let sequence = self.send(Some(deed)).await?;
        match survives {
            Survives::Daemon => Ok(()),
            Survives::Machine => self.synced_to(sequence).await,
        }
    }

    /// Whether the disk takes records: it did within `trust`, or does now.
    pub(crate) async fn ready(&self, trust: Duration) -> Result<(), Refused> {
        let _alone = if self.stuck.load(Ordering::Relaxed) {
            let dead = |_| Refused::Disk("the disk does not answer".to_owned());
            Some(self.trying.try_lock().map_err(dead)?)
        } else if self.took_one_within(trust) && !self.failed.load(Ordering::Relaxed) {
            return Ok(());
        } else {
            None
        };
        self.send(None).await.map(drop)
    }

    fn took_one_within(&self, time: Duration) -> bool {
        let good = *self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.is_some_and(|at| at.elapsed() < time)
    }

    /// Hands the thread a record, or nothing: then it only tries the disk.
    async fn send(&self, deed: Option<Deed>) -> Result<u64, Refused> {
        if self.failed.load(Ordering::Relaxed) {
            let why = "the disk failed; check it and restart";
            return Err(Refused::Disk(why.to_owned()));
        }
        let (done, written) = oneshot::channel();
        let sent = self.jobs.try_send(Job { deed, done });
        sent.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Full,
            mpsc::error::TrySendError::Closed(_) => Refused::Ended,
        })?;
        let sequence = written.await.map_err(|_| Refused::Ended)??;
        self.stuck.store(false, Ordering::Relaxed);
        Ok(sequence)
    }

    pub(crate) async fn synced_to(&self, sequence: u64) -> Result<(), Refused> {
        self.hurry.notify_one();
        let mut synced = self.synced.clone();
        let reached = synced.wait_for(|mark| mark.sequence >= sequence).await;
        reached
            .map(drop)
            .map_err(|_| Refused::Disk("the disk failed".to_owned()))
    }

    /// Waits until all that is written is on the disk, and seals it.
    pub(crate) async fn settle(&self, vault: &dyn Vault) -> Result<(), Problem> {
        let written = *self.written.borrow();
        let synced = self.synced_to(written.sequence).await;
        synced.map_err(|_| unavailable("the disk failed"))?;
        let sealed = seal(vault, |head| &mut head.last, written).await;
        sealed.map_err(|error| unavailable(&error.to_string()))
    }
}

/// Brings records to the disk, all that came meanwhile at once: as soon as somebody waits for it, or a moment after they were
/// written.
pub(crate) async fn sync_on(
    mut written: watch::Receiver<AuditMark>,
    synced: watch::Sender<AuditMark>,
    haste: Haste,
    current: Current,
    failed: Arc<AtomicBool>,
) {
    while written.changed().await.is_ok() {
        // Who waits says so after its record is written, so a word that comes during a sync is for the next one.
        let _ = tokio::time::timeout(haste.within, haste.now.notified()).await;
        // First the place, then the file: a file that came meanwhile began after the one before was on the disk.
        let mark = *written.borrow_and_update();
        let file = Arc::clone(&current.lock().unwrap_or_else(PoisonError::into_inner));
        let outcome = tokio::task::spawn_blocking(move || file.sync()).await;
        if !matches!(outcome, Ok(Ok(()))) {
            tracing::error!("The audit log does not come to the disk; nothing is handed out");
            failed.store(true, Ordering::Relaxed);
            return;
        }
        synced.send_replace(mark);
    }
}

/// Seals the place that was reached, now and then.
pub(crate) async fn seal_on(
    vault: Arc<dyn Vault>,
    mut synced: watch::Receiver<AuditMark>,
    every: Duration,
) {
    while synced.changed().await.is_ok() {
        let mark = *synced.borrow_and_update();
        if let Err(error) = seal(&*vault, |head| &mut head.last, mark).await {
            tracing::warn!(%error, "How far the audit log goes is not sealed; trying again");
        }
        tokio::time::sleep(every).await;
    }
}

/// Writes one of the two places into the vault.
pub(crate) async fn seal(
    vault: &dyn Vault,
    which: impl Fn(&mut bindery_core::audit::AuditHead) -> &mut AuditMark,
    mark: AuditMark,
) -> Result<(), VaultError> {
    loop {
        let found = vault.get(&Key::AuditHead).await?;
        let Some((Record::AuditHead(mut head), version)) =
            found.map(|entry| (entry.record, entry.version))
        else {
            return Err(VaultError::Tampered);
        };
        let place = which(&mut head);
        if place.sequence >= mark.sequence {
            return Ok(());
        }
        *place = mark;
        let change = Change {
            key: Key::AuditHead,
            expect: Expect::Version(version),
            write: Some(Record::AuditHead(head)),
        };
        match vault.commit(vec![change]).await {
            Err(VaultError::Conflict) => {}
            outcome => return outcome,
        }
    }
}
