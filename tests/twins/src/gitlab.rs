//! GitLab, as gitlab.com and as a server under a relative URL root
//!
//! - `rules`: its OAuth (Doorkeeper): rotation without any grace, 7,200 seconds, revocation that kills the pair
//! - `access`: who comes with which token and what their scopes allow, for the API and for git
//! - `projects`, `refs`, `groups`, `tokens`: the REST API below `/api/v4`
//! - `hooks`, `deliveries`: webhooks of projects, and what they are told
//! - `paging`: keyset and offset pages
//!
//! Tokens in the query string are not accepted, although GitLab takes them: nothing may send one there.

mod access;
mod deliveries;
mod groups;
mod hooks;
mod paging;
mod projects;
mod refs;
mod reply;
mod rules;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    Git, GitRequest, State, Twin,
    hooks::{Change, Hooks},
    http::{Request, Response},
    time,
    world::{NewToken, Role},
};

pub use rules::rules;

use access::Caller;
use reply::error;

/// Where the API is below the web URL
const API: &str = "/api/v4";

/// One GitLab
#[derive(Debug)]
pub struct GitLab {
    state: State,
    /// `https://gitlab.example.com/root`
    web: String,
    /// `/root`; empty at the top of its host
    root: String,
    /// What `/version` says
    pub version: String,
    /// In front of personal access tokens; an administrator may change it
    pub token_prefix: String,
    /// Whether signing tokens of webhooks are kept; where the flag is off, they are ignored without a word
    pub signs_webhooks: bool,
    /// A push that changes more branches and tags than this is not told to any hook
    pub push_event_hooks_limit: usize,
    /// Top groups that hide themselves from the caller's address: they are listed, and not there
    pub hidden_groups: BTreeSet<u64>,
    /// Top groups that ask for a single sign-on session first
    pub sign_on_groups: BTreeSet<u64>,
    /// When which hook was tested, or sent something once more
    forced: BTreeMap<u64, Vec<u64>>,
}

