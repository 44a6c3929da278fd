//! Hooks of a repository
//!
//! A hook is changed by one PATCH that holds all of it, the secret as well: GitHub removes a secret that a changed
//! configuration leaves out. The push event tells of branches and tags, of new, moved and deleted ones, so the events of their
//! creation and deletion are not asked for.
//!
//! Where no repository is named it is about the one hook of the app.

mod app;
mod deliveries;
mod facts;
mod place;

use bindery_plugin_sdk::{
    Cx, Failure, Json, Request, Response, Result, Secret, Url,
    v1::{self, HookSupport, RevocationOutcome, SignatureKind, SignatureScheme},
};
use serde::Deserialize;
use serde_json::Value;

pub(crate) use deliveries::{list as list_deliveries, redeliver};

use crate::{
    call,
    paging::{is_enough, next_cursor, page_size, url_of},
};
use facts::Hook;
use place::Place;

/// Name of the only scheme that is used. The other signature that GitHub sends is a SHA-1.
const SCHEME: &str = "hmac-sha256";

/// What a hook is told of.
const EVENTS: [&str; 2] = ["push", "repository"];

/// Hooks of one event that a repository can have.
const MOST_HOOKS: u32 = 20;

/// What webhooks are like here.
pub(crate) fn support() -> HookSupport {
    HookSupport {
        schemes: vec![SignatureScheme {
            name: SCHEME.to_owned(),
            kind: SignatureKind::BodyHmacSha256.into(),
            header: "x-hub-signature-256".to_owned(),
            prefix: "sha256=".to_owned(),
            ..SignatureScheme::default()
        }],
        event_header: "x-github-event".to_owned(),
        id_headers: vec!["x-github-delivery".to_owned()],
        hooks_per_repository: MOST_HOOKS,
        ..HookSupport::default()
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListHooks) -> Result<()> {
    if input.repository.is_empty() {
        return app::list(cx).await;
    }
    let mut place = Place::find(cx, &input.repository).await?;
    let first = |url: Url| Request::get(url.query("per_page", page_size(0)));
    let response = place.send(cx, &["hooks"], first).await?;
    let mut response = place.good(cx, response).await?;
    for done in 1.. {
        let found: Vec<Hook> = response.json()?;
        let cursor = next_cursor(cx, &response)?;
        cx.emit(v1::HookPage {
            items: place.facts(cx, found)?,
        });
        if cursor.is_empty() || is_enough(done, input.max_pages) {
            break;
        }
        response = call::get(cx, url_of(cx, &cursor)?).await?;
    }
    Ok(())
}

pub(crate) async fn create(cx: &Cx, input: &v1::CreateHook) -> Result<v1::HookFacts> {
    check_scheme(&input.scheme)?;
    let mut place = Place::find(cx, &input.repository).await?;
    let body = settings(&input.url).field("name", "web");
    let create = |url| Request::post(url).json(body.clone());
    let response = place.send(cx, &["hooks"], create).await?;
    written(cx, &mut place, response).await
}

pub(crate) async fn update(cx: &Cx, input: &v1::UpdateHook) -> Result<v1::HookFacts> {
    if input.repository.is_empty() {
        return app::update(cx, input).await;
    }
    check_scheme(&input.scheme)?;
    let mut place = Place::find(cx, &input.repository).await?;
    let body = settings(&input.url);
    let update = |url| Request::patch(url).json(body.clone());
    let response = place.send(cx, &["hooks", &input.hook_id], update).await?;
    written(cx, &mut place, response).await
}

pub(crate) async fn delete(cx: &Cx, input: &v1::DeleteHook) -> Result<v1::Revocation> {
    let mut place = Place::find(cx, &input.repository).await?;
    let path = ["hooks", input.hook_id.as_str()];
    let response = place.send(cx, &path, Request::delete).await?;
    let (outcome, message) = match response.status() {
        204 => (RevocationOutcome::Done, "the hook is deleted"),
        404 => {
            place.is_open(cx, &response).await?;
            let gone = "the repository has no such hook any more";
            (RevocationOutcome::AlreadyAbsent, gone)
        }
        _ => return Err(call::failure(cx, &response)),
    };
    Ok(v1::Revocation {
        outcome: outcome.into(),
        message: message.to_owned(),
        ..v1::Revocation::default()
    })
}

pub(crate) async fn ping(cx: &Cx, input: &v1::PingHook) -> Result<()> {
    if input.repository.is_empty() {
        return app::ping(cx).await;
    }
    let mut place = Place::find(cx, &input.repository).await?;
    let path = ["hooks", &input.hook_id, "pings"];
    let response = place.send(cx, &path, Request::post).await?;
    place.done(cx, response, 204).await
}

fn check_scheme(scheme: &str) -> Result<()> {
    match scheme {
        SCHEME => Ok(()),
        _ => Err(Failure::invalid_argument(
            "GitHub signs with hmac-sha256 and nothing else that is of use",
        )),
    }
}

/// All that makes a hook. The default content type would be a form.
fn settings(url: &str) -> Json {
    let config = Json::object()
        .field("url", url)
        .field("content_type", "json")
        .field("insecure_ssl", "0")
        .secret("secret", Secret("hook_secret"));
    Json::object()
        .field("active", true)
        .field("events", Json::array(EVENTS.map(Json::from)))
        .field("config", config)
}

async fn written(cx: &Cx, place: &mut Place, response: Response) -> Result<v1::HookFacts> {
    if let Some(failure) = invalid(&response) {
        let page = place.page(cx)?;
        return Err(failure.with_status(422).with_action_uri(page));
    }
    let hook: Hook = place.good(cx, response).await?.json()?;
    Ok(hook.into_facts(&place.page(cx)?))
}

#[derive(Default, Deserialize)]
struct Invalid {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Value,
}

/// What GitHub does not take, as far as its words tell: `The "push" event cannot have more than 20 hooks`.
fn invalid(response: &Response) -> Option<Failure> {
    if response.status() != 422 {
        return None;
    }
    let problem: Invalid = response.json().unwrap_or_default();
    let text = format!("{} {}", problem.message, problem.errors);
    let says = |words: &str| text.contains(words);
    if says("cannot have more than") {
        let told = format!("the repository has {MOST_HOOKS} hooks and can have no more");
        Some(Failure::limit_reached(told))
    } else if says("already exists") {
        let told = "the repository has a hook with this address already";
        Some(Failure::conflict(told))
    } else if says("reachable over the public Internet") {
        let told = "GitHub delivers only to addresses that are reachable from the internet";
        Some(Failure::invalid_argument(told))
    } else {
        None
    }
}
