//! Where to go on.

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use bindery_core::{
    audit::{AuditHead, AuditMark},
    port::{Change, Expect, Key, Record, VaultError},
    problem::Problem,
    secret::Secret,
};
use data_encoding::HEXLOWER;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use tokio::sync::{Notify, mpsc, watch};
use zeroize::Zeroizing;

use crate::{
    Inner,
    disk::Disk,
    files,
    keeper::{self, Good, Haste, Running},
    list,
    scan::Lines,
    tail::Tail,
    unavailable,
    writer::{Writer, describe},
};

/// Records that may wait for the thread.
const WAITING: usize = 8192;

impl Inner {
    /// Opens the log of an open vault, and starts what keeps it.
    pub(crate) async fn open(&self) -> Result<Arc<Running>, Problem> {
        let head = self.head().await?;
        let key = chain_key(&head).ok_or_else(|| unavailable("its key is damaged"))?;
        let alone = Arc::clone(&self.writing).lock_owned().await;
        let (disk, folder) = (Arc::clone(&self.disk), self.config.folder.clone());
        let (last, scanned) = (head.last, key.clone());
        let opened = tokio::task::spawn_blocking(move || tail(disk, &folder, &scanned, last)).await;
        let (tail, mark) = opened
            .map_err(|_| unavailable("it could not be opened"))?
            .map_err(|error| unavailable(&describe(&error)))?;
        self.run(alone, tail, mark, key)
    }

    fn run(
        &self,
        alone: tokio::sync::OwnedMutexGuard<()>,
        tail: Tail,
        mark: AuditMark,
        key: hmac::Key,
    ) -> Result<Arc<Running>, Problem> {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let (written, seen) = watch::channel(mark);
        let (synced, on_disk) = watch::channel(mark);
        let good = Good::default();
        let hurry = Arc::new(Notify::new());
        let (failed, files) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let current = tail.current();
        let writer = Writer {
            tail,
            mark,
            key: key.clone(),
            file_bytes: self.config.file_bytes,
            alarm_bytes: self.config.alarm_bytes,
            clock: Arc::clone(&self.clock),
            written,
            good: Arc::clone(&good),
            told: false,
        };
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                let _alone = alone;
                writer.run(waiting);
            })
            .map_err(|error| unavailable(&describe(&error)))?;
        let vault = &self.vault;
        let tasks = vec![
            tokio::spawn(keeper::sync_on(
                seen.clone(),
                synced,
                Haste {
                    now: Arc::clone(&hurry),
                    within: self.config.sync_within,
                },
                current,
                Arc::clone(&failed),
            )),
            tokio::spawn(keeper::seal_on(
                Arc::clone(vault),
                on_disk.clone(),
                self.config.seal_every,
            )),
            tokio::spawn(list::retire_on(
                self.config.clone(),
                Arc::clone(vault),
                Arc::clone(&self.clock),
                Arc::clone(&files),
            )),
        ];
        Ok(Arc::new(Running {
            jobs,
            written: seen,
            synced: on_disk,
            hurry,
            stuck: AtomicBool::default(),
            trying: tokio::sync::Mutex::default(),
            good,
            failed,
            key,
            files,
            tasks,
        }))
    }

    /// The head of the log, made where there is none.
    pub(crate) async fn head(&self) -> Result<AuditHead, Problem> {
        let failed = |error: VaultError| unavailable(&error.to_string());
        loop {
            let found = self.vault.get(&Key::AuditHead).await.map_err(failed)?;
            match found.map(|entry| entry.record) {
                Some(Record::AuditHead(head)) => return Ok(head),
                Some(_) => return Err(failed(VaultError::Tampered)),
                None => {}
            }
            let change = Change {
                key: Key::AuditHead,
                expect: Expect::Absent,
                write: Some(Record::AuditHead(new_head()?)),
            };
            match self.vault.commit(vec![change]).await {
                Ok(()) | Err(VaultError::Conflict) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn new_head() -> Result<AuditHead, Problem> {
    let mut key = Zeroizing::new([0; 32]);
    let filled = SystemRandom::new().fill(&mut *key);
    filled.map_err(|_| unavailable("the kernel gives no random bytes"))?;
    Ok(AuditHead {
        key: Secret::new(HEXLOWER.encode(&*key)),
        last: AuditMark::default(),
        before: AuditMark::default(),
    })
}

fn chain_key(head: &AuditHead) -> Option<hmac::Key> {
    let bytes = Zeroizing::new(HEXLOWER.decode(head.key.expose().as_bytes()).ok()?);
    (bytes.len() == 32).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The end of the log: in its last file where that one fits, else in a new one. Blocks.
fn tail(
    disk: Arc<dyn Disk>,
    folder: &Path,
    key: &hmac::Key,
    sealed: AuditMark,
) -> io::Result<(Tail, AuditMark)> {
    files::make(folder)?;
    let mut paths = files::list(folder)?;
    while let Some(path) = paths.pop() {
        let lines = Lines::read(&path)?;
        if lines.is_begun_only() {
            // The daemon died while it began this file.
            std::fs::remove_file(&path)?;
            continue;
        }
        let Some(before) = lines.before else {
            return begin(disk, folder, sealed, "the last file is damaged");
        };
        let end = lines.follow(key, before, u64::MAX);
        let whole = end.misfit.is_none() || lines.is_torn_after(end.end);
        if !whole {
            return begin(disk, folder, sealed.max(end.mark), "a record does not fit");
        }
        if end.mark.sequence < sealed.sequence {
            return begin(disk, folder, sealed, "records are missing");
        }
        if end.misfit.is_some() {
            tracing::warn!(
                sequence = end.mark.sequence + 1,
                "A record of the audit log was not written to its end; it is cut off"
            );
        }
        let tail = Tail::resume(disk, &path, end.end as u64)?;
        return Ok((tail, end.mark));
    }
    let why = if sealed.sequence > 0 {
        "all records are missing"
    } else {
        ""
    };
    begin(disk, folder, sealed, why)
}

/// A new file after the place that is sealed. The break stays where it is, and is found whenever the log is checked.
fn begin(
    disk: Arc<dyn Disk>,
    folder: &Path,
    mark: AuditMark,
    why: &str,
) -> io::Result<(Tail, AuditMark)> {
    if !why.is_empty() {
        tracing::error!(
            why,
            after = mark.sequence,
            "The audit log is broken; a new file begins. Run: bindery admin audit verify"
        );
    }
    Ok((Tail::begin(disk, folder, mark)?, mark))
}

/// The later of two places.
trait Later {
    fn max(self, other: Self) -> Self;
}

impl Later for AuditMark {
    fn max(self, other: Self) -> Self {
        if other.sequence > self.sequence {
            other
        } else {
            self
        }
    }
}
