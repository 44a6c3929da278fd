//! Why a plugin did not answer.

use std::time::Duration;

/// Why an operation failed, as the plugin, its worker or the host's checks say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Class.
    pub code: FailureCode,
    /// In words, cleaned and prefixed `provider(github): `.
    pub message: String,
    /// Status of the response that led to it; 0 when none.
    pub http_status: u16,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Missing scopes.
    pub missing_scopes: Vec<String>,
    /// Where a person can mend it.
    pub action_uri: String,
}

/// Classes of failures.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FailureCode {
    /// The provider can't do this.
    Unsupported,
    /// The input makes no sense.
    InvalidArgument,
    /// The token was refused.
    Unauthenticated,
    /// Not allowed.
    PermissionDenied,
    /// Not there, or hidden.
    NotFound,
    /// Exists, or changed meanwhile.
    Conflict,
    /// Too many requests.
    RateLimited,
    /// The provider is broken or away.
    Upstream,
    /// The answer makes no sense.
    MalformedResponse,
    /// The request did not get through.
    Transport,
    /// A scope is missing.
    ScopeMissing,
    /// An organization's policy is in the way.
    OrganizationRestricted,
    /// The client's id or secret was refused.
    ClientRefused,
    /// The identity or the installation is suspended.
    Suspended,
    /// The app is not installed, or not any more.
    NotInstalled,
    /// A single sign-on is due.
    SsoRequired,
    /// No more of these can be made there.
    LimitReached,
    /// The plugin panicked.
    Panic,
    /// The plugin broke the protocol.
    Protocol,
    /// The plugin waits for nothing.
    Stuck,
    /// The worker died.
    Crashed,
    /// A step took too long.
    Timeout,
    /// A request that the manifest does not allow.
    RequestNotAllowed,
}
