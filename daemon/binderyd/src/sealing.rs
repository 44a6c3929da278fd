//! The seal in use: opening it, closing it, and what runs only while it is open.
//!
//! | Module | What it holds |
//! |---|---|
//! | `keeping` | new epochs, a new root key, erasing what was removed |
//! | `port` | what an operator asks |
//! | `tries` | how often somebody may try |

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bindery_audit::AuditLog;
use bindery_core::{
    problem::{Problem, Reason},
    secret::Secret,
};
use bindery_engine::Engine;
use bindery_vault::{OpenError, OpenOptions, SealedVault, Unlock};
use tokio::task::JoinHandle;

pub(crate) use self::keeping::{Keeping, facts as epochs};
use self::{port::Done, tries::Tries};
use crate::{failure::Failure, systemd};

mod keeping;
mod port;
mod tries;

/// How long closing the seal waits for refreshes that are under way: a forge may take 30 seconds to answer one.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long a recovery share is kept for the next one.
const KEPT: Duration = Duration::from_secs(600);

/// The vault, the engine over it, and the seal between them.
pub(crate) struct Sealing {
    vault: Arc<SealedVault>,
    engine: Engine,
    keeping: Arc<Keeping>,
    audit: AuditLog,
    /// Held while the seal is opened or closed, so by one at a time.
    state: tokio::sync::Mutex<State>,
    shown: Mutex<SealFacts>,
}

/// What people are told of the seal.
#[derive(Clone, Debug, Default)]
pub(crate) struct SealFacts {
    /// Why it is closed; empty where it is not.
    pub(crate) message: String,
    /// How many recovery shares wait for the others.
    pub(crate) shares: u32,
}

#[derive(Default)]
struct State {
    /// What the engine and the keys do by themselves, while the seal is open.
    running: Vec<JoinHandle<()>>,
    shares: Vec<Secret>,
    since: Option<Instant>,
    tries: Tries,
    done: Vec<Done>,
}

impl Sealing {
    pub(crate) fn new(
        vault: Arc<SealedVault>,
        engine: Engine,
        keeping: Arc<Keeping>,
        audit: AuditLog,
    ) -> Arc<Self> {
        engine.pause();
        Arc::new(Self {
            vault,
            engine,
            keeping,
            audit,
            state: tokio::sync::Mutex::default(),
            shown: Mutex::default(),
        })
    }

    pub(crate) fn vault(&self) -> &SealedVault {
        &self.vault
    }

    pub(crate) fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    pub(crate) fn facts(&self) -> SealFacts {
        self.shown().clone()
    }

    /// Begins to serve, over a vault that is open.
    pub(crate) async fn begin(&self) -> Result<(), Problem> {
        let mut state = self.state.lock().await;
        self.serve(&mut state).await
    }

    /// Says why nothing is served, until somebody brings the keys.
    pub(crate) fn wait_for_keys(&self, why: &Failure) {
        tracing::error!(reason = why.reason(), %why, "The daemon is sealed and serves nothing; unseal it");
        self.shown().message = why.to_string();
        systemd::status("sealed");
    }

    /// Stops what runs by itself. The vault stays as it is.
    pub(crate) async fn stop(&self) {
        stop(&mut *self.state.lock().await).await;
    }

    /// What the last stop cut off is made good before anybody is let in.
    async fn serve(&self, state: &mut State) -> Result<(), Problem> {
        self.engine.recover().await?;
        self.engine.resume();
        let (engine, keeping) = (self.engine.clone(), Arc::clone(&self.keeping));
        state.running = vec![
            tokio::spawn(async move { engine.sweep_forever().await }),
            tokio::spawn(async move { keeping.keep_on().await }),
        ];
        *self.shown() = SealFacts::default();
        systemd::status("serving");
        Ok(())
    }

    async fn close(&self, reason: &str) {
        let mut state = self.state.lock().await;
        self.engine.pause();
        stop(&mut state).await;
        if !self.engine.quiet(PATIENCE).await {
            tracing::warn!(
                "A new token pair could not be stored before the seal was closed; it is kept in memory until it is opened"
            );
        }
        self.engine.forget_connections();
        // Its key goes with those of the vault, and what it has not brought to the disk would wait for it to be opened again.
        if let Err(problem) = self.audit.close().await {
            tracing::warn!(%problem, "The last records of the audit log may not be on the disk");
        }
        self.vault.seal().await;
        let why = if reason.is_empty() {
            "sealed by an operator"
        } else {
            reason
        };
        self.shown().message = why.to_owned();
        systemd::status("sealed");
    }

    /// Takes a rolled-back store of exactly this generation, and opens it if something is configured that does.
    pub(crate) async fn accept_rollback(
        &self,
        generation: u64,
        unlock: Vec<Unlock>,
    ) -> Result<(), Problem> {
        let mut state = self.state.lock().await;
        self.vault.accept_rollback(generation);
        if unlock.is_empty() {
            "the rollback is accepted; unseal it".clone_into(&mut self.shown().message);
            return Ok(());
        }
        let opened = self.vault.unseal(unlock, OpenOptions::default()).await;
        opened.map_err(|error| rejected(&error))?;
        let served = self.serve(&mut state).await;
        if served.is_err() {
            self.vault.seal().await;
        }
        served
    }

    async fn open(&self, state: &mut State, unlock: Unlock) -> Result<(), Problem> {
        let opened = self.vault.unseal(vec![unlock], OpenOptions::default());
        opened.await.map_err(|error| rejected(&error))?;
        let served = self.serve(state).await;
        if served.is_err() {
            self.vault.seal().await;
        }
        served
    }

    fn shown(&self) -> MutexGuard<'_, SealFacts> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn stop(state: &mut State) {
    for task in state.running.drain(..) {
        task.abort();
        // It was told to end; how it ends does not matter.
        let _ = task.await;
    }
}

/// Why the seal stays closed.
fn rejected(error: &OpenError) -> Problem {
    let reason = match error {
        OpenError::WrongKey { .. } | OpenError::Slot(_) => Reason::UnsealRejected,
        OpenError::Store(_) | OpenError::HighWater(_) => Reason::StoreFailed,
        OpenError::Sealed => Reason::Sealed,
        OpenError::RolledBack { .. } => Reason::StoreRolledBack,
        OpenError::Crypto => Reason::Internal,
        // Records are missing or changed, or the header is damaged.
        _ => Reason::RecordTampered,
    };
    Problem::new(reason, error.to_string())
}
