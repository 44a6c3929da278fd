//! The token: what it is, a new one in its place, and its end

use bindery_plugin_sdk::{
    Cx, Failure, Json, Request, Response, Result, Secret,
    calendar::{date_of_unix, parse_date},
    v1,
};
use serde::Deserialize;

use crate::{
    call,
    describe::{APPLICATIONS_PAGE, TOKENS_PAGE, UNUSABLE},
};

/// Either of these lets a token rotate itself.
const ROTATING: [&str; 2] = ["self_rotate", "api"];

/// A personal, project or group token about itself.
#[derive(Deserialize)]
struct Own {
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    revoked: bool,
    active: bool,
    expires_at: Option<String>,
}

/// An OAuth token, as the authorization server sees it.
#[derive(Deserialize)]
struct Info {
    /// `scopes` before Doorkeeper 5.
    #[serde(alias = "scopes")]
    scope: Vec<String>,
    expires_in: Option<i64>,
}

impl Own {
    fn is_alive(&self) -> bool {
        self.active && !self.revoked
    }

    /// A token ends as the UTC day that it names begins.
    fn facts(self) -> Result<v1::TokenFacts> {
        let expire_unix = match &self.expires_at {
            None => 0,
            Some(date) => parse_date(date)
                .ok_or_else(|| Failure::malformed("the token's expiry is no date"))?,
        };
        Ok(v1::TokenFacts {
            active: self.is_alive(),
            scopes: self.scopes,
            scopes_known: true,
            expire_unix,
        })
    }
}

/// Refuses, before anything is sent, a token whose prefix says that the API does not take it.
pub(crate) fn refuse_unusable(cx: &Cx) -> Result<()> {
    let kind = cx.credential().token_kind.as_str();
    match UNUSABLE.iter().find(|(_, name, _)| *name == kind) {
        None => Ok(()),
        Some((_, _, words)) => Err(Failure::invalid_argument(format!(
            "this is {words}, which GitLab's API does not take: give a personal, project or group access token"
        ))
        .with_action_uri(tokens_page(cx))),
    }
}

pub(crate) async fn inspect(cx: &Cx) -> Result<v1::TokenFacts> {
    refuse_unusable(cx)?;
    match cx.credential().auth_kind() {
        v1::AuthKind::OauthCode | v1::AuthKind::Device => inspect_oauth(cx).await,
        _ => inspect_own(cx).await,
    }
}

async fn inspect_oauth(cx: &Cx) -> Result<v1::TokenFacts> {
    let response = call::ask(cx, cx.web(&["oauth", "token", "info"])?).await?;
    if response.status() == 401 {
        return Ok(v1::TokenFacts::default());
    }
    let info: Info = call::good(cx, response)?.json()?;
    let now = i64::try_from(cx.now_unix_ms() / 1000).unwrap_or(i64::MAX);
    Ok(v1::TokenFacts {
        scopes: info.scope,
        scopes_known: true,
        expire_unix: info.expires_in.map_or(0, |left| now.saturating_add(left)),
        active: true,
    })
}

async fn inspect_own(cx: &Cx) -> Result<v1::TokenFacts> {
    let response = ask_own(cx).await?;
    match response.status() {
        401 if call::barrier(cx, &response).is_none() => Ok(v1::TokenFacts::default()),
        // Before 15.5 a token could not be asked about.
        404 => inspect_by_use(cx).await,
        _ => call::good(cx, response)?.json::<Own>()?.facts(),
    }
}

/// Whether the token is taken at all. A scope too small for that shows that it is.
async fn inspect_by_use(cx: &Cx) -> Result<v1::TokenFacts> {
    let response = call::ask(cx, cx.api(&["user"])?).await?;
    let active = match (response.status(), call::barrier(cx, &response)) {
        (401, None) => false,
        (403, Some(call::Barrier::Scope(_))) => true,
        _ => call::good(cx, response).map(|_| true)?,
    };
    Ok(v1::TokenFacts {
        active,
        ..v1::TokenFacts::default()
    })
}

async fn ask_own(cx: &Cx) -> Result<Response> {
    call::ask(cx, cx.api(&["personal_access_tokens", "self"])?).await
}

