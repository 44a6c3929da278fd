//! What the daemon does by itself, for the audit log: refreshes, revocations, links that end or change their stage, new
//! secrets of webhooks; and, from the composition, new keys and the erasing of what was removed.
//!
//! What a caller asks for is in the log by the call. These deeds have the daemon as their actor, and are written when they are
//! over: nobody waits for one who could be told that it can't be written, so that is said in the daemon's own log.

use std::sync::{Arc, OnceLock};

use bindery_core::{
    audit::{Audit, Deed, Survives},
    link::{Link, Stage},
    problem::Problem,
    receipt::Outcome,
};

use crate::Engine;

/// Who does what nobody asked for.
const ACTOR: &str = "daemon";

/// The log, once there is one.
#[derive(Default)]
pub(crate) struct Log(OnceLock<Arc<dyn Audit>>);

/// A deed of the daemon that is over.
#[derive(Debug)]
pub struct Own {
    deed: Deed,
}

impl Own {
    /// `action` names the deed, such as `refresh-token`; `resource` what it was done to, empty for the whole daemon.
    #[must_use]
    pub fn new(action: &str, resource: String) -> Self {
        Self {
            deed: Deed {
                actor: ACTOR.to_owned(),
                action: format!("{ACTOR}/{action}"),
                resource,
                code: "OK".to_owned(),
                ..Deed::default()
            },
        }
    }

    /// A public fact: never a secret, nor a text that somebody outside writes.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.deed.facts.insert(name.to_owned(), value.into());
        self
    }

    /// The repository that it was about.
    #[must_use]
    pub(crate) fn about(mut self, repository: &str) -> Self {
        repository.clone_into(&mut self.deed.repository);
        self
    }

    /// How it ended.
    #[must_use]
    pub fn ended<T>(self, done: &Result<T, Problem>) -> Self {
        match done {
            Ok(_) => self,
            Err(problem) => self.failed(problem.reason.kind().code(), problem.reason.as_str()),
        }
    }

    /// How a step of an unlink ended.
    #[must_use]
    pub(crate) fn came_to(self, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done => self.with("outcome", "DONE"),
            Outcome::AlreadyAbsent => self.with("outcome", "ALREADY_ABSENT"),
            Outcome::Impossible { .. } => self
                .with("outcome", "IMPOSSIBLE")
                .failed("FAILED_PRECONDITION", ""),
            Outcome::Failed { reason } => {
                let reason = reason.clone();
                self.with("outcome", "FAILED")
                    .failed("FAILED_PRECONDITION", &reason)
            }
        }
    }

    fn failed(mut self, code: &str, reason: &str) -> Self {
        code.clone_into(&mut self.deed.code);
        reason.clone_into(&mut self.deed.reason);
        self
    }
}

impl Engine {
    /// The audit log of what is done by itself from now on. Call it before [`Engine::recover`]; a second one is not taken.
    pub fn keep_audit(&self, log: Arc<dyn Audit>) {
        // The first one stays.
        let _ = self.deeds().0.set(log);
    }

    /// Writes what was done.
    pub async fn did(&self, own: Own) {
        let Some(log) = self.deeds().0.get() else {
            return;
        };
        let action = own.deed.action.clone();
        if let Err(error) = log.record(own.deed, Survives::Daemon).await {
            tracing::error!(%error, action, "What the daemon did is not in the audit log");
        }
    }

    /// Writes that a link is at another stage than before.
    pub(crate) async fn moved(&self, before: &Link, now: &Link) {
        let (from, to) = (before.observed.stage, now.observed.stage);
        if from == to {
            return;
        }
        let own = Own::new("link-stage", now.resource())
            .with("from", from.as_str())
            .with("to", to.as_str());
        self.did(match to {
            Stage::NeedsReauthorization(cause) => own.with("cause", cause.as_str()),
            _ => own,
        })
        .await;
    }
}
