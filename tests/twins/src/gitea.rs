//! Gitea, and Forgejo, which does the same
//!
//! - `rules`: its OAuth, with `INVALIDATE_REFRESH_TOKENS` on or off
//! - `lists`: pages, repositories and refs
//! - `values`: people, organizations and repositories as the API writes them
//!
//! A grant without scopes may do everything. A missing scope, an account that was shut out and a private thing for a
//! token with `public-only` are each a 403 with a sentence of its own.

mod deliveries;
mod hooks;
mod lists;
mod rules;
mod values;

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    Git, GitRequest, State, Twin,
    caller::{self, Caller, GitWords},
    http::{Request, Response},
    world::{Found, NewToken, Repository},
};

pub use rules::rules;

/// Where the API is below the web URL
const API: &str = "/api/v1";

/// One Gitea
#[derive(Debug)]
pub struct Gitea {
    state: State,
    web: String,
    root: String,
    /// What `/version` says
    pub version: String,
}

impl Gitea {
    /// An empty one under a URL without a slash at the end; refresh tokens go on working
    #[must_use]
    pub fn new(web: &str, seed: u64) -> Self {
        let mut gitea = Self {
            state: State::new(rules(false), seed),
            web: String::new(),
            root: String::new(),
            version: "1.26.0".to_owned(),
        };
        gitea.set_web(web);
        gitea
    }

