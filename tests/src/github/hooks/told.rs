//! From a change to deliveries, and from deliveries to the wire

use std::sync::Arc;

use bindery_twins::hooks::{Change, Delivery, Hook, Outgoing, Push, RefChange, Target, sign};

use super::super::Inner;
use super::super::mint;
use super::super::world::{Repo, World};
use super::changes::responsible;
use super::events::{Event, events};
use super::payload;
use crate::courier::Courier;

impl Inner {
    /// Milliseconds since 1970 on the stand-in's own clock
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.now()).unwrap_or_default() * 1_000
    }

    /// Tells the hooks of a repository what happened to it
    pub(super) fn announce(&self, repo: &Repo, change: &Change) {
        for event in events(self, repo, change) {
            self.tell(repo, &event);
        }
    }

    fn tell(&self, repo: &Repo, event: &Event) {
        let mut world = self.world();
        // One name for all hooks that hear of it.
        let guid = uuid();
        let hooks: Vec<_> = world.hooks.of(repo.id).cloned().collect();
        let told = hooks
            .iter()
            .filter(|hook| hook.wants(event.name) || hook.wants("*"));
        for hook in told
            .filter(|hook| !is_silenced(&world, repo, hook))
            .collect::<Vec<_>>()
        {
            let delivery = self.delivery(hook, event, &guid);
            world.hooks.queue(delivery, self.now_ms());
        }
        self.tell_apps(&mut world, repo, event);
    }

    /// Tells the hooks of apps that are installed on a repository, each by which installation
    fn tell_apps(&self, world: &mut World, repo: &Repo, event: &Event) {
        for (hook, installation) in world.app_hooks_of(repo) {
            if !hook.wants(event.name) {
                continue;
            }
            let mut payload = event.payload.clone();
            payload["installation"] = serde_json::json!({"id": installation});
            let event = Event {
                name: event.name,
                action: event.action,
                payload,
            };
            let delivery = self.delivery(&hook, &event, &uuid());
            world.hooks.queue(delivery, self.now_ms());
        }
    }

    /// What a hook hears as it is made, and whenever somebody asks for it
    pub(super) fn ping(&self, repo: &Repo, hook: &Hook) {
        let event = Event {
            name: "ping",
            action: None,
            payload: payload::ping(self, &self.world(), repo, hook),
        };
        let mut delivery = self.delivery(hook, &event, &uuid());
        delivery.forced = true;
        self.world().hooks.queue(delivery, self.now_ms());
    }

    /// The latest push once more, if there is one and the hook is for pushes
    pub(super) fn test_hook(&self, repo: &Repo, hook: &Hook) {
        let main = self.main_branch(repo);
        let Some(main) = main.filter(|_| hook.wants("push") || hook.wants("*")) else {
            return;
        };
        let push = Change::Push(Push {
            repository: repo.id,
            by: hook.creator,
            refs: vec![main],
        });
        let told = events(self, repo, &push).into_iter();
        for event in told.filter(|event| event.name == "push") {
            let delivery = self.delivery(hook, &event, &uuid());
            self.world().hooks.queue(delivery, self.now_ms());
        }
    }

    fn main_branch(&self, repo: &Repo) -> Option<RefChange> {
        let refs = self.repositories.all_refs(repo.id).ok()?;
        let main = refs
            .into_iter()
            .find(|found| found.name == "refs/heads/main")?;
        let mut change = RefChange::created(&main.name, Target::commit(&main.commit));
        let commit = self.repositories.commit_of(repo.id, &main.commit).ok()?;
        change.before = commit
            .as_ref()
            .filter(|commit| !commit.parent.is_empty())
            .map(|commit| Target::commit(&commit.parent));
        change.commits.extend(commit);
        Some(change)
    }

    /// The same under the same name, signed with the secret of now
    pub(super) fn redeliver(&self, hook: &Hook, old: &Delivery) {
        let name = old.event.as_str();
        let body = super::value::payload(&old.request).to_string();
        let mut again = Delivery {
            redelivery: true,
            forced: true,
            request: self.request(hook, name, &old.guid, &body),
            ..old.clone()
        };
        again.due_ms = 0;
        self.world().hooks.queue(again, self.now_ms());
    }

    pub(super) fn delivery(&self, hook: &Hook, event: &Event, guid: &str) -> Delivery {
        let body = event.payload.to_string();
        let request = self.request(hook, event.name, guid, &body);
        let of = (hook.id, hook.repository);
        let mut delivery = Delivery::first(of, event.name.to_owned(), guid.to_owned(), request);
        delivery.action = event.action.map(str::to_owned);
        delivery
    }

    /// What is signed is the body as it is sent, also where it is a form
    fn request(&self, hook: &Hook, event: &str, guid: &str, body: &str) -> Outgoing {
        let request = Outgoing::payload(&hook.url, hook.form, body);
        let mut headers = vec![
            ("User-Agent", "GitHub-Hookshot/5d1c9a2".to_owned()),
            ("Accept", "*/*".to_owned()),
            ("X-GitHub-Delivery", guid.to_owned()),
            ("X-GitHub-Event", event.to_owned()),
            ("X-GitHub-Hook-ID", hook.id.to_string()),
            (
                "X-GitHub-Hook-Installation-Target-ID",
                hook.repository.to_string(),
            ),
            (
                "X-GitHub-Hook-Installation-Target-Type",
                "repository".to_owned(),
            ),
        ];
        if let Some(secret) = &hook.secret {
            let (one, two) = (
                sign::sha1_hex(secret, &request.body),
                sign::sha256_hex(secret, &request.body),
            );
            headers.push(("X-Hub-Signature", format!("sha1={one}")));
            headers.push(("X-Hub-Signature-256", format!("sha256={two}")));
        }
        if self.options.api == super::super::ApiPlace::Enterprise {
            headers.push(("X-GitHub-Enterprise-Version", "3.20.0".to_owned()));
            headers.push(("X-GitHub-Enterprise-Host", self.options.host.clone()));
        }
        request.with(headers)
    }

    /// As [`Inner::pushed`], by somebody who may do anything with the repository
    pub(in super::super) fn pushed_by_owner(&self, repo: u64) -> anyhow::Result<()> {
        self.pushed(repo, None)
    }

    /// Notes what git has for branches and tags, and tells nobody
    pub(in super::super) fn note_refs(&self, repo: u64) -> anyhow::Result<()> {
        let refs = self.repositories.all_refs(repo)?;
        let refs = refs.into_iter().map(crate::repositories::known).collect();
        self.world().refs.insert(repo, refs);
        Ok(())
    }

    /// Tells hooks what git says that has changed in a repository since it was last looked at
    pub(in super::super) fn pushed(&self, repo: u64, by: Option<&str>) -> anyhow::Result<()> {
        let (found, by, old, new) = {
            let mut world = self.world();
            let refs = self.repositories.all_refs(repo)?;
            let new: Vec<_> = refs.into_iter().map(crate::repositories::known).collect();
            let old = world.refs.insert(repo, new.clone()).unwrap_or_default();
            let found = world.repos.iter().find(|known| known.id == repo).cloned();
            let by = by.and_then(|by| world.user(by)).map(|user| user.id);
            let owner = || found.as_ref().map_or(0, |repo| responsible(&world, repo));
            let by = by.unwrap_or_else(owner);
            (found, by, old, new)
        };
        let refs = self.repositories.changes(repo, &old, &new)?;
        let Some(found) = found.filter(|_| !refs.is_empty()) else {
            return Ok(());
        };
        let push = Push {
            repository: repo,
            by,
            refs,
        };
        self.announce(&found, &Change::Push(push));
        self.deliver();
        Ok(())
    }

    /// Sends what waits, where there is a runtime to send it in; it waits on where there is none
    pub(in super::super) fn deliver(&self) {
        if !Courier::is_able() {
            return;
        }
        let now = self.now_ms();
        let batch = self.world().hooks.due(now);
        let Some(this) = self.me.upgrade() else {
            return;
        };
        let settle = move |delivery, outcome| {
            let now = this.now_ms();
            this.world().hooks.settle(delivery, outcome, now);
        };
        Arc::clone(&self.courier).carry(batch, settle);
    }
}

/// For an organization that has not let the app in, hooks of private repositories that the app made say nothing
fn is_silenced(world: &World, repo: &Repo, hook: &Hook) -> bool {
    let app = hook.text("app");
    let org = world.org(&repo.owner);
    let closed = org.is_some_and(|org| org.restricted && !org.approved.contains(app));
    repo.private && closed && !app.is_empty()
}

pub(super) fn uuid() -> String {
    let letters = mint::random(32);
    let digest = ring::digest::digest(&ring::digest::SHA256, letters.as_bytes());
    let hex = data_encoding::HEXLOWER.encode(&digest.as_ref()[..16]);
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..],
    );
    format!("{a}-{b}-4{c}-8{d}-{e}")
}
