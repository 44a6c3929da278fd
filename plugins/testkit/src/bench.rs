//! A worker for the checks, replaced when a plugin killed it

use std::rc::Rc;

use anyhow::{Context as _, Result};
use bindery_host::manual::ManualWorker;

use crate::Subject;

/// Starts workers as they are needed.
pub(crate) struct Bench<'a> {
    subject: &'a Subject,
    worker: Rc<ManualWorker>,
}

impl<'a> Bench<'a> {
    pub(crate) async fn start(subject: &'a Subject) -> Result<Self> {
        let worker = Rc::new(start(subject).await?);
        Ok(Self { subject, worker })
    }

    /// A worker that is alive.
    pub(crate) async fn worker(&mut self) -> Result<Rc<ManualWorker>> {
        if !self.worker.is_alive() {
            self.worker = Rc::new(start(self.subject).await?);
        }
        Ok(Rc::clone(&self.worker))
    }
}

async fn start(subject: &Subject) -> Result<ManualWorker> {
    let started = ManualWorker::start(&subject.library, &subject.worker, subject.limits).await;
    started.context("the plugin can't be loaded")
}
