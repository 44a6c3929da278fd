//! What GitLab sent, and sends again on request
//!
//! It keeps a log of seven days, with whole bodies in it, so pages are short here.

use std::collections::BTreeMap;

use bindery_plugin_sdk::{Cx, Failure, Request, Result, Url, calendar::unix_ms, v1};
use serde::Deserialize;
use serde_json::Value;

use super::place::Place;
use crate::{call, paging::next};

/// Entries of a page.
const PAGE_SIZE: u32 = 20;

/// Pages that are read at most: 2,000 deliveries.
const MOST_PAGES: usize = 100;

#[derive(Deserialize)]
struct Entry {
    id: u64,
    #[serde(default)]
    trigger: String,
    #[serde(default)]
    request_headers: BTreeMap<String, Value>,
    /// A number, or words where nothing answered.
    #[serde(default)]
    response_status: Value,
    /// Not told by every server.
    created_at: Option<String>,
}

impl Entry {
    fn header(&self, name: &str) -> Option<String> {
        let mut all = self.request_headers.iter();
        let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str().map(str::to_owned))
    }

    fn event(&self) -> String {
        let by_trigger = || match self.trigger.as_str() {
            "push_hooks" => "Push Hook".to_owned(),
            "tag_push_hooks" => "Tag Push Hook".to_owned(),
            other => other.to_owned(),
        };
        self.header("x-gitlab-event").unwrap_or_else(by_trigger)
    }

    fn status(&self) -> u32 {
        let number = match &self.response_status {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        let status = number.filter(|status| (100..600).contains(status));
        status.and_then(|it| it.try_into().ok()).unwrap_or(0)
    }

    fn into_message(self) -> v1::SentDelivery {
        v1::SentDelivery {
            sent_id: self.id.to_string(),
            stable_id: self.header("idempotency-key").unwrap_or_default(),
            event: self.event(),
            sent_unix_ms: self.created_at.as_deref().map_or(0, unix_ms),
            status: self.status(),
        }
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListDeliveries) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let path = [input.hook_id.as_str(), "events"];
    let list = || Ok::<Url, Failure>(place.url(cx, &path)?.query("per_page", PAGE_SIZE));
    let mut url = list()?;
    for _ in 0..MOST_PAGES {
        let response = place.get(cx, url).await?;
        let found: Vec<Entry> = response.json()?;
        let all = found.len();
        let mut items: Vec<_> = found.into_iter().map(Entry::into_message).collect();
        // The newest come first. What has no time may be new.
        items.retain(|one| one.sent_unix_ms == 0 || one.sent_unix_ms >= input.since_unix_ms);
        let is_past = items.len() < all;
        cx.emit(v1::SentDeliveryPage { items });
        match next(&response)? {
            Some(start) if !is_past => url = start.on(list()?),
            _ => return Ok(()),
        }
    }
    cx.warn("there are more deliveries than are read at once");
    Ok(())
}

/// What the new attempt was answered is in the response, and in the log.
pub(crate) async fn redeliver(cx: &Cx, input: &v1::Redeliver) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let url = place.url(cx, &[&input.hook_id, "events", &input.sent_id, "resend"])?;
    let response = call::send(cx, Request::post(url)).await?;
    place.done(cx, &response, 201)
}