    /// Turns `INVALIDATE_REFRESH_TOKENS` on or off
    pub fn set_invalidates_refresh_tokens(&mut self, on: bool) {
        self.state.oauth.rules = rules(on);
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

    /// Makes a personal access token and returns it
    pub fn make_token(&mut self, new: &NewToken<'_>, now_ms: u64) -> String {
        let secret = self.state.mint.secret("", 40);
        let id = self.state.world.id();
        self.state.world.tokens.add(id, secret.clone(), new, now_ms);
        secret
    }

    fn oauth(&mut self, path: &str, request: &Request, now_ms: u64) -> Option<Response> {
        let (server, mut cx) = self.state.oauth(now_ms);
        match (request.method.as_str(), path) {
            ("GET" | "POST", "authorize") => Some(server.authorize(&mut cx, request)),
            ("POST", "access_token") => Some(server.token(&mut cx, request)),
            _ => None,
        }
    }

    fn caller(&mut self, request: &Request, now_ms: u64) -> Result<Caller, Response> {
        let token = request.authorization(&["token", "Bearer"]);
        let token = token.ok_or_else(|| self.error(401, "token is required"))?;
        let caller = Caller::with(&mut self.state, token, now_ms);
        let caller = caller.map_err(|_| self.error(401, "token is required"))?;
        match caller.suspended {
            true => Err(self.error(
                403,
                "This account is prohibited from signing in, please contact your site administrator.",
            )),
            false => Ok(caller),
        }
    }

    fn api_answer(
        &mut self,
        path: &[&str],
        request: &Request,
        now_ms: u64,
    ) -> Result<Response, Response> {
        if path == ["version"] {
            return Ok(Response::json(200, &json!({"version": self.version})));
        }
        let caller = self.caller(request, now_ms)?;
        if let ["repos", owner, name, "hooks", rest @ ..] = path {
            let path = format!("{owner}/{name}");
            return self.hooks(&caller, request, &path, rest, now_ms);
        }
        if request.method != "GET" {
            return Err(self.not_found());
        }
        match path {
            ["user"] => self.user(&caller),
            ["user", "orgs"] => self.organizations(&caller, request),
            ["users", login, "orgs", name, "permissions"] => self.permissions(&caller, login, name),
            ["user", "repos"] => self.own_repositories(&caller, request),
            [kind @ ("orgs" | "users"), owner, "repos"] => {
                self.repositories_of(&caller, request, kind, owner)
            }
            ["repositories", id] => self.repository_by_id(&caller, id),
            ["repos", owner, name, rest @ ..] => {
                self.repository(&caller, request, &format!("{owner}/{name}"), rest)
            }
            _ => Err(self.not_found()),
        }
    }

    fn user(&self, caller: &Caller) -> Result<Response, Response> {
        self.needs(caller, "user")?;
        let person = self.state.world.people.get(&caller.person);
        let person = person.ok_or_else(|| self.not_found())?;
        Ok(Response::json(200, &values::person(&self.web, person)))
    }

    /// A repository that the caller may see, or a redirect to where it is now
    fn visible(&self, caller: &Caller, path: &str, rest: &[&str]) -> Result<&Repository, Response> {
        let found = self.state.world.repository(path);
        let (Some(Found::Here(repository) | Found::Moved(repository)), moved) =
            (found, matches!(found, Some(Found::Moved(_))))
        else {
            return Err(self.not_found());
        };
        self.shown(caller, repository)?;
        if moved {
            let now = self.state.world.full_path(repository);
            let rest: String = rest.iter().map(|one| format!("/{one}")).collect();
            let to = format!("{}{API}/repos/{now}{rest}", self.root);
            return Err(Response::redirect(307, &to));
        }
        Ok(repository)
    }

    fn shown(&self, caller: &Caller, repository: &Repository) -> Result<(), Response> {
        self.needs(caller, "repository")?;
        if !self.state.world.may_read(Some(caller.person), repository) {
            return Err(self.not_found());
        }
        match repository.private && caller.has(&["public-only"]) {
            true => Err(self.error(403, "token scope is limited to public repos")),
            false => Ok(()),
        }
    }

    /// A grant without scopes may do everything
    fn needs(&self, caller: &Caller, category: &str) -> Result<(), Response> {
        if may(&caller.scopes, category, false) {
            return Ok(());
        }
        let scopes: Vec<_> = caller.scopes.iter().map(String::as_str).collect();
        let text = format!(
            "token does not have at least one of required scope(s), required=[read:{category}], token scope={}",
            scopes.join(",")
        );
        Err(self.error(403, &text))
    }

    fn error(&self, status: u16, message: &str) -> Response {
        let url = format!("{}/api/swagger", self.web);
        Response::json(status, &json!({"message": message, "url": url}))
    }
}

fn may(scopes: &BTreeSet<String>, category: &str, write: bool) -> bool {
    let has = |scope: &str| scopes.contains(scope);
    let unlimited = scopes.iter().all(|scope| scope == "public-only");
    let reads = !write && has(&format!("read:{category}"));
    unlimited || has("all") || reads || has(&format!("write:{category}"))
}

fn allows(scopes: &BTreeSet<String>, write: bool) -> bool {
    may(scopes, "repository", write)
}

impl Twin for Gitea {
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
        if let Some(path) = request.segments(&format!("{}{API}", self.root)) {
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            return self
                .api_answer(&path, request, now_ms)
                .unwrap_or_else(|refused| refused);
        }
        let path = request.segments(&format!("{}/login/oauth", self.root));
        let answer = path.and_then(|path| self.oauth(&path.join("/"), request, now_ms));
        answer.unwrap_or_else(|| self.not_found())
    }

    fn git(&mut self, request: &GitRequest<'_>, now_ms: u64) -> Git {
        let words = GitWords {
            root: &self.root,
            realm: "Gitea",
            allows,
        };
        caller::git(&mut self.state, words, request, now_ms)
    }

    /// It has no rate limit of its own; this is a proxy's before it
    fn rate_limited(&self, retry_after_s: u64, _: u64) -> Response {
        Response::text(429, "Too Many Requests").with("retry-after", &retry_after_s.to_string())
    }

    /// Versions to 1.14 named the page in another member
    fn not_found(&self) -> Response {
        let page = match self.version.starts_with("1.14") {
            true => "documentation_url",
            false => "url",
        };
        let url = format!("{}/api/swagger", self.web);
        let body = json!({"message": "Not Found", "errors": null, page: url});
        Response::json(404, &body)
    }

    fn announce(&mut self, change: &crate::hooks::Change, now_ms: u64) {
        self.tell(change, now_ms);
    }
}
