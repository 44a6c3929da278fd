//! The course of the saga: step after step, each noted before the next.

use std::time::Duration;

use bindery_core::{
    link::Stage,
    name::{LinkId, NamespaceName},
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason},
    receipt::{Outcome, Receipt, StepKind},
    time::Timestamp,
};

use super::{PATIENCE, steps::left_behind};
use crate::{
    Engine, Versioned,
    deeds::Own,
    flight::{Flight, Whose, lock},
    records::{change, origins},
};

/// Bounds of the wait between two tries.
const BETWEEN_TRIES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));

impl Engine {
    /// Joins the saga of a link, or starts it.
    pub(super) fn saga(&self, namespace: &NamespaceName, id: &LinkId, force: bool) -> Flight {
        let whose = (namespace.clone(), id.clone());
        let (engine, own) = (self.clone(), whose.clone());
        let saga = self.sagas().join(whose, || async move {
            let outcome = engine.run_saga(&own.0, &own.1, force).await;
            engine.note_try(own, outcome.as_ref().err()).await;
            outcome
        });
        saga.0
    }

    /// When the sweep tries again: soon at first, then less and less often, and never before the provider allows it.
    async fn note_try(&self, whose: Whose, problem: Option<&Problem>) {
        let Some(problem) = problem else {
            lock(&self.unfinished().next_try).remove(&whose);
            return;
        };
        let now = self.now();
        let started = match self.receipt(&whose.0, &whose.1).await {
            Ok(receipt) => receipt.record.started,
            Err(_) => now,
        };
        let (least, most) = BETWEEN_TRIES;
        let wait = (now.since(started) / 4).clamp(least, most);
        let wait = wait.max(problem.retry_after.unwrap_or_default());
        let next = now.after(wait);
        self.note_retry(&whose, problem, next).await;
        lock(&self.unfinished().next_try).insert(whose, next);
    }

    /// The open receipt says why its next step waits, and until when.
    async fn note_retry(&self, whose: &Whose, problem: &Problem, next: Timestamp) {
        let Ok(Versioned {
            record: mut receipt,
            version,
        }) = self.receipt(&whose.0, &whose.1).await
        else {
            return;
        };
        let Some(step) = receipt.next_step() else {
            return;
        };
        receipt.postpone(step, problem.message.clone(), next);
        let key = Key::Receipt(whose.0.clone(), whose.1.clone());
        let put = Some(Record::Receipt(receipt));
        // It is told only; the saga itself does not hang on it.
        let _ = self
            .commit(vec![change(key, Expect::Version(version), put)])
            .await;
    }

    async fn run_saga(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        force: bool,
    ) -> Result<(), Problem> {
        loop {
            let Versioned {
                record: receipt,
                version,
            } = self.receipt(namespace, id).await?;
            let Some(step) = receipt.next_step() else {
                return Ok(());
            };
            let link = self.link(namespace, id).await?.record;
            let force = force || self.now().since(receipt.started) >= PATIENCE;
            let (outcome, message) = match self.step(step, &link, &receipt, force).await {
                Ok(ended) => ended,
                Err(problem) if force => left_behind(&problem),
                Err(problem) => {
                    self.note_wait(namespace, id, &problem).await?;
                    return Err(problem);
                }
            };
            match self
                .note_step(receipt, version, step, outcome, message)
                .await
            {
                // Somebody else has changed the link: each step can be done twice.
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                noted => noted?,
            }
        }
    }

    /// Notes a step. The last one erases the credentials in the same transaction.
    async fn note_step(
        &self,
        mut receipt: Receipt,
        version: u64,
        step: StepKind,
        outcome: Outcome,
        message: String,
    ) -> Result<(), Problem> {
        let link = format!("namespaces/{}/links/{}", receipt.namespace, receipt.link);
        let own = Own::new("unlink-step", link)
            .with("step", step.as_str())
            .came_to(&outcome);
        receipt.record(step, outcome, message, self.now());
        let (namespace, id) = (receipt.namespace.clone(), receipt.link.clone());
        let last = receipt.next_step().is_none();
        if last {
            receipt.finished = Some(self.now());
        }
        let put = change(
            Key::Receipt(namespace.clone(), id.clone()),
            Expect::Version(version),
            Some(Record::Receipt(receipt)),
        );
        if last {
            self.erase(&namespace, &id, put).await?;
        } else {
            self.commit(vec![put]).await?;
        }
        self.did(own).await;
        Ok(())
    }

    /// Writes the finished receipt and removes the credentials, together.
    async fn erase(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        receipt: Change,
    ) -> Result<(), Problem> {
        let Versioned {
            record: mut link,
            version,
        } = self.link(namespace, id).await?;
        let host = self.host(&link.host).await?.record;
        self.erase_lease_tokens(&link, &host).await?;
        let allowed = origins(&host)?;
        let grant = Key::Grant(namespace.clone(), id.clone(), host.name, allowed);
        let intent = Key::Intent(namespace.clone(), id.clone());
        self.forget_unsaved(namespace, id);
        let mut changes = vec![
            receipt,
            change(grant, Expect::Any, None),
            change(intent, Expect::Any, None),
        ];
        // What could not be revoked in time; the receipt says that something is left behind.
        for flow in self.finished_of(&link).await? {
            changes.extend(self.forget_flow(&flow).await?);
        }
        link.observe(
            Stage::Unlinked,
            "unlinked; the receipt says what was done",
            self.now(),
        );
        link.token_expires = None;
        link.refreshable = false;
        link.left_hooks.clear();
        self.put_link(link, Expect::Version(version), changes).await
    }

    async fn note_wait(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        problem: &Problem,
    ) -> Result<(), Problem> {
        self.change_link(namespace, id, |link| {
            link.observed.message = format!("unlinking waits: {}", problem.message);
            link.observed.action_uri.clone_from(&problem.action_uri);
            link.observed.who = problem.who;
            Ok(())
        })
        .await?;
        Ok(())
    }
}
