//! Sending, and what an error of this provider means

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, Secret, Url};
use serde::{Deserialize, de::DeserializeOwned};

/// Redirects that are followed for one question. Gitea sends one when a repository was renamed.
const MOST_REDIRECTS: usize = 3;

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
}

/// Asks for a URL and gives whatever came back.
pub(crate) async fn ask(cx: &Cx, url: Url) -> Result<Response> {
    let request = Request::get(url)
        .header("accept", "application/json")
        .bearer(Secret("access_token"));
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

/// A list; some endpoints of some versions write `null` for an empty one.
pub(crate) fn list<T: DeserializeOwned>(response: &Response) -> Result<Vec<T>> {
    Ok(response.json::<Option<Vec<T>>>()?.unwrap_or_default())
}

/// A missing scope is a 403 that names it in words; all else is what its status says.
pub(crate) fn failure(cx: &Cx, response: &Response) -> Failure {
    match missing_scopes(response) {
        Some(scopes) => Failure::scope_missing(scopes).with_status(response.status()),
        None => response.failure(cx.now_unix_ms()),
    }
}

/// `token does not have at least one of required scope(s), required=[read:user], ...`, in all its spellings.
pub(crate) fn missing_scopes(response: &Response) -> Option<Vec<String>> {
    if response.status() != 403 {
        return None;
    }
    let problem: Problem = response.json().ok()?;
    let (_, rest) = problem.message.split_once("required scope")?;
    let (_, rest) = rest.split_once('[')?;
    let (list, _) = rest.split_once(']')?;
    let scopes = list.split([' ', ',']).filter(|scope| !scope.is_empty());
    Some(scopes.map(str::to_owned).collect())
}
