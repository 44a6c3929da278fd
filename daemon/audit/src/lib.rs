//! The audit log: chained lines in files.
//!
//! Each record is one line of JSON, so that an operator reads it with what is at hand. It ends with a MAC over the line
//! and the MAC of the one before, with a key that lies sealed in the vault. So do the place that the log has reached, and
//! the place before its oldest file: what is changed, removed, moved, put in between or cut off at either end does not
//! fit. The place that was reached is sealed about a second late; who cuts off less than that, at a moment when the
//! daemon does not run, is not noticed.
//!
//! One thread writes, many records at once where many wait. A record is in the kernel before its deed goes on, or on the
//! disk where it must survive the machine. Nobody waits longer than [`AuditConfig::deadline`].
//!
//! | Module | What it holds |
//! |---|---|
//! | `disk` | [`Disk`]: the file system, and what a test puts in its place |
//! | `faulty` | [`FaultyDisk`], which breaks on purpose |
//! | `files` | the folder, its files, their order |
//! | `line` | one record as a line, and its MAC |
//! | `scan` | one file, line by line |
//! | `tail` | the file that is written to |
//! | `writer` | the thread that writes |
//! | `keeper` | what happens behind it: fsync, the sealed head, retention |
//! | `open` | where to go on |
//! | `check` | checks the chain |
//! | `list` | the newest first |
//! | `sealed` | what is done while there is no key |
#![forbid(unsafe_code)]

mod check;
mod disk;
mod faulty;
mod files;
mod keeper;
mod line;
mod list;
mod open;
mod scan;
mod sealed;
mod tail;
mod writer;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::Ordering},
    time::Duration,
};

use bindery_core::{
    audit::{Audit, AuditPage, AuditQuery, AuditVerdict, Deed, Survives},
    port::{BoxFuture, Clock, Vault},
    problem::{Problem, Reason},
};

pub use crate::{
    disk::{Disk, LogFile, RealDisk},
    faulty::{DiskFault, FaultyDisk},
};
use crate::{
    keeper::Running,
    sealed::{Aside, Held},
    writer::{Refused, describe},
};

/// Where the log is, and how it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditConfig {
    /// Folder of the files. It is made, 0700.
    pub folder: PathBuf,
    /// A new file begins after this many bytes, 16 MiB: read as a whole where the log is listed.
    pub file_bytes: u64,
    /// How long records are kept; zero for ever. They go file by file, so up to one file longer.
    pub keep: Duration,
    /// When all files together have more bytes, the daemon's log says so with each new one, 4 GiB: somebody fills the disk.
    pub alarm_bytes: u64,
    /// How long a caller waits for its record, 2 s: a disk that needs longer is no place for an audit log.
    pub deadline: Duration,
    /// How long after a good write the disk is believed to take another one, 1 s; then whoever wants to know tries.
    pub trust: Duration,
    /// How long a record waits for others to be brought to the disk with, where nobody waits for it, 100 ms: one sync after the
    /// other would cost more than all else that a hand-out does.
    pub sync_within: Duration,
    /// Time between two seals of the place that was reached, 1 s.
    pub seal_every: Duration,
}

impl AuditConfig {
    /// A log in `folder` that is kept for 400 days: a year, and the time to look at it.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            file_bytes: 16 << 20,
            keep: Duration::from_secs(400 * 86_400),
            alarm_bytes: 4 << 30,
            deadline: Duration::from_secs(2),
            trust: Duration::from_secs(1),
            sync_within: Duration::from_millis(100),
            seal_every: Duration::from_secs(1),
        }
    }
}

/// The audit log of a vault. Cheap to clone.
///
/// Needs a tokio runtime with time.
#[derive(Clone)]
pub struct AuditLog {
    inner: Arc<Inner>,
}

