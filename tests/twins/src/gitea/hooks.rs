//! Webhooks of a repository, as routers/api/v1/utils/hook.go has them

use serde_json::{Map, Value, json};

use crate::{
    Twin as _,
    caller::Caller,
    hooks::Hook,
    http::{Request, Response, text, truth},
    time,
    world::Role,
};

use super::{Gitea, lists, may};

const TYPES: [&str; 4] = ["gitea", "gogs", "slack", "discord"];

impl Gitea {
    /// `hooks` and what is below it
    pub(super) fn hooks(
        &mut self,
        caller: &Caller,
        request: &Request,
        path: &str,
        rest: &[&str],
        now_ms: u64,
    ) -> Result<Response, Response> {
        let whole: Vec<_> = std::iter::once("hooks")
            .chain(rest.iter().copied())
            .collect();
        let found = self.visible(caller, path, &whole)?;
        let (repository, role) = (found.id, self.state.world.role(caller.person, found));
        let write = request.method != "GET";
        let allowed = may(&caller.scopes, "repository", write);
        if !allowed || role < Some(Role::Admin) || self.state.hooks.forbidden {
            let text = "user should be an owner or a collaborator with admin write of a repository";
            return Err(self.error(403, text));
        }
        let id = rest.first().and_then(|id| id.parse().ok());
        let hook = id.and_then(|id| self.state.hooks.get(id));
        let hook = hook.filter(|hook| hook.repository == repository).cloned();
        match (request.method.as_str(), rest, hook) {
            ("GET", [], _) => {
                let all: Vec<_> = self.state.hooks.of(repository).map(value).collect();
                Ok(lists::page(&self.web, request, &all))
            }
            ("POST", [], _) => self.create_hook(caller, request, repository, now_ms),
            ("GET", [_], Some(hook)) => Ok(Response::json(200, &value(&hook))),
            ("PATCH", [_], Some(hook)) => self.edit_hook(request, hook, now_ms),
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

    /// It is off unless somebody asks for it to be on
    fn create_hook(
        &mut self,
        caller: &Caller,
        request: &Request,
        repository: u64,
        now_ms: u64,
    ) -> Result<Response, Response> {
        let body = request.object();
        let kind = text(&body, "type").unwrap_or_default();
        if !TYPES.contains(&kind) {
            return Err(self.error(422, &format!("Invalid hook type: {kind}")));
        }
        let none = Map::new();
        let config = body
            .get("config")
            .and_then(Value::as_object)
            .unwrap_or(&none);
        for name in ["url", "content_type"] {
            if !config.contains_key(name) {
                return Err(self.error(422, &format!("Missing config option: {name}")));
            }
        }
        let id = self.state.world.id();
        let mut hook = Hook::new(id, repository, "", now_ms);
        hook.creator = caller.person;
        hook.active = truth(&body, "active").unwrap_or(false);
        hook.extra.insert("type".to_owned(), kind.into());
        hook.secret = text(config, "secret").map(str::to_owned);
        self.fill(&mut hook, &body)?;
        let answer = Response::json(201, &value(&hook));
        self.state.hooks.create(hook);
        Ok(answer)
    }

    /// A change that names no events leaves the hook with `push` alone, and the secret of one is passed over without a word
    /// (`editHook`, 1.26)
    fn edit_hook(
        &mut self,
        request: &Request,
        mut hook: Hook,
        now_ms: u64,
    ) -> Result<Response, Response> {
        let body = request.object();
        self.fill(&mut hook, &body)?;
        hook.active = truth(&body, "active").unwrap_or(hook.active);
        hook.updated = now_ms;
        let answer = Response::json(200, &value(&hook));
        self.state.hooks.plant(hook);
        Ok(answer)
    }

    fn fill(&self, hook: &mut Hook, body: &Map<String, Value>) -> Result<(), Response> {
        if let Some(config) = body.get("config").and_then(Value::as_object) {
            if let Some(url) = text(config, "url") {
                url.clone_into(&mut hook.url);
            }
            match text(config, "content_type") {
                None => {}
                Some(kind @ ("json" | "form")) => hook.form = kind == "form",
                Some(_) => return Err(self.error(422, "Invalid content type")),
            }
        }
        let events = body.get("events").and_then(Value::as_array);
        let named = events.into_iter().flatten();
        hook.events = named
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect();
        if hook.events.is_empty() {
            hook.events.insert("push".to_owned());
        }
        Ok(())
    }
}

/// The secret is never in it
fn value(hook: &Hook) -> Value {
    json!({
        "id": hook.id,
        "type": hook.text("type"),
        "config": {"content_type": if hook.form { "form" } else { "json" }, "url": hook.url},
        "events": hook.events,
        "active": hook.active,
        "updated_at": time::rfc3339(hook.updated),
        "created_at": time::rfc3339(hook.created),
    })
}
