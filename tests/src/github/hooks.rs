//! Webhooks of a repository: the API, what they are told, and how it gets there
//!
//! - here: who may do what, and the hooks themselves
//! - `value`: hooks and deliveries as the API writes them
//! - `log`: deliveries, redelivery
//! - `events`, `payload`: what a change is told as
//! - `told`: from a change to deliveries on the wire
//! - `app`: the hook of an app, for all of its installations
//! - `changes`: what tests let people do, and what tests look at

mod app;
mod changes;
mod events;
mod log;
mod payload;
mod told;
mod value;

use bindery_twins::hooks::{Hook, Outcome};
use bindery_twins::http::{text, truth};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::api::Call;
use super::reply::{Outcome as Answer, Reply};
use super::seed::Permission;
use super::world::{Repo, Token, TokenKind, World};

const PAGE: &str = "/repos/webhooks";
/// Hooks that a repository may have for one event
const MOST: usize = 20;
/// What a hook may be for, as far as the stand-in knows
const EVENTS: [&str; 17] = [
    "*",
    "branch_protection_rule",
    "check_run",
    "create",
    "delete",
    "deployment",
    "fork",
    "issue_comment",
    "issues",
    "member",
    "meta",
    "public",
    "pull_request",
    "push",
    "release",
    "repository",
    "status",
];

