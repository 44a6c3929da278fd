//! Git over HTTP, by `git http-backend`, and the page of a repository

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use hyper::body::Bytes;

use super::access::Caller;
use super::pages::{escape, page};
use super::seed::Permission;
use super::web::{Visitor, see_other};
use super::world::Repo;
use super::{Inner, pages};
use crate::repositories::Call;

/// Git over HTTP, or a repository's page
pub(super) async fn or_page(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Extension(body): Extension<Bytes>,
) -> Response {
    let mut parts = uri.path().trim_matches('/').splitn(3, '/');
    let (Some(owner), Some(name)) = (parts.next(), parts.next()) else {
        return pages::not_found();
    };
    match parts.next() {
        None => repository_page(&inner, &headers, (owner, name)).await,
        Some(rest) => {
            let name = name.strip_suffix(".git").unwrap_or(name);
            let request = GitRequest {
                inner: &inner,
                method,
                uri: &uri,
                headers: &headers,
                rest,
            };
            let answer = request.answer((owner, name), &body).await;
            answer.unwrap_or_else(|refused| *refused)
        }
    }
}

struct GitRequest<'a> {
    inner: &'a Inner,
    method: Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    /// As `info/refs`
    rest: &'a str,
}

impl GitRequest<'_> {
    async fn answer(&self, name: (&str, &str), body: &Bytes) -> Result<Response, Box<Response>> {
        if !["info/refs", "git-upload-pack", "git-receive-pack"].contains(&self.rest) {
            return Err(Box::new(pages::not_found()));
        }
        let caller = match Caller::of(self.inner, self.headers) {
            Ok(caller) => caller,
            Err(reply) if reply.status == StatusCode::UNAUTHORIZED => return Err(unauthorized()),
            Err(reply) => return Err(Box::new(reply.plain())),
        };
        let repo = self.repo(&caller, name)?;
        if self.writes() {
            self.may_write(&caller, &repo)?;
        }
        let answer = self.backend(&repo, &caller, body).await;
        answer.map_err(|error| {
            Box::new((StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response())
        })
    }

    /// The repository, if the caller may read it
    ///
    /// Those without credentials are asked for some, so that nobody learns what there is.
    fn repo(&self, caller: &Caller, (owner, name): (&str, &str)) -> Result<Repo, Box<Response>> {
        let world = self.inner.world();
        let named = world
            .repo(owner, name)
            .or_else(|| world.renamed(owner, name));
        let readable = named.filter(|repo| !repo.private || caller.known().is_some());
        let repo = match (readable, caller.known()) {
            (Some(repo), _) => repo,
            (None, None) => return Err(unauthorized()),
            (None, Some(_)) => return Err(no_repository()),
        };
        if let Err(reply) = world.may_read(caller, repo) {
            return Err(match reply.status {
                StatusCode::NOT_FOUND => no_repository(),
                _ => Box::new(reply.plain()),
            });
        }
        if let Some(token) = caller.known().filter(|_| repo.private) {
            token
                .permits("contents:read")
                .map_err(|_| no_repository())?;
        }
        if repo.name.eq_ignore_ascii_case(name) {
            return Ok(repo.clone());
        }
        let query = self
            .uri
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let to = format!(
            "{}/{}.git/{}{query}",
            self.inner.web,
            repo.full_name(),
            self.rest
        );
        Err(Box::new(
            (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to)]).into_response(),
        ))
    }

    fn writes(&self) -> bool {
        let asks = self
            .uri
            .query()
            .is_some_and(|query| query.contains("git-receive-pack"));
        asks || self.rest == "git-receive-pack"
    }

    fn may_write(&self, caller: &Caller, repo: &Repo) -> Result<(), Box<Response>> {
        let token = caller.known().ok_or_else(unauthorized)?;
        let permission = self.inner.world().reach(token, repo);
        let scope = if repo.private { "repo" } else { "public_repo" };
        let scoped = if token.is_fine_grained() {
            token.scopes.contains("contents:write")
        } else {
            token.covers(scope)
        };
        if scoped && permission >= Some(Permission::Push) && !repo.archived {
            return Ok(());
        }
        let text = "remote: Write access to repository not granted.\n";
        Err(Box::new((StatusCode::FORBIDDEN, text).into_response()))
    }

    async fn backend(
        &self,
        repo: &Repo,
        caller: &Caller,
        body: &Bytes,
    ) -> anyhow::Result<Response> {
        let call = Call {
            repository: repo.id,
            rest: self.rest,
            method: &self.method,
            query: self.uri.query().unwrap_or_default(),
            headers: self.headers,
            body,
            user: caller.known().map(|token| token.login.as_str()),
        };
        let answer = self.inner.repositories.serve(&call).await?;
        if self.writes() {
            self.inner.pushed(repo.id, call.user)?;
        }
        Ok(answer)
    }
}

fn unauthorized() -> Box<Response> {
    let text = "Invalid username or token. Password authentication is not supported for Git \
                operations.\n";
    let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
    Box::new((StatusCode::UNAUTHORIZED, ask, text).into_response())
}

fn no_repository() -> Box<Response> {
    Box::new((StatusCode::NOT_FOUND, "Repository not found.\n").into_response())
}

async fn repository_page(inner: &Inner, headers: &HeaderMap, name: (&str, &str)) -> Response {
    let visitor = Visitor::of(inner, headers);
    let bare = name.1.strip_suffix(".git").unwrap_or(name.1);
    let found = {
        let world = inner.world();
        let named = world
            .repo(name.0, bare)
            .or_else(|| world.renamed(name.0, bare));
        let seen = named.filter(|repo| {
            let login = visitor.login.as_deref();
            !repo.private || login.is_some_and(|login| world.permission(repo, login).is_some())
        });
        seen.cloned()
    };
    let Some(repo) = found else {
        return pages::not_found();
    };
    let full_name = repo.full_name();
    if bare != repo.name {
        return see_other(&format!("/{full_name}"));
    }
    let refs = inner
        .repositories
        .refs(repo.id, "refs/")
        .await
        .unwrap_or_default();
    let items = refs
        .iter()
        .map(|found| format!("<li><code>{}</code></li>", escape(&found.name)));
    let clone = escape(&format!("{}/{full_name}.git", inner.web));
    let body = page(&full_name)
        .add(&format!("<p>Clone with HTTPS: <code>{clone}</code></p>"))
        .add(&format!(
            "<h2>Branches and tags</h2><ul>{}</ul>",
            items.collect::<String>()
        ));
    visitor.show(&full_name, &body)
}
