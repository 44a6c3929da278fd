//! A hook that nothing comes from although refs change: its provider keeps it back, and says nothing of that. GitHub does so
//! where an organization has not approved the app (PROVIDERS §2).
//!
//! A delivery may be on its way while refs are compared, so the hook has a minute. It speaks again with its next delivery.
//!
//! The hook of an app serves many repositories, and is judged in the line of each: an installation that is suspended says nothing
//! while all others do. Where it brought nothing at all meanwhile, the app's hook itself is silent too.

use std::time::Duration;

use bindery_core::{
    hook::{Hook, HookState},
    name::HookId,
    problem::{Problem, Who},
    time::Timestamp,
};

use crate::{
    Engine,
    deliveries::PROOF_EVERY,
    flight::lock,
    hooks::{UNTOLD, untold},
};

/// How long a delivery may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

/// Of more changes at once some providers tell nothing (GitHub and GitLab: more than three tags), so they prove nothing.
const FEW: usize = 3;

/// When a hook was first missed, and the last sign of it before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    since: Timestamp,
    verified: Option<Timestamp>,
    /// The last delivery that came before.
    delivery: u64,
}

impl Doubt {
    /// Whether something came in the meantime.
    fn is_over(&self, hook: &Hook) -> bool {
        hook.verified > self.verified || hook.deliveries.1 > self.delivery
    }
}

impl Engine {
    /// Refs of a hook's repository changed, and no delivery told of it so far. Where a gap was known that is no wonder.
    pub(super) fn doubt(&self, before: &Hook, changed: usize, now: Timestamp) {
        if before.reconcile_due || !(1..=FEW).contains(&changed) {
            return;
        }
        let doubt = Doubt {
            since: now,
            verified: before.verified,
            delivery: before.deliveries.1,
        };
        lock(&self.comparisons().doubts).insert(before.id.clone(), doubt);
    }

    /// Says of a hook that it is silent where nothing came in the meantime.
    pub(super) async fn judge_silence(&self, id: &HookId, now: Timestamp) -> Result<(), Problem> {
        let doubt = lock(&self.comparisons().doubts).get(id).copied();
        let Some(doubt) = doubt.filter(|doubt| now.since(doubt.since) >= ON_ITS_WAY) else {
            return Ok(());
        };
        let Some(hook) = self.find_hook(id).await?.map(|entry| entry.record) else {
            lock(&self.comparisons().doubts).remove(id);
            return Ok(());
        };
        let app = match hook.by_app {
            true => self.app_hook(&hook.host).await?,
            false => None,
        };
        // What waits to be processed came in.
        let lines = app.iter().chain([&hook]);
        if lines
            .into_iter()
            .any(|one| self.deliveries().waits(&one.id))
        {
            return Ok(());
        }
        let judged = self.change_hook(id, |hook| {
            if !doubt.is_over(hook) {
                put_silent(hook, untold(hook), Who::User);
            }
        });
        let silent = judged.await?.is_some_and(|hook| !doubt.is_over(&hook));
        if let Some(app) = app.filter(|_| silent) {
            self.judge_app(&app, doubt).await?;
        }
        lock(&self.comparisons().doubts).remove(id);
        Ok(())
    }

    /// The hook of an app is silent where it brought nothing of any repository.
    async fn judge_app(&self, app: &Hook, doubt: Doubt) -> Result<(), Problem> {
        self.change_hook(&app.id, |app| {
            // Not each delivery is noted.
            let spoke = |at: Timestamp| at.after(PROOF_EVERY) > doubt.since;
            if !app.verified.is_some_and(spoke) {
                put_silent(app, UNTOLD, Who::HostOperator);
            }
        })
        .await
        .map(drop)
    }
}

/// Only of a hook that is right the silence says something.
fn put_silent(hook: &mut Hook, words: &str, who: Who) {
    let open = matches!(hook.state, HookState::Verified | HookState::Silent);
    if open && hook.step.is_none() {
        hook.state = HookState::Silent;
        words.clone_into(&mut hook.message);
        hook.who = Some(who);
    }
}
