//! What went wrong, on the wire: the one table from reasons to status codes, and the error details.

use std::time::Duration;

use bindery_core::problem::{Problem, Who};
use bindery_proto::v1::ErrorReason;
use tonic::Code;
use tonic_types::{ErrorDetails, FieldViolation, HelpLink, PreconditionViolation, StatusExt};

/// `ErrorInfo.domain` of every error.
pub(crate) const DOMAIN: &str = "bindery";

/// Longest message that is sent.
const LONGEST: usize = 1000;

/// When to try again where nobody knows better.
const RETRY: Duration = Duration::from_secs(1);

/// Why a call fails.
#[derive(Debug)]
pub(crate) struct Failure(Box<Inner>);

#[derive(Debug)]
struct Inner {
    reason: ErrorReason,
    message: String,
    action_uri: String,
    retry_after: Option<Duration>,
    violations: Vec<(String, String)>,
    metadata: Vec<(String, String)>,
}

impl Failure {
    pub(crate) fn new(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            reason,
            message: message.into(),
            action_uri: String::new(),
            retry_after: None,
            violations: Vec::new(),
            metadata: Vec::new(),
        }))
    }

    /// A resource name that does not have the shape that its field asks for.
    pub(crate) fn name(name: &str, pattern: &str) -> Self {
        let message = match name {
            "" => format!("a resource name is missing; write it as {pattern}"),
            _ => format!("{name:?} is no resource name of this kind; write it as {pattern}"),
        };
        Self::new(ErrorReason::ResourceNameInvalid, message)
    }

    /// A limit is reached.
    pub(crate) fn overloaded(limit: &'static str, after: Duration) -> Self {
        let message =
            format!("the limit {limit} of this daemon is reached; slow down and try again");
        let mut failure = Self::new(ErrorReason::Overloaded, message).with("limit", limit);
        failure.0.retry_after = Some(after);
        failure
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.metadata.push((key.to_owned(), value.into()));
        self
    }

    pub(crate) fn violation(mut self, (field, why): (String, String)) -> Self {
        self.0.violations.push((field, why));
        self
    }

    pub(crate) fn into_violations(self) -> Vec<(String, String)> {
        self.0.violations
    }

    pub(crate) fn reason(&self) -> ErrorReason {
        self.0.reason
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        let found = self.0.metadata.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    #[cfg(test)]
    pub(crate) fn violations(&self) -> Vec<&str> {
        self.0
            .violations
            .iter()
            .map(|(field, _)| field.as_str())
            .collect()
    }

    /// As a gRPC status. A defect names the request, so that it is found in the log.
    pub(crate) fn into_status(self, request_id: &str) -> tonic::Status {
        let code = code(self.0.reason);
        let failure = match code {
            Code::Internal => self.with("request_id", request_id),
            _ => self,
        };
        let message = clip(&failure.0.message).to_owned();
        tonic::Status::with_error_details(code, message, failure.details(code))
    }

    fn details(self, code: Code) -> ErrorDetails {
        let inner = *self.0;
        let reason = inner.reason.as_str_name();
        let mut details = ErrorDetails::new();
        let resource = value(&inner.metadata, "resource");
        if code == Code::NotFound && !resource.is_empty() {
            details.set_resource_info(kind_of(resource), resource, "", inner.message.as_str());
        }
        if code == Code::FailedPrecondition {
            let violation = PreconditionViolation::new(reason, resource, inner.message.as_str());
            details.set_precondition_failure([violation]);
        }
        if !inner.violations.is_empty() {
            let violation = |(field, why): &(String, String)| FieldViolation::new(field, why);
            details.set_bad_request(inner.violations.iter().map(violation).collect::<Vec<_>>());
        }
        if let Some(delay) = inner.retry_after.or(waits(inner.reason).then_some(RETRY)) {
            details.set_retry_info(Some(delay));
        }
        if !inner.action_uri.is_empty() {
            let link = HelpLink::new("where it is mended", inner.action_uri);
            details.set_help([link]);
        }
        let metadata = inner
            .metadata
            .into_iter()
            .collect::<std::collections::HashMap<_, _>>();
        details.set_error_info(reason, DOMAIN, metadata);
        details
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let reason = ErrorReason::from_str_name(problem.reason.as_str());
        let mut failure = Self::new(reason.unwrap_or(ErrorReason::Internal), problem.message);
        failure.0.retry_after = problem.retry_after;
        failure.0.action_uri = problem.action_uri;
        if let Some(who) = problem.who {
            failure = failure.with("who_must_act", who_text(who));
        }
        // Of each key the details hold one value.
        let (mut missing, mut links) = (Vec::new(), Vec::new());
        for (key, value) in problem.metadata {
            match key {
                "missing_scope" => missing.push(value),
                "link" => links.push(value),
                "field" => {
                    let why = failure.0.message.clone();
                    failure = failure.violation((value, why));
                }
                _ => failure = failure.with(key, value),
            }
        }
        for (key, values) in [("missing", missing), ("link", links)] {
            if !values.is_empty() {
                failure = failure.with(key, values.join(","));
            }
        }
        failure
    }
}

