//! What hooks of a repository are told, as services/webhook/deliver.go sends it

use serde_json::{Value, json};

use crate::{
    caller::Caller,
    hooks::{Change, Commit, Delivery, Hook, Outgoing, Push, RefChange, Target, sign},
    time,
};

use super::{Gitea, values};

impl Gitea {
    /// A new or removed branch or tag is told twice; of moves and deletions a repository's hooks hear nothing
    pub(super) fn tell(&mut self, change: &Change, now_ms: u64) {
        let Change::Push(push) = change else { return };
        for one in &push.refs {
            let second = match (&one.before, &one.after) {
                (None, Some(_)) => Some("create"),
                (Some(_), None) => Some("delete"),
                _ => None,
            };
            let hooks: Vec<_> = self.state.hooks.of(push.repository).cloned().collect();
            for event in std::iter::once("push").chain(second) {
                for hook in hooks.iter().filter(|hook| hook.wants(event)) {
                    self.send(hook, event, push, one, now_ms);
                }
            }
        }
    }

    /// The latest commit as a push that nothing tells from a real one; an inactive hook gets it as well
    pub(super) fn test_hook(&mut self, caller: &Caller, hook: &Hook, now_ms: u64) {
        let repository = self.state.world.repositories.get(&hook.repository);
        let main = repository.and_then(|found| {
            let name = format!("refs/heads/{}", found.default_branch);
            let main = found.refs.iter().find(|one| one.name == name)?;
            Some(RefChange::updated(&name, &main.commit, &main.commit))
        });
        let Some(mut main) = main else { return };
        let id = main.after().to_owned();
        main.after = Some(Target::commit(&id));
        main.commits.push(Commit {
            id,
            message: "a commit".to_owned(),
            ..Commit::default()
        });
        let push = Push {
            repository: hook.repository,
            by: caller.person,
            refs: Vec::new(),
        };
        let Some(mut delivery) = self.delivery(hook, "push", &push, &main) else {
            return;
        };
        delivery.forced = true;
        self.state.hooks.queue(delivery, now_ms);
    }

    fn send(&mut self, hook: &Hook, event: &str, push: &Push, one: &RefChange, now_ms: u64) {
        if let Some(delivery) = self.delivery(hook, event, push, one) {
            self.state.hooks.queue(delivery, now_ms);
        }
    }

    fn delivery(
        &mut self,
        hook: &Hook,
        event: &str,
        push: &Push,
        one: &RefChange,
    ) -> Option<Delivery> {
        let mut told = self.payload(event, push, one)?;
        let old = self.version.starts_with("1.14");
        if old {
            told["secret"] = hook.secret.as_deref().unwrap_or_default().into();
        }
        let payload = format!("{told:#}");
        let guid = self.state.mint.uuid();
        // The JSON is signed, also where it is in a form; without a secret the headers are there and empty.
        let secret = hook.secret.as_deref();
        let signed = |with: fn(&str, &[u8]) -> String| {
            let signature = secret.map(|secret| with(secret, payload.as_bytes()));
            signature.unwrap_or_default()
        };
        let (one, two) = (signed(sign::sha1_hex), signed(sign::sha256_hex));
        let mut request = Outgoing::payload(&hook.url, hook.form, &payload);
        request = request.with([("User-Agent", "Go-http-client/1.1")]);
        for forge in ["GitHub", "Gitea", "Gogs"] {
            request = request.with([
                (format!("X-{forge}-Delivery"), guid.clone()),
                (format!("X-{forge}-Event"), event.to_owned()),
            ]);
            if forge != "GitHub" {
                request = request.with([(format!("X-{forge}-Signature"), two.clone())]);
            }
            if !old {
                request = request.with([(format!("X-{forge}-Event-Type"), event.to_owned())]);
            }
        }
        if !old {
            request = request.with([
                ("X-Hub-Signature", format!("sha1={one}")),
                ("X-Hub-Signature-256", format!("sha256={two}")),
            ]);
        }
        let of = (hook.id, hook.repository);
        Some(Delivery::first(of, event.to_owned(), guid, request))
    }

    fn payload(&self, event: &str, push: &Push, one: &RefChange) -> Option<Value> {
        let world = &self.state.world;
        let found = world.repositories.get(&push.repository)?;
        let person = values::person(&self.web, world.people.get(&push.by)?);
        let repository = values::repository(&self.web, world, push.by, found);
        let kind = if one.is_tag() { "tag" } else { "branch" };
        Some(match event {
            "create" => json!({
                "sha": one.after(), "ref": one.short(), "ref_type": kind,
                "repository": repository, "sender": person,
            }),
            "delete" => json!({
                "ref": one.short(), "ref_type": kind, "pusher_type": "user",
                "repository": repository, "sender": person,
            }),
            _ => {
                let home = format!("{}/{}", self.web, world.full_path(found));
                let commits = one.commits.iter().filter(|_| !one.is_tag());
                let commits: Vec<_> = commits.map(|commit| commit_value(&home, commit)).collect();
                json!({
                    "ref": one.name,
                    "before": one.before(),
                    "after": one.after(),
                    "compare_url": format!("{home}/compare/{}...{}", one.before(), one.after()),
                    "head_commit": commits.last(),
                    "total_commits": commits.len(),
                    "commits": commits,
                    "repository": repository,
                    "pusher": person,
                    "sender": person,
                })
            }
        })
    }
}

fn commit_value(home: &str, commit: &Commit) -> Value {
    let person = json!({"name": commit.author, "email": commit.email, "username": commit.author});
    json!({
        "id": commit.id,
        "message": commit.message,
        "url": format!("{home}/commit/{}", commit.id),
        "author": person,
        "committer": person,
        "verification": null,
        "timestamp": time::rfc3339(commit.at_ms),
        "added": commit.added,
        "removed": commit.removed,
        "modified": commit.modified,
    })
}
