//! A hook as GitLab has it

use std::collections::BTreeMap;

use bindery_plugin_sdk::v1;
use serde::Deserialize;
use serde_json::Value;

use super::{SIGNED, TOKEN};

/// Events that a hook of ours is not told of.
pub(super) const UNWANTED: [&str; 16] = [
    "issues_events",
    "confidential_issues_events",
    "merge_requests_events",
    "note_events",
    "confidential_note_events",
    "job_events",
    "pipeline_events",
    "wiki_page_events",
    "deployment_events",
    "feature_flag_events",
    "releases_events",
    "milestone_events",
    "emoji_events",
    "resource_access_token_events",
    "resource_deploy_token_events",
    "vulnerability_events",
];

/// A hook. What older servers do not know is not there.
#[derive(Deserialize)]
pub(super) struct Hook {
    id: u64,
    url: String,
    #[serde(default)]
    push_events: bool,
    #[serde(default)]
    tag_push_events: bool,
    push_events_branch_filter: Option<String>,
    branch_filter_strategy: Option<String>,
    custom_webhook_template: Option<String>,
    #[serde(default)]
    enable_ssl_verification: bool,
    alert_status: Option<String>,
    disabled_until: Option<String>,
    /// From 19.0 on.
    token_present: Option<bool>,
    signing_token_present: Option<bool>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl Hook {
    pub(super) fn id(&self) -> String {
        self.id.to_string()
    }

    /// Whether deliveries are signed.
    pub(super) fn is_signed(&self) -> bool {
        self.signing_token_present == Some(true)
    }

    /// What is told of it. GitLab has no switch for people, and one of its own.
    pub(super) fn into_facts(self, hooks_page: &str, was_set: &str) -> v1::HookFacts {
        let disabled = self.disabled();
        v1::HookFacts {
            hook_id: self.id(),
            active: true,
            disabled: disabled.is_some(),
            failing: disabled.is_some(),
            deviations: self.deviations(),
            scheme: self.scheme(was_set).to_owned(),
            message: disabled.unwrap_or_default(),
            web_uri: format!("{hooks_page}/{}/edit", self.id),
            url: self.url,
        }
    }

    fn scheme<'a>(&self, was_set: &'a str) -> &'a str {
        match (self.is_signed(), self.token_present) {
            (_, Some(true)) if was_set == TOKEN => TOKEN,
            (true, _) => SIGNED,
            (false, Some(true)) => TOKEN,
            (false, Some(false)) => "",
            (false, None) => was_set,
        }
    }

    fn deviations(&self) -> Vec<String> {
        let is_on = |name: &str| self.others.get(name) == Some(&Value::Bool(true));
        let more = UNWANTED.into_iter().any(is_on);
        let events = self.push_events && self.tag_push_events && !more;
        let said = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        let all_branches = !said(&self.push_events_branch_filter)
            || self.branch_filter_strategy.as_deref() == Some("all_branches");
        let has_secret = self.is_signed() || self.token_present != Some(false);
        let all = [
            ("events", events),
            ("branch filter", all_branches),
            ("body", !said(&self.custom_webhook_template)),
            ("TLS verification", self.enable_ssl_verification),
            ("secret", has_secret),
        ];
        let wrong = all.into_iter().filter(|(_, right)| !right);
        wrong.map(|(what, _)| what.to_owned()).collect()
    }

    /// Why it is switched off, in words.
    fn disabled(&self) -> Option<String> {
        let until = self.disabled_until.as_deref().unwrap_or("later");
        match self.alert_status.as_deref()? {
            "executable" => None,
            "temporarily_disabled" => Some(format!(
                "GitLab has switched it off after failed deliveries, until {until}"
            )),
            _ => Some(
                "GitLab has switched it off after failed deliveries, until a test of it succeeds"
                    .to_owned(),
            ),
        }
    }
}
