//! The audit log itself, on a disk that can be full: a double could promise what it does not keep.

use std::{sync::Arc, time::Duration};

use bindery_audit::{AuditConfig, AuditLog, DiskFault, FaultyDisk};
use bindery_core::{
    audit::{Audit, AuditQuery, Deed},
    port::{Clock, Vault},
};
use tempfile::TempDir;

pub struct Log {
    pub audit: Arc<AuditLog>,
    disk: Arc<FaultyDisk>,
    _folder: TempDir,
}

impl Log {
    pub async fn new(vault: Arc<dyn Vault>, clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut config = AuditConfig::new(folder.path().join("audit"));
        // Long enough for a machine that is busy with other tests.
        config.deadline = Duration::from_secs(30);
        let disk = Arc::new(FaultyDisk::default());
        let audit = Arc::new(AuditLog::on(config, vault, clock, disk.clone()));
        audit.start().await.expect("started");
        Self {
            audit,
            disk,
            _folder: folder,
        }
    }

    pub fn set_full(&self, full: bool) {
        let fault = match full {
            true => DiskFault::Full,
            false => DiskFault::None,
        };
        self.disk.set(fault);
    }

    /// All records, the oldest first.
    pub async fn deeds(&self) -> Vec<Deed> {
        let query = AuditQuery {
            limit: 1000,
            ..AuditQuery::default()
        };
        let page = self.audit.list(query).await.expect("records");
        let deeds = page.records.into_iter().rev();
        deeds.map(|record| record.deed).collect()
    }

    /// What was done, and to what.
    pub async fn done(&self) -> Vec<(String, String)> {
        let deeds = self.deeds().await.into_iter();
        let done = deeds.filter(|deed| deed.code == "OK");
        done.map(|deed| (deed.action, deed.resource)).collect()
    }
}