impl Call<'_> {
    /// The answer to a path of hooks; `None` for other paths
    pub(super) fn for_hooks(&self, segments: &[&str]) -> Option<Answer> {
        let (repo, rest) = match segments {
            ["repos", owner, name, "hooks", rest @ ..] => (self.hook_repo(owner, name, rest), rest),
            ["repositories", id, "hooks", rest @ ..] => {
                let world = self.inner.world();
                let mut repos = world.repos.iter();
                let repo = repos.find(|repo| repo.id.to_string() == *id);
                let repo = repo.cloned().ok_or_else(|| Reply::not_found(PAGE));
                (repo, rest)
            }
            _ => return None,
        };
        let outcome = repo.and_then(|repo| self.hooks(&repo, rest));
        self.inner.deliver();
        Some(outcome)
    }

    /// The repository, or the redirect to where it is now, which keeps the method
    fn hook_repo(&self, owner: &str, name: &str, rest: &[&str]) -> Result<Repo, Reply> {
        let world = self.inner.world();
        if let Some(repo) = world.repo(owner, name) {
            return Ok(repo.clone());
        }
        let moved = world.renamed(owner, name).cloned();
        let repo = moved.ok_or_else(|| Reply::not_found(PAGE))?;
        self.may_hook(&world, &repo, "read")?;
        let rest: String = rest.iter().flat_map(|segment| ["/", segment]).collect();
        let mut reply = self.moved(&format!("/repositories/{}/hooks{rest}", repo.id));
        if self.method != Method::GET {
            reply.status = StatusCode::TEMPORARY_REDIRECT;
        }
        Err(reply)
    }

    /// Whether the caller may do that with hooks of a repository
    ///
    /// Those who may not are told that there is nothing, as GitHub does.
    fn may_hook<'a>(&'a self, world: &World, repo: &Repo, level: &str) -> Result<&'a Token, Reply> {
        let token = self.caller.token(PAGE)?;
        if let Some(org) = world.org(&repo.owner) {
            org.admits(token)?;
        }
        // An installation reaches what it covers, and its permissions say how far.
        let admin = match token.kind {
            TokenKind::Installation { .. } => world.reach(token, repo).is_some(),
            _ => world.reach(token, repo) >= Some(Permission::Admin),
        };
        if !admin || !token.reaches_account(&repo.owner) {
            return Err(Reply::not_found(PAGE));
        }
        if world.hooks.forbidden {
            let text = "Must have admin rights to Repository.";
            return Err(Reply::error(StatusCode::FORBIDDEN, text, PAGE));
        }
        match token.is_fine_grained() {
            true => has_permission(token, level)?,
            false => has_scope(token, level)?,
        }
        Ok(token)
    }

    fn hooks(&self, repo: &Repo, rest: &[&str]) -> Answer {
        let deletes = self.method == Method::DELETE;
        let level = match *self.method {
            Method::GET => "read",
            _ if deletes => "admin",
            _ => "write",
        };
        let world = self.inner.world();
        let token = self.may_hook(&world, repo, level)?.clone();
        let id = rest.first().and_then(|id| id.parse().ok());
        let hook = id.and_then(|id| world.hooks.get(id));
        let hook = hook.filter(|hook| hook.repository == repo.id).cloned();
        drop(world);
        match (self.method, rest) {
            (&Method::GET, []) => Ok(self.list_hooks(repo)),
            (&Method::POST, []) => self.create_hook(repo, &token),
            (method, [_, rest @ ..]) => {
                let hook = hook.ok_or_else(|| Reply::not_found(PAGE))?;
                self.one_hook(repo, hook, method, rest)
            }
            _ => Err(Reply::not_found(PAGE)),
        }
    }

    fn one_hook(&self, repo: &Repo, hook: Hook, method: &Method, rest: &[&str]) -> Answer {
        match (method, rest) {
            (&Method::GET, []) => Ok(Reply::json(value::hook(self.inner, repo, &hook))),
            (&Method::PATCH, []) => self.update_hook(repo, hook),
            (&Method::DELETE, []) => {
                self.inner.world().hooks.remove(hook.id);
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            (&Method::GET, ["config"]) => Ok(Reply::json(value::config(&hook))),
            (&Method::PATCH, ["config"]) => self.update_config(hook),
            (&Method::POST, ["pings"]) => {
                self.inner.ping(repo, &hook);
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            (&Method::POST, ["test" | "tests"]) => {
                self.inner.test_hook(repo, &hook);
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            (_, ["deliveries", rest @ ..]) => self.deliveries(repo, &hook, rest),
            _ => Err(Reply::not_found(PAGE)),
        }
    }

    fn list_hooks(&self, repo: &Repo) -> Reply {
        let world = self.inner.world();
        let hooks = world.hooks.of(repo.id);
        let all = hooks.map(|hook| value::hook(self.inner, repo, hook));
        self.page(&format!("/repositories/{}/hooks", repo.id), all.collect())
    }

    fn create_hook(&self, repo: &Repo, token: &Token) -> Answer {
        let body = self.json_body()?;
        if text(&body, "name").is_some_and(|name| name != "web") {
            return Err(invalid("Name must be web"));
        }
        let now = self.inner.now_ms();
        let mut world = self.inner.world();
        let mut hook = Hook::new(world.id(), repo.id, "", now);
        hook.creator = world.user(&token.login).map_or(0, |user| user.id);
        if let TokenKind::OAuth { client_id } = &token.kind {
            hook.extra
                .insert("app".to_owned(), client_id.clone().into());
        }
        hook.events.insert("push".to_owned());
        replace_config(&mut hook, config_of(&body).unwrap_or(&Map::new()))?;
        change_events(&mut hook, &body)?;
        hook.active = truth(&body, "active").unwrap_or(true);
        has_room(&world, &hook)?;
        world.hooks.create(hook.clone());
        drop(world);
        self.inner.ping(repo, &hook);
        let mut reply = Reply::json(value::hook(self.inner, repo, &hook));
        reply.status = StatusCode::CREATED;
        let url = value::url(self.inner, repo, &hook);
        Ok(reply.with("location", url))
    }

    /// A `config` replaces all of the old one, so a secret that it leaves out is gone
    fn update_hook(&self, repo: &Repo, mut hook: Hook) -> Answer {
        let body = self.json_body()?;
        if let Some(config) = config_of(&body) {
            replace_config(&mut hook, config)?;
        }
        change_events(&mut hook, &body)?;
        hook.active = truth(&body, "active").unwrap_or(hook.active);
        hook.updated = self.inner.now_ms();
        let mut world = self.inner.world();
        has_room(&world, &hook)?;
        world.hooks.plant(hook.clone());
        Ok(Reply::json(value::hook(self.inner, repo, &hook)))
    }

    /// `PATCH .../config`: what is left out stays
    fn update_config(&self, mut hook: Hook) -> Answer {
        let body = self.json_body()?;
        apply_config(&mut hook, &body)?;
        hook.updated = self.inner.now_ms();
        self.inner.world().hooks.plant(hook.clone());
        Ok(Reply::json(value::config(&hook)))
    }

    fn json_body(&self) -> Result<Map<String, Value>, Reply> {
        let parsed = serde_json::from_slice(self.body);
        let text = "Problems parsing JSON";
        parsed.map_err(|_| Reply::error(StatusCode::BAD_REQUEST, text, PAGE))
    }
}

/// `repo` covers hooks; without it there are scopes for them alone, also in private repositories
fn has_scope(token: &Token, level: &str) -> Result<(), Reply> {
    match token.covers("repo") || token.covers(&format!("{level}:repo_hook")) {
        true => Ok(()),
        false => Err(Reply::not_found(PAGE)),
    }
}

fn has_permission(token: &Token, level: &str) -> Result<(), Reply> {
    let has = |level: &str| token.scopes.contains(&format!("repository_hooks:{level}"));
    let (enough, wanted) = match level {
        "read" => (has("read") || has("write"), "repository_hooks=read"),
        _ => (has("write"), "repository_hooks=write"),
    };
    if enough {
        return Ok(());
    }
    let text = match token.is_personal() {
        true => "Resource not accessible by personal access token",
        false => "Resource not accessible by integration",
    };
    let reply = Reply::error(StatusCode::FORBIDDEN, text, PAGE);
    Err(reply.with("x-accepted-github-permissions", wanted.to_owned()))
}

fn config_of(body: &Map<String, Value>) -> Option<&Map<String, Value>> {
    body.get("config").and_then(Value::as_object)
}

fn replace_config(hook: &mut Hook, config: &Map<String, Value>) -> Result<(), Reply> {
    hook.url.clear();
    hook.secret = None;
    hook.form = true;
    hook.verifies_tls = true;
    apply_config(hook, config)
}

fn apply_config(hook: &mut Hook, config: &Map<String, Value>) -> Result<(), Reply> {
    if let Some(url) = config.get("url").and_then(Value::as_str) {
        url.clone_into(&mut hook.url);
    }
    let parsed = url::Url::parse(&hook.url).ok();
    if parsed.is_none_or(|url| !matches!(url.scheme(), "http" | "https")) {
        return Err(invalid("Config must contain URL for webhooks"));
    }
    match text(config, "content_type") {
        None => {}
        Some("json") => hook.form = false,
        Some("form") => hook.form = true,
        Some(_) => return Err(invalid("Content type must be json or form")),
    }
    if config.contains_key("secret") {
        hook.secret = text(config, "secret").map(str::to_owned);
    }
    // It is a number or a text.
    if let Some(insecure) = truth(config, "insecure_ssl") {
        hook.verifies_tls = !insecure;
    }
    Ok(())
}

fn change_events(hook: &mut Hook, body: &Map<String, Value>) -> Result<(), Reply> {
    let names = |member: &str| -> Option<Vec<String>> {
        let list = body.get(member)?.as_array()?.iter();
        Some(
            list.filter_map(|one| Some(one.as_str()?.to_owned()))
                .collect(),
        )
    };
    if let Some(all) = names("events") {
        hook.events = all.into_iter().collect();
    }
    hook.events.extend(names("add_events").unwrap_or_default());
    for gone in names("remove_events").unwrap_or_default() {
        hook.events.remove(&gone);
    }
    let known = |name: &String| EVENTS.contains(&name.as_str());
    match hook.events.iter().all(known) && !hook.events.is_empty() {
        true => Ok(()),
        false => Err(invalid("Events contains an unknown event")),
    }
}

/// Whether there is neither the same hook nor too many of them
fn has_room(world: &World, hook: &Hook) -> Result<(), Reply> {
    let others = world.hooks.of(hook.repository);
    let others: Vec<_> = others.filter(|other| other.id != hook.id).collect();
    let overlaps = |other: &&&Hook| !other.events.is_disjoint(&hook.events);
    let same = others.iter().filter(overlaps);
    if same.clone().any(|other| other.url == hook.url) {
        return Err(invalid("Hook already exists on this repository"));
    }
    let full = hook.events.iter().find(|event| {
        let there = others.iter().filter(|other| other.events.contains(*event));
        there.count() >= MOST
    });
    match full {
        Some(event) => Err(invalid(&format!(
            "The \"{event}\" event cannot have more than {MOST} hooks"
        ))),
        None => Ok(()),
    }
}

fn invalid(message: &str) -> Reply {
    let mut reply = Reply::unprocessable(PAGE, "Validation Failed");
    if let Some(body) = &mut reply.body {
        body["errors"] = json!([{"resource": "Hook", "code": "custom", "message": message}]);
    }
    reply
}

/// How the API words what came of a delivery
fn words(outcome: Outcome) -> (u16, String) {
    match outcome {
        Outcome::Answered(status @ 200..300) => (status, "OK".to_owned()),
        Outcome::Answered(status) => (status, format!("Invalid HTTP Response: {status}")),
        Outcome::Unreachable => (502, "failed to connect to host".to_owned()),
    }
}
