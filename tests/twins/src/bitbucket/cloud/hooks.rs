//! Webhooks of a repository, and what they are told

use serde_json::{Map, Value, json};

use crate::{
    Twin as _,
    hooks::{Change, Commit, Delivery, Hook, Outgoing, Push, RefChange, Rules, Target, sign},
    http::{Request, Response, text, truth},
    time,
    world::{Repository, Role},
};

use super::{
    Cloud,
    access::{Caller, Needs},
    reply, uuid,
};

/// Commits that a change names at most; it says so where there are more
const COMMITS: usize = 5;
/// Changes that a delivery names at most, and it does not say so
const CHANGES: usize = 100;
/// A secret may not be longer
const SECRET: usize = 128;

/// Three attempts; bodies over 256 KB are not sent, and nobody is told
pub(super) fn rules() -> Rules {
    Rules {
        attempts: 3,
        retry_ms: 60_000,
        payload_limit: 256 * 1024,
        ..Rules::default()
    }
}

impl Cloud {
    /// `hooks` and what is below it
    pub(super) fn hooks(
        &mut self,
        caller: &Caller,
        request: &Request,
        (slug, name): (&str, &str),
        rest: &[&str],
        now_ms: u64,
    ) -> Result<Response, Response> {
        caller.needs(match request.method.as_str() {
            "GET" => Needs::HookRead,
            "DELETE" => Needs::HookDelete,
            _ => Needs::HookWrite,
        })?;
        let found = self.visible(caller, slug, name)?;
        let (repository, role) = (found.id, self.state.world.role(caller.person, found));
        if role < Some(Role::Admin) || self.state.hooks.forbidden {
            let text = "Your credentials lack one or more required privilege scopes.";
            return Err(reply::error(403, text));
        }
        let named = |id: &&str| {
            let mut hooks = self.state.hooks.of(repository);
            hooks.find(|hook| uuid(hook.id) == **id).cloned()
        };
        let hook = rest.first().and_then(named);
        match (request.method.as_str(), rest, hook) {
            ("GET", [], _) => {
                let hooks = self.state.hooks.of(repository);
                let all: Vec<_> = hooks.map(|hook| self.hook_value(hook)).collect();
                Ok(reply::page(&self.web, request, &all))
            }
            ("POST", [], _) => {
                let id = self.state.world.id();
                let mut hook = Hook::new(id, repository, "", now_ms);
                hook.creator = caller.person;
                fill(caller, &mut hook, &request.object())?;
                let value = self.hook_value(&hook);
                let own = value["links"]["self"]["href"].as_str().unwrap_or_default();
                let answer = Response::json(201, &value).with("location", own);
                self.state.hooks.create(hook);
                Ok(answer)
            }
            ("GET", [_], Some(hook)) => Ok(Response::json(200, &self.hook_value(&hook))),
            ("PUT", [_], Some(mut hook)) => {
                fill(caller, &mut hook, &request.object())?;
                hook.updated = now_ms;
                let answer = Response::json(200, &self.hook_value(&hook));
                self.state.hooks.plant(hook);
                Ok(answer)
            }
            ("DELETE", [_], Some(hook)) => {
                self.state.hooks.remove(hook.id);
                Ok(Response::empty(204))
            }
            _ => Err(self.not_found()),
        }
    }

    /// That there is a secret, and never which
    fn hook_value(&self, hook: &Hook) -> Value {
        let world = &self.state.world;
        let found = world.repositories.get(&hook.repository);
        let path = found
            .map(|found| world.full_path(found))
            .unwrap_or_default();
        let id = uuid(hook.id).replace('{', "%7B").replace('}', "%7D");
        let own = format!("{}/repositories/{path}", self.api());
        json!({
            "type": "webhook_subscription",
            "uuid": uuid(hook.id),
            "url": hook.url,
            "description": hook.text("description"),
            "subject_type": "repository",
            "subject": found.map(|found| self.told_repository(found)),
            "active": hook.active,
            "created_at": time::rfc3339(hook.created),
            "events": hook.events,
            "secret_set": hook.secret.is_some(),
            "skip_cert_verification": !hook.verifies_tls,
            "read_only": false,
            "source": null,
            "links": {"self": {"href": format!("{own}/hooks/{id}")}},
        })
    }

