//! Sending, and what an error of GitLab means
//!
//! A 403 is many things: a missing scope, an account that is blocked or has to do something first. A single sign-on that
//! is due may come as a 400. They are told apart by the OAuth error where there is one, and by words where there are only
//! words.

use std::time::Duration;

use bindery_plugin_sdk::{
    Cx, Failure, Request, Response, Result, Secret, Url, calendar::parse_http_date,
};
use serde::Deserialize;
use serde_json::Value;

/// How long to wait when a limit was hit and the server does not say for how long. Its windows are a minute.
const UNTOLD_WAIT: Duration = Duration::from_secs(60);

/// Scopes from the narrowest on. Of those that would do, the first one is named.
const NARROWEST: [&str; 4] = ["read_user", "self_rotate", "read_repository", "read_api"];

/// What keeps an account out, in GitLab's words, and what is told.
const ACCOUNT: [(&str, &str); 7] = [
    ("pending approval", "the account waits for an administrator"),
    ("Terms of Service", "the account has not accepted the terms"),
    ("has been deactivated", "the account is deactivated"),
    (
        "email address is not confirmed",
        "the account's e-mail is not confirmed",
    ),
    ("password expired", "the account's password has expired"),
    ("has been blocked", "the account is blocked"),
    ("internal users", "the account is one of GitLab's own"),
];

/// The body of an error. `message` may be a text or an object, `scope` a text or a list.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    message: Value,
    error: Value,
    error_description: Value,
    scope: Value,
}

/// What keeps a token out.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Barrier {
    /// One of these scopes would do.
    Scope(Vec<String>),
    /// A single sign-on is due, on this page.
    SignOn(String),
    /// The account is blocked, or has to do something first.
    Account(&'static str),
    /// Requests have to prove that they come from the token's owner.
    Possession,
}

/// Asks for a URL and gives whatever came back.
pub(crate) async fn ask(cx: &Cx, url: Url) -> Result<Response> {
    send(cx, Request::get(url)).await
}

/// Asks for a URL and gives the response if it is good.
pub(crate) async fn get(cx: &Cx, url: Url) -> Result<Response> {
    good(cx, ask(cx, url).await?)
}

/// Sends a request with the token, which goes into a header and never into a URL.
pub(crate) async fn send(cx: &Cx, request: Request) -> Result<Response> {
    let request = request
        .header("accept", "application/json")
        .bearer(Secret("access_token"));
    cx.send(request).await
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
    let failure = if let Some(wait) = rate_limit(cx, response) {
        Failure::rate_limited(Some(wait))
    } else if let Some(barrier) = barrier(cx, response) {
        barred(cx, barrier)
    } else if response.status() == 401 {
        Failure::unauthenticated(why_refused(&problem(response)))
    } else {
        response.failure(cx.now_unix_ms())
    };
    failure.with_status(response.status())
}

fn barred(cx: &Cx, barrier: Barrier) -> Failure {
    match barrier {
        Barrier::Scope(scopes) => Failure::scope_missing(scopes),
        Barrier::SignOn(page) => Failure::sso_required("the group asks for a single sign-on", page),
        Barrier::Account(what) => Failure::suspended(what).with_action_uri(cx.web_base()),
        Barrier::Possession => Failure::permission_denied(
            "the account asks for a proof of possession (DPoP) with each token, which Bindery does not give",
        ),
    }
}

fn why_refused(problem: &Problem) -> &'static str {
    let description = problem.error_description.as_str().unwrap_or_default();
    match description {
        text if text.starts_with("Token is expired") => "the token has expired",
        text if text.starts_with("Token was revoked") => "the token was revoked",
        text if text.contains("impersonation") => "the server takes no impersonation tokens",
        _ => "GitLab refused the token",
    }
}

/// How long to wait, if a rate limit is what is in the way. Limits of the application come without `RateLimit` headers.
pub(crate) fn rate_limit(cx: &Cx, response: &Response) -> Option<Duration> {
    if response.status() != 429 {
        return None;
    }
    let now = cx.now_unix_ms() / 1000;
    let until = |reset: u64| Duration::from_secs(reset.saturating_sub(now));
    let told = response.retry_after(cx.now_unix_ms());
    let reset = response.number("ratelimit-reset").map(until);
    let date = response
        .header("ratelimit-resettime")
        .and_then(parse_http_date);
    let date = date.and_then(|at| u64::try_from(at).ok()).map(until);
    Some(told.max(reset).max(date).unwrap_or(UNTOLD_WAIT))
}

/// What keeps the token out, if the response says so.
pub(crate) fn barrier(cx: &Cx, response: &Response) -> Option<Barrier> {
    if !matches!(response.status(), 400 | 401 | 403) {
        return None;
    }
    let problem = problem(response);
    let message = problem.message.as_str().unwrap_or_default();
    if message.contains("valid SSO session") {
        return Some(Barrier::SignOn(sign_on_page(cx, message)));
    }
    match (response.status(), problem.error.as_str()) {
        (403, Some("insufficient_scope")) => Some(Barrier::Scope(least(&problem.scope))),
        (401, Some("dpop_error")) => Some(Barrier::Possession),
        (403, _) => {
            let known = ACCOUNT.iter().find(|(words, _)| message.contains(words));
            known.map(|(_, what)| Barrier::Account(what))
        }
        _ => None,
    }
}

/// The page that the message names, if it is one of this host: it is shown to people as a place to sign on. The key in its
/// query stays out.
fn sign_on_page(cx: &Cx, message: &str) -> String {
    let mut words = message.split_whitespace();
    let page = words.find(|word| word.starts_with("http"));
    let page = page.and_then(|page| page.split(['?', '#']).next());
    page.and_then(|page| Url::on_origin_of(cx.web_base(), page).ok())
        .map_or_else(String::new, String::from)
}

/// `api read_user`, or a list: every scope that would do. The least of them is named, or all where none is known.
fn least(scope: &Value) -> Vec<String> {
    let all: Vec<&str> = match scope {
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let least = NARROWEST.iter().find(|one| all.contains(one));
    match least {
        Some(one) => vec![(*one).to_owned()],
        None => all.into_iter().map(str::to_owned).collect(),
    }
}

/// Most errors are JSON. A used-up limit is the plain text `Retry later`, and a proxy sends what it likes.
fn problem(response: &Response) -> Problem {
    response.json().unwrap_or_default()
}

/// All that an error says, as one text; empty where it is not JSON.
pub(crate) fn text(response: &Response) -> String {
    let problem = problem(response);
    format!("{} {}", problem.message, problem.error)
}

/// Whether the server does not know the path at all. What is not there is told by `message`.
pub(crate) fn is_unknown_route(response: &Response) -> bool {
    response.status() == 404 && problem(response).error == "404 Not Found"
}

/// Whether the answer is one that GitLab gives to strangers.
pub(crate) fn is_from_gitlab(response: &Response) -> bool {
    let message = problem(response).message;
    let known = ["401 Unauthorized", "403 Forbidden"];
    response.header("x-gitlab-meta").is_some()
        || message.as_str().is_some_and(|text| known.contains(&text))
}
