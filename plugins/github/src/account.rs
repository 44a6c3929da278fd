//! The identity, its token, and the server

use bindery_plugin_sdk::{
    Cx, Request, Response, Result,
    calendar::{parse_clock, unix_from_utc},
    v1,
};
use serde::Deserialize;

use crate::call::{self, Barrier};

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

pub(crate) async fn identify(cx: &Cx) -> Result<v1::Identity> {
    let user: User = call::get(cx, cx.api(&["user"])?).await?.json()?;
    let kind = match user.kind.as_str() {
        "User" => v1::AccountKind::User,
        "Bot" => v1::AccountKind::Bot,
        "Organization" => v1::AccountKind::Organization,
        _ => v1::AccountKind::Unspecified,
    };
    Ok(v1::Identity {
        stable_id: user.id.to_string(),
        login: user.login,
        display_name: user.name.unwrap_or_default(),
        kind: kind.into(),
        web_uri: user.html_url,
    })
}

/// Only classic tokens have scopes that are told, and only tokens that expire say when.
pub(crate) async fn inspect(cx: &Cx) -> Result<v1::TokenFacts> {
    let response = call::ask(cx, cx.api(&["user"])?).await?;
    if response.status() == 401 {
        return Ok(v1::TokenFacts::default());
    }
    // An installation is nobody, and yet its token is alive.
    if call::barrier(&response) != Some(Barrier::Integration) {
        call::good(cx, response.clone())?;
    }
    let scopes = call::scopes(&response, "x-oauth-scopes");
    Ok(v1::TokenFacts {
        scopes_known: scopes.is_some(),
        scopes: scopes.unwrap_or_default(),
        expire_unix: expiry(&response).unwrap_or(0),
        active: true,
    })
}

/// `2021-10-07 19:07:53 UTC`, or with an offset: `2021-10-07 21:07:53 +0200`.
fn expiry(response: &Response) -> Option<i64> {
    let mut words = response
        .header("github-authentication-token-expiration")?
        .split(' ');
    let mut date = words.next()?.splitn(3, '-').map(|part| part.parse().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (hour, minute, second) = parse_clock(words.next()?)?;
    let local = unix_from_utc(year, month, day, hour, minute, second)?;
    Some(local - offset(words.next()?)?)
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if zone == "UTC" {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    Some(sign * (hours * 3600 + minutes * 60))
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
        ..v1::ServerFacts::default()
    })
}

/// `enterprise-server@3.12.0`
fn plain_version(text: &str) -> String {
    text.rsplit('@').next().unwrap_or(text).to_owned()
}