    /// All of a push in one delivery
    pub(super) fn tell(&mut self, change: &Change, now_ms: u64) {
        let Some((event, body)) = self.told(change) else {
            return;
        };
        let hooks: Vec<_> = self.state.hooks.of(change.repository()).cloned().collect();
        for hook in hooks.iter().filter(|hook| hook.wants(event)) {
            let guid = self.state.mint.uuid();
            let mut request = Outgoing::payload(&hook.url, false, &body).with([
                ("User-Agent", "Bitbucket-Webhooks/2.0".to_owned()),
                ("X-Event-Key", event.to_owned()),
                (
                    "X-Hook-UUID",
                    uuid(hook.id).trim_matches(['{', '}']).to_owned(),
                ),
                ("X-Request-UUID", guid.clone()),
                ("X-Attempt-Number", "1".to_owned()),
            ]);
            if let Some(secret) = &hook.secret {
                let signature = sign::sha256_hex(secret, body.as_bytes());
                request = request.with([("X-Hub-Signature", format!("sha256={signature}"))]);
            }
            let of = (hook.id, hook.repository);
            let delivery = Delivery::first(of, event.to_owned(), guid, request);
            self.state.hooks.queue(delivery, now_ms);
        }
    }

    fn told(&self, change: &Change) -> Option<(&'static str, String)> {
        let found = self.state.world.repositories.get(&change.repository())?;
        let former = found.former.last().cloned().unwrap_or_default();
        let (event, by, more) = match change {
            Change::Push(push) => ("repo:push", push.by, self.push_value(found, push)),
            Change::Renamed { by, .. } => {
                let path = self.state.world.full_path(found);
                let old = former.rsplit('/').next().unwrap_or_default();
                let changes = json!({
                    "name": {"old": old, "new": found.path},
                    "full_name": {"old": former, "new": path},
                });
                ("repo:updated", *by, json!({"changes": changes}))
            }
            Change::Transferred { by, .. } => {
                let old = former.split('/').next().unwrap_or_default();
                (
                    "repo:transfer",
                    *by,
                    json!({"previousOwner": {"username": old}}),
                )
            }
            Change::Deleted { by, .. } => ("repo:deleted", *by, json!({})),
        };
        let mut body = more;
        body["repository"] = self.told_repository(found);
        body["actor"] = self.user_value(self.state.world.people.get(&by)?);
        Some((event, body.to_string()))
    }

    fn told_repository(&self, found: &Repository) -> Value {
        let path = self.state.world.full_path(found);
        let keeper = self.state.world.keeper(found);
        let owner = keeper.and_then(|id| self.state.world.people.get(&id));
        json!({
            "type": "repository", "uuid": uuid(found.id), "name": found.name, "full_name": path,
            "scm": "git", "website": "", "is_private": found.private,
            "owner": owner.map(|owner| self.user_value(owner)),
            "links": {
                "self": {"href": format!("{}/repositories/{path}", self.api())},
                "html": {"href": format!("{}/{path}", self.web)},
                "avatar": {"href": format!("{}/avatar/{path}", self.web)},
            },
        })
    }

    fn push_value(&self, found: &Repository, push: &Push) -> Value {
        let changes = push.refs.iter().take(CHANGES);
        let changes: Vec<_> = changes
            .map(|one| self.change_value(found, push, one))
            .collect();
        json!({"push": {"changes": changes}})
    }

    fn change_value(&self, found: &Repository, push: &Push, one: &RefChange) -> Value {
        let api = format!(
            "{}/repositories/{}",
            self.api(),
            self.state.world.full_path(found)
        );
        let side = |target: &Option<Target>| {
            let target = target.as_ref()?;
            Some(self.side_value(found, push, one, target))
        };
        let newest = one.commits.iter().rev().take(COMMITS);
        let commits: Vec<_> = newest
            .map(|one| self.commit_value(found, push, one))
            .collect();
        json!({
            "old": side(&one.before), "new": side(&one.after),
            "created": one.before.is_none(), "closed": one.after.is_none(),
            "forced": one.forced, "truncated": one.commits.len() > COMMITS, "commits": commits,
            "links": {
                "commits": {"href": format!("{api}/commits?include={}", one.after())},
                "html": {"href": format!("{api}/branches/compare/{}..{}", one.after(), one.before())},
                "diff": {"href": format!("{api}/diff/{}..{}", one.after(), one.before())},
            },
        })
    }

