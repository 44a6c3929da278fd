//! What hooks of a project are told
//!
//! Of renames, transfers and deletions a project's hooks hear nothing: those are system hooks.

use serde_json::{Value, json};

use crate::{
    Twin as _,
    hooks::{Change, Commit, Delivery, Hook, Outgoing, Push, RefChange, Rules, Target, sign},
    http::Response,
    time,
    world::{Owner, Repository},
};

use super::{GitLab, access::Caller, reply};

/// Commits that a delivery holds at most; their whole number is beside them
const COMMITS: usize = 20;

/// Failed deliveries are not tried again (app/services/web_hook_service.rb answers an error and is done), but four
/// failures in a row let a hook rest, for a minute that doubles to a day, and forty let it rest for good
pub(super) fn rules() -> Rules {
    Rules {
        payload_limit: 25 * 1024 * 1024,
        success_below: 400,
        disabling: Some(crate::hooks::Disabling {
            after: 4,
            first_ms: 60_000,
            most_ms: time::DAY,
            for_good_after: 40,
        }),
        ..Rules::default()
    }
}

impl GitLab {
    pub(super) fn tell(&mut self, change: &Change, now_ms: u64) {
        let Change::Push(push) = change else { return };
        // GitLab counts branches and tags, new and removed ones each for themselves; counting all of them is harder.
        if push.refs.len() > self.push_event_hooks_limit {
            return;
        }
        for one in &push.refs {
            let hooks: Vec<_> = self.state.hooks.of(push.repository).cloned().collect();
            let told = hooks.iter().filter(|hook| wants(hook, one));
            for hook in told {
                let delivery = self.delivery(hook, push, one, now_ms);
                if let Some(delivery) = delivery {
                    self.state.hooks.queue(delivery, now_ms);
                }
            }
        }
    }

    /// `POST .../test/{trigger}`: the latest that there is, also where the hook is not for that or rests
    pub(super) fn test_hook(
        &mut self,
        caller: &Caller,
        hook: u64,
        trigger: &str,
        now_ms: u64,
    ) -> Result<Response, Response> {
        let Some(hook) = self.state.hooks.get(hook).cloned() else {
            return Err(self.not_found());
        };
        let repository = self.state.world.repositories.get(&hook.repository);
        let sample = match trigger {
            "push_events" => repository.and_then(|found| sample(found, "refs/heads/")),
            "tag_push_events" => repository.and_then(|found| sample(found, "refs/tags/")),
            _ => return Err(reply::error(400, "trigger does not have a valid value")),
        };
        let text = "Ensure the project has at least one commit.";
        let one = sample.ok_or_else(|| reply::error(422, text))?;
        let push = Push {
            repository: hook.repository,
            by: caller.person,
            refs: Vec::new(),
        };
        let delivery = self.delivery(&hook, &push, &one, now_ms);
        let mut delivery = delivery.ok_or_else(|| reply::error(422, text))?;
        delivery.forced = true;
        // GitLab waits for the answer; nothing can be waited for here, so success is assumed.
        self.state.hooks.queue(delivery, now_ms);
        Ok(reply::error(201, "201 Created"))
    }

    fn delivery(
        &mut self,
        hook: &Hook,
        push: &Push,
        one: &RefChange,
        now_ms: u64,
    ) -> Option<Delivery> {
        let repository = self.state.world.repositories.get(&push.repository)?;
        let body = self.push_value(repository, push, one)?.to_string();
        let (trigger, event) = match one.is_tag() {
            true => ("tag_push_hooks", "Tag Push Hook"),
            false => ("push_hooks", "Push Hook"),
        };
        let mint = &mut self.state.mint;
        let key = mint.uuid();
        let mut request = Outgoing::payload(&hook.url, false, &body).with(custom_headers(hook));
        request = request.with([
            ("User-Agent", format!("GitLab/{}", self.version)),
            ("Idempotency-Key", key.clone()),
            ("X-Gitlab-Event", event.to_owned()),
            ("X-Gitlab-Webhook-UUID", mint.uuid()),
            ("X-Gitlab-Instance", self.web.clone()),
            ("X-Gitlab-Event-UUID", mint.uuid()),
        ]);
        if let Some(token) = &hook.secret {
            request = request.with([("X-Gitlab-Token", token.as_str())]);
        }
        if let Some(signing) = &hook.signing {
            let seconds = time::seconds(now_ms);
            let signature = sign::standard(signing, &key, seconds, body.as_bytes());
            request = request.with([
                ("webhook-id", key.clone()),
                ("webhook-timestamp", seconds.to_string()),
                ("webhook-signature", signature.unwrap_or_default()),
            ]);
        }
        let of = (hook.id, hook.repository);
        Some(Delivery::first(of, trigger.to_owned(), key, request))
    }

