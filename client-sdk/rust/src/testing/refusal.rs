//! A failure as a daemon says it.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// A failure as a daemon says it: code, reason, and what goes with them.
///
/// ```
/// use bindery_client::{Code, testing::Refusal};
///
/// let refusal = Refusal::new(Code::FailedPrecondition, "LINK_DISABLED", "the link is disabled")
///     .fact("link", "namespaces/acme/links/1");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Refusal {
    code: Code,
    reason: String,
    message: String,
    facts: HashMap<String, String>,
    details: ErrorDetails,
}

impl Refusal {
    /// A failure with its code and reason.
    pub fn new(code: Code, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            facts: HashMap::new(),
            details: ErrorDetails::new(),
        }
    }

    /// Adds metadata of the reason.
    pub fn fact(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.insert(key.into(), value.into());
        self
    }

    /// Names the page where a person acts.
    pub fn help(mut self, url: impl Into<String>) -> Self {
        self.details.add_help_link("what to do", url);
        self
    }

    /// Says when to try again.
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.details.set_retry_info(Some(pause));
        self
    }

    /// Names a field that is wrong.
    pub fn violation(mut self, field: impl Into<String>, why: impl Into<String>) -> Self {
        self.details.add_bad_request_violation(field, why);
        self
    }
}

impl From<Refusal> for Status {
    fn from(mut refusal: Refusal) -> Self {
        refusal
            .details
            .set_error_info(refusal.reason, "bindery", refusal.facts);
        Self::with_error_details(refusal.code, refusal.message, refusal.details)
    }
}

pub(super) fn not_found(name: &str) -> Status {
    let message = format!("{name} does not exist, or you may not see it; check the name");
    Refusal::new(Code::NotFound, "NOT_FOUND", message).into()
}

pub(super) fn exists(name: &str) -> Status {
    let message = format!("{name} exists already; choose another id");
    Refusal::new(Code::AlreadyExists, "ALREADY_EXISTS", message).into()
}

pub(super) fn not_served(call: &str) -> Status {
    let message = format!("this double of a daemon does not serve {call}");
    Refusal::new(Code::Unimplemented, "NOT_SERVED_YET", message).into()
}