    /// What was or is there; the hash is the commit's, of an annotated tag as well
    fn side_value(&self, found: &Repository, push: &Push, one: &RefChange, at: &Target) -> Value {
        let api = format!(
            "{}/repositories/{}",
            self.api(),
            self.state.world.full_path(found)
        );
        let told = one.commits.iter().find(|commit| commit.id == at.commit);
        let commit = told.cloned().unwrap_or_else(|| Commit {
            id: at.commit.clone(),
            ..Commit::default()
        });
        let (kind, list) = match one.is_tag() {
            true => ("tag", "tags"),
            false => ("branch", "branches"),
        };
        let mut value = json!({
            "type": kind, "name": one.short(), "target": self.commit_value(found, push, &commit),
            "links": {
                "commits": {"href": format!("{api}/commits/{}", one.short())},
                "self": {"href": format!("{api}/refs/{list}/{}", one.short())},
                "html": {"href": format!("{}/commits/{kind}/{}", self.web, one.short())},
            },
        });
        if one.is_tag() {
            for name in ["tagger", "date", "message"] {
                value[name] = Value::Null;
            }
        }
        value
    }

    fn commit_value(&self, found: &Repository, push: &Push, commit: &Commit) -> Value {
        let path = self.state.world.full_path(found);
        let own = format!("{}/repositories/{path}/commit/{}", self.api(), commit.id);
        let link = |rest: &str| json!({"href": format!("{own}{rest}")});
        let user = self
            .state
            .world
            .people
            .get(&push.by)
            .map(|one| self.user_value(one));
        let parents: Vec<_> = Some(&commit.parent)
            .filter(|parent| !parent.is_empty())
            .map(|parent| {
                json!({"type": "commit", "hash": parent, "links": {
                    "self": link(""), "html": link(""),
                }})
            })
            .into_iter()
            .collect();
        json!({
            "type": "commit", "hash": commit.id, "message": commit.message,
            "date": time::rfc3339(commit.at_ms), "parents": parents,
            "author": {
                "type": "author", "raw": format!("{} <{}>", commit.author, commit.email),
                "user": user,
            },
            "summary": {
                "type": "rendered", "raw": commit.message, "markup": "markdown",
                "html": format!("<p>{}</p>", commit.message),
            },
            "links": {
                "self": link(""), "html": link(""), "comments": link("/comments"),
                "patch": link("/patch"), "diff": link("/diff"), "approve": link("/approve"),
                "statuses": link("/statuses"),
            },
        })
    }
}

/// What is not named stays; a secret that is `null` or empty goes
fn fill(caller: &Caller, hook: &mut Hook, body: &Map<String, Value>) -> Result<(), Response> {
    if let Some(url) = text(body, "url") {
        url.clone_into(&mut hook.url);
    }
    if let Some(events) = body.get("events").and_then(Value::as_array) {
        let named = events.iter().filter_map(Value::as_str);
        hook.events = named.map(str::to_owned).collect();
    }
    if hook.url.is_empty() || hook.events.is_empty() {
        return Err(reply::error(400, "Bad request"));
    }
    for event in &hook.events {
        caller.needs(match event.split(':').next() {
            Some("repo") => Needs::Read,
            Some("pullrequest") => Needs::PullRequests,
            Some("issue") => Needs::Issues,
            _ => return Err(reply::error(400, "Bad request")),
        })?;
    }
    if let Some(secret) = body.get("secret") {
        let secret = secret.as_str().filter(|secret| !secret.is_empty());
        if secret.is_some_and(|secret| secret.len() > SECRET) {
            return Err(reply::error(400, "Bad request"));
        }
        hook.secret = secret.map(str::to_owned);
    }
    if let Some(description) = body.get("description") {
        let name = "description".to_owned();
        hook.extra.insert(name, description.clone());
    }
    hook.active = truth(body, "active").unwrap_or(hook.active);
    let skips = truth(body, "skip_cert_verification");
    hook.verifies_tls = skips.map_or(hook.verifies_tls, |skips| !skips);
    Ok(())
}
