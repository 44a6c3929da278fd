//! Lists, their pages, and what belongs to a repository

use serde_json::{Value, json};

use super::access::Caller;
use super::api::Call;
use super::reply::{Outcome, Reply, insert};
use super::world::{Org, Repo, Token, World};
use super::{Inner, json};
use crate::repositories::Ref;

use http::{HeaderMap, StatusCode};

/// Requests per hour
const ANONYMOUS_LIMIT: u32 = 60;
const TOKEN_LIMIT: u32 = 5000;
const HOUR: i64 = 3600;

impl Call<'_> {
    pub(super) fn user_orgs(&self) -> Outcome {
        const PAGE: &str = "/orgs/orgs#list-organizations-for-the-authenticated-user";
        let token = self.caller.token(PAGE)?;
        if !token.is_fine_grained() && !token.covers("read:org") && !token.scopes.contains("user") {
            let text = "You need at least read:org scope or user scope to list your organizations.";
            return Err(Reply::error(StatusCode::FORBIDDEN, text, PAGE));
        }
        let world = self.inner.world();
        let (orgs, hidden) = visible_orgs(&world, token);
        let orgs = orgs.iter().map(|org| json::org(self.inner, org));
        let reply = self.page("/user/orgs", orgs.collect());
        Ok(partial(reply, &hidden))
    }

    /// What the person themselves is in an organization
    pub(super) fn own_membership(&self, login: &str) -> Outcome {
        const PAGE: &str =
            "/orgs/members#get-an-organization-membership-for-the-authenticated-user";
        let token = self.caller.token(PAGE)?;
        let world = self.inner.world();
        let missing = || Reply::not_found(PAGE);
        let org = world.org(login).ok_or_else(missing)?;
        org.admits(token)?;
        token.permits("members:read")?;
        let user = world.user(&token.login).ok_or_else(missing)?;
        let role = *org.members.get(&user.login).ok_or_else(missing)?;
        Ok(Reply::json(json::membership(self.inner, org, user, role)))
    }

    /// Memberships that a person shows to everybody, whatever an organization restricts
    pub(super) fn public_orgs(&self, login: &str) -> Outcome {
        let world = self.inner.world();
        let missing = || Reply::not_found("/orgs/orgs#list-organizations-for-a-user");
        let user = world.user(login).ok_or_else(missing)?;
        let shown = world.orgs.iter();
        let shown = shown.filter(|org| org.shown.contains(&user.login));
        let shown = shown.map(|org| json::org(self.inner, org));
        let path = format!("/user/{}/orgs", user.id);
        Ok(self.page(&path, shown.collect()))
    }

    pub(super) fn user_repos(&self) -> Outcome {
        let token = self
            .caller
            .token("/repos/repos#list-repositories-for-the-authenticated-user")?;
        let wanted = self.value("affiliation");
        let wanted = wanted.unwrap_or("owner,collaborator,organization_member");
        let world = self.inner.world();
        let mut hidden = Vec::new();
        let mut repos = Vec::new();
        for repo in &world.repos {
            let Some(affiliation) = affiliation(&world, repo, &token.login) else {
                continue;
            };
            if !wanted.split(',').any(|wanted| wanted == affiliation) {
                continue;
            }
            let reached = token.reaches_account(&repo.owner);
            if reached && world.may_read(&self.caller, repo).is_ok() {
                repos.push(json::repo(self.inner, &world, repo, Some(token)));
            }
            let org = world.org(&repo.owner);
            hidden.extend(org.filter(|org| org.wants_sso(token)).map(|org| org.id));
        }
        Ok(partial(self.page("/user/repos", repos), &hidden))
    }

    pub(super) fn public_repos(&self, login: String) -> Outcome {
        let world = self.inner.world();
        let missing = || Reply::not_found("/repos/repos#list-repositories-for-a-user");
        let user = world.user(&login).ok_or_else(missing)?;
        let path = format!("/user/{}/repos", user.id);
        Ok(self.page(&path, self.repos_of(&world, &user.login)))
    }

    pub(super) fn org_repos(&self, login: &str) -> Outcome {
        let world = self.inner.world();
        let missing = || Reply::not_found("/repos/repos#list-organization-repositories");
        let org = world.org(login).ok_or_else(missing)?;
        if let Some(token) = self.caller.known() {
            org.admits(token)?;
        }
        let path = format!("/organizations/{}/repos", org.id);
        Ok(self.page(&path, self.repos_of(&world, &org.login)))
    }

    pub(super) async fn repo(&self, repo: &Repo, rest: &[&str]) -> Outcome {
        if let (Some(token), [_, ..]) = (self.caller.known().filter(|_| repo.private), rest) {
            token.permits("contents:read")?;
        }
        match rest {
            [] => Ok(self.one_repo(repo)),
            ["branches"] => {
                let refs = self.refs(repo, "refs/heads/").await?;
                let items = refs
                    .iter()
                    .map(|found| json::branch(self.inner, repo, found));
                Ok(self.page(
                    &format!("/repositories/{}/branches", repo.id),
                    items.collect(),
                ))
            }
            ["branches", name @ ..] => self.one_branch(repo, &name.join("/")).await,
            ["tags"] => {
                let mut refs = self.refs(repo, "refs/tags/").await?;
                refs.reverse();
                let items = refs.iter().map(|found| json::tag(self.inner, repo, found));
                Ok(self.page(&format!("/repositories/{}/tags", repo.id), items.collect()))
            }
            ["git", "matching-refs", prefix @ ..] => {
                let refs = self
                    .refs(repo, &format!("refs/{}", prefix.join("/")))
                    .await?;
                let items = refs
                    .iter()
                    .map(|found| json::git_ref(self.inner, repo, found));
                let path = format!(
                    "/repositories/{}/git/matching-refs/{}",
                    repo.id,
                    prefix.join("/")
                );
                Ok(self.page(&path, items.collect()))
            }
            ["git", "ref", name @ ..] => {
                let name = format!("refs/{}", name.join("/"));
                let refs = self.refs(repo, &name).await?;
                let found = refs.iter().find(|found| found.name == name);
                let missing = || Reply::not_found("/git/refs#get-a-reference");
                Ok(Reply::json(json::git_ref(
                    self.inner,
                    repo,
                    found.ok_or_else(missing)?,
                )))
            }
            _ => Err(Reply::not_found("")),
        }
    }

    pub(super) fn rate_limit(&self) -> Reply {
        let (limit, used, reset) = self.inner.budget(&self.caller);
        let core = json!({
            "limit": limit, "used": used, "remaining": limit.saturating_sub(used), "reset": reset,
        });
        Reply::json(json!({
            "resources": { "core": core, "search": core },
            "rate": core,
        }))
    }

    fn one_repo(&self, repo: &Repo) -> Reply {
        let world = self.inner.world();
        Reply::json(json::repo_full(
            self.inner,
            &world,
            repo,
            self.caller.known(),
        ))
    }

    async fn one_branch(&self, repo: &Repo, name: &str) -> Outcome {
        let full = format!("refs/heads/{name}");
        let refs = self.refs(repo, &full).await?;
        let missing = || {
            Reply::error(
                StatusCode::NOT_FOUND,
                "Branch not found",
                "/branches/branches#get-a-branch",
            )
        };
        let found = refs
            .iter()
            .find(|found| found.name == full)
            .ok_or_else(missing)?;
        Ok(Reply::json(json::branch_full(self.inner, repo, found)))
    }

    async fn refs(&self, repo: &Repo, prefix: &str) -> Result<Vec<Ref>, Reply> {
        let refs = self.inner.repositories.refs(repo.id, prefix).await;
        refs.map_err(|error| {
            Reply::error(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}"), "")
        })
    }

    fn repos_of(&self, world: &World, owner: &str) -> Vec<Value> {
        let repos = world.repos.iter();
        let repos = repos.filter(|repo| repo.owner == owner);
        let repos = repos.filter(|repo| world.may_read(&self.caller, repo).is_ok());
        repos
            .map(|repo| json::repo(self.inner, world, repo, self.caller.known()))
            .collect()
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Cut a list to the page that is asked for, and link to the others below a path
    pub(super) fn page(&self, path: &str, items: Vec<Value>) -> Reply {
        let number = |name| {
            self.value(name)
                .and_then(|value| value.parse::<usize>().ok())
        };
        let size = number("per_page").unwrap_or(30).clamp(1, 100);
        let page = number("page").unwrap_or(1).max(1);
        let last = items.len().div_ceil(size).max(1);
        let shown = items.into_iter().skip((page - 1) * size).take(size);
        let reply = Reply::json(shown.collect());
        let mut links = Vec::new();
        let mut link = |rel: &str, page: usize| {
            links.push(format!("<{}>; rel=\"{rel}\"", self.page_url(path, page)));
        };
        if page > 1 {
            link("prev", (page - 1).min(last));
        }
        if page < last {
            link("next", page + 1);
            link("last", last);
        }
        if page > 1 {
            link("first", 1);
        }
        if links.is_empty() {
            return reply;
        }
        reply.with("link", links.join(", "))
    }

    fn page_url(&self, path: &str, page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.query.iter().filter(|(name, _)| name != "page"));
        query.append_pair("page", &page.to_string());
        format!("{}{path}?{}", self.inner.api, query.finish())
    }
}

