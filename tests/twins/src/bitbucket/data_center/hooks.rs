//! Webhooks of a repository, and what they are told

use serde_json::{Map, Value, json};

use crate::{
    hooks::{Change, Delivery, Hook, Outgoing, Push, RefChange, sign},
    http::{Request, Response, text, truth},
    time,
    world::{Repository, Role},
};

use super::{DataCenter, access::Caller, reply, user_value};

impl DataCenter {
    /// `webhooks` and what is below it
    pub(super) fn hooks(
        &mut self,
        caller: Option<&Caller>,
        request: &Request,
        (key, slug): (&str, &str),
        rest: &[&str],
        now_ms: u64,
    ) -> Result<Response, Response> {
        let caller = caller.ok_or_else(reply::anonymous)?;
        let found = self.visible(caller, key, slug)?;
        let repository = found.id;
        let may = caller.may(&self.state.world, found, Role::Admin);
        if !may || self.state.hooks.forbidden {
            return Err(reply::anonymous());
        }
        let id = rest.first().and_then(|id| id.parse().ok());
        let hook = id.and_then(|id| self.state.hooks.get(id));
        let hook = hook.filter(|hook| hook.repository == repository).cloned();
        match (request.method.as_str(), rest, hook) {
            ("GET", [], _) => {
                let all: Vec<_> = self.state.hooks.of(repository).map(value).collect();
                Ok(reply::page(request, &all))
            }
            ("POST", [], _) => {
                let id = self.state.world.id();
                let mut hook = Hook::new(id, repository, "", now_ms);
                hook.creator = caller.person;
                fill(&mut hook, &request.object())?;
                let answer = Response::json(201, &value(&hook));
                self.state.hooks.create(hook);
                Ok(answer)
            }
            ("POST", ["test"], _) => self.test_hook(request, repository, now_ms),
            ("GET", [_], Some(hook)) => Ok(Response::json(200, &value(&hook))),
            ("PUT", [_], Some(mut hook)) => {
                fill(&mut hook, &request.object())?;
                hook.updated = now_ms;
                let answer = Response::json(200, &value(&hook));
                self.state.hooks.plant(hook);
                Ok(answer)
            }
            ("DELETE", [_], Some(hook)) => {
                self.state.hooks.remove(hook.id);
                Ok(Response::empty(204))
            }
            _ => Err(reply::not_found()),
        }
    }

