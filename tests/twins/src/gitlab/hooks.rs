//! Webhooks of a project
//!
//! Sources: doc/api/project_webhooks.md, app/services/web_hook_service.rb, the schema of a project's hook.

use serde_json::{Map, Value, json};

use crate::{
    hooks::{Alert, Hook, Sent},
    http::{Request, Response, text, truth},
    time::{self, DAY},
    world::Role,
};

use super::{GitLab, access::Caller, paging, reply};

/// What a hook may be for; only the first is on unless somebody says otherwise
const EVENTS: [&str; 17] = [
    "push_events",
    "tag_push_events",
    "merge_requests_events",
    "repository_update_events",
    "issues_events",
    "confidential_issues_events",
    "note_events",
    "confidential_note_events",
    "pipeline_events",
    "wiki_page_events",
    "job_events",
    "deployment_events",
    "feature_flag_events",
    "releases_events",
    "emoji_events",
    "milestone_events",
    "resource_access_token_events",
];
/// Texts that a hook keeps as they are
const TEXTS: [&str; 5] = [
    "name",
    "description",
    "push_events_branch_filter",
    "branch_filter_strategy",
    "custom_webhook_template",
];
/// More a project may not have
const MOST: usize = 100;
/// Tests and repetitions of a hook in a minute
const FORCED_PER_MINUTE: usize = 5;

impl GitLab {
    /// `hooks` and what is below it
    pub(super) fn hooks(
        &mut self,
        caller: &Caller,
        request: &Request,
        id: &str,
        rest: &[&str],
        now_ms: u64,
    ) -> Result<Response, Response> {
        let read = request.method == "GET";
        caller.needs(if read { &["api", "read_api"] } else { &["api"] })?;
        let repository = self.visible_project(caller, request, id)?;
        let role = self.state.world.role(caller.person, repository);
        if role < Some(Role::Admin) || self.state.hooks.forbidden {
            return Err(reply::error(403, "403 Forbidden"));
        }
        let project = repository.id;
        let number = rest.first().and_then(|id| id.parse().ok());
        match (request.method.as_str(), rest) {
            ("GET", []) => Ok(self.list_hooks(request, project, now_ms)),
            ("POST", []) => self.create_hook(caller, request, project, now_ms),
            (method, [_, rest @ ..]) => {
                let hook = number.and_then(|number| self.state.hooks.get(number));
                let hook = hook.filter(|hook| hook.repository == project);
                let hook = hook.ok_or_else(no_hook)?.id;
                self.one_hook(caller, request, (method, rest), hook, now_ms)
            }
            _ => Err(reply::error(405, "405 Method Not Allowed")),
        }
    }

    fn one_hook(
        &mut self,
        caller: &Caller,
        request: &Request,
        route: (&str, &[&str]),
        hook: u64,
        now_ms: u64,
    ) -> Result<Response, Response> {
        match route {
            ("GET", []) => self.shown(200, hook, now_ms),
            ("PUT", []) => self.update_hook(request, hook, now_ms),
            ("DELETE", []) => {
                self.state.hooks.remove(hook);
                Ok(Response::empty(204))
            }
            ("GET", ["events"]) => Ok(self.hook_events(request, hook, now_ms)),
            ("POST", ["test", trigger]) => {
                self.may_force(hook, now_ms)?;
                self.test_hook(caller, hook, trigger, now_ms)
            }
            ("POST", ["events", event, "resend"]) => {
                self.may_force(hook, now_ms)?;
                self.resend(hook, event, now_ms)
            }
            _ => Err(reply::error(404, "404 Not Found")),
        }
    }

    fn list_hooks(&self, request: &Request, project: u64, now_ms: u64) -> Response {
        let hooks = self.state.hooks.of(project);
        let all: Vec<_> = hooks.map(|hook| self.hook_value(hook, now_ms)).collect();
        paging::by_offset(&self.web, request, &all)
    }

    /// A second hook to the same URL is no mistake here
    fn create_hook(
        &mut self,
        caller: &Caller,
        request: &Request,
        project: u64,
        now_ms: u64,
    ) -> Result<Response, Response> {
        let fields = request.object();
        let url = text(&fields, "url").ok_or_else(|| bad(400, "url is missing"))?;
        valid(url)?;
        if self.state.hooks.of(project).count() >= MOST {
            let text = format!("Maximum number of project hooks ({MOST}) exceeded");
            return Err(bad(422, &text));
        }
        let id = self.state.world.id();
        let mut hook = Hook::new(id, project, url, now_ms);
        hook.creator = caller.person;
        hook.events.insert("push_events".to_owned());
        self.fill(&mut hook, &fields);
        self.state.hooks.create(hook);
        self.shown(201, id, now_ms)
    }

    /// What is not named stays, but for the token of a hook that gets another URL
    fn update_hook(
        &mut self,
        request: &Request,
        id: u64,
        now_ms: u64,
    ) -> Result<Response, Response> {
        let fields = request.object();
        let mut hook = self.state.hooks.get(id).cloned().ok_or_else(no_hook)?;
        if let Some(url) = text(&fields, "url").filter(|url| *url != hook.url) {
            valid(url)?;
            url.clone_into(&mut hook.url);
            hook.secret = None;
            // Only the token is documented to go; that this one goes as well is harder.
            hook.signing = None;
            hook.extra.remove("custom_headers");
        }
        self.fill(&mut hook, &fields);
        hook.updated = now_ms;
        self.state.hooks.plant(hook);
        self.shown(200, id, now_ms)
    }