impl Inner {
    /// Count a request, or refuse it
    pub(super) fn spend(&self, caller: &Caller) -> Result<(), Reply> {
        if !self.options.rate_limits {
            return Ok(());
        }
        let (limit, used, reset) = self.budget(caller);
        let now = self.now();
        if used >= limit {
            let wait = u64::try_from(reset - now).unwrap_or_default();
            return Err(Reply::rate_limited(now, wait));
        }
        let mut world = self.world();
        *world
            .spent
            .entry((spender(caller), now / HOUR))
            .or_default() += 1;
        Ok(())
    }

    /// The limit, what is used of it, and when it begins anew
    fn budget(&self, caller: &Caller) -> (u32, u32, i64) {
        let hour = self.now() / HOUR;
        let limit = match caller {
            Caller::Nobody => ANONYMOUS_LIMIT,
            Caller::Token(_) | Caller::App(_) => TOKEN_LIMIT,
        };
        let world = self.world();
        let used = world.spent.get(&(spender(caller), hour)).copied();
        (limit, used.unwrap_or(0), (hour + 1) * HOUR)
    }

    pub(super) fn rate_headers(&self, headers: &mut HeaderMap, caller: &Caller) {
        if !self.options.rate_limits || headers.contains_key("x-ratelimit-limit") {
            return;
        }
        let (limit, used, reset) = self.budget(caller);
        insert(headers, "x-ratelimit-limit", &limit.to_string());
        insert(
            headers,
            "x-ratelimit-remaining",
            &limit.saturating_sub(used).to_string(),
        );
        insert(headers, "x-ratelimit-used", &used.to_string());
        insert(headers, "x-ratelimit-reset", &reset.to_string());
        insert(headers, "x-ratelimit-resource", "core");
    }
}

