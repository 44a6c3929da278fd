//! When the refs of each hook's repository are compared: at the interval of its sources, and as soon as possible where a gap is
//! suspected.

use std::time::Duration;

use bindery_core::{hook::Hook, port::Listing, problem::Problem, time::Timestamp};
use futures_util::StreamExt;

use crate::{Engine, flight::lock, hooks::as_hook, sha256};

/// Time between two looks at which hooks are due.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);

/// A hook that could not be looked at is looked at again after this.
const AGAIN: Duration = Duration::from_secs(300);

/// Hooks that are caught up with at once.
const AT_ONCE: usize = 4;

impl Engine {
    /// Catches up with hooks until the future is dropped.
    pub(crate) async fn reconcile_forever(&self) {
        loop {
            if let Err(problem) = self.reconcile_due().await {
                tracing::warn!(reason = problem.reason.as_str(), error = %problem, "Refs could not be compared; it is tried again");
            }
            let next = self.now().after(BETWEEN_LOOKS);
            self.ports().clock.sleep_until(next).await;
        }
    }

    /// Catches up with the hooks that are due, and returns when that is done.
    ///
    /// # Errors
    ///
    /// What the vault says. A hook that can't be caught up with holds no other back.
    pub async fn reconcile_due(&self) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let page = self
                .list(&Listing::Hooks, after.as_deref(), 64, as_hook)
                .await?;
            let hooks = page.items.into_iter().map(|entry| entry.record);
            let work = hooks.map(|hook| self.reconcile_if_due(hook));
            futures_util::stream::iter(work)
                .buffer_unordered(AT_ONCE)
                .collect::<()>()
                .await;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn reconcile_if_due(&self, hook: Hook) {
        let now = self.now();
        if let Err(problem) = self.judge_silence(&hook.id, now).await {
            tracing::info!(hook.id = %hook.id, error = %problem, "That a webhook is silent could not be written down; it is tried again");
        }
        let held = lock(&self.comparisons().held).get(&hook.id).copied();
        if held.is_some_and(|until| now < until) || !self.is_due(&hook, now).await {
            return;
        }
        let outcome = self.reconcile_hook(&hook.id, None).await;
        let mut held = lock(&self.comparisons().held);
        match outcome {
            Ok(_) => drop(held.remove(&hook.id)),
            Err(problem) => {
                tracing::info!(hook.id = %hook.id, reason = problem.reason.as_str(), error = %problem, "Refs could not be compared");
                held.insert(hook.id, now.after(problem.retry_after.unwrap_or(AGAIN)));
            }
        }
    }

    /// Whether a hook's refs are to be compared now. One without a link in use waits until there is one.
    async fn is_due(&self, hook: &Hook, now: Timestamp) -> bool {
        let default = self.reconcile_interval();
        let mut intervals = Vec::new();
        if hook.is_app() {
            intervals.push(default);
        }
        let Ok(sources) = self.acting_sources(hook).await else {
            return false;
        };
        let own = sources
            .iter()
            .map(|source| source.reconcile.unwrap_or(default));
        intervals.extend(own);
        if intervals.is_empty() {
            return false;
        }
        // What a source missed is told to it now.
        if hook.reconcile_due || sources.iter().any(|source| source.behind.is_some()) {
            return true;
        }
        let shortest = intervals.into_iter().filter(|one| !one.is_zero()).min();
        shortest.is_some_and(|interval| {
            let own = u32::from(sha256(hook.id.as_str().as_bytes())[0]);
            // Up to a tenth sooner, each by its own: hooks that were made together are not asked about together for ever.
            let interval = interval - interval * own / 2550;
            now.since(hook.reconciled.unwrap_or(hook.created)) >= interval
        })
    }
}
