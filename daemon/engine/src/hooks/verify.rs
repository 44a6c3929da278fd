//! Proof that a hook works: a ping that arrives. And its repair at once.

use std::time::Duration;

use bindery_core::{
    hook::{Hook, HookState, HookStep},
    name::HookId,
    problem::{Problem, Reason},
    provider::{Input, OperationKind},
    source::SourceName,
    time::Timestamp,
};
use futures_util::{future::select, pin_mut};

use super::{OVERLAP, Through, check::reaches, judge::Finding, settle::by_id};
use crate::{Engine, RequestKey, sources::SourceView};

/// How long a ping is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long is waited before the record is read again in any case.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Engine {
    /// Compares the hook of a source with what the provider has, asks for a ping where the provider can, and waits for it.
    /// What is wrong is in the hook's state.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what is in the way of looking: an unusable link, a host that is away.
    pub async fn verify_source(&self, name: &SourceName) -> Result<SourceView, Problem> {
        let source = self.source(name).await?.source.record;
        // What arrives from here on is proof, also of a ping that the repair asked for.
        let since = self.now();
        self.check_hook(&source.hook).await?;
        let Some(hook) = self.hook(&source.hook).await? else {
            return self.source(name).await;
        };
        if is_there(&hook.record) && self.ping(&hook.record).await? {
            self.await_proof(&source.hook, since).await?;
        }
        self.source(name).await
    }

    /// Puts the hook of a source right in place, or makes it where it is missing.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, the reasons of an unusable link, and what the provider says.
    pub async fn repair_source(
        &self,
        name: &SourceName,
        request: Option<&RequestKey>,
    ) -> Result<SourceView, Problem> {
        let source = self.source(name).await?.source.record;
        if self.recall(request).await?.is_some() {
            return self.source(name).await;
        }
        let engine = self.clone();
        let (id, resource) = (source.hook.clone(), name.to_string());
        let remember = self.remember(request, &resource).await?;
        // A caller that goes away must not leave it half done.
        let repaired = tokio::spawn(async move {
            engine.repair_hook(&id).await?;
            engine.ping_quietly(&id).await
        });
        repaired.await.map_err(|_| stopped())??;
        if let Some(remember) = remember {
            // The same request at the same time did the same.
            let _ = self.commit(vec![remember]).await;
        }
        self.source(name).await
    }

    async fn repair_hook(&self, id: &HookId) -> Result<(), Problem> {
        let Some(entry) = self.find_hook(id).await? else {
            return Ok(());
        };
        let (host, repository) = (&entry.record.host, &entry.record.repository);
        let _alone = self.hooks().place(host, repository).await;
        if entry.record.by_app && entry.record.step.is_none() {
            return self.look_at_served(&entry.record).await;
        }
        self.change_hook(id, |hook| {
            if hook.step.is_none() {
                hook.step = Some(HookStep::Update);
            }
        })
        .await?;
        self.settle(id, OVERLAP).await
    }

    /// Asks the provider for a ping. Says whether one was sent.
    async fn ping(&self, hook: &Hook) -> Result<bool, Problem> {
        let description = self.hook_description(hook).await?;
        let able = description.operations.contains(&OperationKind::PingHook);
        if !able || hook.provider_id.is_empty() {
            return Ok(false);
        }
        let input = Input::PingHook {
            repository: by_id(hook),
            hook_id: hook.provider_id.clone(),
            url: self.hook_url(&hook.id),
        };
        match self.act(hook, Through::Sources, &input, None).await {
            // An edition of the server that can't.
            Err(problem) if problem.reason == Reason::ProviderUnsupported => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }

    /// Asks for a ping after a hook was put right. That none is to be had is no failure of what was done.
    pub(super) async fn ping_quietly(&self, id: &HookId) -> Result<(), Problem> {
        let Some(hook) = self.find_hook(id).await? else {
            return Ok(());
        };
        if is_there(&hook.record)
            && let Err(problem) = self.ping(&hook.record).await
        {
            tracing::debug!(hook.id = %id, error = %problem, "No ping was to be had");
        }
        Ok(())
    }

    /// Waits until a signed delivery arrives, one is rejected, or the time is over; then says what is so.
    async fn await_proof(&self, id: &HookId, since: Timestamp) -> Result<(), Problem> {
        let deadline = self.now().after(LONGEST_WAIT);
        let mut stirred = self.hooks().stirred.subscribe();
        loop {
            let Some(entry) = self.find_hook(id).await? else {
                return Ok(());
            };
            let (hook, now) = (entry.record, self.now());
            let after = |when: Option<Timestamp>| when.is_some_and(|when| when >= since);
            if after(hook.verified) {
                return Ok(());
            }
            if after(hook.last_rejection) || now >= deadline {
                return self.note_unproven(&hook, since).await;
            }
            let again = self
                .ports()
                .clock
                .sleep_until(deadline.min(now.after(LOOK_AGAIN)));
            let changed = stirred.changed();
            pin_mut!(changed);
            select(again, changed).await;
        }
    }

    async fn note_unproven(&self, hook: &Hook, since: Timestamp) -> Result<(), Problem> {
        let url = self.hook_url(&hook.id);
        let after = |when: Option<Timestamp>| when.is_some_and(|when| when >= since);
        self.change_hook(&hook.id, |hook| {
            let finding = if after(hook.verified) {
                return;
            } else if after(hook.last_rejection) {
                let message = "the ping arrived and was rejected, since its signature is not right; repair the source";
                Finding::new(HookState::Rejecting, message, Some(bindery_core::problem::Who::User))
            } else {
                let message = format!(
                    "a ping was asked for, and nothing arrived in time; see to it that the provider reaches {url}"
                );
                Finding::new(HookState::Silent, message, reaches())
            };
            finding.put_into(hook);
        })
        .await
        .map(drop)
    }
}

/// Whether a ping could come from it.
fn is_there(hook: &Hook) -> bool {
    let gone = matches!(hook.state, HookState::Missing | HookState::Forbidden);
    hook.step.is_none() && !gone
}

fn stopped() -> Problem {
    Problem::new(Reason::ShuttingDown, "the daemon stops; try again")
}
