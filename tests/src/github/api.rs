//! The REST API: who asks, where it leads, and the headers of every answer

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use hyper::body::Bytes;
use serde_json::json;
use url::form_urlencoded;

use super::access::Caller;
use super::reply::{Outcome, Reply, insert};
use super::world::{Repo, Token};
use super::{ApiPlace, Inner, json};

/// One API request, taken apart
pub(super) struct Call<'a> {
    pub(super) inner: &'a Inner,
    pub(super) method: &'a Method,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a Bytes,
    pub(super) caller: Caller,
}

const ORG_SCOPES: &str = "admin:org, read:org, repo, user, write:org";
const MOVED_SCOPES: &str = "admin:repo_hook, delete_repo, read:repo_hook, repo, repo:status, \
    repo_deployment, security_events, write:repo_hook";

pub(super) async fn answer(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Extension(body): Extension<Bytes>,
) -> Response {
    let path = uri.path().strip_prefix("/api/v3").unwrap_or(uri.path());
    let segments = segments(path);
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut call = Call {
        inner: &inner,
        method: &method,
        query: query.into_owned().collect(),
        headers: &headers,
        body: &body,
        caller: Caller::Nobody,
    };
    // These say who they are in their own way.
    if let ["applications", ..] | ["credentials", ..] = *segments {
        let reply = super::applications::answer(&call, &segments);
        return call.finish(reply, &segments).into_response();
    }
    let reply = match Caller::of(&inner, &headers) {
        Err(refused) => refused,
        Ok(caller) => {
            call.caller = caller;
            call.reply(&segments).await
        }
    };
    call.finish(reply, &segments)
}

impl Call<'_> {
    async fn reply(&self, segments: &[&str]) -> Reply {
        if let Err(limited) = self.inner.spend(&self.caller) {
            return limited;
        }
        let special = self.for_apps(segments).or_else(|| self.for_hooks(segments));
        let outcome = match (special, self.method) {
            (Some(outcome), _) => outcome,
            (None, &Method::GET) => self.get(segments).await,
            (None, _) => Err(Reply::not_found("")),
        };
        outcome.unwrap_or_else(|refused| refused)
    }

    async fn get(&self, segments: &[&str]) -> Outcome {
        match *segments {
            [] => Ok(self.root()),
            ["meta"] => Ok(self.meta()),
            ["rate_limit"] => Ok(self.rate_limit()),
            ["user"] => self.user(),
            ["user", "orgs"] => self.user_orgs(),
            ["user", "memberships", "orgs", login] => self.own_membership(login),
            ["user", "repos"] => self.user_repos(),
            ["user", id, "repos"] => self.public_repos(self.login_of(id)?),
            ["users", login] => self.public_user(login),
            ["users", login, "orgs"] => self.public_orgs(login),
            ["users", login, "repos"] => self.public_repos(login.to_owned()),
            ["orgs", login] => self.org(login),
            ["orgs", login, "repos"] => self.org_repos(login),
            ["organizations", id, "repos"] => self.org_repos(&self.org_login_of(id)?),
            ["repos", owner, name, ref rest @ ..] => {
                let repo = self.named_repo(owner, name, rest)?;
                self.repo(&repo, rest).await
            }
            ["repositories", id, ref rest @ ..] => {
                let repo = self.numbered_repo(id)?;
                self.repo(&repo, rest).await
            }
            _ => Err(Reply::not_found("")),
        }
    }

    fn root(&self) -> Reply {
        let api = &self.inner.api;
        Reply::json(json!({
            "current_user_url": format!("{api}/user"),
            "user_repositories_url": format!("{api}/users/{{user}}/repos{{?type,page,per_page,sort}}"),
            "rate_limit_url": format!("{api}/rate_limit"),
        }))
    }

    fn meta(&self) -> Reply {
        let mut meta = json!({ "verifiable_password_authentication": false });
        if self.inner.options.api == ApiPlace::Enterprise {
            meta["installed_version"] = "3.20.0".into();
        }
        Reply::json(meta)
    }

    fn user(&self) -> Outcome {
        let token = self
            .caller
            .token("/users/users#get-the-authenticated-user")?;
        if token.installation().is_some() {
            let text = "Resource not accessible by integration";
            return Err(Reply::error(StatusCode::FORBIDDEN, text, ""));
        }
        let world = self.inner.world();
        let user = world
            .user(&token.login)
            .ok_or_else(|| Reply::not_found(""))?;
        let private = token.covers("read:user") || token.permits("profile:read").is_ok();
        let private = private && (token.is_fine_grained() || token.covers("read:user"));
        Ok(Reply::json(json::user_full(
            self.inner, &world, user, private,
        )))
    }

    fn public_user(&self, login: &str) -> Outcome {
        let world = self.inner.world();
        let missing = || Reply::not_found("/users/users#get-a-user");
        let user = world.user(login).ok_or_else(missing)?;
        Ok(Reply::json(json::user_full(
            self.inner, &world, user, false,
        )))
    }

    fn org(&self, login: &str) -> Outcome {
        let world = self.inner.world();
        let missing = || Reply::not_found("/orgs/orgs#get-an-organization");
        let org = world.org(login).ok_or_else(missing)?;
        if let Some(token) = self.caller.known() {
            org.admits(token)?;
        }
        Ok(Reply::json(json::org_full(self.inner, &world, org)))
    }

    fn login_of(&self, id: &str) -> Result<String, Reply> {
        let world = self.inner.world();
        let mut users = world.users.iter();
        let user = users.find(|user| user.id.to_string() == id);
        user.map(|user| user.login.clone())
            .ok_or_else(|| Reply::not_found(""))
    }

    fn org_login_of(&self, id: &str) -> Result<String, Reply> {
        let world = self.inner.world();
        let mut orgs = world.orgs.iter();
        let org = orgs.find(|org| org.id.to_string() == id);
        org.map(|org| org.login.clone())
            .ok_or_else(|| Reply::not_found(""))
    }

    fn named_repo(&self, owner: &str, name: &str, rest: &[&str]) -> Result<Repo, Reply> {
        let world = self.inner.world();
        if let Some(repo) = world.repo(owner, name) {
            world.may_read(&self.caller, repo)?;
            return Ok(repo.clone());
        }
        let Some(repo) = world.renamed(owner, name) else {
            return Err(Reply::not_found("/repos/repos#get-a-repository"));
        };
        world.may_read(&self.caller, repo)?;
        let rest: String = rest.iter().flat_map(|segment| ["/", segment]).collect();
        Err(self.moved(&format!("/repositories/{}{rest}", repo.id)))
    }

    fn numbered_repo(&self, id: &str) -> Result<Repo, Reply> {
        let world = self.inner.world();
        let mut repos = world.repos.iter();
        let repo = repos.find(|repo| repo.id.to_string() == id);
        let repo = repo.ok_or_else(|| Reply::not_found(""))?;
        world.may_read(&self.caller, repo)?;
        Ok(repo.clone())
    }

    pub(super) fn moved(&self, to: &str) -> Reply {
        let url = format!("{}{to}{}", self.inner.api, self.query_string());
        let mut reply = Reply::json(json!({
            "message": "Moved Permanently",
            "url": url,
            "documentation_url":
                "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
        }));
        reply.status = StatusCode::MOVED_PERMANENTLY;
        reply.with("location", url)
    }

    fn query_string(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.query);
        let query = query.finish();
        if query.is_empty() {
            query
        } else {
            format!("?{query}")
        }
    }

    /// Add what every answer has
    fn finish(&self, reply: Reply, segments: &[&str]) -> Response {
        let etag = reply.etag();
        let status = reply.status;
        let mut answer = reply.plain();
        let headers = answer.headers_mut();
        if let Some(token) = self.caller.known() {
            describe(headers, token, accepted(segments, status));
        }
        self.inner.rate_headers(headers, &self.caller);
        if let Some(etag) = etag {
            let seen = self.headers.get(header::IF_NONE_MATCH);
            let unchanged = seen.is_some_and(|seen| seen.as_bytes() == etag.as_bytes());
            insert(headers, "etag", &etag);
            let scope = if self.caller.known().is_some() {
                "private"
            } else {
                "public"
            };
            insert(
                headers,
                "cache-control",
                &format!("{scope}, max-age=60, s-maxage=60"),
            );
            insert(
                headers,
                "vary",
                "Accept, Authorization, Cookie, X-GitHub-OTP",
            );
            if segments
                .first()
                .is_some_and(|first| first.starts_with("repo"))
            {
                insert(headers, "last-modified", "Tue, 10 Oct 2017 16:00:00 GMT");
            }
            if unchanged {
                *answer.status_mut() = StatusCode::NOT_MODIFIED;
                *answer.body_mut() = axum::body::Body::empty();
            }
        }
        answer
    }
}