    /// Takes over what a request says; a signing token only where the flag for it is on
    fn fill(&self, hook: &mut Hook, fields: &Map<String, Value>) {
        for event in EVENTS {
            match truth(fields, event) {
                Some(true) => hook.events.insert(event.to_owned()),
                Some(false) => hook.events.remove(event),
                None => false,
            };
        }
        for name in TEXTS.iter().copied().chain(["custom_headers"]) {
            if let Some(value) = fields.get(name) {
                hook.extra.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(verify) = truth(fields, "enable_ssl_verification") {
            hook.verifies_tls = verify;
        }
        if fields.contains_key("token") {
            hook.secret = text(fields, "token").map(str::to_owned);
        }
        if self.signs_webhooks && fields.contains_key("signing_token") {
            hook.signing = text(fields, "signing_token").map(str::to_owned);
        }
    }

    fn shown(&self, status: u16, id: u64, now_ms: u64) -> Result<Response, Response> {
        let hook = self.state.hooks.get(id).ok_or_else(no_hook)?;
        Ok(Response::json(status, &self.hook_value(hook, now_ms)))
    }

    /// Neither of the secrets is ever in it
    fn hook_value(&self, hook: &Hook, now_ms: u64) -> Value {
        let alert = match self.state.hooks.alert(hook, now_ms) {
            Alert::Executable => "executable",
            Alert::TemporarilyDisabled => "temporarily_disabled",
            Alert::Disabled => "disabled",
        };
        let mut value = json!({
            "id": hook.id,
            "url": hook.url,
            "project_id": hook.repository,
            "created_at": time::rfc3339(hook.created),
            "enable_ssl_verification": hook.verifies_tls,
            "alert_status": alert,
            "disabled_until": hook.disabled_until.map(time::rfc3339),
            "url_variables": [],
            "custom_headers": header_names(hook),
        });
        for name in TEXTS {
            value[name] = hook.extra.get(name).cloned().unwrap_or_default();
        }
        for event in EVENTS {
            value[event] = hook.wants(event).into();
        }
        if self.signs_webhooks {
            value["token_present"] = hook.secret.is_some().into();
            value["signing_token_present"] = hook.signing.is_some().into();
        }
        value
    }

    /// What was sent in the last seven days, the newest first
    fn hook_events(&self, request: &Request, hook: u64, now_ms: u64) -> Response {
        let wanted = request.query("status");
        let all = self.state.hooks.sent().iter().rev();
        let mine = all.filter(|sent| sent.delivery.hook == hook && sent.at_ms + 7 * DAY > now_ms);
        let mine = mine.filter(|sent| wanted.is_none_or(|wanted| is_of(sent, wanted)));
        let mine: Vec<_> = mine.map(event_value).collect();
        paging::by_offset(&self.web, request, &mine)
    }

    fn resend(&mut self, hook: u64, event: &str, now_ms: u64) -> Result<Response, Response> {
        let mut sent = self.state.hooks.sent().iter();
        let found = sent
            .find(|sent| sent.delivery.hook == hook && sent.delivery.id.to_string() == event)
            .filter(|sent| sent.at_ms + 7 * DAY > now_ms);
        let mut again = found.ok_or_else(no_hook)?.delivery.clone();
        again.attempt = 1;
        again.redelivery = true;
        again.forced = true;
        // GitLab waits for the answer; nothing can be waited for here, so success is assumed.
        self.state.hooks.queue(again, now_ms);
        Ok(Response::json(201, &json!({"response_status": 200})))
    }

    /// Five tests and repetitions of one hook in a minute
    fn may_force(&mut self, hook: u64, now_ms: u64) -> Result<(), Response> {
        let forced = self.forced.entry(hook).or_default();
        forced.retain(|at| at + 60_000 > now_ms);
        if forced.len() >= FORCED_PER_MINUTE {
            let text = "This endpoint has been requested too many times. Try again later.";
            let body = json!({"message": {"error": text}});
            return Err(Response::json(429, &body).with("retry-after", "60"));
        }
        forced.push(now_ms);
        Ok(())
    }
}

fn header_names(hook: &Hook) -> Vec<Value> {
    let headers = hook.extra.get("custom_headers").and_then(Value::as_array);
    let headers = headers.into_iter().flatten();
    headers
        .map(|header| json!({"key": header["key"]}))
        .collect()
}

fn is_of(sent: &Sent, wanted: &str) -> bool {
    let status = sent.outcome.status().unwrap_or_default();
    match wanted {
        "successful" => (200..300).contains(&status),
        "client_failure" => (400..500).contains(&status),
        "server_failure" => (500..600).contains(&status),
        number => status.to_string() == number,
    }
}

fn event_value(sent: &Sent) -> Value {
    let delivery = &sent.delivery;
    let headers = delivery.request.headers.iter();
    let headers = headers.map(|(name, value)| match name.as_str() {
        "X-Gitlab-Token" | "webhook-signature" => (name.clone(), "[REDACTED]".into()),
        _ => (name.clone(), value.clone().into()),
    });
    let status = sent.outcome.status().map(|status| status.to_string());
    let data: Value = serde_json::from_slice(&delivery.request.body).unwrap_or_default();
    json!({
        "id": delivery.id,
        "url": delivery.request.url,
        "trigger": delivery.event,
        "request_headers": headers.collect::<Map<_, _>>(),
        "request_data": data,
        "response_headers": {},
        "response_body": "",
        "execution_duration": 0.03,
        "response_status": status.as_deref().unwrap_or("internal error"),
    })
}

fn valid(url: &str) -> Result<(), Response> {
    let parsed = url::Url::parse(url).ok();
    match parsed.filter(|url| matches!(url.scheme(), "http" | "https")) {
        Some(_) => Ok(()),
        None => Err(bad(422, "Invalid url given")),
    }
}

fn bad(status: u16, error: &str) -> Response {
    Response::json(status, &json!({"error": error}))
}

fn no_hook() -> Response {
    reply::error(404, "404 Not found")
}
