//! Why an operation failed, in terms that the daemon acts upon

use std::{fmt, panic::Location, time::Duration};

use bindery_plugin_proto::v1::{self, Code};

/// What an operation of a provider gives.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A typed failure of an operation.
///
/// Each constructor records the line that called it. Messages are for people; they hold no secret because a plugin sees
/// none, and they should not quote a response body.
#[derive(Clone, PartialEq)]
pub struct Failure(Box<v1::Failure>);

impl Failure {
    /// The provider can't do this.
    #[track_caller]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Code::Unsupported, message)
    }

    /// The input makes no sense.
    #[track_caller]
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// The token was refused.
    #[track_caller]
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Code::Unauthenticated, message)
    }

    /// The token is good, but not for this.
    #[track_caller]
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(Code::PermissionDenied, message)
    }

    /// Not there, or hidden.
    #[track_caller]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// It exists already, or changed meanwhile.
    #[track_caller]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, message)
    }

    /// Too many requests; `retry_after` is how long to wait at least, where that is known.
    #[track_caller]
    pub fn rate_limited(retry_after: Option<Duration>) -> Self {
        let mut failure = Self::new(Code::RateLimited, "the provider's rate limit is used up");
        failure.0.retry_after_ms = retry_after.map_or(0, millis);
        failure
    }

    /// The token lacks a scope, one of `scopes`.
    #[track_caller]
    pub fn scope_missing<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        let message = match scopes.as_slice() {
            [] => "the token lacks a scope".to_owned(),
            some => format!("the token lacks a scope: {}", some.join(", ")),
        };
        let mut failure = Self::new(Code::ScopeMissing, message);
        failure.0.missing_scopes = scopes;
        failure
    }

    /// An organization's policy is in the way; `action_uri` is the page where that is changed.
    #[track_caller]
    pub fn organization_restricted(
        message: impl Into<String>,
        action_uri: impl Into<String>,
    ) -> Self {
        Self::new(Code::OrganizationRestricted, message).with_action_uri(action_uri)
    }

    /// The client's id or secret was refused, whatever the token is worth.
    #[track_caller]
    pub fn client_refused(message: impl Into<String>) -> Self {
        Self::new(Code::ClientRefused, message)
    }

    /// The identity, or the installation, is suspended or blocked.
    #[track_caller]
    pub fn suspended(message: impl Into<String>) -> Self {
        Self::new(Code::Suspended, message)
    }

    /// The app is not installed, or not any more; `action_uri` is the page where it is installed.
    #[track_caller]
    pub fn not_installed(message: impl Into<String>, action_uri: impl Into<String>) -> Self {
        Self::new(Code::NotInstalled, message).with_action_uri(action_uri)
    }

    /// A single sign-on is due, on the page `action_uri`.
    #[track_caller]
    pub fn sso_required(message: impl Into<String>, action_uri: impl Into<String>) -> Self {
        Self::new(Code::SsoRequired, message).with_action_uri(action_uri)
    }

    /// No more of these can be made there.
    #[track_caller]
    pub fn limit_reached(message: impl Into<String>) -> Self {
        Self::new(Code::LimitReached, message)
    }

    /// The provider is broken or away.
    #[track_caller]
    pub fn upstream(message: impl Into<String>) -> Self {
        Self::new(Code::Upstream, message)
    }

    /// The provider answered something that makes no sense.
    #[track_caller]
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(Code::MalformedResponse, message)
    }

    /// A signature is wrong.
    #[track_caller]
    pub fn bad_signature(message: impl Into<String>) -> Self {
        Self::new(Code::BadSignature, message)
    }

    #[track_caller]
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        let at = Location::caller();
        Self(Box::new(v1::Failure {
            code: code.into(),
            message: message.into(),
            location: format!("{}:{}", at.file(), at.line()),
            ..v1::Failure::default()
        }))
    }

    /// Adds the status of the response that led to this.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.http_status = status.into();
        self
    }

    /// Adds the page where a person can mend it.
    #[must_use]
    pub fn with_action_uri(mut self, uri: impl Into<String>) -> Self {
        self.0.action_uri = uri.into();
        self
    }

    pub(crate) fn at(mut self, location: impl Into<String>) -> Self {
        self.0.location = location.into();
        self
    }

    /// Why.
    pub fn code(&self) -> Code {
        self.0.code()
    }

    /// In words.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The page where a person can mend it; empty where none is known.
    pub fn action_uri(&self) -> &str {
        &self.0.action_uri
    }

    /// The message as it crosses the boundary.
    pub fn into_message(self) -> v1::Failure {
        *self.0
    }
}

impl From<v1::Failure> for Failure {
    fn from(message: v1::Failure) -> Self {
        Self(Box::new(message))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code().as_str_name(), self.message())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.0.location)
    }
}

impl std::error::Error for Failure {}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
