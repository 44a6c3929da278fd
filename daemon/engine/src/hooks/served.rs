//! Repositories that need no hook of their own: the app's hook of their host serves them, as long as it works and a link of an
//! installation uses them.

use bindery_core::{
    hook::{Hook, HookState, HookStep},
    link::Link,
    name::HostName,
    problem::Problem,
    provider::AuthKind,
};

use super::{OVERLAP, act::links, judge::is_untold};
use crate::Engine;

/// What is said of a repository that the app's hook serves.
pub(crate) const SERVED: &str = "deliveries come through the webhook of the host's app";

impl Engine {
    /// The state of the app's hook of a host where it serves repositories; `None` where it does not.
    pub(crate) async fn app_serves(&self, host: &HostName) -> Result<Option<HookState>, Problem> {
        let hook = self.app_hook(host).await?;
        let works = |hook: &Hook| {
            let right = matches!(hook.state, HookState::Verified | HookState::Silent);
            right && hook.step.is_none() && hook.checked.is_some()
        };
        Ok(hook.filter(works).map(|hook| hook.state))
    }

    /// The state in which the app's hook serves the repository of a hook.
    async fn served(&self, hook: &Hook) -> Result<Option<HookState>, Problem> {
        for (namespace, id) in links(hook) {
            let link = self.find_link(namespace, id).await?;
            if link.is_some_and(|link| is_installed(&link.record) && link.record.usable().is_ok()) {
                return self.app_serves(&hook.host).await;
            }
        }
        Ok(None)
    }

    /// Notes of a repository without a hook that the app's serves it, if it does. Says whether.
    pub(super) async fn serve(&self, hook: &Hook) -> Result<bool, Problem> {
        let Some(state) = self.served(hook).await? else {
            return Ok(false);
        };
        let now = self.now();
        self.change_hook(&hook.id, |hook| {
            put_served(hook, state);
            hook.checked = Some(now);
        })
        .await?;
        Ok(true)
    }

    /// Whether the repository is still served; if not, it gets a hook of its own. One that is left of the time before goes, or
    /// is taken over.
    pub(super) async fn look_at_served(&self, hook: &Hook) -> Result<(), Problem> {
        if hook.has_own() && self.served(hook).await?.is_some() {
            return self.take_own_away(hook).await;
        }
        if self.serve(hook).await? {
            return Ok(());
        }
        self.change_hook(&hook.id, |hook| {
            hook.step = Some(HookStep::Create);
            hook.state = HookState::Pending;
            "the app's webhook does not serve it any more; it gets one of its own"
                .clone_into(&mut hook.message);
        })
        .await?;
        self.settle(&hook.id, OVERLAP).await
    }
}

/// Whether a link is an installation of the host's app.
pub(crate) fn is_installed(link: &Link) -> bool {
    link.auth_kind == AuthKind::AppInstallation
}

/// The repository has no hook of its own.
pub(crate) fn put_served(hook: &mut Hook, state: HookState) {
    hook.by_app = true;
    hook.step = None;
    hook.provider_id.clear();
    hook.action_uri.clear();
    if is_untold(hook) {
        return;
    }
    hook.state = if hook.verified.is_some() {
        HookState::Verified
    } else {
        state
    };
    SERVED.clone_into(&mut hook.message);
    hook.who = None;
}
