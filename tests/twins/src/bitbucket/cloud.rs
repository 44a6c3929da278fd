//! Bitbucket Cloud
//!
//! - `rules`: its OAuth: scopes of the consumer, long tokens, rotation with ten minutes' grace
//! - `access`: who comes with which token and what its scopes allow, for the API and for git
//! - `workspaces`, `repositories`: the REST API below `/2.0`
//! - `reply`: pages with `next` in the body, errors in its words, what CHANGE-2770 took away
//!
//! A group of the world is a workspace, and each person has one of their own.

mod access;
mod hooks;
mod reply;
mod repositories;
mod rules;
mod workspaces;

pub use rules::rules;

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    Git, GitRequest, State, Twin,
    hooks::{Change, Hooks},
    http::{Request, Response},
    time,
    world::{NewToken, Person, Role},
};

use access::{Caller, Needs};

/// Where the API is below the web URL; the real one is at a host of its own
const API: &str = "/2.0";

/// What an access token is bound to
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// All of a workspace
    Workspace(u64),
    /// One repository, or those of a project
    Repositories(&'a [u64]),
}

/// One Bitbucket Cloud
#[derive(Debug)]
pub struct Cloud {
    state: State,
    /// `https://bitbucket.example.com`
    web: String,
    /// Workspaces whose access controls keep the token out: they are listed, and everything else of them is forbidden
    pub closed_workspaces: BTreeSet<u64>,
}

/// The id of anything, with the braces that belong to it
fn uuid(id: u64) -> String {
    format!("{{00000000-0000-4000-8000-{id:012x}}}")
}

impl Cloud {
    /// An empty one under a URL without a slash at the end
    #[must_use]
    pub fn new(web: &str, seed: u64) -> Self {
        let mut state = State::new(rules(), seed);
        state.hooks = Hooks::new(hooks::rules());
        Self {
            state,
            web: web.to_owned(),
            closed_workspaces: BTreeSet::new(),
        }
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

    /// Makes an API token of a person's Atlassian account and returns it; it goes with their e-mail address
    pub fn make_token(&mut self, new: &NewToken<'_>, now_ms: u64) -> String {
        let secret = self.state.mint.secret("ATATT3", 180);
        let id = self.state.world.id();
        let tokens = &mut self.state.world.tokens;
        tokens.add(id, secret.clone(), new, now_ms);
        secret
    }

    /// Makes an access token of a workspace, of a project in it, or of a repository, and returns it
    ///
    /// It is nobody's: it goes as a bearer, is shut out of `/user`, and its scopes have the names of those of consumers.
    pub fn make_access_token(&mut self, place: Place<'_>, scopes: &[&str], now_ms: u64) -> String {
        let secret = self.state.mint.secret("ATCTT3", 180);
        let world = &mut self.state.world;
        let bot = world.add_bot("access-token", now_ms);
        match place {
            Place::Workspace(group) => world.join(bot, group, Role::Admin),
            Place::Repositories(all) => {
                for id in all {
                    world.admit(bot, *id, Role::Admin);
                }
            }
        }
        let new = NewToken {
            person: bot,
            name: "bindery",
            scopes,
            expires: None,
        };
        let id = world.id();
        world.tokens.add(id, secret.clone(), &new, now_ms);
        secret
    }

    fn oauth(&mut self, path: &[String], request: &Request, now_ms: u64) -> Option<Response> {
        let (server, mut cx) = self.state.oauth(now_ms);
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET" | "POST", ["authorize"]) => Some(server.authorize(&mut cx, request)),
            ("POST", ["access_token"]) => Some(server.token(&mut cx, request)),
            _ => None,
        }
    }

    fn api_answer(&mut self, path: &[&str], request: &Request, now_ms: u64) -> Response {
        if let ["repositories", slug, name, "hooks", rest @ ..] = path {
            return self.about_hooks((slug, name), rest, request, now_ms);
        }
        if request.method != "GET" {
            return reply::error(405, "Method not allowed");
        }
        if path == ["hook_events"] {
            return self.hook_events();
        }
        let caller = match Caller::of(&mut self.state, request, now_ms) {
            Ok(caller) => caller,
            Err(refused) => return refused,
        };
        let scopes = caller.scope_list();
        let answer = self.for_caller(&caller, path, request);
        let answer = answer.unwrap_or_else(|refused| refused);
        answer.with("x-oauth-scopes", &scopes)
    }