/// What the headers say about a token
fn describe(headers: &mut HeaderMap, token: &Token, accepted: &str) {
    if token.is_fine_grained() {
        if !headers.contains_key("x-accepted-github-permissions") {
            insert(headers, "x-accepted-github-permissions", "metadata=read");
        }
    } else {
        insert(headers, "x-oauth-scopes", &token.scope_list());
        insert(headers, "x-accepted-oauth-scopes", accepted);
    }
    // Only personal access tokens tell when they end.
    if let Some(end) = token.expires.filter(|_| token.is_personal()) {
        let end = json::time(end).replace('T', " ").replace('Z', " UTC");
        insert(headers, "github-authentication-token-expiration", &end);
    }
}

fn accepted(segments: &[&str], status: StatusCode) -> &'static str {
    match segments {
        ["repos", ..] if status == StatusCode::MOVED_PERMANENTLY => MOVED_SCOPES,
        ["repos" | "repositories", _, _, "branches" | "tags", ..] | ["repositories", _, _] => "",
        ["repos" | "repositories", ..] => "repo",
        ["orgs" | "organizations", ..] | ["user", "orgs"] => ORG_SCOPES,
        _ => "",
    }
}

fn segments(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let decode = |part: &str| {
        // A plus is itself in a path.
        let part = format!(
            "x={}",
            part.replace('+', "%2B")
                .replace('&', "%26")
                .replace('=', "%3D")
        );
        let mut pairs = form_urlencoded::parse(part.as_bytes());
        let value = pairs.next().map(|(_, value)| value.into_owned());
        value.unwrap_or_default()
    };
    parts.map(decode).collect()
}
