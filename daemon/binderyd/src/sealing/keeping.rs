//! New epochs, a new root key, and the run that erases what was removed (THREATS K14).
//!
//! A run begins an epoch, seals every record again under it, destroys the keys of older epochs, copies the store into a new
//! folder and exchanges the two. What was removed before is then neither on the disk nor under a key that is left.

use std::{sync::Arc, time::Duration};

use bindery_api::{Compacted, EpochFacts, Rotated};
use bindery_core::{
    port::Clock,
    problem::{Problem, Reason},
    time::Timestamp,
};
use bindery_engine::{Engine, deeds::Own};
use bindery_store::{SledStore, SwapStore};
use bindery_vault::{Copied, EpochInfo, Renewed, SealedVault};

use super::{port::refused, rejected};
use crate::{admin::slot, config::Config, ports::SystemClock, vault::unlock};

/// Records that are sealed again in one step, so that commits wait for a short time only.
const STEP: usize = 100;

/// Time between two steps.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);

/// Time between two looks whether a run is due, and between two tries after a failure.
const LOOK: Duration = Duration::from_secs(10);

/// The keys and the store of a vault, looked after.
pub(crate) struct Keeping {
    vault: Arc<SealedVault>,
    store: Arc<SwapStore>,
    /// Writes into the audit log what is done to the keys.
    engine: Engine,
    config: Config,
    development: bool,
    /// One rotation or run at a time.
    alone: tokio::sync::Mutex<()>,
}

/// Why a run is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// Its time has come.
    Due,
    /// An operator asked for it.
    Asked,
}

impl Keeping {
    pub(crate) fn new(
        vault: Arc<SealedVault>,
        store: Arc<SwapStore>,
        engine: Engine,
        config: &Config,
        development: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            vault,
            store,
            engine,
            config: config.clone(),
            development,
            alone: tokio::sync::Mutex::default(),
        })
    }

    /// Bytes of the store on disk.
    pub(crate) fn store_bytes(&self) -> u64 {
        self.store.size()
    }

    /// Finishes what a rotation began, and makes the runs that are due, until the future is dropped.
    pub(super) async fn keep_on(&self) {
        let mut failing = None;
        loop {
            let outcome = if self.is_due().await {
                tracing::info!("Erasing what was removed since the last run");
                self.erase(Cause::Due).await.map(drop)
            } else {
                self.finish().await
            };
            if let Err(problem) = &outcome {
                tracing::warn!(reason = problem.reason.as_str(), error = %problem, "The keys are not renewed; it is tried again");
            }
            if begins_to_fail(&mut failing, &outcome) {
                let own = Own::new("renew-keys", String::new());
                self.engine.did(own.ended(&outcome)).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the epoch that seals is older than the interval. It is in the key ring, so a restart changes nothing.
    async fn is_due(&self) -> bool {
        let epochs = self.vault.status().await.epochs;
        let began = epochs.last().map(|epoch| epoch.created);
        is_due(began, SystemClock.now(), self.config.erase_interval)
    }

    /// Seals the records of older epochs again, slowly, and destroys their keys.
    async fn finish(&self) -> Result<(), Problem> {
        if !self.vault.status().await.resealing {
            return Ok(());
        }
        let _alone = self.alone.lock().await;
        loop {
            let step = self.vault.reseal_step(STEP).await;
            if step.map_err(|error| refused(error.into()))?.done {
                break;
            }
            tokio::time::sleep(BETWEEN_STEPS).await;
        }
        let retired = self.vault.retire_epochs().await.map_err(refused)?;
        self.note_destroyed(&retired).await;
        Ok(())
    }

    /// Says which epochs' keys are gone.
    async fn note_destroyed(&self, epochs: &[u32]) {
        if epochs.is_empty() {
            return;
        }
        tracing::info!(?epochs, "Keys of old epochs are destroyed");
        let ids: Vec<_> = epochs.iter().map(u32::to_string).collect();
        let own = Own::new("destroy-epochs", String::new()).with("epochs", ids.join(" "));
        self.engine.did(own).await;
    }

    /// The whole run.
    pub(super) async fn erase(&self, cause: Cause) -> Result<Compacted, Problem> {
        let _alone = self.alone.lock().await;
        let renewed = self.vault.renew(SystemClock.now()).await;
        let renewed = renewed.map_err(refused)?;
        tracing::info!(
            epoch = renewed.epoch,
            resealed = renewed.resealed,
            "Every record is sealed again"
        );
        self.engine.did(begun(&renewed, cause)).await;
        self.note_destroyed(&renewed.retired).await;
        let store = Arc::clone(&self.store);
        let fresh = tokio::task::spawn_blocking(move || store.fresh()).await;
        let fresh = fresh
            .map_err(|_| stopped())?
            .map_err(|error| no_copy(&error))?;
        let copied = self.vault.copy_to(&fresh).await;
        let copied = copied.map_err(|error| rejected(&error))?;
        // A task of its own: whoever goes away must not let a commit in between the copy and the exchange.
        let (vault, store) = (Arc::clone(&self.vault), Arc::clone(&self.store));
        let engine = self.engine.clone();
        let exchanging = tokio::spawn(async move {
            let compacted = exchange(&vault, &store, copied, fresh).await?;
            engine.did(exchanged(compacted, cause)).await;
            Ok(compacted)
        });
        exchanging.await.map_err(|_| stopped())?
    }

    /// A new epoch, with a new root key if that is wanted. Records are sealed again by [`Self::keep_on`].
    pub(super) async fn rotate(&self, root_key: bool) -> Result<Rotated, Problem> {
        let _alone = self.alone.lock().await;
        let now = SystemClock.now();
        let lost = if root_key {
            let online = unlock(&self.config, self.development);
            let online =
                online.map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
            let new = self.vault.rotate_root(now, online).await;
            new.map_err(refused)?.lost
        } else {
            self.vault.rotate_epoch(now).await.map_err(refused)?;
            Vec::new()
        };
        Ok(Rotated {
            epochs: facts(&self.vault.status().await.epochs),
            lost: lost.into_iter().map(slot).collect(),
        })
    }
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Asked => "asked",
        }
    }
}

