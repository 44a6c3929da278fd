//! Where the daemon dies: between two things that it does outside of itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Counts the steps that are left to live.
#[derive(Debug)]
pub(crate) struct Fate {
    left: Mutex<Option<u64>>,
    dead: watch::Sender<bool>,
}

impl Fate {
    /// Lives until [`Fate::die_in`].
    pub(crate) fn new() -> Self {
        Self {
            left: Mutex::new(None),
            dead: watch::Sender::new(false),
        }
    }

    /// Dies after so many more steps.
    pub(crate) fn die_in(&self, steps: u64) {
        *lock(&self.left) = Some(steps);
    }

    /// Dies no more.
    pub(crate) fn live_on(&self) {
        *lock(&self.left) = None;
    }

    /// One step. Whoever takes the last one never goes on: what it had begun stays as it is.
    pub(crate) async fn step(&self) {
        if self.is_last() {
            self.dead.send_replace(true);
        }
        if *self.dead.borrow() {
            std::future::pending::<()>().await;
        }
    }

    fn is_last(&self) -> bool {
        let mut left = lock(&self.left);
        match left.as_mut() {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// What `work` gave; `None` where the daemon died over it.
    pub(crate) async fn or_death<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut dead = self.dead.subscribe();
        tokio::select! {
            biased;
            outcome = work => Some(outcome),
            _ = dead.wait_for(|dead| *dead) => None,
        }
    }
}

/// Locks, whoever has panicked before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
