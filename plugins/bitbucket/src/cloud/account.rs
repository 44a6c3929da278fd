//! The identity and its token

use bindery_plugin_sdk::{Cx, Failure, Response, Result, v1};
use serde::Deserialize;

use super::{
    call,
    place::{Found, Place},
    rights::granted,
};

#[derive(Deserialize)]
struct User {
    uuid: String,
    /// Gone from all answers but the one about oneself.
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    nickname: Option<String>,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    account_status: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
}

/// A person is known by `uuid`: names change and are not unique.
pub(crate) async fn identify(cx: &Cx) -> Result<v1::Identity> {
    if let Some(place) = Place::of(cx) {
        return of_place(cx, place?).await;
    }
    let user: User = call::get(cx, cx.api(&["user"])?).await?.json()?;
    if user
        .account_status
        .as_deref()
        .is_some_and(|status| status != "active")
    {
        return Err(Failure::suspended("the account is not active any more"));
    }
    let name = user
        .username
        .or(user.nickname)
        .filter(|name| !name.is_empty());
    Ok(v1::Identity {
        web_uri: cx.web(&[&user.uuid])?.into(),
        login: name.unwrap_or_else(|| user.uuid.clone()),
        stable_id: user.uuid,
        display_name: user.display_name,
        kind: match user.kind.as_str() {
            "app_user" => v1::AccountKind::Bot,
            "team" => v1::AccountKind::Organization,
            _ => v1::AccountKind::User,
        }
        .into(),
    })
}

/// A token that is nobody's stands for what it is bound to.
async fn of_place(cx: &Cx, place: Place<'_>) -> Result<v1::Identity> {
    let found: Found = call::good(cx, place.ask(cx).await?)?.json()?;
    let page = match place.repository {
        Some(repository) => cx.web(&[place.workspace, repository])?,
        None => cx.web(&[place.workspace])?,
    };
    Ok(v1::Identity {
        stable_id: found.uuid,
        login: place.name(),
        display_name: format!("Access token of {}", found.name),
        kind: v1::AccountKind::Bot.into(),
        web_uri: page.into(),
    })
}

/// Scopes are told, when the token ends is not.
pub(crate) async fn inspect(cx: &Cx) -> Result<v1::TokenFacts> {
    let response = match Place::of(cx) {
        Some(place) => place?.ask(cx).await?,
        None => call::ask(cx, cx.api(&["user"])?).await?,
    };
    let scopes = match call::scopes(&response) {
        // A token without the scope for this is alive all the same.
        Some(scopes) => Some(scopes.granted),
        None => scopes_of(cx, response)?,
    };
    Ok(scopes.map_or_else(v1::TokenFacts::default, alive))
}

/// Scopes of a live token, as far as known; nothing for a dead one.
fn scopes_of(cx: &Cx, response: Response) -> Result<Option<Vec<String>>> {
    if response.status() == 401 {
        return Ok(None);
    }
    let response = call::good(cx, response)?;
    // An answer without sense is none.
    response.json::<Found>()?;
    Ok(Some(granted(&response).unwrap_or_default()))
}

fn alive(scopes: Vec<String>) -> v1::TokenFacts {
    v1::TokenFacts {
        // No token is without any scope, so none means that they were not told.
        scopes_known: !scopes.is_empty(),
        scopes,
        active: true,
        ..v1::TokenFacts::default()
    }
}