/// A new epoch, for the audit log.
fn begun(renewed: &Renewed, cause: Cause) -> Own {
    Own::new("begin-epoch", String::new())
        .with("epoch", renewed.epoch.to_string())
        .with("resealed", renewed.resealed.to_string())
        .with("cause", cause.as_str())
}

/// A store without what was removed, for the audit log.
fn exchanged(compacted: Compacted, cause: Cause) -> Own {
    Own::new("compact-store", String::new())
        .with("bytes_before", compacted.before.to_string())
        .with("bytes_after", compacted.after.to_string())
        .with("cause", cause.as_str())
}

/// Whether an outcome is worth a record: a failure that was not told yet. It is tried again every few seconds, and a log
/// full of the same says no more.
fn begins_to_fail(failing: &mut Option<Reason>, outcome: &Result<(), Problem>) -> bool {
    let before = std::mem::replace(
        failing,
        outcome.as_ref().err().map(|problem| problem.reason),
    );
    failing.is_some() && *failing != before
}

/// Whether the epoch that began then is over. A clock that was set back makes none due.
fn is_due(began: Option<Timestamp>, now: Timestamp, interval: Duration) -> bool {
    !interval.is_zero() && began.is_some_and(|began| now.since(began) >= interval)
}

/// Makes the copy whole, and puts it into the place of the store before anything is committed.
async fn exchange(
    vault: &SealedVault,
    store: &SwapStore,
    copied: Copied,
    fresh: SledStore,
) -> Result<Compacted, Problem> {
    let hold = vault.complete(copied, &fresh).await;
    let hold = hold.map_err(|error| rejected(&error))?;
    let exchanged = store.exchange(fresh).await;
    drop(hold);
    let exchanged = exchanged.map_err(|error| no_copy(&error))?;
    tracing::info!(
        before = exchanged.before,
        after = exchanged.after,
        "The store is compacted"
    );
    Ok(Compacted {
        before: exchanged.before,
        after: exchanged.after,
    })
}

/// What can be told of epochs, the last of which seals.
pub(crate) fn facts(epochs: &[EpochInfo]) -> Vec<EpochFacts> {
    let last = epochs.last().map(|epoch| epoch.id);
    let facts = epochs.iter().map(|epoch| EpochFacts {
        id: epoch.id,
        active: Some(epoch.id) == last,
        created: epoch.created,
        records: epoch.records.unwrap_or_default(),
    });
    facts.collect()
}

fn stopped() -> Problem {
    Problem::new(Reason::ShuttingDown, "the daemon stops; try again")
}

/// Why there is no copy.
fn no_copy(error: &bindery_store::OpenError) -> Problem {
    let reason = match error {
        bindery_store::OpenError::NoSpace { .. } => Reason::StoreLowSpace,
        _ => Reason::StoreFailed,
    };
    Problem::new(reason, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// K14: what was removed is erased once the interval is over, a day unless the operator says otherwise, and never by
    /// itself where they say so or while there is no key.
    #[test]
    fn k14_a_run_is_due_when_the_interval_is_over() {
        let day = Duration::from_secs(86_400);
        let (began, at) = (Timestamp::from_unix_ms(1000), Timestamp::from_unix_ms);
        assert!(!is_due(Some(began), at(86_400_999), day));
        assert!(is_due(Some(began), at(86_401_000), day));
        assert!(!is_due(Some(began), at(0), day), "the clock was set back");
        assert!(!is_due(Some(began), at(u64::MAX), Duration::ZERO));
        assert!(!is_due(None, at(u64::MAX), day));
    }

    /// A failure is in the audit log once, until it is over or another takes its place.
    #[test]
    fn a_failure_that_lasts_is_told_once() {
        let (full, sealed) = (Reason::StoreLowSpace, Reason::Sealed);
        let lives = [
            (Some(full), true),
            (Some(full), false),
            (Some(sealed), true),
            (None, false),
            (Some(sealed), true),
            (Some(sealed), false),
        ];
        let mut failing = None;
        for (at, (reason, told)) in lives.into_iter().enumerate() {
            let outcome = reason.map_or(Ok(()), |reason| Err(Problem::new(reason, "")));
            assert_eq!(begins_to_fail(&mut failing, &outcome), told, "{at}");
        }
    }

    /// What is done to the keys is in the audit log with numbers alone.
    #[test]
    fn deeds_say_what_was_done_and_why() {
        let compacted = Compacted {
            before: 9,
            after: 4,
        };
        let told = format!("{:?}", exchanged(compacted, Cause::Due));
        for part in [
            "daemon/compact-store",
            "\"bytes_before\": \"9\"",
            "\"bytes_after\": \"4\"",
            "\"cause\": \"due\"",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
