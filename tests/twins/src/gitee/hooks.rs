//! Webhooks of a repository, and what they are told
//!
//! Whoever lists them reads the password of each.

use serde_json::{Map, Value, json};

use crate::{
    Twin as _,
    caller::Caller,
    hooks::{Change, Commit, Delivery, Hook, Outgoing, Push, RefChange, Target, sign},
    http::{Request, Response, text, truth},
    time,
    world::{Repository, Role},
};

use super::{Gitee, error, needs, paging, values};

const EVENTS: [&str; 5] = [
    "push_events",
    "tag_push_events",
    "issues_events",
    "note_events",
    "merge_requests_events",
];
/// Commits that a delivery holds at most
const COMMITS: usize = 10;

impl Gitee {
    /// `hooks` and what is below it
    pub(super) fn hooks(
        &mut self,
        caller: &Caller,
        request: &Request,
        path: &str,
        rest: &[&str],
        now_ms: u64,
    ) -> Result<Response, Response> {
        needs(caller, "hook")?;
        let found = self.visible(caller, path)?;
        let (repository, role) = (found.id, self.state.world.role(caller.person, found));
        if role < Some(Role::Admin) || self.state.hooks.forbidden {
            return Err(error(403, "403 Forbidden"));
        }
        let id = rest.first().and_then(|id| id.parse().ok());
        let hook = id.and_then(|id| self.state.hooks.get(id));
        let hook = hook.filter(|hook| hook.repository == repository).cloned();
        match (request.method.as_str(), rest, hook) {
            ("GET", [], _) => {
                let hooks = self.state.hooks.of(repository);
                let all: Vec<_> = hooks.map(|hook| self.hook_value(hook)).collect();
                Ok(paging::page(request, &all))
            }
            ("POST", [], _) => {
                let id = self.state.world.id();
                let mut hook = Hook::new(id, repository, "", now_ms);
                hook.creator = caller.person;
                hook.events.insert("push_events".to_owned());
                self.fill(&mut hook, &request.object())?;
                let answer = Response::json(201, &self.hook_value(&hook));
                self.state.hooks.create(hook);
                Ok(answer)
            }
            ("GET", [_], Some(hook)) => Ok(Response::json(200, &self.hook_value(&hook))),
            ("PATCH", [_], Some(mut hook)) => {
                self.fill(&mut hook, &request.object())?;
                hook.updated = now_ms;
                let answer = Response::json(200, &self.hook_value(&hook));
                self.state.hooks.plant(hook);
                Ok(answer)
            }
            ("DELETE", [_], Some(hook)) => {
                self.state.hooks.remove(hook.id);
                Ok(Response::empty(204))
            }
            ("POST", [_, "tests"], Some(hook)) => {
                self.test_hook(caller, &hook, now_ms);
                Ok(Response::empty(204))
            }
            _ => Err(self.not_found()),
        }
    }

    fn fill(&self, hook: &mut Hook, fields: &Map<String, Value>) -> Result<(), Response> {
        if let Some(url) = text(fields, "url") {
            url.clone_into(&mut hook.url);
        }
        if hook.url.is_empty() {
            return Err(error(400, "url is missing"));
        }
        if fields.contains_key("password") {
            hook.secret = text(fields, "password").map(str::to_owned);
        }
        if let Some(signs) = truth(fields, "encryption_type") {
            let kind = u8::from(signs && self.signs_webhooks).into();
            hook.extra.insert("encryption_type".to_owned(), kind);
        }
        for event in EVENTS {
            match truth(fields, event) {
                Some(true) => hook.events.insert(event.to_owned()),
                Some(false) => hook.events.remove(event),
                None => false,
            };
        }
        Ok(())
    }

    fn hook_value(&self, hook: &Hook) -> Value {
        let number = |id: u64| match self.hook_ids_are_texts {
            true => Value::from(id.to_string()),
            false => Value::from(id),
        };
        let code = hook.last.and_then(crate::hooks::Outcome::status);
        let mut value = json!({
            "id": number(hook.id),
            "url": hook.url,
            "created_at": time::rfc3339(hook.created),
            "password": hook.secret.as_deref().unwrap_or_default(),
            "encryption_type": u8::from(signs(hook)),
            "project_id": number(hook.repository),
            "result": "",
            "result_code": code.unwrap_or_default(),
        });
        for event in EVENTS {
            value[event] = hook.wants(event).into();
        }
        value
    }

    pub(super) fn tell(&mut self, change: &Change, now_ms: u64) {
        let Change::Push(push) = change else { return };
        for one in &push.refs {
            let event = if one.is_tag() {
                "tag_push_events"
            } else {
                "push_events"
            };
            let hooks: Vec<_> = self.state.hooks.of(push.repository).cloned().collect();
            for hook in hooks.iter().filter(|hook| hook.wants(event)) {
                if let Some(delivery) = self.delivery(hook, push, one, now_ms) {
                    self.state.hooks.queue(delivery, now_ms);
                }
            }
        }
    }

