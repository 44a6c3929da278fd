//! Sending, and what an error of GitHub means
//!
//! A 403 is many things: a used-up rate limit, an organization's policy, a missing single sign-on, a missing scope. They
//! are told apart by headers first, and by words where there are only words.

use std::time::Duration;

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, Secret, Url};
use serde::Deserialize;

use crate::permissions;

/// Redirects that are followed for one question: a repository may have been renamed and moved.
const MOST_REDIRECTS: usize = 3;

/// How long to wait when a secondary limit was hit and GitHub does not say for how long.
const SECONDARY_WAIT: Duration = Duration::from_secs(60);

#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
}

/// What keeps a token from an organization.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Barrier {
    /// The organization has not approved the application.
    Application,
    /// The organization does not take this kind of token.
    TokenKind,
    /// The organization lets only some addresses in.
    Address,
    /// A single sign-on is due, on this page.
    SignOn(String),
    /// The app's permissions don't include this.
    Integration,
    /// A token made of permissions lacks these.
    Permission(Vec<String>),
    /// The identity, or the installation, is suspended.
    Suspended,
    /// One of these scopes would do.
    Scope(Vec<String>),
}

/// Headers that every request has.
pub(crate) fn common(request: Request) -> Request {
    request
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
}

/// Asks for a URL and gives whatever came back.
pub(crate) async fn ask(cx: &Cx, url: Url) -> Result<Response> {
    cx.send(common(Request::get(url)).bearer(Secret("access_token")))
        .await
}

/// Asks for a URL and goes after what was renamed: the daemon follows no redirect by itself.
pub(crate) async fn get(cx: &Cx, mut url: Url) -> Result<Response> {
    for _ in 0..MOST_REDIRECTS {
        let response = ask(cx, url).await?;
        match (response.status(), response.header("location")) {
            (301 | 302 | 307 | 308, Some(to)) => url = cx.follow(to)?,
            _ => return good(cx, response),
        }
    }
    Err(Failure::malformed("the server redirects in circles"))
}

pub(crate) fn good(cx: &Cx, response: Response) -> Result<Response> {
    if response.is_success() {
        Ok(response)
    } else {
        Err(failure(cx, &response))
    }
}

/// The failure that a response stands for.
pub(crate) fn failure(cx: &Cx, response: &Response) -> Failure {
    let failure = match (rate_limit(cx, response), barrier(response)) {
        (Some(wait), _) => Failure::rate_limited(Some(wait)),
        (None, Some(barrier)) => barred(cx, barrier),
        (None, None) if response.status() == 451 => {
            Failure::permission_denied("the repository is blocked for legal reasons")
        }
        (None, None) => response.failure(cx.now_unix_ms()),
    };
    failure.with_status(response.status())
}

fn barred(cx: &Cx, barrier: Barrier) -> Failure {
    match barrier {
        Barrier::Application => Failure::organization_restricted(
            "the organization has not approved the application",
            request_page(cx).unwrap_or_default(),
        ),
        Barrier::TokenKind => Failure::organization_restricted(
            "the organization does not accept this kind of token",
            "",
        ),
        Barrier::Address => Failure::organization_restricted(
            "the organization accepts requests from listed addresses only",
            "",
        ),
        Barrier::SignOn(page) => {
            let page = own_page(cx, &page);
            Failure::sso_required("the organization asks for a single sign-on", page)
        }
        Barrier::Integration => Failure::permission_denied("the token's app may not do this"),
        Barrier::Suspended => {
            Failure::suspended("GitHub has suspended the account or the installation")
        }
        Barrier::Scope(scopes) | Barrier::Permission(scopes) => Failure::scope_missing(scopes),
    }
}

/// A page that a header names, if it is one of this host: it is shown to people as a place to sign on.
pub(crate) fn own_page(cx: &Cx, page: &str) -> String {
    Url::on_origin_of(cx.web_base(), page).map_or_else(|_| String::new(), String::from)
}

/// Where a member asks for the application to be approved, and an owner approves it.
pub(crate) fn request_page(cx: &Cx) -> Option<String> {
    let client = cx.credential().client_id.as_str();
    let page = cx.web(&["settings", "connections", "applications", client]);
    page.ok().map(String::from)
}

