//! A log over a vault in memory, and a disk that breaks on purpose.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bindery_audit::{AuditConfig, AuditLog, FaultyDisk};
use bindery_core::{
    audit::{Audit, AuditQuery, AuditVerdict, Deed, Survives},
    port::{BoxFuture, Clock},
    problem::{Problem, Reason},
    time::Timestamp,
};
use bindery_store::MemoryStore;
use bindery_vault::{Init, InitMode, NewSlot, SealedVault, Unlock};
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) vault: Arc<SealedVault>,
    pub(crate) clock: Arc<Hand>,
    pub(crate) disk: Arc<FaultyDisk>,
    pub(crate) config: AuditConfig,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (home, key) = (folder.path().join("vault"), folder.path().join("key"));
        let store = Arc::new(MemoryStore::default());
        let slots = vec![NewSlot::CreateKeyFile(key.clone())];
        let init = Init::prepare(&home, slots, InitMode::Development).unwrap();
        init.finish(&*store, Timestamp::default()).await.unwrap();
        let vault = SealedVault::open(&home, store, vec![Unlock::KeyFile(key)]).await;
        let mut config = AuditConfig::new(folder.path().join("audit"));
        // Nothing that is tested waits for it; each test says when.
        config.seal_every = Duration::from_millis(1);
        Self {
            folder,
            vault: Arc::new(vault.unwrap()),
            clock: Arc::default(),
            disk: Arc::default(),
            config,
        }
    }

    pub(crate) fn log(&self) -> AuditLog {
        let (config, disk) = (self.config.clone(), Arc::clone(&self.disk));
        AuditLog::on(config, self.vault.clone(), self.clock.clone(), disk)
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// The files of the log, in their order.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.config.folder).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The text of the only file.
    pub(crate) fn text(&self) -> String {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        std::fs::read_to_string(&files[0]).unwrap()
    }

    /// Puts other lines into the only file.
    pub(crate) fn rewrite(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut lines: Vec<_> = self.text().lines().map(str::to_owned).collect();
        change(&mut lines);
        let text = lines.join("\n") + "\n";
        std::fs::write(&self.files()[0], text).unwrap();
    }
}

pub(crate) fn deed(number: u64) -> Deed {
    Deed {
        actor: format!("uid:{}", 1000 + number % 2),
        action: "bindery.v1.LinkService/Unlink".to_owned(),
        resource: format!("namespaces/acme/links/l{number}"),
        code: "OK".to_owned(),
        request_id: format!("r{number}"),
        ..Deed::default()
    }
}

/// Writes records number `from` to `to`.
pub(crate) async fn write(log: &AuditLog, from: u64, to: u64) {
    for number in from..=to {
        log.record(deed(number), Survives::Daemon).await.unwrap();
    }
}

pub(crate) fn all() -> AuditQuery {
    AuditQuery {
        limit: 1000,
        ..AuditQuery::default()
    }
}

/// The numbers of all records, as they are listed.
pub(crate) async fn numbers(log: &AuditLog) -> Vec<u64> {
    let page = log.list(all()).await.unwrap();
    page.records.iter().map(|record| record.sequence).collect()
}

/// Checks that the chain fits, and how long it is.
pub(crate) async fn intact(log: &AuditLog, records: u64) {
    let wanted = AuditVerdict {
        records,
        broken: None,
    };
    assert_eq!(log.verify().await.unwrap(), wanted);
}

/// Where the chain breaks, and what is said about it.
pub(crate) async fn broken(log: &AuditLog) -> (u64, String) {
    let verdict = log.verify().await.unwrap();
    verdict.broken.expect("the chain is broken")
}

pub(crate) fn refused(outcome: Result<(), Problem>) -> String {
    let problem = outcome.expect_err("refused");
    assert_eq!(problem.reason, Reason::AuditUnavailable);
    problem.message
}

/// A clock that is set by hand.
#[derive(Default)]
pub(crate) struct Hand(AtomicU64);

impl Hand {
    pub(crate) fn set(&self, days: u64) {
        self.0.store(days * 86_400_000, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, _: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}
