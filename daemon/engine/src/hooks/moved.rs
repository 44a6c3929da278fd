//! From a repository's own hook to the app's: where both would tell of the same, the own one goes.
//!
//! The app's counts first, then the own one is taken away. Between the two both may tell of a change; known refs, and the last
//! change of the repository as a whole, make it one event. That a hook is on its way stands in its record: it is served by the
//! app's, and the provider's id of its own is still there.

use bindery_core::{
    hook::{Hook, HookState},
    port::Listing,
    problem::{Problem, Who},
    receipt::Outcome,
};

use super::{
    Gone, Through,
    act::links,
    as_hook,
    served::{SERVED, is_installed},
};
use crate::Engine;

impl Engine {
    /// The app's hook has proven that it works: repositories that could move to it are looked at now.
    pub(crate) async fn look_who_may_move(&self, app: &Hook) -> Result<(), Problem> {
        let all = self.list_all(&Listing::Hooks, as_hook).await?.into_iter();
        let own = all
            .map(|entry| entry.record)
            .filter(|hook| hook.host == app.host && !hook.is_app() && hook.has_own());
        for hook in own {
            if self.is_of_installations(&hook).await? {
                self.hooks().schedule.set(hook.id, Some(self.now()));
            }
        }
        Ok(())
    }

    /// Whether a repository with a hook of its own needs none any more: the app's has proven that it works, and only links of
    /// installations use the repository, which one of them has just seen.
    pub(super) async fn may_move(&self, hook: &Hook) -> Result<bool, Problem> {
        let proven = self.app_serves(&hook.host).await? == Some(HookState::Verified);
        Ok(proven && self.is_of_installations(hook).await?)
    }

    /// Whether all links that use a repository are installations, and one of them works.
    async fn is_of_installations(&self, hook: &Hook) -> Result<bool, Problem> {
        let mut works = false;
        for (namespace, id) in links(hook) {
            let Some(link) = self.find_link(namespace, id).await? else {
                continue;
            };
            if !is_installed(&link.record) {
                return Ok(false);
            }
            works |= link.record.usable().is_ok();
        }
        Ok(works)
    }

    /// Has the app's hook serve a repository, and takes its own away. The place must be held.
    pub(super) async fn move_to_app(&self, hook: &Hook) -> Result<(), Problem> {
        let moved = self
            .change_hook(&hook.id, |hook| {
                hook.by_app = true;
                // What the own one does not deliver any more.
                hook.reconcile_due = true;
            })
            .await?;
        match moved {
            Some(hook) => self.take_own_away(&hook).await,
            None => Ok(()),
        }
    }

    /// Takes away the own hook of a repository that the app's serves. What may pass is tried again by itself; what no link may
    /// do is said, with the page where a person does it.
    pub(super) async fn take_own_away(&self, hook: &Hook) -> Result<(), Problem> {
        match self.take_away(hook, Through::Sources).await? {
            Gone::Later(problem) => Err(problem),
            Gone::Over(Outcome::Done | Outcome::AlreadyAbsent, _) => self.note_moved(hook).await,
            Gone::Over(_, message) => self.note_stays(hook, &message).await,
        }
    }

    /// The receipt: every source is told, since the hook that it had is gone.
    async fn note_moved(&self, hook: &Hook) -> Result<(), Problem> {
        let now = self.now();
        self.change_hook(&hook.id, |hook| {
            hook.provider_id.clear();
            hook.action_uri.clear();
            hook.state = HookState::Verified;
            hook.message = format!("its own webhook was removed at the provider: {SERVED}");
            hook.who = None;
            hook.checked = Some(now);
        })
        .await
        .map(drop)
    }

    async fn note_stays(&self, hook: &Hook, message: &str) -> Result<(), Problem> {
        let now = self.now();
        self.change_hook(&hook.id, |hook| {
            hook.state = HookState::Verified;
            hook.message = format!("{SERVED}; {message}");
            hook.who = Some(Who::User);
            hook.checked = Some(now);
        })
        .await
        .map(drop)
    }
}
