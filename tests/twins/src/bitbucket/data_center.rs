//! Bitbucket Data Center
//!
//! - `rules`: its OAuth: codes of ten seconds, PKCE
//! - `access`: who comes with which token and what it allows, for the API and for git
//! - `projects`: the REST API below `/rest/api/latest`
//! - `reply`: pages by `start` and `limit`, errors with the names of Java classes
//!
//! A group of the world is a project, and each person has one of their own: `~login`.

mod access;
mod hooks;
mod projects;
mod reply;
mod rules;

pub use rules::rules;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{
    Git, GitRequest, State, Twin,
    http::{Request, Response},
    world::{NewToken, Person, Role},
};

use access::Caller;

/// Where the API is below the web URL
const API: &str = "/rest/api/latest";

/// What an HTTP access token is made for that is no person's
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// All of a project
    Project(u64),
    /// One repository
    Repository(u64),
}

/// One Bitbucket Data Center
#[derive(Debug)]
pub struct DataCenter {
    state: State,
    /// `https://git.example.com/bitbucket`
    web: String,
    /// `/bitbucket`; empty at the top of its host
    root: String,
    /// What `/application-properties` says
    pub version: String,
    /// Whether answers say in `X-AUSERNAME` for whom they are; a proxy may take that out
    pub names_user: bool,
}

impl DataCenter {
    /// An empty one under a URL without a slash at the end: `https://git.example.com/bitbucket`
    #[must_use]
    pub fn new(web: &str, seed: u64) -> Self {
        let mut server = Self {
            state: State::new(rules(), seed),
            web: String::new(),
            root: String::new(),
            version: "9.2.0".to_owned(),
            names_user: true,
        };
        server.set_web(web);
        server
    }

    /// Its URL for people
    #[must_use]
    pub fn web(&self) -> &str {
        &self.web
    }

    /// Base of its API
    #[must_use]
    pub fn api(&self) -> String {
        format!("{}{API}", self.web)
    }

    /// Makes an HTTP access token of a person and returns it; its scopes are `REPO_READ` and the like
    pub fn make_token(&mut self, new: &NewToken<'_>, now_ms: u64) -> String {
        let secret = self.state.mint.secret("BBDC-", 44);
        let id = self.state.world.id();
        let tokens = &mut self.state.world.tokens;
        tokens.add(id, secret.clone(), new, now_ms);
        secret
    }

    /// Makes an HTTP access token of a project or of a repository in it, and returns it; it acts for an account that no list
    /// shows
    pub fn make_place_token(&mut self, place: Place, scope: &str, now_ms: u64) -> String {
        let world = &mut self.state.world;
        let (Place::Project(id) | Place::Repository(id)) = place;
        let bot = world.add_bot(&format!("access-token-user-{id}"), now_ms);
        match place {
            Place::Project(id) => world.join(bot, id, Role::Admin),
            Place::Repository(id) => world.admit(bot, id, Role::Admin),
        }
        let new = NewToken {
            person: bot,
            name: "bindery",
            scopes: &[scope],
            expires: None,
        };
        self.make_token(&new, now_ms)
    }