/// The name of a value of `WhoMustAct`.
const fn who_text(who: Who) -> &'static str {
    match who {
        Who::User => "USER",
        Who::OrganizationOwner => "ORGANIZATION_OWNER",
        Who::HostOperator => "HOST_OPERATOR",
    }
}

fn value<'a>(metadata: &'a [(String, String)], key: &str) -> &'a str {
    let found = metadata.iter().find(|(known, _)| known == key);
    found.map_or("", |(_, value)| value)
}

/// The type of a resource, from its name: `bindery/Link`.
fn kind_of(name: &str) -> &'static str {
    let collection = name.rsplit('/').nth(1).unwrap_or_default();
    match collection {
        "hosts" => "bindery/Host",
        "providers" => "bindery/Provider",
        "namespaces" => "bindery/Namespace",
        "links" => "bindery/Link",
        "receipts" => "bindery/Receipt",
        "repositories" => "bindery/Repository",
        _ => "bindery/Resource",
    }
}

/// Cuts a message at a border between characters.
fn clip(message: &str) -> &str {
    let mut end = LONGEST.min(message.len());
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

/// Reasons that go away by waiting.
const fn waits(reason: ErrorReason) -> bool {
    use ErrorReason as R;
    matches!(
        reason,
        R::Overloaded
            | R::RefreshOutcomeUnknown
            | R::RefreshFailed
            | R::ProviderRateLimited
            | R::TriggerLimitReached
            | R::PluginCrashed
    )
}

/// The status code of a reason.
pub(crate) const fn code(reason: ErrorReason) -> Code {
    use ErrorReason as R;
    match reason {
        R::Unspecified => Code::Unknown,
        R::NotFound | R::ProviderNotFound => Code::NotFound,
        R::AlreadyExists | R::LinkExists | R::SourceExists => Code::AlreadyExists,
        R::EtagMismatch | R::StoreConflict | R::ConsumerTakenOver => Code::Aborted,
        R::NotServedYet | R::ProviderUnsupported => Code::Unimplemented,
        R::Internal
        | R::PluginFailed
        | R::RequestNotAllowed
        | R::OriginNotAllowed
        | R::RecordTampered
        | R::StoreFailed => Code::Internal,
        R::DeadlinePassed => Code::DeadlineExceeded,
        R::Overloaded
        | R::TooManyFlows
        | R::ProviderRateLimited
        | R::StoreLowSpace
        | R::TriggerLimitReached => Code::ResourceExhausted,
        R::InvalidArgument
        | R::FieldImmutable
        | R::UpdateMaskInvalid
        | R::ResourceNameInvalid
        | R::PageSizeInvalid
        | R::InvalidPageToken
        | R::FilterInvalid
        | R::RequestIdReused
        | R::MessageTooLarge => Code::InvalidArgument,
        R::Unauthenticated => Code::Unauthenticated,
        R::PermissionDenied | R::CallerDenied | R::FlowMismatch => Code::PermissionDenied,
        R::CursorTooOld => Code::OutOfRange,
        R::ShuttingDown
        | R::RefreshOutcomeUnknown
        | R::RefreshFailed
        | R::HostNameUnresolved
        | R::HostUnreachable
        | R::HostTlsFailed
        | R::HostAnswerUnusable
        | R::ProviderUnavailable
        | R::ProviderAnswerMalformed
        | R::PluginCrashed
        | R::PluginTimeout
        | R::StoreReadOnly
        | R::Sealed
        | R::AuditUnavailable
        | R::WatcherTooSlow => Code::Unavailable,
        R::HasChildren
        | R::LinkDisabled
        | R::LinkNeedsReauthorization
        | R::LinkNotBound
        | R::HostDisabled
        | R::FlowExpired
        | R::FlowUsed
        | R::ConsentDenied
        | R::FlowPending
        | R::IdentityMismatch
        | R::ServiceAccountRequired
        | R::PersonalAccount
        | R::IdentitySuspended
        | R::ExpiresSoon
        | R::OrganizationLost
        | R::RepositoryRenamed
        | R::RepositoryLost
        | R::GrantShared
        | R::MethodNotSupported
        | R::LinkUnlinked
        | R::ScopeMissing
        | R::ScopeExcessive
        | R::TokenRefused
        | R::TokenTooShort
        | R::OrganizationRestricted
        | R::SsoRequired
        | R::AppNotInstalled
        | R::ProviderDenied
        | R::HostCertificateUnknown
        | R::HostNotRecognized
        | R::ClientRefused
        | R::HostClockSkew
        | R::HostAddressForbidden
        | R::HostPortForbidden
        | R::ProviderLimitReached
        | R::ProviderNotLoaded
        | R::PluginNotTrusted
        | R::StoreRolledBack
        | R::UnsealRejected
        | R::BackupInvalid => Code::FailedPrecondition,
    }
}

/// The name of a status code.
pub(crate) const fn code_text(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests;
