//! An audit log in memory, which can be full.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use bindery_core::{
    audit::{Audit, AuditPage, AuditQuery, AuditVerdict, Deed, Survives},
    port::BoxFuture,
    problem::{Problem, Reason},
};

use super::lock;

#[derive(Default)]
pub struct Log {
    deeds: Mutex<Vec<Deed>>,
    full: AtomicBool,
}

impl Log {
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// What was done, and to what.
    pub fn done(&self) -> Vec<(String, String)> {
        let deeds = lock(&self.deeds);
        let pair = |deed: &Deed| (deed.action.clone(), deed.resource.clone());
        deeds.iter().map(pair).collect()
    }
}

impl Audit for Log {
    fn record(&self, deed: Deed, _: Survives) -> BoxFuture<'_, Result<(), Problem>> {
        let ready = self.ready();
        if ready.is_ok() {
            lock(&self.deeds).push(deed);
        }
        Box::pin(async { ready })
    }

    fn ready(&self) -> Result<(), Problem> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(Problem::new(Reason::AuditUnavailable, "it is full")),
            false => Ok(()),
        }
    }

    fn list(&self, _: AuditQuery) -> BoxFuture<'_, Result<AuditPage, Problem>> {
        Box::pin(async { Ok(AuditPage::default()) })
    }

    fn verify(&self) -> BoxFuture<'_, Result<AuditVerdict, Problem>> {
        Box::pin(async { Ok(AuditVerdict::default()) })
    }
}
