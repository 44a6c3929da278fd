//! Gitee, as gitee.com
//!
//! - `rules`: its OAuth (Doorkeeper): a day, and a reply with both tokens anew
//! - `values`: people, organizations, repositories and refs as the API writes them
//! - `paging`: pages that are counted in headers of its own
//!
//! A missing scope is a 401, a used-up rate limit a 403 without a word about when it ends. Tokens in the query string
//! and in forms are not accepted, although Gitee takes them: nothing may send one there.

mod hooks;
mod paging;
mod rules;
mod values;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    Git, GitRequest, State, Twin,
    caller::{self, Caller, GitWords},
    http::{Request, Response},
    world::{Found, Group, NewToken, Owner, Refused, Repository},
};

pub use rules::rules;

/// Where the API is below the web URL
const API: &str = "/api/v5";

/// One Gitee
#[derive(Debug)]
pub struct Gitee {
    state: State,
    web: String,
    root: String,
    /// Whether branches and tags come in pages that are counted; servers of 2022 give all of them and count nothing
    pub pages_refs: bool,
    /// Whether ids of hooks are written as texts
    pub hook_ids_are_texts: bool,
    /// Whether webhooks can sign; where they can't, every one sends its password
    pub signs_webhooks: bool,
    /// Groups that are enterprises and no organizations
    pub enterprises: BTreeSet<u64>,
    /// Invitations that were not accepted yet: group and person
    pub invitations: BTreeSet<(u64, u64)>,
}

impl Gitee {
    /// An empty one under a URL without a slash at the end
    #[must_use]
    pub fn new(web: &str, seed: u64) -> Self {
        let mut gitee = Self {
            state: State::new(rules(), seed),
            web: String::new(),
            root: String::new(),
            pages_refs: true,
            hook_ids_are_texts: false,
            signs_webhooks: true,
            enterprises: BTreeSet::new(),
            invitations: BTreeSet::new(),
        };
        gitee.set_web(web);
        gitee
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

    /// Makes a personal token and returns it
    pub fn make_token(&mut self, new: &NewToken<'_>, now_ms: u64) -> String {
        let secret = self.state.mint.secret("", 32);
        let id = self.state.world.id();
        self.state.world.tokens.add(id, secret.clone(), new, now_ms);
        secret
    }

    fn oauth(&mut self, path: &str, request: &Request, now_ms: u64) -> Option<Response> {
        let (server, mut cx) = self.state.oauth(now_ms);
        match (request.method.as_str(), path) {
            ("GET" | "POST", "authorize") => Some(server.authorize(&mut cx, request)),
            ("POST", "token") => Some(server.token(&mut cx, request)),
            _ => None,
        }
    }

    fn caller(&mut self, request: &Request, now_ms: u64) -> Result<Caller, Response> {
        let token = request.authorization(&["token", "Bearer"]);
        let token =
            token.ok_or_else(|| error(401, "401 Unauthorized: Access token is required"))?;
        let caller = Caller::with(&mut self.state, token, now_ms).map_err(|why| match why {
            Refused::Expired => error(401, "401 Unauthorized: Access token is expired"),
            Refused::Unknown | Refused::Revoked => {
                error(401, "401 Unauthorized: Access token does not exist")
            }
        })?;
        // How Gitee words this is not known.
        match caller.suspended {
            true => Err(error(403, "403 Forbidden")),
            false => Ok(caller),
        }
    }

    fn api_answer(
        &mut self,
        path: &[&str],
        request: &Request,
        now_ms: u64,
    ) -> Result<Response, Response> {
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
            ["user", "repos"] => self.own_repositories(&caller, request),
            ["user", "orgs"] => self.organizations(&caller, request),
            ["user", "memberships", "orgs"] => self.memberships(&caller, request),
            ["user", "enterprises"] => self.own_enterprises(&caller, request),
            [kind @ ("orgs" | "users"), owner, "repos"] => {
                self.repositories_of(&caller, request, kind, owner)
            }
            ["repos", owner, name, rest @ ..] => {
                needs(&caller, "projects")?;
                let repository = self.visible(&caller, &format!("{owner}/{name}"))?;
                self.repository(&caller, request, repository, rest)
            }
            _ => Err(self.not_found()),
        }
    }

    fn user(&self, caller: &Caller) -> Result<Response, Response> {
        needs(caller, "user_info")?;
        let person = self.state.world.people.get(&caller.person);
        let person = person.ok_or_else(|| self.not_found())?;
        Ok(Response::json(200, &values::person(&self.web, person)))
    }

    fn organizations(&self, caller: &Caller, request: &Request) -> Result<Response, Response> {
        needs(caller, "groups")?;
        let all: Vec<_> = self
            .groups_of(caller, false)
            .map(|group| values::organization(&self.web, group))
            .collect();
        Ok(paging::page(request, &all))
    }

    fn own_enterprises(&self, caller: &Caller, request: &Request) -> Result<Response, Response> {
        needs(caller, "enterprises")?;
        let all: Vec<_> = self
            .groups_of(caller, true)
            .map(|group| values::enterprise(&self.web, group))
            .collect();
        Ok(paging::page(request, &all))
    }

