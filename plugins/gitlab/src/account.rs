//! The identity, and the server

use bindery_plugin_sdk::{Cx, Failure, Request, Result, v1};
use serde::Deserialize;

use crate::{call, token::refuse_unusable};

#[derive(Deserialize)]
struct User {
    id: u64,
    username: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    web_url: String,
    #[serde(default)]
    state: String,
    bot: Option<bool>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

pub(crate) async fn identify(cx: &Cx) -> Result<v1::Identity> {
    refuse_unusable(cx)?;
    let user: User = call::get(cx, cx.api(&["user"])?).await?.json()?;
    if !matches!(user.state.as_str(), "" | "active") {
        return Err(Failure::suspended(format!(
            "the account is {} at GitLab",
            user.state.replace('_', " ")
        )));
    }
    let bot = user.bot == Some(true) || is_bot(&user.username);
    let page = match user.web_url {
        empty if empty.is_empty() => cx.web(&[&user.username])?.into(),
        given => given,
    };
    Ok(v1::Identity {
        stable_id: user.id.to_string(),
        login: user.username,
        display_name: user.name,
        kind: if bot {
            v1::AccountKind::Bot.into()
        } else {
            v1::AccountKind::User.into()
        },
        web_uri: page,
    })
}

/// The account behind a project's or a group's token is `project_4_bot_1a2b`, a service account
/// `service_account_group_4_1a2b`.
fn is_bot(login: &str) -> bool {
    let numbered = login
        .strip_prefix("project_")
        .or_else(|| login.strip_prefix("group_"));
    let behind = numbered.map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    behind.is_some_and(|rest| rest.starts_with("_bot"))
        && numbered.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        || login.starts_with("service_account_")
}

/// Asked for without a token. GitLab tells its version to those alone who sign in, so that it is GitLab shows in how it
/// refuses.
pub(crate) async fn probe(cx: &Cx) -> Result<v1::ServerFacts> {
    let request = Request::get(cx.api(&["version"])?).header("accept", "application/json");
    let response = cx.send(request).await?;
    if matches!(response.status(), 401 | 403) {
        return stranger(call::is_from_gitlab(&response), response.status());
    }
    let Version { version } = call::good(cx, response)?.json()?;
    Ok(v1::ServerFacts {
        version,
        ..v1::ServerFacts::default()
    })
}

fn stranger(is_gitlab: bool, status: u16) -> Result<v1::ServerFacts> {
    if is_gitlab {
        return Ok(v1::ServerFacts::default());
    }
    let message = "something in front of GitLab, or another server, asks for a sign-on: check the host's API URL";
    Err(match status {
        401 => Failure::unauthenticated(message),
        _ => Failure::permission_denied(message),
    }
    .with_status(status))
}