/// How long to wait, if a rate limit is what is in the way.
///
/// The primary limit says when it ends. A secondary one may say, or not. Too many refused tokens lock the address out
/// with a 403 for everybody: that is no fault of the token at hand, so it counts as a limit as well.
pub(crate) fn rate_limit(cx: &Cx, response: &Response) -> Option<Duration> {
    if !matches!(response.status(), 403 | 429) {
        return None;
    }
    let told = response.retry_after(cx.now_unix_ms());
    let used_up = response.number("x-ratelimit-remaining") == Some(0);
    let until_reset = response
        .number("x-ratelimit-reset")
        .filter(|_| used_up)
        .map(|reset| Duration::from_secs(reset.saturating_sub(cx.now_unix_ms() / 1000)));
    match told.max(until_reset) {
        Some(wait) => Some(wait),
        None if used_up || response.status() == 429 || is_limit(&message(response)) => {
            Some(SECONDARY_WAIT)
        }
        None => None,
    }
}

fn is_limit(message: &str) -> bool {
    [
        "rate limit",
        "abuse detection",
        "Maximum number of login attempts",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// What keeps the token out, if the response says so.
pub(crate) fn barrier(response: &Response) -> Option<Barrier> {
    if let Some(page) = sign_on_page(response) {
        return Some(Barrier::SignOn(page));
    }
    if response.status() != 403 {
        return None;
    }
    let message = message(response);
    if message.contains("Resource not accessible by")
        && let Some(lacking) = missing_permissions(response)
    {
        return Some(Barrier::Permission(lacking));
    }
    let by_words = [
        ("account was suspended", Barrier::Suspended),
        ("installation has been suspended", Barrier::Suspended),
        ("OAuth App access restrictions", Barrier::Application),
        ("IP allow list", Barrier::Address),
        ("forbids access via", Barrier::TokenKind),
        ("not accessible by integration", Barrier::Integration),
        (
            "You need at least read:org scope",
            Barrier::Scope(vec!["read:org".to_owned()]),
        ),
    ];
    let found = by_words
        .into_iter()
        .find(|(words, _)| message.contains(words));
    found
        .map(|(_, barrier)| barrier)
        .or_else(|| missing_scopes(response).map(Barrier::Scope))
}

/// `X-GitHub-SSO: required; url=...`, which comes with a 403 or a 404.
fn sign_on_page(response: &Response) -> Option<String> {
    let rest = response
        .header("x-github-sso")?
        .trim()
        .strip_prefix("required")?;
    let url = rest.split_once("url=").map(|(_, url)| url.trim());
    (!response.is_success()).then(|| url.unwrap_or_default().to_owned())
}

/// `X-GitHub-SSO: partial-results; organizations=21955855,20582480`: what is missing from a list that looks complete.
pub(crate) fn left_out(response: &Response) -> Option<Vec<String>> {
    let rest = response
        .header("x-github-sso")?
        .trim()
        .strip_prefix("partial-results")?;
    let (_, ids) = rest.split_once("organizations=").unwrap_or(("", ""));
    Some(
        ids.split(',')
            .map(|id| id.trim().to_owned())
            .filter(|id| !id.is_empty())
            .collect(),
    )
}

/// Scopes of a classic token; none where GitHub does not tell.
pub(crate) fn scopes(response: &Response, header: &str) -> Option<Vec<String>> {
    let list = response.header(header)?.split(',').map(str::trim);
    Some(
        list.filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect(),
    )
}

/// The header lists every scope that would do, so having none of them is what is wrong. The least of them is named.
pub(crate) fn missing_scopes(response: &Response) -> Option<Vec<String>> {
    let granted = scopes(response, "x-oauth-scopes")?;
    let accepted = scopes(response, "x-accepted-oauth-scopes")?;
    if accepted.is_empty() || accepted.iter().any(|scope| granted.contains(scope)) {
        return None;
    }
    let least = ["read:org", "admin:repo_hook", "repo"];
    let least = least
        .into_iter()
        .find(|&one| accepted.iter().any(|scope| scope == one));
    Some(least.map_or(accepted, |scope| vec![scope.to_owned()]))
}

/// A fine-grained token or an app is told what it would have needed.
fn missing_permissions(response: &Response) -> Option<Vec<String>> {
    let accepted = permissions::accepted(response.header("x-accepted-github-permissions")?);
    (!accepted.is_empty()).then_some(accepted)
}

fn message(response: &Response) -> String {
    response.json::<Problem>().unwrap_or_default().message
}
