//! The gRPC services: conversion, authentication, authorization, status mapping.
//!
//! [`Api`] serves `bindery.v1`, and on the admin surface `bindery.admin.v1`, over connections that it accepts itself. It
//! decides who calls, whether they may, and how the domain looks on the wire; what happens then is the engine's.
//!
//! | Module | What it holds |
//! |---|---|
//! | `access` | the one table: which call needs which right, and where its namespace stands |
//! | `audit` | what of a call goes into the audit log |
//! | `admin` | [`AdminPort`]: what the operator is told |
//! | `budget` | how many bytes of providers' bodies are in memory for answers |
//! | `call` | what every call has in common |
//! | `convert` | wire and domain, one file for each resource |
//! | `hoard` | callers who collect credentials |
//! | `limits` | [`Limits`] and how they are kept |
//! | `peer` | who is at the other end of a connection |
//! | `policy` | [`PolicyHandle`]: who may do what, where |
//! | `server` | accept loops, connections, and what happens around every call |
//! | `services` | the calls |
//! | `standing` | whether a certificate still opens the door |
//! | `status` | reasons and status codes |
//! | `tls` | [`TlsHandle`] |
#![forbid(unsafe_code)]

mod access;
mod admin;
mod audit;
mod budget;
mod call;
mod convert;
mod fields;
mod filter;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod health;
mod hoard;
mod limits;
mod mask;
mod metrics;
mod names;
mod pages;
mod peer;
mod policy;
mod refusals;
mod reload;
mod server;
mod services;
mod standing;
mod status;
mod tls;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bindery_core::audit::Audit;
use bindery_engine::Engine;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use crate::{
    access::{Row, Scope, served},
    admin::{
        AddedSlot, AdminPort, BackupFacts, BackupPort, CheckFacts, Compacted, EpochFacts,
        KeptFacts, KeyMaterial, KeysPort, Outcome, PluginFacts, PluginState, RollbackFacts,
        RotateWish, Rotated, SlotFacts, SlotKind, SlotOpens, SlotWish, StatusFacts, StoreVerdict,
        UnsealProgress, UnsealWith,
    },
    audit::{Weight, weight},
    limits::Limits,
    policy::{Action, PolicyError, PolicyHandle},
    server::{serve_tls, serve_unix},
    tls::{TlsError, TlsHandle},
};
use crate::{
    budget::Budget,
    hoard::Hoards,
    limits::{Counter, Taken},
    metrics::Metrics,
    pages::PageKey,
    refusals::Refusals,
    status::Failure,
};

/// Streams that are open at the same time, over all callers; each one holds a task.
const STREAMS: usize = 8192;

/// Those of one caller among them: a registry may have thousands of watchers, and leaves as many places to all others.
const STREAMS_PER_IDENTITY: usize = STREAMS / 2;

/// How long a watcher of events may read nothing while there is something to read: longer than a caller that works on one event
/// before it reads the next, and shorter than anybody waits for a builder that hangs.
const WATCH_PATIENCE: Duration = Duration::from_secs(120);

/// Which services a listener has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Surface {
    /// `bindery.v1`, by the policy.
    Public,
    /// `bindery.v1` and `bindery.admin.v1`, for root, the daemon's own user and the admins of the policy, who may do
    /// everything.
    Admin,
}

/// The services. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    policy: PolicyHandle,
    admin: Arc<dyn AdminPort>,
    audit: Arc<dyn Audit>,
    metrics: Metrics,
    pages: PageKey,
    hoards: Hoards,
    streams: Arc<Semaphore>,
    watchers: Counter<String>,
    payloads: Budget,
    watch_patience: Mutex<Duration>,
    stopping: watch::Sender<bool>,
    tls: Mutex<Vec<TlsHandle>>,
    refusals: Refusals,
}

/// A place for a stream; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    _own: Taken<String>,
    _all: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("engine", &self.inner.engine)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// Services over `engine`. What they do is written to `audit`, and nothing is handed out that is not; their metrics
    /// go to `metrics`.
    #[must_use]
    pub fn new(
        engine: Engine,
        policy: PolicyHandle,
        admin: Arc<dyn AdminPort>,
        audit: Arc<dyn Audit>,
        metrics: &mut prometheus_client::registry::Registry,
    ) -> Self {
        engine.set_rights(Arc::new(policy.clone()));
        let stopping = watch::Sender::new(false);
        let refusals = Refusals::new(Arc::clone(&audit), stopping.subscribe());
        Self {
            inner: Arc::new(Inner {
                engine,
                policy,
                admin,
                audit,
                metrics: Metrics::new(metrics),
                pages: PageKey::random(),
                hoards: Hoards::default(),
                streams: Arc::new(Semaphore::new(STREAMS)),
                watchers: Counter::new(STREAMS_PER_IDENTITY),
                payloads: Budget::default(),
                watch_patience: Mutex::new(WATCH_PATIENCE),
                stopping,
                refusals,
                tls: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Ends watches of events that read nothing for longer than this; two minutes where nobody says otherwise.
    pub fn set_watch_patience(&self, patience: Duration) {
        *self.patience() = patience;
    }

    pub(crate) fn watch_patience(&self) -> Duration {
        *self.patience()
    }

    fn patience(&self) -> std::sync::MutexGuard<'_, Duration> {
        self.inner
            .watch_patience
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A caller that fetches credentials of more than so many links within a minute is told of, 100 unless this is called;
    /// 0 for never.
    pub fn set_grant_alarm(&self, links_per_minute: usize) {
        self.inner.hoards.set(links_per_minute);
    }

    /// Repetitions of a refused call are written once in this time; once a minute where nobody says otherwise.
    pub fn set_refusal_window(&self, window: Duration) {
        self.inner.refusals.set_window(window);
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.inner.refusals
    }

    pub(crate) fn hoards(&self) -> &Hoards {
        &self.inner.hoards
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn policy(&self) -> &PolicyHandle {
        &self.inner.policy
    }

    pub(crate) fn admin(&self) -> &dyn AdminPort {
        &*self.inner.admin
    }

    pub(crate) fn audit(&self) -> &Arc<dyn Audit> {
        &self.inner.audit
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(crate) fn pages(&self) -> &PageKey {
        &self.inner.pages
    }

    /// A place for a stream of a caller, among its own and among all.
    pub(crate) fn place_for_stream(&self, identity: &str) -> Result<StreamPlace, Failure> {
        let wait = Duration::from_secs(5);
        let own = self.inner.watchers.take(identity.to_owned());
        let own = own.ok_or_else(|| Failure::overloaded("streams_per_identity", wait))?;
        let all = Arc::clone(&self.inner.streams).try_acquire_owned();
        let all = all.map_err(|_| Failure::overloaded("streams", wait))?;
        Ok(StreamPlace {
            _own: own,
            _all: all,
        })
    }

    pub(crate) fn payloads(&self) -> &Budget {
        &self.inner.payloads
    }

    /// Turns true once, when the daemon stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.inner.stopping.subscribe()
    }

    pub(crate) fn stop(&self) {
        self.inner.stopping.send_replace(true);
    }

    /// Certificates that are read again together with the policy.
    pub(crate) fn adopt(&self, tls: TlsHandle) {
        self.certificates().push(tls);
    }

    pub(crate) fn certificates(&self) -> std::sync::MutexGuard<'_, Vec<TlsHandle>> {
        // Nothing panics while it is held; a poisoned list is still a list.
        self.inner
            .tls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
