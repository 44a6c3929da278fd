//! Keeps one plugin's worker running
//!
//! A task waits for the worker to die and starts the next one. It stops when nobody holds the [`Supervised`] any more;
//! the worker itself then goes on until its last operation is over.

use std::time::Duration;

use bindery_core::port::BoxFuture;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    backoff::{Backoff, GOOD},
    worker::{StartError, Worker},
};

/// A call waits this long for a worker that is being started.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts workers of one plugin.
pub(crate) trait Start: Send + Sync + 'static {
    /// Starts one and checks that it is the plugin that it should be.
    fn start(&self) -> BoxFuture<'_, Result<Worker, StartError>>;
    /// Any number.
    fn random(&self) -> u64;
    /// Somebody should know that the worker died, and why.
    fn report(&self, cause: &str, next: Duration);
}

/// A plugin's worker, whichever it is at the moment.
#[derive(Debug)]
pub(crate) struct Supervised {
    state: watch::Receiver<State>,
}

#[derive(Clone, Debug)]
enum State {
    Up(Worker),
    Down { until: Instant, cause: String },
}

/// No worker, and none soon.
#[derive(Debug)]
pub(crate) struct Down {
    pub(crate) cause: String,
    pub(crate) retry_after: Duration,
}

impl Supervised {
    /// Watches over `worker`. Needs a runtime.
    pub(crate) fn new(worker: Worker, start: impl Start) -> Self {
        let (sender, state) = watch::channel(State::Up(worker.clone()));
        tokio::spawn(supervise(worker, start, sender));
        Self { state }
    }

    /// The worker. Waits a moment for one that is being started.
    pub(crate) async fn worker(&self) -> Result<Worker, Down> {
        let patience = Instant::now() + PATIENCE;
        let mut state = self.state.clone();
        loop {
            let seen = state.borrow_and_update().clone();
            let down = match seen {
                State::Up(worker) if worker.is_alive() => return Ok(worker),
                // The supervisor notices in a moment.
                State::Up(worker) => down(Instant::now(), worker.cause()),
                State::Down { until, cause } => down(until, cause),
            };
            if down.retry_after > PATIENCE
                || !matches!(timeout_at(patience, state.changed()).await, Ok(Ok(())))
            {
                return Err(down);
            }
        }
    }
}

fn down(until: Instant, cause: String) -> Down {
    Down {
        cause,
        retry_after: until.saturating_duration_since(Instant::now()),
    }
}

async fn supervise(mut worker: Worker, start: impl Start, state: watch::Sender<State>) {
    let mut backoff = Backoff::default();
    loop {
        let started = Instant::now();
        tokio::select! {
            () = worker.died() => {}
            () = state.closed() => return,
        }
        if started.elapsed() >= GOOD {
            backoff.reset();
        }
        let Some(next) = restart(worker.cause(), &start, &state, &mut backoff).await else {
            return;
        };
        worker = next;
        state.send_replace(State::Up(worker.clone()));
    }
}

/// Tries until a worker runs. None when nobody wants it any more.
async fn restart(
    mut cause: String,
    start: &impl Start,
    state: &watch::Sender<State>,
    backoff: &mut Backoff,
) -> Option<Worker> {
    loop {
        let delay = backoff.next(start.random());
        start.report(&cause, delay);
        state.send_replace(State::Down {
            until: Instant::now() + delay,
            cause,
        });
        tokio::select! {
            () = sleep(delay) => {}
            () = state.closed() => return None,
        }
        match start.start().await {
            Ok(worker) => return Some(worker),
            Err(error) => cause = error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
