//! The one thread that writes: batches in, one wait for the disk, answers out.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use crate::embedded::engine::{Engine, guard};
use crate::embedded::state::State;
use crate::{Batch, StoreError};

/// A batch, and where its outcome goes.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<(), StoreError>>,
}

/// Takes what is queued as one group, so that many writers share one wait for the disk.
pub(super) struct Committer {
    engine: Arc<Engine>,
    state: Arc<State>,
    // Our own handle, opened before the first write: the kernel reports a failed write-back once to every handle, and
    // sled ignores what it is told.
    data: File,
    queue: mpsc::Receiver<Job>,
}

type Outcomes = Vec<Result<(), StoreError>>;

impl Committer {
    pub(super) const fn new(
        engine: Arc<Engine>,
        state: Arc<State>,
        data: File,
        queue: mpsc::Receiver<Job>,
    ) -> Self {
        Self {
            engine,
            state,
            data,
            queue,
        }
    }

    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        while let Some(first) = self.queue.blocking_recv() {
            let (group, outcomes) = self.handle_group(first);
            for (job, outcome) in group.into_iter().zip(outcomes) {
                // A caller that went away has its batch committed all the same.
                _ = job.answer.send(outcome);
            }
        }
    }

    fn handle_group(&mut self, first: Job) -> (Vec<Job>, Outcomes) {
        let engine = Arc::clone(&self.engine);
        let gate = engine.exclusive();
        let group = self.gather(first);
        if let Err(refused) = self.state.check() {
            let outcomes = group.iter().map(|_| Err(refused.clone())).collect();
            return (group, outcomes);
        }
        let applied = guard(|| self.apply(&group)).unwrap_or(Err(StoreError::Corrupt));
        drop(gate);
        let durable = applied.and_then(|outcomes| self.make_durable(&group, outcomes));
        let outcomes = durable.unwrap_or_else(|error| {
            self.state.fail_with(&error);
            group.iter().map(|_| Err(error.clone())).collect()
        });
        (group, outcomes)
    }

    fn gather(&mut self, first: Job) -> Vec<Job> {
        let mut group = vec![first];
        while group.len() < LARGEST_GROUP
            && let Ok(job) = self.queue.try_recv()
        {
            group.push(job);
        }
        group
    }

    /// Applies each batch for itself. An error that is not the batch's own ends the group.
    fn apply(&self, group: &[Job]) -> Result<Outcomes, StoreError> {
        let applied = group.iter().map(|job| match self.engine.apply(&job.batch) {
            Err(StoreError::Conflict { index }) => Ok(Err(StoreError::Conflict { index })),
            Err(fatal) => Err(fatal),
            Ok(()) => Ok(Ok(())),
        });
        applied.collect()
    }

    fn make_durable(&self, group: &[Job], outcomes: Outcomes) -> Result<Outcomes, StoreError> {
        let written = group.iter().zip(&outcomes);
        let written = written
            .filter(|(job, outcome)| outcome.is_ok() && job.batch.writes())
            .count();
        if written > 0 {
            guard(|| self.engine.flush()).unwrap_or(Err(StoreError::Corrupt))?;
            self.data.sync_data()?;
            self.state.syncs.fetch_add(1, Relaxed);
            self.state.batches.fetch_add(written as u64, Relaxed);
        }
        Ok(outcomes)
    }
}

/// Bounds how long one group keeps readers of pages and the first caller waiting.
const LARGEST_GROUP: usize = 256;
