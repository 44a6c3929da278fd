//! What GitHub sent, and sends again on request
//!
//! It never repeats a delivery by itself. It keeps them for some days, and gives a repeated one the GUID that it had.

use bindery_plugin_sdk::{Cx, Request, Response, Result, Url, calendar::unix_ms, v1};
use serde::Deserialize;

use super::{app, place::Place};
use crate::{
    app::App,
    call,
    paging::{next_cursor, page_size, url_of},
};

/// Pages that are read at most: 10,000 deliveries.
const MOST_PAGES: usize = 100;

#[derive(Deserialize)]
struct Sent {
    id: u64,
    #[serde(default)]
    guid: String,
    #[serde(default)]
    event: String,
    #[serde(default)]
    delivered_at: String,
    /// 0 where nothing answered.
    #[serde(default)]
    status_code: u32,
}

impl From<Sent> for v1::SentDelivery {
    fn from(sent: Sent) -> Self {
        Self {
            sent_id: sent.id.to_string(),
            stable_id: sent.guid,
            event: sent.event,
            sent_unix_ms: unix_ms(&sent.delivered_at),
            status: sent.status_code,
        }
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListDeliveries) -> Result<()> {
    if input.repository.is_empty() {
        return of_app(cx, input.since_unix_ms).await;
    }
    let mut place = Place::find(cx, &input.repository).await?;
    let path = ["hooks", &input.hook_id, "deliveries"];
    let first = |url: Url| Request::get(url.query("per_page", page_size(0)));
    let response = place.send(cx, &path, first).await?;
    let mut response = place.good(cx, response).await?;
    for _ in 0..MOST_PAGES {
        let Some(next) = tell(cx, &response, input.since_unix_ms)? else {
            return Ok(());
        };
        response = call::get(cx, next).await?;
    }
    too_many(cx);
    Ok(())
}

/// Those of the app's own hook.
async fn of_app(cx: &Cx, since_unix_ms: u64) -> Result<()> {
    let app = App::sign(cx).await?;
    let mut url = app::deliveries(cx)?.query("per_page", page_size(0));
    for _ in 0..MOST_PAGES {
        let response = app.send(Request::get(url)).await?;
        let response = call::good(cx, response)?;
        match tell(cx, &response, since_unix_ms)? {
            Some(next) => url = next,
            None => return Ok(()),
        }
    }
    too_many(cx);
    Ok(())
}

/// Tells a page, and says where the next one is that is still wanted.
fn tell(cx: &Cx, response: &Response, since_unix_ms: u64) -> Result<Option<Url>> {
    let found: Vec<Sent> = response.json()?;
    let cursor = next_cursor(cx, response)?;
    let mut items: Vec<v1::SentDelivery> = found.into_iter().map(Into::into).collect();
    let all = items.len();
    // The newest come first. What has no time may be new.
    items.retain(|one| one.sent_unix_ms == 0 || one.sent_unix_ms >= since_unix_ms);
    let ends = items.len() < all || cursor.is_empty();
    cx.emit(v1::SentDeliveryPage { items });
    if ends {
        return Ok(None);
    }
    url_of(cx, &cursor).map(Some)
}

fn too_many(cx: &Cx) {
    cx.warn("there are more deliveries than are read at once");
}

pub(crate) async fn redeliver(cx: &Cx, input: &v1::Redeliver) -> Result<()> {
    if input.repository.is_empty() {
        return app::redeliver(cx, &App::sign(cx).await?, &input.sent_id).await;
    }
    let mut place = Place::find(cx, &input.repository).await?;
    let path = [
        "hooks",
        &input.hook_id,
        "deliveries",
        &input.sent_id,
        "attempts",
    ];
    let response = place.send(cx, &path, Request::post).await?;
    place.done(cx, response, 202).await
}
