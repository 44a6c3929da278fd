//! Hooks are looked at by themselves, each at an interval, and sooner where something is under way. What the requests cost
//! goes through the budget of the host.

use std::time::Duration;

use bindery_core::{hook::Hook, name::HookId, port::Listing, problem::Problem, time::Timestamp};
use futures_util::{FutureExt, future::select, pin_mut};

use super::{as_hook, is_known_gone, repository::BETWEEN_LOOKS};
use crate::{Engine, sha256};

/// What was left under way is tried again after this.
const SOONER: Duration = Duration::from_secs(120);

/// What could not be looked at, since a link is disabled or a host away, is looked at again after this.
const AGAIN: Duration = Duration::from_secs(600);

/// How long is slept at most: clocks jump.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl Engine {
    /// Puts a hook that was written into the schedule.
    pub(super) fn schedule_hook(&self, hook: &Hook) {
        let next = next_look(hook, self.hook_check_interval(), self.now());
        self.hooks().schedule.set(hook.id.clone(), next);
    }

    /// Looks at hooks until the future is dropped.
    pub(crate) async fn check_hooks_forever(&self) {
        while let Err(problem) = self.schedule_hooks().await {
            tracing::warn!(reason = problem.reason.as_str(), error = %problem, "Webhooks could not be read; it is tried again");
            let again = self.now().after(LONGEST_SLEEP);
            self.ports().clock.sleep_until(again).await;
        }
        loop {
            self.check_hooks_due().await;
            let latest = self.now().after(LONGEST_SLEEP);
            let schedule = &self.hooks().schedule;
            let next = schedule.first().map_or(latest, |first| first.min(latest));
            let (sleep, changed) = (self.ports().clock.sleep_until(next), schedule.changed());
            pin_mut!(sleep, changed);
            select(sleep, changed).await;
        }
    }

    /// Reads from the store when each hook is to be looked at.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn schedule_hooks(&self) -> Result<(), Problem> {
        self.keep_app_hooks().await?;
        let mut after = None;
        loop {
            let page = self
                .list(&Listing::Hooks, after.as_deref(), 256, as_hook)
                .await?;
            for entry in page.items {
                self.schedule_hook(&entry.record);
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Starts to look at the hooks that are due, as far as there are places. Does not wait for what comes of it.
    pub async fn check_hooks_due(&self) {
        for id in self.hooks().schedule.take_due(self.now()) {
            if let Err(later) = self.start_look(&id).await {
                self.hooks().schedule.set(id, Some(later));
            }
        }
    }

    async fn start_look(&self, id: &HookId) -> Result<(), Timestamp> {
        let now = self.now();
        let hook = match self.find_hook(id).await {
            Ok(Some(hook)) => hook.record,
            Ok(None) => return Ok(()),
            Err(_) => return Err(now.after(LONGEST_SLEEP)),
        };
        self.hooks().schedule.take_place(&hook.host, now)?;
        let engine = self.clone();
        tokio::spawn(async move {
            let look = engine.check_hook(&hook.id);
            let outcome = std::panic::AssertUnwindSafe(look).catch_unwind().await;
            engine.hooks().schedule.leave_place(&hook.host);
            if !matches!(outcome, Ok(Ok(()))) {
                let wait = if hook.step.is_some() { SOONER } else { AGAIN };
                let next = engine.now().after(wait);
                engine.hooks().schedule.set(hook.id, Some(next));
            }
        });
        Ok(())
    }
}

/// An interval after the last look, less up to a tenth of it, which is each hook's own; soon for one that something is under
/// way for, and for one whose repository the provider did not know; at once for one that was never looked at, or that a delivery
/// hints at.
fn next_look(hook: &Hook, interval: Duration, now: Timestamp) -> Option<Timestamp> {
    if hook.step.is_some() {
        return Some(now.after(SOONER));
    }
    let Some(checked) = hook.checked else {
        return Some(now);
    };
    if hook.unknown_since.is_some() && !is_known_gone(hook) {
        return Some(checked.after(BETWEEN_LOOKS));
    }
    if interval.is_zero() {
        return None;
    }
    let own = u32::from(sha256(hook.id.as_str().as_bytes())[0]);
    let wait = interval - interval * own / 2550;
    Some(checked.after(wait))
}