impl GitLab {
    /// An empty one under a URL without a slash at the end: `https://gitlab.example.com/root`
    #[must_use]
    pub fn new(web: &str, seed: u64) -> Self {
        let mut gitlab = Self {
            state: State::new(rules(), seed),
            web: String::new(),
            root: String::new(),
            version: "17.9.0-ee".to_owned(),
            token_prefix: "glpat-".to_owned(),
            signs_webhooks: false,
            push_event_hooks_limit: 3,
            hidden_groups: BTreeSet::new(),
            sign_on_groups: BTreeSet::new(),
            forced: BTreeMap::new(),
        };
        gitlab.state.hooks = Hooks::new(deliveries::rules());
        gitlab.set_web(web);
        gitlab
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

    /// Makes a personal access token and returns it; it ends at 00:00 UTC of the date of `expires`
    pub fn make_token(&mut self, new: &NewToken<'_>, now_ms: u64) -> String {
        let secret = self.state.mint.secret(&self.token_prefix, 20);
        let id = self.state.world.id();
        let expires = new.expires.and_then(|end| time::midnight(&time::date(end)));
        let new = NewToken { expires, ..*new };
        self.state
            .world
            .tokens
            .add(id, secret.clone(), &new, now_ms);
        secret
    }

    /// Makes an access token of a project, with a maintainer's role, and returns it; it acts for a bot of its own
    pub fn make_project_token(&mut self, project: u64, scopes: &[&str], now_ms: u64) -> String {
        let world = &mut self.state.world;
        let bot = world.add_bot(&format!("project_{project}_bot_1a2b"), now_ms);
        world.admit(bot, project, Role::Admin);
        self.make_token(&of_bot(bot, scopes), now_ms)
    }

    /// Makes an access token of a group, with a maintainer's role, and returns it; it acts for a bot of its own
    pub fn make_group_token(&mut self, group: u64, scopes: &[&str], now_ms: u64) -> String {
        let world = &mut self.state.world;
        let bot = world.add_bot(&format!("group_{group}_bot_3c4d"), now_ms);
        world.join(bot, group, Role::Admin);
        self.make_token(&of_bot(bot, scopes), now_ms)
    }

    /// Pages and endpoints of OAuth
    fn oauth(&mut self, path: &str, request: &Request, now_ms: u64) -> Option<Response> {
        let page = format!("{}/oauth/device", self.web);
        let (server, mut cx) = self.state.oauth(now_ms);
        let answer = match (request.method.as_str(), path) {
            ("GET" | "POST", "authorize") => server.authorize(&mut cx, request),
            ("POST", "token") => server.token(&mut cx, request),
            ("POST", "revoke") => server.revoke(request)?,
            ("POST", "authorize_device") => server.device_code(&mut cx, request, &page)?,
            ("GET" | "POST", "device") => server.device_page(&cx, request),
            ("GET", "token/info") => self.token_info(request, now_ms),
            _ => return None,
        };
        Some(answer)
    }

    fn token_info(&mut self, request: &Request, now_ms: u64) -> Response {
        let token = request.authorization(&["Bearer"]).unwrap_or_default();
        match self.state.oauth.present(token, now_ms) {
            Ok(bearer) => Response::json(
                200,
                &json!({
                    "resource_owner_id": bearer.person,
                    "scope": bearer.scopes,
                    "expires_in": bearer.expires.map(|end| time::seconds(end - now_ms)),
                    "application": {"uid": bearer.client},
                }),
            ),
            Err(refused) => reply::refused(refused),
        }
    }

    fn api_answer(&mut self, segments: &[&str], request: &Request, now_ms: u64) -> Response {
        let caller = match Caller::of(&mut self.state, request, now_ms) {
            Ok(caller) => caller,
            Err(refusal) => return refusal.rotated(self, segments, request),
        };
        let answer = match (request.method.as_str(), segments) {
            ("GET", ["version"]) => self.version(&caller),
            ("GET", ["user"]) => self.user(&caller),
            ("GET", ["groups"]) => self.list_groups(&caller, request),
            ("GET", ["groups", id]) => self.group(&caller, id),
            ("GET", ["projects"]) => self.list_projects(&caller, request),
            ("GET", ["projects", id]) => self.project(&caller, request, id),
            ("GET", ["projects", id, "repository", rest @ ..]) => {
                self.repository(&caller, request, id, rest)
            }
            (_, ["projects", id, "hooks", rest @ ..]) => {
                self.hooks(&caller, request, id, rest, now_ms)
            }
            (_, ["personal_access_tokens", "self", rest @ ..]) => {
                self.own_token(&caller, request, rest, now_ms)
            }
            _ => Err(error(404, "404 Not Found")),
        };
        answer.unwrap_or_else(|refused| refused)
    }

    fn version(&self, caller: &Caller) -> Result<Response, Response> {
        caller.needs(&["api", "read_api", "read_user"])?;
        let body = json!({"version": self.version, "revision": "30a8d0ae3b8"});
        Ok(Response::json(200, &body))
    }

    fn user(&self, caller: &Caller) -> Result<Response, Response> {
        caller.needs(&["api", "read_api", "read_user"])?;
        let person = self.state.world.people.get(&caller.person);
        let person = person.ok_or_else(reply::unauthorized)?;
        let created = time::rfc3339(person.created);
        let own = json!({
            "id": person.id,
            "username": person.login,
            "name": person.name,
            "state": "active",
            "locked": false,
            "avatar_url": format!("{}/uploads/user/avatar/{}/index.jpg", self.web, person.id),
            "web_url": format!("{}/{}", self.web, person.login),
            "created_at": created,
            "bot": person.bot,
            "email": person.email,
            "public_email": person.email,
            "last_sign_in_at": created,
            "current_sign_in_at": created,
            "confirmed_at": created,
            "last_activity_on": time::date(person.created),
        });
        Ok(Response::json(200, &with_profile(own)))
    }
}

const fn of_bot<'a>(bot: u64, scopes: &'a [&'a str]) -> NewToken<'a> {
    NewToken {
        person: bot,
        name: "bindery",
        scopes,
        expires: None,
    }
}

/// What a person may say of themselves, here nothing
fn with_profile(mut own: Value) -> Value {
    let rest = json!({
        "bio": "",
        "location": "",
        "skype": "",
        "linkedin": "",
        "twitter": "",
        "website_url": "",
        "organization": "",
        "job_title": "",
        "followers": 0,
        "following": 0,
        "theme_id": 1,
        "color_scheme_id": 2,
        "projects_limit": 100_000,
        "identities": [],
        "can_create_group": true,
        "can_create_project": true,
        "two_factor_enabled": false,
        "external": false,
        "private_profile": false,
    });
    if let (Some(own), Value::Object(rest)) = (own.as_object_mut(), rest) {
        own.extend(rest);
    }
    own
}

impl Twin for GitLab {
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
            let segments: Vec<_> = segments.iter().map(String::as_str).collect();
            return self.api_answer(&segments, request, now_ms);
        }
        let path = request.segments(&format!("{}/oauth", self.root));
        let answer = path.and_then(|path| self.oauth(&path.join("/"), request, now_ms));
        answer.unwrap_or_else(|| self.not_found())
    }

    fn git(&mut self, request: &GitRequest<'_>, now_ms: u64) -> Git {
        access::git(&mut self.state, &self.root, &self.web, request, now_ms)
    }

    fn rate_limited(&self, retry_after_s: u64, now_ms: u64) -> Response {
        let reset = time::seconds(now_ms) + retry_after_s;
        let names = [
            ("ratelimit-limit", "300".to_owned()),
            ("ratelimit-name", "throttle_authenticated_api".to_owned()),
            ("ratelimit-observed", "301".to_owned()),
            ("ratelimit-remaining", "0".to_owned()),
            ("ratelimit-reset", reset.to_string()),
            ("ratelimit-resettime", time::http_date(reset * 1_000)),
            ("retry-after", retry_after_s.to_string()),
        ];
        let answer = Response::text(429, "Retry later\n");
        names
            .iter()
            .fold(answer, |answer, (name, value)| answer.with(name, value))
    }

    fn not_found(&self) -> Response {
        error(404, "404 Not Found")
    }

    fn announce(&mut self, change: &Change, now_ms: u64) {
        self.tell(change, now_ms);
    }
}