    fn push_value(&self, repository: &Repository, push: &Push, one: &RefChange) -> Option<Value> {
        let kind = if one.is_tag() { "tag_push" } else { "push" };
        let person = self.state.world.people.get(&push.by)?;
        let project = self.hook_project(repository);
        let commits = one.commits.iter();
        let skipped = one.commits.len().saturating_sub(COMMITS);
        let commits: Vec<_> = commits
            .skip(skipped)
            .map(|commit| commit_value(&project, commit))
            .collect();
        let annotated = one
            .after
            .as_ref()
            .filter(|after| after.object != after.commit);
        Some(json!({
            "object_kind": kind,
            "event_name": kind,
            "before": one.before(),
            "after": one.after(),
            "ref": one.name,
            "ref_protected": one.short() == repository.default_branch,
            "checkout_sha": one.after.as_ref().map(|after| &after.commit),
            "message": annotated.map(|_| "an annotated tag"),
            "user_id": person.id,
            "user_name": person.name,
            "user_username": person.login,
            "user_email": person.email,
            "user_avatar": format!("{}/uploads/user/avatar/{}/index.jpg", self.web, person.id),
            "project_id": repository.id,
            "project": project,
            "commits": commits,
            "total_commits_count": one.commits.len(),
            "push_options": {},
            "repository": {
                "name": project["name"],
                "url": project["url"],
                "description": project["description"],
                "homepage": project["homepage"],
                "git_http_url": project["git_http_url"],
                "git_ssh_url": project["git_ssh_url"],
                "visibility_level": project["visibility_level"],
            },
        }))
    }

    fn hook_project(&self, repository: &Repository) -> Value {
        let path = self.state.world.full_path(repository);
        let home = format!("{}/{path}", self.web);
        let (ssh, http) = (
            format!("git@gitlab.example.com:{path}.git"),
            format!("{home}.git"),
        );
        let namespace = match repository.owner {
            Owner::Person(id) => self
                .state
                .world
                .people
                .get(&id)
                .map(|one| one.name.as_str()),
            Owner::Group(id) => self
                .state
                .world
                .groups
                .get(&id)
                .map(|one| one.name.as_str()),
        };
        json!({
            "id": repository.id,
            "name": repository.name,
            "description": "",
            "web_url": home,
            "avatar_url": null,
            "git_ssh_url": ssh,
            "git_http_url": http,
            "namespace": namespace,
            "visibility_level": if repository.private { 0 } else { 20 },
            "path_with_namespace": path,
            "default_branch": repository.default_branch,
            "ci_config_path": null,
            "homepage": home,
            "url": ssh,
            "ssh_url": ssh,
            "http_url": http,
        })
    }
}

fn wants(hook: &Hook, one: &RefChange) -> bool {
    if one.is_tag() {
        return hook.wants("tag_push_events");
    }
    let filter = hook.text("push_events_branch_filter");
    let filters = !filter.is_empty() && hook.text("branch_filter_strategy") != "all_branches";
    hook.wants("push_events") && (!filters || fits(filter, one.short()))
}

/// Whether a name is what a filter with asterisks says
fn fits(filter: &str, name: &str) -> bool {
    match filter.split_once('*') {
        None => filter == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|left| {
            let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.into_iter().any(|at| fits(rest, &left[at..]))
        }),
    }
}

/// The latest push of the main branch, or of any other ref of that kind
fn sample(repository: &Repository, folder: &str) -> Option<RefChange> {
    let of_kind = repository.refs.iter();
    let mut of_kind = of_kind.filter(|found| found.name.starts_with(folder));
    let main = format!("{folder}{}", repository.default_branch);
    let found = repository.refs.iter().find(|found| found.name == main);
    let found = found.or_else(|| of_kind.next())?;
    Some(RefChange::created(&found.name, Target::of(found)))
}

fn custom_headers(hook: &Hook) -> Vec<(String, String)> {
    let headers = hook.extra.get("custom_headers").and_then(Value::as_array);
    let headers = headers.into_iter().flatten().filter_map(|header| {
        let (name, value) = (header["key"].as_str()?, header["value"].as_str()?);
        Some((name.to_owned(), value.to_owned()))
    });
    headers.collect()
}

fn commit_value(project: &Value, commit: &Commit) -> Value {
    let home = project["homepage"].as_str().unwrap_or_default();
    json!({
        "id": commit.id,
        "message": commit.message,
        "title": commit.message.lines().next(),
        "timestamp": time::rfc3339(commit.at_ms),
        "url": format!("{home}/-/commit/{}", commit.id),
        "author": {"name": commit.author, "email": commit.email},
        "added": commit.added,
        "modified": commit.modified,
        "removed": commit.removed,
    })
}
