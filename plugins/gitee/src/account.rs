//! The identity, its token, and the server

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, v1};
use serde::Deserialize;

use crate::{
    call,
    describe::{GRANTS_PAGE, TOKENS_PAGE},
    id::Id,
};

#[derive(Deserialize)]
struct User {
    id: Id,
    login: String,
    name: Option<String>,
    html_url: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

pub(crate) async fn identify(cx: &Cx) -> Result<v1::Identity> {
    let user: User = call::get(cx, cx.api(&["user"])?).await?.json()?;
    let page = match user.html_url {
        Some(given) if !given.is_empty() => given,
        _ => cx.web(&[&user.login])?.into(),
    };
    let kind = match user.kind.as_deref() {
        Some("Bot") => v1::AccountKind::Bot,
        _ => v1::AccountKind::User,
    };
    Ok(v1::Identity {
        stable_id: user.id.to_string(),
        login: user.login,
        display_name: user.name.unwrap_or_default(),
        kind: kind.into(),
        web_uri: page,
    })
}

/// The server tells neither scopes nor expiry of a token. One without `user_info` is refused here, and yet alive.
pub(crate) async fn inspect(cx: &Cx) -> Result<v1::TokenFacts> {
    let response = call::ask(cx, cx.api(&["user"])?).await?;
    let active = match response.status() {
        401 | 403 if call::missing_scope(&response).is_some() => true,
        401 => false,
        _ => call::good(cx, response).map(|_| true)?,
    };
    Ok(v1::TokenFacts {
        active,
        ..v1::TokenFacts::default()
    })
}

/// There is no endpoint for it: a grant is ended, and a token deleted, by its owner on a page.
pub(crate) fn revoke(cx: &Cx) -> Result<v1::Revocation> {
    let (what, page) = match cx.credential().auth_kind() {
        v1::AuthKind::AccessToken => ("delete the token there", TOKENS_PAGE),
        _ => ("end the application's authorization there", GRANTS_PAGE),
    };
    Ok(v1::Revocation {
        outcome: v1::RevocationOutcome::Impossible.into(),
        message: format!("Gitee has no API to revoke: {what}"),
        action_uri: format!("{}{page}", cx.web_base()),
    })
}

/// No endpoint tells a version. A question without a token is refused in Gitee's own words; what answers in others, or
/// answers at all, is another server.
pub(crate) async fn probe(cx: &Cx) -> Result<v1::ServerFacts> {
    let request = Request::get(cx.api(&["user"])?).header("accept", "application/json");
    let response = cx.send(request).await?;
    match response.status() {
        401 if is_gitee(&response) => Ok(v1::ServerFacts::default()),
        401 => Err(Failure::unauthenticated(
            "the server refuses strangers in other words than Gitee's",
        )
        .with_status(401)),
        200 => Err(Failure::malformed(
            "the server answers strangers, which Gitee does not",
        )),
        _ => Err(call::failure(cx, &response)),
    }
}

/// `401 Unauthorized: Access token is required`, and older wordings of it.
fn is_gitee(response: &Response) -> bool {
    let message = call::message(response).to_ascii_lowercase();
    message.starts_with("401 unauthorized") || message.contains("access token")
}
