//! Hooks of a project
//!
//! Each operation asks for the project first: by what is known of it one gets its number, which is all that a path of a
//! request that writes may hold, and a 404 that comes later is the hook's and not the project's.
//!
//! The signing token is what is wanted. A server that does not know it, or has it switched off, takes it without a word and
//! without effect, so what it says afterwards is what counts: where there is none, the plain token is set at once.

mod events;
mod facts;
mod place;

use bindery_plugin_sdk::{
    Cx, Failure, Json, Request, Response, Result, Secret, Url,
    v1::{self, HookSupport, RevocationOutcome, SignatureKind, SignatureScheme},
};

pub(crate) use events::{list as list_deliveries, redeliver};

use crate::{
    call,
    paging::{is_enough, next, page_size},
};
use facts::Hook;
use place::Place;

/// Name of the scheme of Standard Webhooks.
const SIGNED: &str = "standard-webhooks";

/// Name of the scheme that shows the secret itself.
const TOKEN: &str = "token";

/// The hook's secret.
const SECRET: Secret = Secret("hook_secret");

/// What webhooks are like here.
///
/// `Idempotency-Key` is the same for each attempt at a delivery, and `webhook-id` is the same again where it is signed.
/// `X-Gitlab-Event-UUID` is none: what a hook has set off in turn bears the same one.
pub(crate) fn support() -> HookSupport {
    HookSupport {
        schemes: vec![
            SignatureScheme {
                name: SIGNED.to_owned(),
                kind: SignatureKind::StandardWebhooks.into(),
                header: "webhook-signature".to_owned(),
                timestamp_header: "webhook-timestamp".to_owned(),
                ..SignatureScheme::default()
            },
            SignatureScheme {
                name: TOKEN.to_owned(),
                kind: SignatureKind::Token.into(),
                header: "x-gitlab-token".to_owned(),
                weak: true,
                ..SignatureScheme::default()
            },
        ],
        event_header: "x-gitlab-event".to_owned(),
        id_headers: vec!["webhook-id".to_owned(), "idempotency-key".to_owned()],
        failures_disable: true,
        // The server's operator decides.
        hooks_per_repository: 0,
        ..HookSupport::default()
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListHooks) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let list = || Ok::<Url, Failure>(place.url(cx, &[])?.query("per_page", page_size(0)));
    let mut url = list()?;
    for done in 1.. {
        let response = place.get(cx, url).await?;
        let found: Vec<Hook> = response.json()?;
        let facts = found.into_iter().map(|hook| place.facts(hook, ""));
        cx.emit(v1::HookPage {
            items: facts.collect(),
        });
        match next(&response)? {
            Some(start) if !is_enough(done, input.max_pages) => url = start.on(list()?),
            _ => break,
        }
    }
    Ok(())
}

pub(crate) async fn create(cx: &Cx, input: &v1::CreateHook) -> Result<v1::HookFacts> {
    let secret = member(&input.scheme)?;
    let place = Place::find(cx, &input.repository).await?;
    let body = settings(&input.url).secret(secret, SECRET);
    let request = Request::post(place.url(cx, &[])?).json(body);
    let hook = written(cx, &place, request, 201).await?;
    signed(cx, &place, hook, &input.url, &input.scheme).await
}

/// A changed URL resets the token, so both always go together.
pub(crate) async fn update(cx: &Cx, input: &v1::UpdateHook) -> Result<v1::HookFacts> {
    let secret = member(&input.scheme)?;
    let place = Place::find(cx, &input.repository).await?;
    let body = settings(&input.url).secret(secret, SECRET);
    let request = Request::put(place.url(cx, &[&input.hook_id])?).json(body);
    let hook = written(cx, &place, request, 200).await?;
    signed(cx, &place, hook, &input.url, &input.scheme).await
}

pub(crate) async fn delete(cx: &Cx, input: &v1::DeleteHook) -> Result<v1::Revocation> {
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::delete(place.url(cx, &[&input.hook_id])?);
    let response = call::send(cx, request).await?;
    let (outcome, message) = match response.status() {
        204 => (RevocationOutcome::Done, "the hook is deleted"),
        404 => (
            RevocationOutcome::AlreadyAbsent,
            "the project has no such hook any more",
        ),
        _ => return Err(place.failure(cx, &response)),
    };
    Ok(v1::Revocation {
        outcome: outcome.into(),
        message: message.to_owned(),
        ..v1::Revocation::default()
    })
}

/// GitLab sends the latest push once more, and waits for what is answered.
pub(crate) async fn ping(cx: &Cx, input: &v1::PingHook) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let url = place.url(cx, &[&input.hook_id, "test", "push_events"])?;
    let response = call::send(cx, Request::post(url)).await?;
    match response.status() {
        422 if call::text(&response).contains("at least one commit") => Err(Failure::unsupported(
            "GitLab tests a hook with the latest push, and the project has no commit yet",
        )),
        422 => Err(
            Failure::upstream("GitLab's test of the hook was not answered with success")
                .with_status(422),
        ),
        _ => place.done(cx, &response, 201),
    }
}

/// The member that sets the secret for a scheme.
fn member(scheme: &str) -> Result<&'static str> {
    match scheme {
        SIGNED => Ok("signing_token"),
        TOKEN => Ok("token"),
        _ => Err(Failure::invalid_argument(
            "GitLab has the schemes standard-webhooks and token",
        )),
    }
}

/// All that makes a hook but for its secret. Pushes are on unless one says otherwise, and whatever else somebody has switched
/// on is switched off.
fn settings(url: &str) -> Json {
    let wanted = Json::object()
        .field("url", url)
        .field("push_events", true)
        .field("tag_push_events", true)
        .field("push_events_branch_filter", "")
        .field("branch_filter_strategy", "all_branches")
        .field("custom_webhook_template", "")
        .field("enable_ssl_verification", true);
    let off = facts::UNWANTED.into_iter();
    off.fold(wanted, |body, name| body.field(name, false))
}

async fn written(cx: &Cx, place: &Place, request: Request, status: u16) -> Result<Hook> {
    let response = call::send(cx, request).await?;
    if let Some(failure) = invalid(&response) {
        let failure = failure.with_status(response.status());
        return Err(failure.with_action_uri(place.page()));
    }
    place.done(cx, &response, status)?;
    response.json()
}

/// The hook with its secret in the one way that the server knows.
async fn signed(
    cx: &Cx,
    place: &Place,
    hook: Hook,
    url: &str,
    scheme: &str,
) -> Result<v1::HookFacts> {
    if scheme == TOKEN || hook.is_signed() {
        return Ok(place.facts(hook, scheme));
    }
    let body = Json::object().field("url", url).secret("token", SECRET);
    let request = Request::put(place.url(cx, &[&hook.id()])?).json(body);
    let hook = written(cx, place, request, 200).await?;
    Ok(place.facts(hook, TOKEN))
}

/// What GitLab does not take, as far as its words tell: `Maximum number of project hooks (100) exceeded`.
fn invalid(response: &Response) -> Option<Failure> {
    if !matches!(response.status(), 400 | 422) {
        return None;
    }
    let text = call::text(response).to_lowercase();
    if text.contains("maximum number of") {
        let told = "the project has as many hooks as the server allows";
        Some(Failure::limit_reached(told))
    } else if text.contains("invalid url") || text.contains("url is blocked") {
        let told = "GitLab does not deliver to this address: local networks are closed unless an administrator lists the address";
        Some(Failure::invalid_argument(told))
    } else {
        None
    }
}