    /// Organizations or enterprises that somebody is in
    fn groups_of(&self, caller: &Caller, enterprises: bool) -> impl Iterator<Item = &Group> {
        let all = self.state.world.groups.values();
        all.filter(move |group| {
            group.members.contains_key(&caller.person)
                && self.enterprises.contains(&group.id) == enterprises
        })
    }

    fn memberships(&self, caller: &Caller, request: &Request) -> Result<Response, Response> {
        needs(caller, "groups")?;
        let all = self.groups_of(caller, false).filter_map(|group| {
            let role = group.members.get(&caller.person)?;
            let person = self.state.world.people.get(&caller.person)?;
            let active = !self.invitations.contains(&(group.id, person.id));
            let member = values::membership(&self.web, group, person, *role);
            Some(with_active(member, active))
        });
        Ok(paging::page(request, &all.collect::<Vec<_>>()))
    }

    fn own_repositories(&self, caller: &Caller, request: &Request) -> Result<Response, Response> {
        needs(caller, "projects")?;
        let personal = request.query("type") == Some("personal");
        let own = Owner::Person(caller.person);
        let listed = |found: &&Repository| {
            let mine = self.state.world.role(caller.person, found).is_some();
            mine && (!personal || found.owner == own)
        };
        Ok(self.page_of(caller, request, listed))
    }

    /// Of another person, what is public; of an organization, what the caller may see
    fn repositories_of(
        &self,
        caller: &Caller,
        request: &Request,
        kind: &str,
        owner: &str,
    ) -> Result<Response, Response> {
        needs(caller, "projects")?;
        let world = &self.state.world;
        let owner = match kind {
            "orgs" => world.group(owner).map(|group| Owner::Group(group.id)),
            _ => world.person(owner).map(|person| Owner::Person(person.id)),
        };
        let owner = owner.ok_or_else(|| self.not_found())?;
        let person = matches!(owner, Owner::Group(_)).then_some(caller.person);
        let listed = |found: &&Repository| found.owner == owner && world.may_read(person, found);
        Ok(self.page_of(caller, request, listed))
    }

    fn page_of(
        &self,
        caller: &Caller,
        request: &Request,
        listed: impl Fn(&&Repository) -> bool,
    ) -> Response {
        let all = self.state.world.repositories.values().filter(listed);
        let all: Vec<_> = all.map(|found| self.value(caller, found)).collect();
        paging::page(request, &all)
    }

    fn value(&self, caller: &Caller, repository: &Repository) -> Value {
        values::repository(&self.web, &self.state.world, caller.person, repository)
    }

    /// A former path leads nowhere: that Gitee would redirect is not documented.
    fn visible(&self, caller: &Caller, path: &str) -> Result<&Repository, Response> {
        let found = match self.state.world.repository(path) {
            Some(Found::Here(repository)) => Some(repository),
            Some(Found::Moved(_)) | None => None,
        };
        let seen = found.filter(|found| self.state.world.may_read(Some(caller.person), found));
        seen.ok_or_else(|| error(404, "404 Project Not Found"))
    }

    fn repository(
        &self,
        caller: &Caller,
        request: &Request,
        repository: &Repository,
        rest: &[&str],
    ) -> Result<Response, Response> {
        let all = match rest {
            [] => return Ok(Response::json(200, &self.value(caller, repository))),
            ["branches", name] => {
                let world = &self.state.world;
                let found = values::branch(&self.web, world, repository, name);
                let found = found.ok_or_else(|| self.not_found())?;
                return Ok(Response::json(200, &found));
            }
            ["branches"] => values::branches(repository),
            ["tags"] => values::tags(repository),
            _ => return Err(self.not_found()),
        };
        Ok(match self.pages_refs {
            true => paging::page(request, &all),
            false => Response::json(200, &Value::Array(all)),
        })
    }
}

fn with_active(mut membership: Value, active: bool) -> Value {
    membership["active"] = active.into();
    membership
}

fn needs(caller: &Caller, scope: &str) -> Result<(), Response> {
    match caller.has(&[scope]) {
        true => Ok(()),
        false => Err(error(401, &format!("401 Unauthorized: no '{scope}' scope"))),
    }
}

fn error(status: u16, message: &str) -> Response {
    Response::json(status, &json!({"message": message}))
}

fn allows(scopes: &BTreeSet<String>, _: bool) -> bool {
    scopes.contains("projects")
}

impl Twin for Gitee {
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
        let path = request.segments(&format!("{}/oauth", self.root));
        let answer = path.and_then(|path| self.oauth(&path.join("/"), request, now_ms));
        answer.unwrap_or_else(|| self.not_found())
    }

    fn git(&mut self, request: &GitRequest<'_>, now_ms: u64) -> Git {
        let words = GitWords {
            root: &self.root,
            realm: "Gitee",
            allows,
        };
        caller::git(&mut self.state, words, request, now_ms)
    }

    /// It does not say when to come back
    fn rate_limited(&self, _: u64, _: u64) -> Response {
        error(403, "403 Forbidden (Rate Limit Exceeded)")
    }

    fn not_found(&self) -> Response {
        error(404, "404 Not Found")
    }

    fn announce(&mut self, change: &crate::hooks::Change, now_ms: u64) {
        self.tell(change, now_ms);
    }
}
