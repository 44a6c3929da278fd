//! A hook as GitHub has it

use std::collections::BTreeSet;

use bindery_plugin_sdk::v1;
use serde::Deserialize;
use serde_json::Value;

use super::{EVENTS, SCHEME};

/// A hook. Those of old services have other settings, and no address.
#[derive(Deserialize)]
pub(super) struct Hook {
    id: u64,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    events: BTreeSet<String>,
    #[serde(default)]
    config: Config,
    last_response: Option<LastResponse>,
}

/// How deliveries are sent: of a hook, or of an app's.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) url: Option<String>,
    content_type: Option<String>,
    /// A string or a number.
    insecure_ssl: Value,
    /// Asterisks where there is one.
    secret: Option<String>,
}

/// What came of the last delivery; without a code where nothing answered, or nothing was sent for 30 days.
#[derive(Deserialize)]
struct LastResponse {
    code: Option<u16>,
    status: Option<String>,
    message: Option<String>,
}

impl Hook {
    /// What is told of it. GitHub switches no hook off by itself.
    pub(super) fn into_facts(self, hooks_page: &str) -> v1::HookFacts {
        let failure = self.last_response.as_ref().and_then(LastResponse::failure);
        let events = self.events.iter().map(String::as_str).eq(EVENTS);
        v1::HookFacts {
            hook_id: self.id.to_string(),
            active: self.active,
            disabled: false,
            deviations: self.config.deviations(events),
            scheme: self.config.scheme().to_owned(),
            failing: failure.is_some(),
            message: failure.unwrap_or_default(),
            web_uri: format!("{hooks_page}/{}", self.id),
            url: self.config.url.unwrap_or_default(),
        }
    }
}

impl Config {
    fn is_signed(&self) -> bool {
        self.secret.as_deref().is_some_and(|it| !it.is_empty())
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.is_signed() { SCHEME } else { "" }
    }

    /// In what it differs from ours. `events` says whether it is told of what we want.
    pub(super) fn deviations(&self, events: bool) -> Vec<String> {
        let verified = matches!(&self.insecure_ssl, Value::String(text) if text == "0")
            || self.insecure_ssl == 0
            || self.insecure_ssl.is_null();
        let json = self.content_type.as_deref() == Some("json");
        let all = [
            ("events", events),
            ("content type", json),
            ("TLS verification", verified),
            ("secret", self.is_signed()),
        ];
        let wrong = all.into_iter().filter(|(_, right)| !right);
        wrong.map(|(what, _)| what.to_owned()).collect()
    }
}

impl LastResponse {
    /// Why the last delivery was none, in words.
    fn failure(&self) -> Option<String> {
        let status = self.status.as_deref().unwrap_or("unused");
        let answered = self.code.is_some_and(|code| (200..300).contains(&code));
        if answered || (self.code.is_none() && status == "unused") {
            return None;
        }
        let message = self.message.as_deref().unwrap_or_default();
        Some(match self.code {
            Some(code) => format!("the last delivery was answered with {code}: {message}"),
            None => format!("the last delivery was not answered ({status}): {message}"),
        })
    }
}
