//! Sending, and what an error of Gitee means
//!
//! An error is `{"message": ".."}`, in English or in Chinese. The status is not enough: a missing scope is a 401 as a
//! refused token is, and a used-up rate limit is a 403 as a missing right is.

use std::time::Duration;

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, Secret, Url, Value};
use serde::Deserialize;

/// Redirects that are followed for one question: a repository may have been renamed and moved.
const MOST_REDIRECTS: usize = 3;

/// How long to wait where a limit is used up and the server does not say for how long.
const LIMIT_WAIT: Duration = Duration::from_secs(60);

#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
}

/// Asks for a URL and gives whatever came back.
pub(crate) async fn ask(cx: &Cx, url: Url) -> Result<Response> {
    send(cx, Request::get(url)).await
}

/// Sends a request with the token.
///
/// `token` is the scheme that servers of all ages take; newer ones take `Bearer` as well.
pub(crate) async fn send(cx: &Cx, request: Request) -> Result<Response> {
    let token = Value::new().text("token ").secret(Secret("access_token"));
    let request = request
        .header("accept", "application/json")
        .header("authorization", token);
    cx.send(request).await
}

/// Asks for a URL and gives the response if it is good.
pub(crate) async fn get(cx: &Cx, url: Url) -> Result<Response> {
    good(cx, ask(cx, url).await?)
}

/// As [`get`], and goes after what was renamed. The daemon follows nothing by itself.
pub(crate) async fn get_renamed(cx: &Cx, mut url: Url) -> Result<Response> {
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

/// A missing scope and a used-up limit are told by words; all else is what its status says.
pub(crate) fn failure(cx: &Cx, response: &Response) -> Failure {
    let failure = match (missing_scope(response), limit(cx, response)) {
        (Some(scope), _) => Failure::scope_missing([scope]),
        (None, Some(wait)) => Failure::rate_limited(Some(wait)),
        (None, None) => return response.failure(cx.now_unix_ms()),
    };
    failure.with_status(response.status())
}

/// `401 Unauthorized: no 'projects' scope`: the token is alive.
pub(crate) fn missing_scope(response: &Response) -> Option<String> {
    if !matches!(response.status(), 401 | 403) {
        return None;
    }
    let message = message(response);
    let (_, rest) = message.split_once("no '")?;
    let (scope, _) = rest.split_once("' scope")?;
    Some(scope.to_owned())
}

/// How long to wait, if a rate limit is what is in the way.
fn limit(cx: &Cx, response: &Response) -> Option<Duration> {
    let told = response.status() == 429
        || (response.status() == 403
            && message(response)
                .to_ascii_lowercase()
                .contains("rate limit"));
    told.then(|| response.retry_after(cx.now_unix_ms()).unwrap_or(LIMIT_WAIT))
}

/// The text of an error; empty where there is none.
pub(crate) fn message(response: &Response) -> String {
    response.json::<Problem>().unwrap_or_default().message
}