    /// Asks any URL whether it is there, in the name of a hook where there is one
    fn test_hook(
        &mut self,
        request: &Request,
        repository: u64,
        now_ms: u64,
    ) -> Result<Response, Response> {
        let url = request
            .query("url")
            .ok_or_else(|| reply::error(400, "ArgumentValidationException"))?;
        let id = request.query("webhookId").and_then(|id| id.parse().ok());
        let known = id.and_then(|id| self.state.hooks.get(id)).cloned();
        let mut hook = known.unwrap_or_else(|| Hook::new(0, repository, url, now_ms));
        url.clone_into(&mut hook.url);
        let mut delivery = self.delivery(&hook, "diagnostics:ping", r#"{"test":true}"#);
        delivery.forced = true;
        self.state.hooks.queue(delivery, now_ms);
        // It waits for the answer; nothing can be waited for here, so success is assumed.
        let body = json!({
            "request": {"url": url, "method": "POST"},
            "response": {"statusCode": 200, "outcome": "SUCCESS"},
        });
        Ok(Response::json(200, &body))
    }

    /// All of a push in one delivery
    pub(super) fn tell(&mut self, change: &Change, now_ms: u64) {
        let Some((event, body)) = self.told(change, now_ms) else {
            return;
        };
        let hooks: Vec<_> = self.state.hooks.of(change.repository()).cloned().collect();
        for hook in hooks.iter().filter(|hook| hook.wants(event)) {
            let delivery = self.delivery(hook, event, &body);
            self.state.hooks.queue(delivery, now_ms);
        }
    }

    fn delivery(&mut self, hook: &Hook, event: &str, body: &str) -> Delivery {
        let guid = self.state.mint.uuid();
        let agent = format!("Atlassian HttpClient 3.0.5 / Bitbucket-{}", self.version);
        let mut request = Outgoing::payload(&hook.url, false, body).with([
            ("User-Agent", agent),
            ("X-Event-Key", event.to_owned()),
            ("X-Request-Id", guid.clone()),
        ]);
        if let Some(secret) = &hook.secret {
            let signature = sign::sha256_hex(secret, body.as_bytes());
            request = request.with([("X-Hub-Signature", format!("sha256={signature}"))]);
        }
        let of = (hook.id, hook.repository);
        Delivery::first(of, event.to_owned(), guid, request)
    }

    fn told(&self, change: &Change, now_ms: u64) -> Option<(&'static str, String)> {
        let found = self.state.world.repositories.get(&change.repository())?;
        let (event, by, mut body) = match change {
            Change::Push(push) => ("repo:refs_changed", push.by, push_value(push)),
            Change::Renamed { by, .. } | Change::Transferred { by, .. } => {
                ("repo:modified", *by, self.moved(found))
            }
            Change::Deleted { .. } => return None,
        };
        body["eventKey"] = event.into();
        body["date"] = time::rfc3339(now_ms).replace(".000Z", "+0000").into();
        body["actor"] = user_value(self.state.world.people.get(&by)?);
        if matches!(change, Change::Push(_)) {
            body["repository"] = self.value(found);
        }
        Some((event, body.to_string()))
    }

    fn moved(&self, found: &Repository) -> Value {
        let mut old = self.value(found);
        if let Some((owner, name)) = found.former.last().and_then(|path| path.rsplit_once('/')) {
            for member in ["slug", "name"] {
                old[member] = name.into();
            }
            old["project"]["key"] = owner.into();
        }
        json!({"old": old, "new": self.value(found)})
    }
}

/// Annotated tags have the tag object's hash here
fn push_value(push: &Push) -> Value {
    let changes: Vec<_> = push.refs.iter().map(change_value).collect();
    json!({"changes": changes})
}

fn change_value(one: &RefChange) -> Value {
    let kind = match (&one.before, &one.after) {
        (None, _) => "ADD",
        (_, None) => "DELETE",
        _ => "UPDATE",
    };
    json!({
        "ref": {
            "id": one.name, "displayId": one.short(),
            "type": if one.is_tag() { "TAG" } else { "BRANCH" },
        },
        "refId": one.name, "fromHash": one.before(), "toHash": one.after(), "type": kind,
    })
}

/// Those who may see a hook see its secret
fn value(hook: &Hook) -> Value {
    let mut configuration = json!({});
    if let Some(secret) = &hook.secret {
        configuration["secret"] = secret.as_str().into();
    }
    json!({
        "id": hook.id, "name": hook.text("name"), "url": hook.url, "active": hook.active,
        "createdDate": hook.created, "updatedDate": hook.updated, "events": hook.events,
        "configuration": configuration, "scopeType": "repository",
        "sslVerificationRequired": hook.verifies_tls,
    })
}

/// A `configuration` replaces all of the old one
fn fill(hook: &mut Hook, body: &Map<String, Value>) -> Result<(), Response> {
    if let Some(url) = text(body, "url") {
        url.clone_into(&mut hook.url);
    }
    if let Some(events) = body.get("events").and_then(Value::as_array) {
        let named = events.iter().filter_map(Value::as_str);
        hook.events = named.map(str::to_owned).collect();
    }
    if hook.url.is_empty() || hook.events.is_empty() {
        return Err(reply::error(400, "ArgumentValidationException"));
    }
    if let Some(name) = body.get("name") {
        hook.extra.insert("name".to_owned(), name.clone());
    }
    if let Some(configuration) = body.get("configuration").and_then(Value::as_object) {
        hook.secret = text(configuration, "secret").map(str::to_owned);
    }
    hook.active = truth(body, "active").unwrap_or(hook.active);
    hook.verifies_tls = truth(body, "sslVerificationRequired").unwrap_or(hook.verifies_tls);
    Ok(())
}
