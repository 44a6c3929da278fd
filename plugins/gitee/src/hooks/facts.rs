//! A hook as Gitee has it

use bindery_plugin_sdk::v1;
use serde::Deserialize;
use serde_json::Value;

use super::{PASSWORD, SIGNATURE};
use crate::id::Id;

/// Events that a hook of ours is not told of.
pub(super) const UNWANTED: [&str; 3] = ["issues_events", "note_events", "merge_requests_events"];

/// A hook. The description says that all is text; servers write numbers and truth values as such. Its password is not read.
#[derive(Deserialize, PartialEq)]
pub(super) struct Hook {
    id: Id,
    url: String,
    #[serde(default)]
    push_events: Value,
    #[serde(default)]
    tag_push_events: Value,
    #[serde(default)]
    issues_events: Value,
    #[serde(default)]
    note_events: Value,
    #[serde(default)]
    merge_requests_events: Value,
    /// Not told by every server.
    #[serde(default)]
    encryption_type: Value,
    /// Status of the last delivery; none, or 0, before the first one.
    #[serde(default)]
    result_code: Value,
}

impl Hook {
    /// What is told of it. Gitee switches no hook off, and people can't either.
    pub(super) fn into_facts(self, hooks_page: &str, was_set: &str) -> v1::HookFacts {
        let scheme = match text(&self.encryption_type).as_str() {
            "0" => PASSWORD,
            "1" => SIGNATURE,
            _ => was_set,
        };
        let failure = self.failure();
        v1::HookFacts {
            hook_id: self.id.to_string(),
            active: true,
            deviations: match self.has_events() {
                true => Vec::new(),
                false => vec!["events".to_owned()],
            },
            scheme: scheme.to_owned(),
            failing: failure.is_some(),
            message: failure.unwrap_or_default(),
            web_uri: format!("{hooks_page}/{}/edit", self.id),
            url: self.url,
            ..v1::HookFacts::default()
        }
    }

    fn has_events(&self) -> bool {
        let others = [
            &self.issues_events,
            &self.note_events,
            &self.merge_requests_events,
        ];
        is_on(&self.push_events) && is_on(&self.tag_push_events) && !others.into_iter().any(is_on)
    }

    /// What the last delivery was answered, if it was none. The answer itself is not repeated.
    fn failure(&self) -> Option<String> {
        match text(&self.result_code).as_str() {
            "" | "0" => None,
            code if code.len() == 3 && code.starts_with('2') => None,
            code if code.len() == 3 && code.bytes().all(|c| c.is_ascii_digit()) => {
                Some(format!("the last delivery was answered with {code}"))
            }
            _ => Some("the last delivery was not answered".to_owned()),
        }
    }
}

fn is_on(value: &Value) -> bool {
    matches!(text(value).as_str(), "true" | "1")
}

/// A number, a truth value or a text, as a text.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
