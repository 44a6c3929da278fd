//! The identity, its token, and the server

use bindery_plugin_sdk::{Cx, Request, Result, v1};
use serde::Deserialize;

use crate::{
    app::App,
    call::{self, Barrier},
    installation, time,
};

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
    html_url: String,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Meta {
    installed_version: Option<String>,
}

/// What GitHub calls an account.
pub(crate) fn kind(word: &str) -> v1::AccountKind {
    match word {
        "User" => v1::AccountKind::User,
        "Bot" => v1::AccountKind::Bot,
        "Organization" => v1::AccountKind::Organization,
        _ => v1::AccountKind::Unspecified,
    }
}

/// Whether the link stands on an installation of the app, which is nobody.
pub(crate) fn is_installation(cx: &Cx) -> bool {
    cx.credential().auth_kind() == v1::AuthKind::AppInstallation
}

/// Whether the token is one that an app got for a person.
pub(crate) fn is_app_user(cx: &Cx) -> bool {
    cx.credential().token_kind == "app_user"
}

/// Number of the person whose token this is.
pub(crate) async fn id(cx: &Cx) -> Result<u64> {
    Ok(own(cx).await?.id)
}

async fn own(cx: &Cx) -> Result<User> {
    call::get(cx, cx.api(&["user"])?).await?.json()
}

pub(crate) async fn identify(cx: &Cx) -> Result<v1::Identity> {
    if is_installation(cx) {
        return installation::identify(cx).await;
    }
    let user = own(cx).await?;
    Ok(v1::Identity {
        stable_id: user.id.to_string(),
        login: user.login,
        display_name: user.name.unwrap_or_default(),
        kind: kind(&user.kind).into(),
        web_uri: user.html_url,
    })
}

/// Only classic tokens have scopes that are told, and only tokens that expire say when.
pub(crate) async fn inspect(cx: &Cx) -> Result<v1::TokenFacts> {
    if is_installation(cx) {
        return installation::inspect(cx).await;
    }
    let response = call::ask(cx, cx.api(&["user"])?).await?;
    if response.status() == 401 {
        return Ok(v1::TokenFacts::default());
    }
    // An installation is nobody, and yet its token is alive.
    if call::barrier(&response) != Some(Barrier::Integration) {
        call::good(cx, response.clone())?;
    }
    let scopes = call::scopes(&response, "x-oauth-scopes");
    let expiry = response.header("github-authentication-token-expiration");
    Ok(v1::TokenFacts {
        scopes_known: scopes.is_some(),
        scopes: scopes.unwrap_or_default(),
        expire_unix: expiry.and_then(time::spoken).unwrap_or(0),
        active: true,
    })
}

/// Asked for without a token. github.com has no version; a server in private mode shows its own in a header only.
pub(crate) async fn probe(cx: &Cx) -> Result<v1::ServerFacts> {
    let response = cx
        .send(call::common(Request::get(cx.api(&["meta"])?)))
        .await?;
    let in_header = response
        .header("x-github-enterprise-version")
        .map(plain_version);
    let version = match (response.status(), in_header) {
        (401 | 403, Some(version)) => Some(version),
        (_, in_header) => {
            let meta: Meta = call::good(cx, response.clone())?.json()?;
            meta.installed_version.or(in_header)
        }
    };
    Ok(v1::ServerFacts {
        product: version
            .as_ref()
            .map_or("", |_| "GitHub Enterprise Server")
            .to_owned(),
        version: version.unwrap_or_default(),
        app_slug: app_slug(cx).await?,
    })
}

/// The host's app, where it has one. A key that does not fit is found here, before anybody links.
async fn app_slug(cx: &Cx) -> Result<String> {
    if cx.credential().app_id.is_empty() {
        return Ok(String::new());
    }
    Ok(App::sign(cx).await?.facts().await?.slug)
}

/// `enterprise-server@3.12.0`
fn plain_version(text: &str) -> String {
    text.rsplit('@').next().unwrap_or(text).to_owned()
}
