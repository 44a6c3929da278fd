//! A hook that nothing comes from although refs change: its provider keeps it back, and says nothing of that. GitHub does so
//! where an organization has not approved the app (PROVIDERS §2).
//!
//! A delivery may be on its way while refs are compared, so the hook has a minute. It speaks again with its next delivery.

use std::time::Duration;

use bindery_core::{
    hook::{Hook, HookState},
    name::HookId,
    problem::{Problem, Who},
    time::Timestamp,
};

use crate::{Engine, flight::lock, hooks::UNTOLD};

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
        if before.reconcile_due || before.by_app || !(1..=FEW).contains(&changed) {
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
        self.change_hook(id, |hook| {
            let open = matches!(hook.state, HookState::Verified | HookState::Silent);
            if open && hook.step.is_none() && !doubt.is_over(hook) {
                hook.state = HookState::Silent;
                UNTOLD.clone_into(&mut hook.message);
                hook.who = Some(Who::User);
            }
        })
        .await?;
        lock(&self.comparisons().doubts).remove(id);
        Ok(())
    }
}