struct Inner {
    config: AuditConfig,
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    /// What is there while the vault is open.
    running: RwLock<Option<Arc<Running>>>,
    opening: tokio::sync::Mutex<()>,
    /// Held by the thread that writes, so that there is never a second one.
    writing: Arc<tokio::sync::Mutex<()>>,
    held: Mutex<Held>,
    aside: Aside,
    /// Held while the file beside the log is written or chained in.
    asiding: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl AuditLog {
    /// The log of `vault`. It is opened with the first record, or with [`Self::start`].
    #[must_use]
    pub fn new(config: AuditConfig, vault: Arc<dyn Vault>, clock: Arc<dyn Clock>) -> Self {
        Self::on(config, vault, clock, Arc::new(RealDisk))
    }

    /// As [`Self::new`], on another disk. For tests that break it.
    #[must_use]
    pub fn on(
        config: AuditConfig,
        vault: Arc<dyn Vault>,
        clock: Arc<dyn Clock>,
        disk: Arc<dyn Disk>,
    ) -> Self {
        let aside = Aside::new(Arc::clone(&disk), &config.folder);
        Self {
            inner: Arc::new(Inner {
                aside,
                asiding: Arc::default(),
                config,
                vault,
                clock,
                disk,
                running: RwLock::new(None),
                opening: tokio::sync::Mutex::default(),
                writing: Arc::default(),
                held: Mutex::default(),
            }),
        }
    }

    /// Opens the log, so that what is wrong with it shows at the start. Does nothing while the vault is sealed.
    ///
    /// # Errors
    ///
    /// `AUDIT_UNAVAILABLE` when it can't be written to.
    pub async fn start(&self) -> Result<(), Problem> {
        self.inner.running().await.map(drop)
    }

    /// Brings everything to the disk, and seals how far the log goes.
    ///
    /// # Errors
    ///
    /// `AUDIT_UNAVAILABLE` when that is not possible.
    pub async fn close(&self) -> Result<(), Problem> {
        let Some(running) = self.inner.current() else {
            return Ok(());
        };
        let settled = running.settle(&*self.inner.vault);
        let outcome = tokio::time::timeout(self.inner.config.deadline, settled).await;
        outcome.unwrap_or_else(|_| Err(unavailable("the disk does not answer")))
    }
}

impl Audit for AuditLog {
    fn record(&self, deed: Deed, survives: Survives) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.inner.record(deed, survives))
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.inner.ready())
    }

    fn list(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, Problem>> {
        Box::pin(self.inner.list(query))
    }

    fn verify(&self) -> BoxFuture<'_, Result<AuditVerdict, Problem>> {
        Box::pin(self.inner.verify())
    }
}

impl Inner {
    async fn record(&self, deed: Deed, survives: Survives) -> Result<(), Problem> {
        self.in_time(async {
            let Some(running) = self.running().await? else {
                return self.hold(deed).await;
            };
            self.write(&running, deed, survives).await
        })
        .await
    }

    async fn ready(&self) -> Result<(), Problem> {
        self.in_time(async {
            let Some(running) = self.running().await? else {
                return Ok(());
            };
            let ready = running.ready(self.config.trust).await;
            ready.map_err(refusal)
        })
        .await
    }

    /// The disk has its time; from then on it is known not to answer.
    async fn in_time(
        &self,
        work: impl Future<Output = Result<(), Problem>>,
    ) -> Result<(), Problem> {
        let outcome = tokio::time::timeout(self.config.deadline, work).await;
        outcome.unwrap_or_else(|_| {
            if let Some(running) = self.current() {
                running.stuck.store(true, Ordering::Relaxed);
            }
            Err(unavailable("the disk does not answer in time"))
        })
    }

    async fn write(
        &self,
        running: &Running,
        deed: Deed,
        survives: Survives,
    ) -> Result<(), Problem> {
        running.write(deed, survives).await.map_err(refusal)
    }

    /// The open log; `None` while the vault is sealed.
    async fn running(&self) -> Result<Option<Arc<Running>>, Problem> {
        if self.vault.is_sealed() {
            // The key goes with the keys of the vault.
            self.set(None);
            return Ok(None);
        }
        if let Some(running) = self.current() {
            return Ok(Some(running));
        }
        let _one = self.opening.lock().await;
        if let Some(running) = self.current() {
            return Ok(Some(running));
        }
        let running = self.open().await?;
        // What waits goes first; where it can't be written, the log is not open.
        self.write_held(&running).await?;
        self.set(Some(Arc::clone(&running)));
        Ok(Some(running))
    }

