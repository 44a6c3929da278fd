//! How hard the token endpoint of one host is called: so many at once, a rest after failures, and a pause where it asks for
//! one (THREATS R6, R7). Grants that were restored come one after the other (THREATS K15).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_core::{
    breaker::Breaker,
    exchange::TokenOutcome,
    host::{Host, RateBudget},
    name::HostName,
    problem::{Problem, Reason},
    refresh::Intent,
    time::Timestamp,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Engine, flight::lock};

/// The gates of all hosts that were called.
#[derive(Default)]
pub(crate) struct HostGates(Mutex<HashMap<HostName, Gate>>);

struct Gate {
    permits: Arc<Semaphore>,
    at_once: u32,
    breaker: Breaker,
    /// When the next restored grant may be tried.
    restored: Timestamp,
}

/// Time between two restored grants that one host sees.
const RESTORED_PACE: Duration = Duration::from_secs(1);

impl HostGates {
    /// Whether a host may be called now, without taking a place.
    pub(crate) fn open_at(&self, host: &HostName, now: Timestamp) -> Result<(), Timestamp> {
        let gates = lock(&self.0);
        // A look, not a call: a probe must not be used up.
        gates
            .get(host)
            .map_or(Ok(()), |gate| gate.breaker.clone().admit(now))
    }

    fn permits(&self, host: &Host) -> Arc<Semaphore> {
        let at_once = match host.rate_budget.at_once {
            0 => RateBudget::AT_ONCE,
            some => some,
        };
        let mut gates = lock(&self.0);
        let gate = gates.entry(host.name.clone()).or_insert_with(|| Gate {
            permits: places(at_once),
            at_once,
            breaker: Breaker::default(),
            restored: Timestamp::default(),
        });
        if gate.at_once != at_once {
            (gate.permits, gate.at_once) = (places(at_once), at_once);
        }
        Arc::clone(&gate.permits)
    }

    /// Takes the turn of a restored grant, or says when there may be one.
    fn restored_turn(&self, host: &HostName, now: Timestamp) -> Result<(), Timestamp> {
        let mut gates = lock(&self.0);
        let Some(gate) = gates.get_mut(host) else {
            return Ok(());
        };
        if now < gate.restored {
            return Err(gate.restored);
        }
        gate.restored = now.after(RESTORED_PACE);
        Ok(())
    }

    fn with<T>(&self, host: &HostName, act: impl FnOnce(&mut Breaker) -> T) -> Option<T> {
        lock(&self.0)
            .get_mut(host)
            .map(|gate| act(&mut gate.breaker))
    }
}

fn places(at_once: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(at_once).unwrap_or(1)))
}

impl Engine {
    /// A place to call a host's token endpoint. Waits for one, and refuses while the host rests: nothing is sent then.
    pub(super) async fn pass(&self, host: &Host) -> Result<OwnedSemaphorePermit, Problem> {
        let permits = self.host_gates().permits(host);
        let permit = permits.acquire_owned().await;
        let permit = permit.map_err(|_| Problem::new(Reason::ShuttingDown, "the daemon stops"))?;
        let now = self.now();
        match self.host_gates().with(&host.name, |gate| gate.admit(now)) {
            Some(Err(until)) => Err(resting(host, until.since(now))),
            _ => Ok(permit),
        }
    }

    /// Lets restored grants of one host through one a second: a host that sees a crowd of dead tokens may ban the client.
    /// The others are told to come again; nothing is sent for them.
    pub(super) fn take_turn(&self, host: &Host, intent: &Intent) -> Result<(), Problem> {
        let now = self.now();
        if !intent.restored {
            return Ok(());
        }
        let turn = self.host_gates().restored_turn(&host.name, now);
        turn.map_err(|next| after_restore(host, next.since(now)))
    }

    /// What an answer says about the host.
    pub(super) fn note_answer(&self, host: &Host, outcome: &TokenOutcome) {
        let (random, now) = (u64::from_le_bytes(self.random()), self.now());
        self.host_gates().with(&host.name, |gate| match outcome {
            TokenOutcome::NotNow(problem) if problem.reason == Reason::ProviderRateLimited => {
                gate.limited(problem.retry_after.unwrap_or_default(), now);
            }
            TokenOutcome::NotNow(problem) | TokenOutcome::Lost(problem) => {
                gate.failed(problem.retry_after, random, now);
            }
            _ => gate.answered(),
        });
    }
}

fn after_restore(host: &Host, wait: Duration) -> Problem {
    let message = format!(
        "the store was restored, and tokens of {} are tried one a second; try again",
        host.web_url
    );
    Problem::new(Reason::ProviderUnavailable, message)
        .retry(Some(wait))
        .with("host", host.name.as_str())
}

fn resting(host: &Host, wait: Duration) -> Problem {
    let message = format!(
        "{} did not answer lately or asked for a pause, and is left alone for a while; try again later",
        host.web_url
    );
    Problem::new(Reason::ProviderUnavailable, message)
        .retry(Some(wait))
        .with("host", host.name.as_str())
}