/// All tokens of a person share one budget
fn spender(caller: &Caller) -> String {
    if let Caller::App(id) = caller {
        return format!("app {id}");
    }
    caller
        .known()
        .map(|token| token.login.clone())
        .unwrap_or_default()
}

/// The organizations that a token lists, and the ids of those that single sign-on hides
fn visible_orgs<'a>(world: &'a World, token: &Token) -> (Vec<&'a Org>, Vec<u64>) {
    let mine = world
        .orgs
        .iter()
        .filter(|org| org.members.contains_key(&token.login));
    let open = mine.filter(|org| !org.restricts(token) && token.reaches_account(&org.login));
    let (hidden, shown): (Vec<_>, Vec<_>) = open.partition(|org| org.wants_sso(token));
    (shown, hidden.into_iter().map(|org| org.id).collect())
}

fn partial(reply: Reply, hidden: &[u64]) -> Reply {
    let ids: std::collections::BTreeSet<_> = hidden.iter().map(u64::to_string).collect();
    if ids.is_empty() {
        return reply;
    }
    let ids = ids.into_iter().collect::<Vec<_>>().join(",");
    reply.with(
        "x-github-sso",
        format!("partial-results; organizations={ids}"),
    )
}

fn affiliation(world: &World, repo: &Repo, login: &str) -> Option<&'static str> {
    if repo.owner == login {
        return Some("owner");
    }
    if repo.collaborators.contains_key(login) {
        return Some("collaborator");
    }
    let org = world.org(&repo.owner)?;
    org.members
        .contains_key(login)
        .then_some("organization_member")
}
