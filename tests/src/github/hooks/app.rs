//! The hook of a GitHub App: one for all of its installations, which the app itself points somewhere
//!
//! It is kept among the hooks of repositories, as that of repository 0, which is none.

use bindery_twins::hooks::Hook;
use http::Method;
use serde_json::{Value, json};

use super::super::GitHub;
use super::super::Inner;
use super::super::api::Call;
use super::super::apps::{GitHubApp, Installation};
use super::super::reply::{Outcome, Reply};
use super::super::world::{Repo, World};
use super::super::{app_json, json};
use super::events::Event;
use super::{PAGE, apply_config, value};

/// The repository of hooks that belong to none
const NOWHERE: u64 = 0;
/// Where it is noted whose hook it is
const APP: &str = "github_app";

impl GitHub {
    /// Activates the webhook of an app in its settings, for these events, without an address
    ///
    /// # Errors
    ///
    /// When there is no such app.
    pub fn activate_app_hook(&self, app_id: u64, events: &[&str]) -> anyhow::Result<()> {
        let now = self.inner.now_ms();
        let mut world = self.inner.world();
        anyhow::ensure!(world.github_app(app_id).is_some(), "there is no such app");
        let mut hook = Hook::new(world.id(), NOWHERE, "", now);
        hook.events = events.iter().map(|&event| event.to_owned()).collect();
        hook.extra.insert(APP.to_owned(), app_id.into());
        world.hooks.plant(hook);
        Ok(())
    }

    /// The webhook of an app, with its secret
    #[must_use]
    pub fn app_hook(&self, app_id: u64) -> Option<Hook> {
        self.inner.world().app_hook(app_id).cloned()
    }
}

impl World {
    pub(in super::super) fn app_hook(&self, app_id: u64) -> Option<&Hook> {
        let mut all = self.hooks.of(NOWHERE);
        all.find(|hook| hook.extra.get(APP).and_then(Value::as_u64) == Some(app_id))
    }

    /// The hooks of apps that are told of a repository, each with the installation that covers it
    pub(super) fn app_hooks_of(&self, repo: &Repo) -> Vec<(Hook, u64)> {
        let alive = self.installations.iter();
        let alive = alive.filter(|one| one.suspended.is_none() && one.covers(repo));
        let told = alive.filter_map(|one| Some((self.app_hook(one.app)?.clone(), one.id)));
        told.filter(|(hook, _)| !hook.url.is_empty()).collect()
    }
}

impl Call<'_> {
    /// What an app asks about its own hook
    pub(in super::super) fn app_hook(&self, app: &GitHubApp, rest: &[&str]) -> Outcome {
        let hook = self.inner.world().app_hook(app.id).cloned();
        let hook = hook.ok_or_else(|| Reply::not_found(PAGE))?;
        match (self.method, rest) {
            (&Method::GET, ["config"]) => Ok(Reply::json(value::config(&hook))),
            (&Method::PATCH, ["config"]) => self.change_app_hook(hook),
            (_, ["deliveries", rest @ ..]) => {
                let url = format!("{}/app/hook", self.inner.api);
                let reply = self.deliveries_at(&url, &hook, rest);
                self.inner.deliver();
                reply
            }
            _ => Err(Reply::not_found(PAGE)),
        }
    }

    /// What is left out stays, unlike where a whole `config` is replaced
    fn change_app_hook(&self, mut hook: Hook) -> Outcome {
        apply_config(&mut hook, &self.json_body()?)?;
        hook.updated = self.inner.now_ms();
        let reply = Reply::json(value::config(&hook));
        self.inner.world().hooks.plant(hook);
        Ok(reply)
    }
}

impl Inner {
    /// Tells the hook of an app what became of one of its installations, asked for or not
    pub(in super::super) fn tell_of_installation(&self, one: &Installation, action: &'static str) {
        let mut world = self.world();
        let Some(hook) = world.app_hook(one.app).cloned() else {
            return;
        };
        if hook.url.is_empty() {
            return;
        }
        let payload = json!({
            "action": action,
            "installation": app_json::installation(self, &world, one),
            "repositories": [],
            "sender": json::account_of(self, &world, &one.account),
        });
        let event = Event {
            name: "installation",
            action: Some(action),
            payload,
        };
        let delivery = self.delivery(&hook, &event, &super::told::uuid());
        world.hooks.queue(delivery, self.now_ms());
        drop(world);
        self.deliver();
    }
}