    fn current(&self) -> Option<Arc<Running>> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.clone()
    }

    fn set(&self, running: Option<Arc<Running>>) {
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = running;
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a deed until the vault is open: an operator's on the disk, refusals in memory.
    async fn hold(&self, deed: Deed) -> Result<(), Problem> {
        if sealed::is_refusal(&deed) {
            self.held().refused.keep(deed);
            return Ok(());
        }
        let alone = Arc::clone(&self.asiding).lock_owned().await;
        let (aside, now, copy) = (self.aside.clone(), self.clock.now(), deed.clone());
        let written = tokio::task::spawn_blocking(move || {
            let _alone = alone;
            aside.append(now, &copy)
        });
        match joined(written.await) {
            Ok(()) => Ok(()),
            Err(error) if sealed::opens(&deed) => {
                tracing::error!(%error, "What is done while sealed is in memory only");
                self.held().own.keep(deed);
                Ok(())
            }
            Err(error) => Err(unavailable(&describe(&error))),
        }
    }

    /// Writes what was done while the vault was sealed, by this daemon or one that died meanwhile.
    async fn write_held(&self, running: &Running) -> Result<(), Problem> {
        let _alone = self.asiding.lock().await;
        let aside = self.aside.clone();
        let found = tokio::task::spawn_blocking(move || aside.read()).await;
        let found = joined(found).map_err(|error| unavailable(&describe(&error)))?;
        let held = self.held().clone();
        let lost = [
            ("refusals_dropped", held.refused.dropped),
            ("dropped", held.own.dropped),
            ("unreadable", found.unreadable),
        ];
        let any = !found.deeds.is_empty() || found.unreadable > 0;
        let aside = found.deeds.into_iter().map(|(time, mut deed)| {
            let time = time.unix_ms().to_string();
            deed.facts.insert("time_ms".to_owned(), time);
            deed
        });
        let waiting = held.own.deeds.iter().chain(&held.refused.deeds).cloned();
        let all = aside.chain(waiting);
        for mut deed in all.chain(missing(&lost)) {
            deed.facts.insert("sealed".to_owned(), "true".to_owned());
            self.write(running, deed, Survives::Daemon).await?;
        }
        if any {
            self.forget_aside(running).await?;
        }
        self.held().forget(&held);
        Ok(())
    }

    /// Removes the file beside the log once all of it is on the disk. Where that fails it is chained in once more.
    async fn forget_aside(&self, running: &Running) -> Result<(), Problem> {
        let written = running.written.borrow().sequence;
        running.synced_to(written).await.map_err(refusal)?;
        let aside = self.aside.clone();
        let cleared = tokio::task::spawn_blocking(move || aside.clear()).await;
        if let Err(error) = joined(cleared) {
            tracing::error!(%error, "What was done while sealed will be in the audit log twice");
        }
        Ok(())
    }
}

/// What is not in the log, if anything.
fn missing(lost: &[(&str, u64)]) -> Option<Deed> {
    let facts = lost.iter().filter(|(_, count)| *count > 0);
    let facts = facts.map(|(name, count)| ((*name).to_owned(), count.to_string()));
    let deed = Deed {
        actor: "daemon".to_owned(),
        action: "daemon/audit-while-sealed".to_owned(),
        code: "OK".to_owned(),
        facts: facts.collect(),
        ..Deed::default()
    };
    (!deed.facts.is_empty()).then_some(deed)
}

/// A thread that panicked is an error as any other.
fn joined<T>(outcome: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    outcome.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

fn refusal(refused: Refused) -> Problem {
    match refused {
        Refused::Full => unavailable("too many records wait"),
        Refused::Disk(why) => unavailable(&why),
        Refused::Ended => unavailable("it has ended; restart the daemon"),
    }
}

pub(crate) fn unavailable(why: &str) -> Problem {
    let message = format!(
        "the audit log can't be written: {why}; free space or mend the disk, then call again"
    );
    Problem::new(Reason::AuditUnavailable, message)
}
