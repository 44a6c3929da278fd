//! One task for each link: whoever comes while it runs joins it, and nobody who leaves cancels it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bindery_core::{
    name::{LinkId, NamespaceName},
    port::BoxFuture,
    problem::{Problem, Reason},
};
use futures_util::{FutureExt, future::Shared};

/// A task and its outcome, for everybody who waits for it.
pub(crate) type Flight = Shared<BoxFuture<'static, Result<(), Problem>>>;

/// Names a link.
pub(crate) type Whose = (NamespaceName, LinkId);

type Running = Arc<Mutex<HashMap<Whose, Flight>>>;

/// The tasks of one kind that are under way.
#[derive(Default)]
pub(crate) struct Flights {
    running: Running,
}

impl Flights {
    /// Joins the task of a link, or starts `work` as one. Says whether it was started.
    pub(crate) fn join<F>(&self, whose: Whose, work: impl FnOnce() -> F) -> (Flight, bool)
    where
        F: Future<Output = Result<(), Problem>> + Send + 'static,
    {
        let mut running = lock(&self.running);
        if let Some(flight) = running.get(&whose) {
            return (flight.clone(), false);
        }
        let over = Over {
            running: Arc::clone(&self.running),
            whose: whose.clone(),
        };
        let work = work();
        let task = tokio::spawn(async move {
            // Taken along, so that a panic ends the flight as well.
            let _over = over;
            work.await
        });
        let flight = task
            .map(|joined| joined.unwrap_or_else(|error| Err(cut_off(&error))))
            .boxed()
            .shared();
        running.insert(whose, flight.clone());
        (flight, true)
    }

    /// Waits until no task of this link is under way. What came of it is its callers' affair.
    pub(crate) async fn settle(&self, whose: &Whose) {
        let flight = lock(&self.running).get(whose).cloned();
        if let Some(flight) = flight {
            let _ = flight.await;
        }
    }

    /// Waits until the tasks that are under way now have ended.
    pub(crate) async fn settle_all(&self) {
        let flights: Vec<Flight> = lock(&self.running).values().cloned().collect();
        futures_util::future::join_all(flights).await;
    }
}

/// Takes a task out of the list when it ends, however it ends.
struct Over {
    running: Running,
    whose: Whose,
}

impl Drop for Over {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.whose);
    }
}

fn cut_off(error: &tokio::task::JoinError) -> Problem {
    if error.is_panic() {
        return Problem::new(
            Reason::Internal,
            "a defect of Bindery stopped this; the log says where; try again",
        );
    }
    Problem::new(Reason::ShuttingDown, "the daemon stops; try again")
}

/// Locks, whoever has panicked before: what is kept here is whole between two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
