//! Sending, and what an error of Bitbucket Cloud means

use std::time::Duration;

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, Url};
use serde::Deserialize;
use serde_json::Value;

use super::describe::API_TOKEN;
use crate::common::{MOST_REDIRECTS, TOKEN};

/// How long to wait when a limit was hit and Bitbucket does not say for how long. Its windows roll.
const SLOW_DOWN: Duration = Duration::from_secs(60);

#[derive(Default, Deserialize)]
struct Envelope {
    #[serde(default)]
    error: Problem,
}

#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
    /// An object where scopes are missing, else a text or nothing.
    #[serde(default)]
    detail: Value,
}

/// Scopes that a refusal names.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Scopes {
    /// What the token has.
    pub(crate) granted: Vec<String>,
    /// What it would need and lacks.
    pub(crate) missing: Vec<String>,
}

/// Puts the token into a request. An API token goes with the e-mail address of its account, all others alone.
pub(crate) fn authorized(cx: &Cx, request: Request) -> Result<Request> {
    let credential = cx.credential();
    if credential.token_kind != API_TOKEN {
        return Ok(request.bearer(TOKEN));
    }
    match credential.username.as_str() {
        email if email.is_empty() || email.contains(':') => Err(Failure::invalid_argument(
            "an API token needs the e-mail address of its account as user name",
        )),
        email => Ok(request.basic(email, TOKEN)),
    }
}

/// Asks for a URL and gives whatever came back.
pub(crate) async fn ask(cx: &Cx, url: Url) -> Result<Response> {
    let request = Request::get(url).header("accept", "application/json");
    cx.send(authorized(cx, request)?).await
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
        429 => Failure::rate_limited(Some(
            response.retry_after(cx.now_unix_ms()).unwrap_or(SLOW_DOWN),
        )),
        // What is gone for a repository is a 410 as well; only a change of the API says so.
        410 if problem(response).message.contains("CHANGE-") => Failure::unsupported(
            "Bitbucket has removed what was asked for from its API; update the plugin",
        ),
        _ => match scopes(response) {
            Some(scopes) => Failure::scope_missing(scopes.missing),
            None => response.failure(cx.now_unix_ms()),
        },
    };
    failure.with_status(response.status())
}

/// The scopes of a refusal that names them: `{"error": {"detail": {"required": [..], "granted": [..]}}}`.
pub(crate) fn scopes(response: &Response) -> Option<Scopes> {
    if response.status() != 403 {
        return None;
    }
    let detail = problem(response).detail;
    let granted = names(detail.get("granted"));
    let mut missing = names(detail.get("required"));
    missing.retain(|scope| !granted.contains(scope));
    (!missing.is_empty()).then_some(Scopes { granted, missing })
}

fn names(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether the text of an error has one of these words.
pub(crate) fn says(response: &Response, words: &[&str]) -> bool {
    let problem = problem(response);
    let text = format!("{} {}", problem.message, problem.detail).to_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// Some errors are text, and then say nothing that could be acted upon.
fn problem(response: &Response) -> Problem {
    response.json::<Envelope>().unwrap_or_default().error
}