    fn about_hooks(
        &mut self,
        names: (&str, &str),
        rest: &[&str],
        request: &Request,
        now_ms: u64,
    ) -> Response {
        let caller = match Caller::of(&mut self.state, request, now_ms) {
            Ok(caller) => caller,
            Err(refused) => return refused,
        };
        let answer = self.hooks(&caller, request, names, rest, now_ms);
        let answer = answer.unwrap_or_else(|refused| refused);
        answer.with("x-oauth-scopes", &caller.scope_list())
    }

    fn for_caller(
        &self,
        caller: &Caller,
        path: &[&str],
        request: &Request,
    ) -> Result<Response, Response> {
        match path {
            ["repositories" | "workspaces"]
            | ["user", "permissions", "repositories" | "workspaces"] => Err(reply::gone()),
            ["user", ..] if caller.is_nobody => Err(reply::unauthorized()),
            ["user"] => self.user(caller),
            ["workspaces", slug] => self.one_workspace(caller, slug),
            ["user", "workspaces"] => self.list_workspaces(caller, request),
            ["user", "workspaces", slug, "permission"] => self.workspace_role(caller, slug),
            ["user", "workspaces", slug, "permissions", "repositories"] => {
                self.list_permissions(caller, request, slug)
            }
            ["repositories", slug] => self.list_repositories(caller, request, slug),
            ["repositories", slug, name] => self.one_repository(caller, slug, name),
            ["repositories", slug, name, "refs", list] => {
                self.list_refs(caller, request, (slug, name), list)
            }
            _ => Err(reply::not_found()),
        }
    }

    fn hook_events(&self) -> Response {
        let of = |kind: &str| {
            let href = format!("{}/hook_events/{kind}", self.api());
            json!({"links": {"events": {"href": href}}})
        };
        let body = json!({"repository": of("repository"), "workspace": of("workspace")});
        Response::json(200, &body)
    }

    fn user(&self, caller: &Caller) -> Result<Response, Response> {
        caller.needs(Needs::Account)?;
        let person = self.state.world.people.get(&caller.person);
        let person = person.ok_or_else(reply::unauthorized)?;
        Ok(Response::json(200, &self.user_value(person)))
    }

    fn user_value(&self, person: &Person) -> serde_json::Value {
        let link = |path: String| json!({"href": path});
        json!({
            "type": if person.bot { "app_user" } else { "user" },
            "uuid": uuid(person.id),
            "account_id": format!("557058:{}", person.id),
            "account_status": "active",
            "username": person.login,
            "nickname": person.login,
            "display_name": person.name,
            "website": null,
            "location": null,
            "is_staff": false,
            "created_on": time::rfc3339(person.created),
            "links": {
                "self": link(format!("{}/users/{}", self.api(), uuid(person.id))),
                "html": link(format!("{}/{}/", self.web, uuid(person.id))),
                "avatar": link(format!("{}/account/{}/avatar/", self.web, person.login)),
                "repositories": link(format!("{}/repositories/{}", self.api(), uuid(person.id))),
                "snippets": link(format!("{}/snippets/{}", self.api(), uuid(person.id))),
                "hooks": link(format!("{}/workspaces/{}/hooks", self.api(), uuid(person.id))),
                "followers": link(format!("{}/users/{}/followers", self.api(), uuid(person.id))),
                "following": link(format!("{}/users/{}/following", self.api(), uuid(person.id))),
            },
        })
    }
}

impl Twin for Cloud {
    fn state(&self) -> &State {
        &self.state
    }

    fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    fn set_web(&mut self, web: &str) {
        web.clone_into(&mut self.web);
    }

    fn answer(&mut self, request: &Request, now_ms: u64) -> Response {
        if let Some(segments) = request.segments(API) {
            let segments: Vec<_> = segments.iter().map(String::as_str).collect();
            return self.api_answer(&segments, request, now_ms);
        }
        let path = request.segments("/site/oauth2");
        let answer = path.and_then(|path| self.oauth(&path, request, now_ms));
        answer.unwrap_or_else(reply::not_found)
    }

    fn git(&mut self, request: &GitRequest<'_>, now_ms: u64) -> Git {
        access::git(&mut self.state, request, now_ms)
    }

    /// What is left is told nowhere, nor is when to come back
    fn rate_limited(&self, _: u64, _: u64) -> Response {
        reply::error(429, "Rate limit for this resource has been exceeded")
            .with("x-ratelimit-limit", "1000")
            .with("x-ratelimit-resource", "api-requests")
            .with("x-ratelimit-nearlimit", "true")
    }

    fn not_found(&self) -> Response {
        reply::not_found()
    }

    fn announce(&mut self, change: &Change, now_ms: u64) {
        self.tell(change, now_ms);
    }
}