/// A new token in place of the old one, for personal, project and group tokens alike.
///
/// Rotating a token that is revoked already ends every token that descends from it: GitLab takes it for a stolen one. So
/// the old one is asked about first, and nothing is sent unless it is alive.
pub(crate) async fn rotate(cx: &Cx, expire_unix: i64) -> Result<v1::TokenFacts> {
    if cx.credential().auth_kind() != v1::AuthKind::AccessToken {
        return Err(Failure::unsupported(
            "only tokens that a person made are rotated; what came by OAuth is refreshed",
        ));
    }
    refuse_unusable(cx)?;
    let own: Own = call::good(cx, ask_own(cx).await?)?.json()?;
    if !own.is_alive() {
        return Err(Failure::unauthenticated(
            "the token is revoked or has expired: rotating it would end every token made from it",
        ));
    }
    if !ROTATING
        .iter()
        .any(|scope| own.scopes.iter().any(|has| has == scope))
    {
        return Err(Failure::scope_missing(ROTATING));
    }
    let response = call::send(cx, rotation(cx, expire_unix)?).await?;
    match response.status() {
        200 | 201 => response.json::<Own>()?.facts(),
        _ => Err(not_rotated(cx, &response)),
    }
}

fn rotation(cx: &Cx, expire_unix: i64) -> Result<Request> {
    let url = cx.api(&["personal_access_tokens", "self", "rotate"])?;
    let request = Request::post(url).capture("/token", Secret("rotated_token"));
    Ok(match expire_unix {
        0 => request,
        at => request.json(Json::object().field("expires_at", last_day(cx, at)?)),
    })
}

/// The last date on which a token still ends by then; a token must not live longer than was asked for.
fn last_day(cx: &Cx, expire_unix: i64) -> Result<String> {
    let (year, month, day) = date_of_unix(expire_unix)
        .ok_or_else(|| Failure::invalid_argument("the expiry is no time of this calendar"))?;
    let date = format!("{year:04}-{month:02}-{day:02}");
    let ends = parse_date(&date).unwrap_or(0);
    if ends <= i64::try_from(cx.now_unix_ms() / 1000).unwrap_or(i64::MAX) {
        return Err(Failure::invalid_argument(
            "GitLab ends tokens at 00:00 UTC: the expiry must be later than the next one",
        ));
    }
    Ok(date)
}

fn not_rotated(cx: &Cx, response: &Response) -> Failure {
    let failure = match response.status() {
        400 | 422 if call::barrier(cx, response).is_none() => Failure::invalid_argument(
            "GitLab did not rotate the token: the expiry may be past what the server allows",
        ),
        404 => Failure::not_found("this GitLab lets no token rotate itself: that takes 16.10"),
        405 => Failure::unsupported("GitLab rotates personal, project and group tokens only"),
        _ => return call::failure(cx, response),
    };
    failure
        .with_status(response.status())
        .with_action_uri(tokens_page(cx))
}

pub(crate) async fn revoke(cx: &Cx) -> Result<v1::Revocation> {
    match cx.credential().auth_kind() {
        v1::AuthKind::AccessToken => revoke_own(cx).await,
        v1::AuthKind::OauthCode | v1::AuthKind::Device => Ok(v1::Revocation {
            outcome: v1::RevocationOutcome::Impossible.into(),
            message: "tokens end at the revocation endpoint; the application's authorization ends on this page"
                .to_owned(),
            action_uri: format!("{}{APPLICATIONS_PAGE}", cx.web_base()),
        }),
        _ => Err(Failure::invalid_argument("there is no token to revoke")),
    }
}

/// Any token may end itself, whatever its scopes.
async fn revoke_own(cx: &Cx) -> Result<v1::Revocation> {
    let url = cx.api(&["personal_access_tokens", "self"])?;
    let response = call::send(cx, Request::delete(url)).await?;
    let (outcome, message) = match response.status() {
        204 => (v1::RevocationOutcome::Done, "the token is revoked"),
        401 if call::barrier(cx, &response).is_none() => (
            v1::RevocationOutcome::AlreadyAbsent,
            "GitLab does not take the token any more",
        ),
        404 => (
            v1::RevocationOutcome::Impossible,
            "this GitLab lets no token end itself: delete it on this page",
        ),
        _ => return Err(call::failure(cx, &response)),
    };
    let page = match outcome {
        v1::RevocationOutcome::Impossible => tokens_page(cx),
        _ => String::new(),
    };
    Ok(v1::Revocation {
        outcome: outcome.into(),
        message: message.to_owned(),
        action_uri: page,
    })
}

fn tokens_page(cx: &Cx) -> String {
    format!("{}{TOKENS_PAGE}", cx.web_base())
}
