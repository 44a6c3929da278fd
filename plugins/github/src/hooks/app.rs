//! The hook of the app: one address and one secret for all of its installations
//!
//! The app itself changes where it delivers to and with which secret. What it is told of, and whether it delivers at all, a
//! person sets in its settings.

use bindery_plugin_sdk::{Cx, Failure, Json, Request, Response, Result, Secret, Url, v1};
use serde::Deserialize;

use super::{EVENTS, check_scheme, facts::Config};
use crate::{
    app::{App, Facts},
    call,
};

/// The provider has no id for it: there is one.
const ID: &str = "app";

/// One delivery of the app's list.
#[derive(Deserialize)]
struct Sent {
    id: u64,
}

pub(super) async fn list(cx: &Cx) -> Result<()> {
    let app = App::sign(cx).await?;
    let about = app.facts().await?;
    let response = app.send(Request::get(config_url(cx)?)).await?;
    let items = match response.status() {
        // It is switched off.
        404 => Vec::new(),
        _ => vec![facts(cx, &about, &call::good(cx, response)?)?],
    };
    cx.emit(v1::HookPage { items });
    Ok(())
}

pub(super) async fn update(cx: &Cx, input: &v1::UpdateHook) -> Result<v1::HookFacts> {
    check_scheme(&input.scheme)?;
    let app = App::sign(cx).await?;
    let about = app.facts().await?;
    let body = Json::object()
        .field("url", input.url.as_str())
        .field("content_type", "json")
        .field("insecure_ssl", "0")
        .secret("secret", Secret("hook_secret"));
    let response = app.send(Request::patch(config_url(cx)?).json(body)).await?;
    if response.status() == 404 {
        let told = "the webhook of the app is not active; activate it in the settings of the app";
        let failure = Failure::permission_denied(told).with_status(404);
        return Err(failure.with_action_uri(about.settings_page(cx)));
    }
    facts(cx, &about, &call::good(cx, response)?)
}

/// A delivery once more, as the proof that the hook works: the app gets a ping only when it is made.
pub(super) async fn ping(cx: &Cx) -> Result<()> {
    let app = App::sign(cx).await?;
    let url = deliveries(cx)?.query("per_page", 1);
    let response = app.send(Request::get(url)).await?;
    let found: Vec<Sent> = call::good(cx, response)?.json()?;
    match found.first() {
        Some(newest) => redeliver(cx, &app, &newest.id.to_string()).await,
        None => Err(Failure::unsupported(
            "the app has delivered nothing yet that could be sent again",
        )),
    }
}

pub(super) async fn redeliver(cx: &Cx, app: &App<'_>, id: &str) -> Result<()> {
    let url = cx.api(&["app", "hook", "deliveries", id, "attempts"])?;
    let response = app.send(Request::post(url)).await?;
    call::good(cx, response).map(drop)
}

pub(super) fn deliveries(cx: &Cx) -> Result<Url> {
    cx.api(&["app", "hook", "deliveries"])
}

fn config_url(cx: &Cx) -> Result<Url> {
    cx.api(&["app", "hook", "config"])
}

fn facts(cx: &Cx, about: &Facts, response: &Response) -> Result<v1::HookFacts> {
    let config: Config = response.json()?;
    let told = EVENTS
        .iter()
        .all(|event| about.events.iter().any(|known| known == event));
    Ok(v1::HookFacts {
        hook_id: ID.to_owned(),
        active: true,
        deviations: config.deviations(told),
        scheme: config.scheme().to_owned(),
        web_uri: about.settings_page(cx),
        url: config.url.unwrap_or_default(),
        ..v1::HookFacts::default()
    })
}