    fn test_hook(&mut self, caller: &Caller, hook: &Hook, now_ms: u64) {
        let found = self.state.world.repositories.get(&hook.repository);
        let first = found.and_then(|found| found.refs.first());
        let Some(one) = first.map(|one| RefChange::created(&one.name, Target::of(one))) else {
            return;
        };
        let push = Push {
            repository: hook.repository,
            by: caller.person,
            refs: Vec::new(),
        };
        if let Some(mut delivery) = self.delivery(hook, &push, &one, now_ms) {
            delivery.forced = true;
            delivery.request = delivery.request.with([("X-Gitee-Ping", "true")]);
            self.state.hooks.queue(delivery, now_ms);
        }
    }

    /// Nothing of the body is covered by what proves that it is Gitee's
    fn delivery(
        &mut self,
        hook: &Hook,
        push: &Push,
        one: &RefChange,
        now_ms: u64,
    ) -> Option<Delivery> {
        let secret = hook.secret.clone().unwrap_or_default();
        let (token, password, signature) = match signs(hook) {
            true => {
                let signature = sign::gitee(&secret, now_ms);
                (signature.clone(), String::new(), signature)
            }
            false => (secret.clone(), secret, String::new()),
        };
        let mut told = self.payload(push, one)?;
        told["hook_id"] = hook.id.into();
        told["hook_url"] = format!("{}/hooks/{}/edit", self.web, hook.id).into();
        told["password"] = password.into();
        told["sign"] = signature.into();
        told["timestamp"] = now_ms.to_string().into();
        let event = if one.is_tag() {
            "Tag Push Hook"
        } else {
            "Push Hook"
        };
        let request = Outgoing::payload(&hook.url, false, &told.to_string()).with([
            ("User-Agent", "git-oschina-hook".to_owned()),
            ("X-Gitee-Event", event.to_owned()),
            ("X-Gitee-Token", token),
            ("X-Gitee-Timestamp", now_ms.to_string()),
        ]);
        let of = (hook.id, hook.repository);
        let guid = self.state.mint.uuid();
        Some(Delivery::first(of, event.to_owned(), guid, request))
    }

    fn payload(&self, push: &Push, one: &RefChange) -> Option<Value> {
        let world = &self.state.world;
        let found = world.repositories.get(&push.repository)?;
        let person = world.people.get(&push.by)?;
        let home = format!("{}/{}", self.web, world.full_path(found));
        let short = json!({
            "email": person.email, "id": person.id, "name": person.name, "username": person.login,
            "url": format!("{}/{}", self.web, person.login), "user_name": person.login,
        });
        let commits: Vec<_> = one.commits.iter().take(COMMITS).collect();
        let commits: Vec<_> = commits.iter().map(|one| commit_value(&home, one)).collect();
        let head = one.after.as_ref().map(|after| {
            let id = after.commit.clone();
            let told = one.commits.iter().find(|commit| commit.id == id);
            let commit = told.cloned().unwrap_or_else(|| Commit {
                id,
                ..Commit::default()
            });
            commit_value(&home, &commit)
        });
        let repository = self.told_repository(push.by, found, &home);
        let tag = one.is_tag();
        Some(json!({
            "hook_name": if tag { "tag_push_hooks" } else { "push_hooks" },
            "ref": one.name, "before": one.before(), "after": one.after(),
            "created": one.before.is_none(), "deleted": one.after.is_none(),
            "compare": format!("{home}/compare/{}...{}", one.before(), one.after()),
            "commits": (!tag).then_some(commits),
            "commits_more_than_ten": (!tag).then_some(one.commits.len() > COMMITS),
            "total_commits_count": (!tag).then_some(one.commits.len()),
            "head_commit": head, "project": repository, "repository": repository,
            "user_id": person.id, "user_name": person.login, "user": short, "pusher": short,
            "sender": values::person(&self.web, person), "push_data": null, "enterprise": null,
        }))
    }

    fn told_repository(&self, by: u64, found: &Repository, home: &str) -> Value {
        let mut value = values::repository(&self.web, &self.state.world, by, found);
        let path = self.state.world.full_path(found);
        for name in ["git_http_url", "clone_url"] {
            value[name] = format!("{home}.git").into();
        }
        for name in ["git_ssh_url", "ssh_url"] {
            value[name] = format!("git@gitee.example.com:{path}.git").into();
        }
        value["path_with_namespace"] = path.into();
        value["url"] = home.into();
        value
    }
}

fn signs(hook: &Hook) -> bool {
    hook.extra.get("encryption_type").and_then(Value::as_u64) == Some(1)
}

fn commit_value(home: &str, commit: &Commit) -> Value {
    let person = json!({
        "email": commit.email, "name": commit.author, "username": commit.author,
        "user_name": commit.author, "time": time::rfc3339(commit.at_ms), "url": home,
        "id": null, "user": null, "remark": null,
    });
    json!({
        "id": commit.id, "tree_id": commit.id, "parent_ids": [commit.parent], "distinct": true,
        "message": commit.message, "timestamp": time::rfc3339(commit.at_ms),
        "url": format!("{home}/commit/{}", commit.id), "author": person, "committer": person,
        "added": commit.added, "removed": commit.removed, "modified": commit.modified,
    })
}
