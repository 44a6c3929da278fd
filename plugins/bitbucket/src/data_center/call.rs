//! Sending, and what an error of Bitbucket Data Center means
//!
//! A 401 is three things: a refused token, an account that somebody has to unlock, and an account that may not do this.

use std::time::Duration;

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, Url};
use serde::Deserialize;

use super::describe::TOKENS_PAGE;
use crate::common::{MOST_REDIRECTS, TOKEN};

#[derive(Default, Deserialize)]
struct Envelope {
    #[serde(default)]
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default, rename = "exceptionName")]
    exception: Option<String>,
}

/// Asks for a URL and gives whatever came back.
pub(crate) async fn ask(cx: &Cx, url: Url) -> Result<Response> {
    let request = Request::get(url).header("accept", "application/json");
    cx.send(request.bearer(TOKEN)).await
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
    let failure = match response.status() {
        429 => Failure::rate_limited(wait(cx, response)),
        401 | 403 => refused(cx, response),
        _ => response.failure(cx.now_unix_ms()),
    };
    failure.with_status(response.status())
}

fn refused(cx: &Cx, response: &Response) -> Failure {
    if let Some(reason) = response.header("x-authentication-denied-reason") {
        return locked(cx, reason);
    }
    let is = |name: &str| exceptions(response).iter().any(|one| one.ends_with(name));
    if is("InactiveUserAuthenticationException") {
        return Failure::suspended("the account is not active any more");
    }
    if is("ExpiredAuthenticationException") {
        return Failure::unauthenticated("the token has expired").with_action_uri(tokens_page(cx));
    }
    // Whom the server knows by name it has let in.
    if response.status() == 401 && (user(response).is_some() || is("AuthorisationException")) {
        return Failure::permission_denied("the account, or its token, may not do this");
    }
    response.failure(cx.now_unix_ms())
}

/// After failed sign-ins an account is locked until its owner has solved a CAPTCHA. Its tokens are as good as before.
fn locked(cx: &Cx, reason: &str) -> Failure {
    let page = reason.split_once("login-url=").map(|(_, page)| page.trim());
    let page = page.and_then(|page| Url::on_origin_of(cx.web_base(), page).ok());
    let page = page.map_or_else(|| format!("{}/login", cx.web_base()), String::from);
    Failure::suspended(
        "the account is locked after failed sign-ins: its owner has to sign in once on the server's own page",
    )
    .with_action_uri(page)
}

fn tokens_page(cx: &Cx) -> String {
    format!("{}{TOKENS_PAGE}", cx.web_base())
}

/// The bucket gets new tokens once an interval.
fn wait(cx: &Cx, response: &Response) -> Option<Duration> {
    let interval = response.number("x-ratelimit-interval-seconds");
    let told = response.retry_after(cx.now_unix_ms());
    told.or_else(|| interval.map(Duration::from_secs))
}

/// Name of the user that a response was made for.
pub(crate) fn user(response: &Response) -> Option<&str> {
    response
        .header("x-ausername")
        .filter(|name| !matches!(*name, "" | "anonymous"))
}

/// Names of Java classes, which are the only codes that there are.
fn exceptions(response: &Response) -> Vec<String> {
    let envelope = response.json::<Envelope>().unwrap_or_default();
    let names = envelope.errors.into_iter();
    names.filter_map(|problem| problem.exception).collect()
}
