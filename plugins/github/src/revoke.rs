//! Taking a token away

use bindery_plugin_sdk::{
    Cx, Failure, Json, Request, Response, Result, Secret,
    v1::{self, Code},
};
use serde::Deserialize;

use crate::{app::App, call, describe, installation};

/// Whoever it is: a page that a proxy sends with status 200 is no answer about a token.
#[derive(Deserialize)]
struct Somebody {
    #[serde(rename = "id")]
    _id: u64,
}

pub(crate) async fn revoke(cx: &Cx, whole_grant: bool) -> Result<v1::Revocation> {
    match cx.credential().auth_kind() {
        v1::AuthKind::OauthCode | v1::AuthKind::Device if cx.credential().client_id.is_empty() => {
            Ok(impossible(
                "the host has no OAuth client id",
                authorizations_page(cx),
            ))
        }
        v1::AuthKind::OauthCode | v1::AuthKind::Device => by_application(cx, whole_grant).await,
        v1::AuthKind::AccessToken => personal(cx).await,
        v1::AuthKind::AppInstallation if whole_grant => uninstall(cx).await,
        v1::AuthKind::AppInstallation => minted(cx).await,
        v1::AuthKind::Unspecified => Err(Failure::invalid_argument("there is no token to revoke")),
    }
}

/// The application ends one token, or all that it was granted by this person.
async fn by_application(cx: &Cx, whole_grant: bool) -> Result<v1::Revocation> {
    let client = cx.credential().client_id.as_str();
    let what = if whole_grant { "grant" } else { "token" };
    let request = call::common(Request::delete(cx.api(&["applications", client, what])?))
        .basic(client, Secret("client_secret"))
        .json(Json::object().secret("access_token", Secret("access_token")));
    let response = cx.send(request).await?;
    match response.status() {
        204 => Ok(done("the authorization is revoked")),
        401 => Err(client_refused(&response)),
        404 | 422 => absent_or_refused(cx, &response).await,
        _ => Err(call::failure(cx, &response)),
    }
}

/// A token that is gone and a wrong client secret may look the same, and only one of them is an unlink. The token tells:
/// if it is still taken, nothing was revoked.
async fn absent_or_refused(cx: &Cx, refusal: &Response) -> Result<v1::Revocation> {
    let response = call::ask(cx, cx.api(&["user"])?).await?;
    match response.status() {
        401 => Ok(v1::Revocation {
            outcome: v1::RevocationOutcome::AlreadyAbsent.into(),
            message: "GitHub does not know the token any more; look whether the application is \
                      still listed"
                .to_owned(),
            action_uri: authorizations_page(cx),
        }),
        200 => Err(response
            .json::<Somebody>()
            .map_or_else(|unclear| unclear, |_| client_refused(refusal))),
        _ => Err(call::failure(cx, &response)),
    }
}

fn client_refused(response: &Response) -> Failure {
    Failure::client_refused(
        "GitHub did not revoke the token: check the host's client id and secret",
    )
    .with_status(response.status())
}

/// The cloud ends any token that it is shown, no matter who shows it, and tells the owner. The request must carry no
/// authorization. Enterprise Server has no such endpoint.
async fn personal(cx: &Cx) -> Result<v1::Revocation> {
    let page = tokens_page(cx);
    if !describe::is_cloud(cx) || !is_known_kind(cx) {
        return Ok(impossible(
            "this server has no API to revoke a personal token",
            page,
        ));
    }
    let request = call::common(Request::post(cx.api(&["credentials", "revoke"])?))
        .json(Json::object().field("credentials", Json::array([Secret("access_token").into()])));
    let response = cx.send(request).await?;
    match response.status() {
        202 => Ok(done("GitHub revokes the token and tells its owner")),
        404 | 422 => Ok(impossible(
            "GitHub does not take this token for revocation",
            page,
        )),
        _ => Err(call::failure(cx, &response)),
    }
}

/// The endpoint knows a token by its prefix, which the oldest ones lack.
fn is_known_kind(cx: &Cx) -> bool {
    !cx.credential().token_kind.starts_with("legacy")
}

/// Takes the app off the account. A 404 is no uninstalled app if it is the app itself that is not known.
async fn uninstall(cx: &Cx) -> Result<v1::Revocation> {
    let app = App::sign(cx).await?;
    let url = cx.api(&["app", "installations", installation::id(cx)?])?;
    let response = app.send(Request::delete(url)).await?;
    if response.status() == 204 {
        return Ok(done("the app is uninstalled"));
    }
    match app.failure(&response).await {
        failure if failure.code() == Code::NotInstalled => Ok(v1::Revocation {
            outcome: v1::RevocationOutcome::AlreadyAbsent.into(),
            message: "the app was uninstalled already".to_owned(),
            action_uri: String::new(),
        }),
        failure => Err(failure),
    }
}

async fn minted(cx: &Cx) -> Result<v1::Revocation> {
    let request = call::common(Request::delete(cx.api(&["installation", "token"])?))
        .bearer(Secret("access_token"));
    let response = cx.send(request).await?;
    match response.status() {
        204 => Ok(done("the token is revoked")),
        401 => Ok(v1::Revocation {
            outcome: v1::RevocationOutcome::AlreadyAbsent.into(),
            message: "the token had ended already".to_owned(),
            action_uri: String::new(),
        }),
        _ => Err(call::failure(cx, &response)),
    }
}

fn authorizations_page(cx: &Cx) -> String {
    call::request_page(cx).unwrap_or_else(|| format!("{}/settings/applications", cx.web_base()))
}

fn tokens_page(cx: &Cx) -> String {
    match cx.credential().token_kind.as_str() {
        "fine_grained_token" => format!("{}/settings/personal-access-tokens", cx.web_base()),
        _ => format!("{}/settings/tokens", cx.web_base()),
    }
}

fn done(message: &str) -> v1::Revocation {
    v1::Revocation {
        outcome: v1::RevocationOutcome::Done.into(),
        message: message.to_owned(),
        action_uri: String::new(),
    }
}

fn impossible(message: &str, page: String) -> v1::Revocation {
    v1::Revocation {
        outcome: v1::RevocationOutcome::Impossible.into(),
        message: message.to_owned(),
        action_uri: page,
    }
}
