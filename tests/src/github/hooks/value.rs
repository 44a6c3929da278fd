//! Hooks and deliveries as the API writes them

use bindery_twins::hooks::{Hook, Outgoing, Sent};
use serde_json::{Map, Value, json};

use super::super::world::Repo;
use super::super::{Inner, json};
use super::words;

/// A hook's own URL
pub(super) fn url(inner: &Inner, repo: &Repo, hook: &Hook) -> String {
    format!("{}/repos/{}/hooks/{}", inner.api, repo.full_name(), hook.id)
}

pub(super) fn hook(inner: &Inner, repo: &Repo, hook: &Hook) -> Value {
    let url = url(inner, repo, hook);
    json!({
        "type": "Repository",
        "id": hook.id,
        "name": "web",
        "active": hook.active,
        "events": hook.events,
        "config": config(hook),
        "updated_at": time(hook.updated),
        "created_at": time(hook.created),
        "url": url,
        "test_url": format!("{url}/test"),
        "ping_url": format!("{url}/pings"),
        "deliveries_url": format!("{url}/deliveries"),
        "last_response": last_response(hook),
    })
}

/// The secret is never in it, only that there is one
pub(super) fn config(hook: &Hook) -> Value {
    let mut config = json!({
        "content_type": if hook.form { "form" } else { "json" },
        "insecure_ssl": if hook.verifies_tls { "0" } else { "1" },
        "url": hook.url,
    });
    if hook.secret.is_some() {
        config["secret"] = "********".into();
    }
    config
}

fn last_response(hook: &Hook) -> Value {
    let Some(last) = hook.last else {
        return json!({"code": null, "status": "unused", "message": null});
    };
    let (code, message) = words(last);
    let status = if code < 300 {
        "active"
    } else {
        "misconfigured"
    };
    json!({"code": code, "status": status, "message": message})
}

pub(super) fn time(ms: u64) -> String {
    json::time(i64::try_from(ms / 1_000).unwrap_or(i64::MAX))
}

/// A delivery as lists have it
pub(super) fn delivery(sent: &Sent) -> Value {
    let (code, status) = words(sent.outcome);
    let delivery = &sent.delivery;
    json!({
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": time(sent.at_ms),
        "redelivery": delivery.redelivery,
        "duration": 0.03,
        "status": status,
        "status_code": code,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": null,
        "repository_id": delivery.repository,
        "throttled_at": null,
    })
}

/// A delivery in an answer of its own
pub(super) fn delivery_full(sent: &Sent) -> Value {
    let mut value = delivery(sent);
    let request = &sent.delivery.request;
    value["url"] = request.url.clone().into();
    let headers = request.headers.iter();
    let headers: Map<_, _> = headers
        .map(|(name, text)| (name.clone(), text.clone().into()))
        .collect();
    value["request"] = json!({"headers": headers, "payload": payload(request)});
    let headers = sent.outcome.status().map(|_| json!({}));
    value["response"] = json!({"headers": headers, "payload": null});
    value
}

/// What is told, out of the form where it is in one
pub(super) fn payload(request: &Outgoing) -> Value {
    let form = url::form_urlencoded::parse(&request.body);
    let mut fields = form.filter(|(name, _)| name == "payload");
    let parsed = serde_json::from_slice(&request.body).ok();
    let inner = || serde_json::from_str(&fields.next()?.1).ok();
    parsed.or_else(inner).unwrap_or_default()
}