    fn oauth(&mut self, path: &[String], request: &Request, now_ms: u64) -> Option<Response> {
        let (server, mut cx) = self.state.oauth(now_ms);
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET" | "POST", ["authorize"]) => Some(server.authorize(&mut cx, request)),
            ("POST", ["token"]) => Some(server.token(&mut cx, request)),
            ("POST", ["revoke"]) => server.revoke(request),
            _ => None,
        }
    }

    /// A bad token is refused everywhere; without one, some things are everybody's
    fn for_whom(
        &mut self,
        request: &Request,
        now_ms: u64,
        answer: impl FnOnce(&mut Self, Option<&Caller>) -> Result<Response, Response>,
    ) -> Response {
        let caller = match Caller::of(&mut self.state, request, now_ms) {
            Ok(caller) => caller,
            Err(refused) => return refused,
        };
        let answer = answer(self, caller.as_ref()).unwrap_or_else(|refused| refused);
        let person = caller
            .as_ref()
            .and_then(|caller| self.state.world.people.get(&caller.person));
        let named = person
            .filter(|_| self.names_user)
            .map(|person| (name_of(person), person.id));
        match named {
            Some((name, id)) => answer
                .with("x-ausername", &name)
                .with("x-auserid", &id.to_string()),
            None => answer,
        }
    }

    fn api_answer(
        &mut self,
        caller: Option<&Caller>,
        path: &[&str],
        request: &Request,
        now_ms: u64,
    ) -> Result<Response, Response> {
        if let ["projects", key, "repos", slug, "webhooks", rest @ ..] = path {
            return self.hooks(caller, request, (key, slug), rest, now_ms);
        }
        if path == ["application-properties"] {
            return Ok(self.properties());
        }
        let caller = caller.ok_or_else(reply::anonymous)?;
        match path {
            ["users"] => Ok(self.list_users(request)),
            ["users", slug] => self.one_user(slug),
            ["projects"] => Ok(self.list_projects(caller, request)),
            ["projects", key, "repos"] => self.list_of_project(caller, request, key),
            ["projects", key, "repos", slug] => self.one_repository(caller, key, slug),
            ["projects", key, "repos", slug, list] => {
                self.list_refs(caller, request, (key, slug), list)
            }
            ["repos"] => Ok(self.list_repositories(caller, request)),
            _ => Err(reply::not_found()),
        }
    }

    fn properties(&self) -> Response {
        let body = json!({
            "version": self.version,
            "buildNumber": "9002000",
            "buildDate": "1724817600000",
            "displayName": "Bitbucket",
        });
        Response::json(200, &body)
    }

    fn list_users(&self, request: &Request) -> Response {
        let wanted = request.query("filter").unwrap_or_default().to_lowercase();
        let people = self.state.world.people.values();
        let people = people.filter(|person| !person.bot);
        let found = people.filter(|person| person.login.to_lowercase().contains(&wanted));
        reply::page(request, &found.map(user_value).collect::<Vec<_>>())
    }

    fn one_user(&self, slug: &str) -> Result<Response, Response> {
        let mut people = self.state.world.people.values();
        let found = people.find(|person| slug_of(person) == slug && !person.bot);
        let found = found.ok_or_else(|| reply::error(404, "user.NoSuchUserException"))?;
        Ok(Response::json(200, &user_value(found)))
    }

    fn whoami(&self, caller: Option<&Caller>) -> Response {
        let person = caller.and_then(|caller| self.state.world.people.get(&caller.person));
        let name = person
            .map(|person| person.login.as_str())
            .unwrap_or_default();
        Response::text(200, name)
    }
}

/// As a header can hold it
fn name_of(person: &Person) -> String {
    utf8_percent_encode(&person.login, NON_ALPHANUMERIC).to_string()
}

/// As paths have it: `jane@example` is `jane_example`
fn slug_of(person: &Person) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let letters = person.login.to_lowercase();
    letters
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect()
}

fn user_value(person: &Person) -> Value {
    json!({
        "id": person.id,
        "name": person.login,
        "slug": slug_of(person),
        "displayName": person.name,
        "emailAddress": person.email,
        "active": !person.suspended,
        "type": if person.bot { "SERVICE" } else { "NORMAL" },
    })
}

impl Twin for DataCenter {
    fn state(&self) -> &State {
        &self.state
    }

    fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    fn set_web(&mut self, web: &str) {
        web.clone_into(&mut self.web);
        let path = url::Url::parse(web).map(|url| url.path().trim_end_matches('/').to_owned());
        self.root = path.unwrap_or_default();
    }

    fn answer(&mut self, request: &Request, now_ms: u64) -> Response {
        if let Some(segments) = request.segments(&format!("{}{API}", self.root)) {
            return self.for_whom(request, now_ms, |server, caller| {
                let path: Vec<_> = segments.iter().map(String::as_str).collect();
                server.api_answer(caller, &path, request, now_ms)
            });
        }
        if request.path == format!("{}/plugins/servlet/applinks/whoami", self.root) {
            return self.for_whom(request, now_ms, |server, caller| Ok(server.whoami(caller)));
        }
        let path = request.segments(&format!("{}/rest/oauth2/latest", self.root));
        let answer = path.and_then(|path| self.oauth(&path, request, now_ms));
        answer.unwrap_or_else(reply::not_found)
    }

    fn git(&mut self, request: &GitRequest<'_>, now_ms: u64) -> Git {
        access::git(&mut self.state, &self.root, request, now_ms)
    }

    fn rate_limited(&self, retry_after_s: u64, _: u64) -> Response {
        reply::error(429, "ratelimit.RateLimitExceededException")
            .with("x-ratelimit-limit", "60")
            .with("x-ratelimit-remaining", "0")
            .with("x-ratelimit-interval-seconds", "1")
            .with("x-ratelimit-fillrate", "5")
            .with("retry-after", &retry_after_s.to_string())
    }

    fn not_found(&self) -> Response {
        reply::not_found()
    }

    fn announce(&mut self, change: &crate::hooks::Change, now_ms: u64) {
        self.tell(change, now_ms);
    }
}
