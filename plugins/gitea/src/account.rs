//! The identity, its token, and the server

use bindery_plugin_sdk::{Cx, Request, Result, v1};
use serde::Deserialize;

use crate::{call, describe::APPLICATIONS_PAGE};

#[derive(Deserialize)]
pub(crate) struct User {
    /// Below zero for accounts of the server itself: -2 is `gitea-actions`.
    id: i64,
    pub(crate) login: String,
    #[serde(default)]
    full_name: String,
    #[serde(default)]
    html_url: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

pub(crate) async fn user(cx: &Cx) -> Result<User> {
    call::get(cx, cx.api(&["user"])?).await?.json()
}

pub(crate) async fn identify(cx: &Cx) -> Result<v1::Identity> {
    let user = user(cx).await?;
    let page = match user.html_url {
        empty if empty.is_empty() => cx.web(&[&user.login])?.into(),
        given => given,
    };
    // An account that was made as a bot looks like a person's: the server does not tell.
    let kind = if user.id < 0 {
        v1::AccountKind::Bot
    } else {
        v1::AccountKind::User
    };
    Ok(v1::Identity {
        stable_id: user.id.to_string(),
        login: user.login,
        display_name: user.full_name,
        kind: kind.into(),
        web_uri: page,
    })
}

/// The server tells neither scopes nor expiry: a token's own data is for its owner's password only. A token without
/// `read:user` is refused here, and yet alive.
pub(crate) async fn inspect(cx: &Cx) -> Result<v1::TokenFacts> {
    let response = call::ask(cx, cx.api(&["user"])?).await?;
    let active = match response.status() {
        401 => false,
        403 if call::refusal(&response).is_some_and(|refusal| refusal.is_of_token()) => true,
        _ => call::good(cx, response).map(|_| true)?,
    };
    Ok(v1::TokenFacts {
        active,
        ..v1::TokenFacts::default()
    })
}

/// There is no endpoint for it: a grant is ended, and a token deleted, by its owner on a page.
pub(crate) fn revoke(cx: &Cx) -> Result<v1::Revocation> {
    let what = match cx.credential().auth_kind() {
        v1::AuthKind::AccessToken => "delete the token there",
        _ => "revoke the application's access there",
    };
    Ok(v1::Revocation {
        outcome: v1::RevocationOutcome::Impossible.into(),
        message: format!("the server has no API to revoke: {what}"),
        action_uri: format!("{}{APPLICATIONS_PAGE}", cx.web_base()),
    })
}

/// Asked for without a token. A server that shows nothing to strangers does not tell its version.
pub(crate) async fn probe(cx: &Cx) -> Result<v1::ServerFacts> {
    let request = Request::get(cx.api(&["version"])?).header("accept", "application/json");
    let response = cx.send(request).await?;
    if matches!(response.status(), 401 | 403) {
        cx.info("The server tells its version to signed-in users only");
        return Ok(v1::ServerFacts::default());
    }
    let Version { version } = call::good(cx, response)?.json()?;
    Ok(v1::ServerFacts {
        product: product(&version).to_owned(),
        version,
        ..v1::ServerFacts::default()
    })
}

/// Forgejo says so, or names the Gitea that it is compatible with: `11.0.1+gitea-1.22.0`.
fn product(version: &str) -> &'static str {
    let forgejo = version.contains("+gitea-") || version.to_ascii_lowercase().contains("forgejo");
    if forgejo { "Forgejo" } else { "" }
}
