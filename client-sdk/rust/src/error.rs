//! Why a call failed, as cases that a program can tell apart.

use std::{collections::BTreeMap, fmt, ops::Deref, sync::Arc, time::Duration};

use tonic::{Code, Status};

mod classify;
mod read;

/// Why something failed.
///
/// Every case but the configuration ones carries a [`Failure`] with the stable reason, also one that this
/// version of the client does not know.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It does not exist, or the caller may not know that it does.
    #[error("{0}")]
    NotFound(Failure),
    /// It exists already.
    #[error("{0}")]
    AlreadyExists(Failure),
    /// Somebody else changed it at the same moment, or after it was read.
    #[error("{0}")]
    Conflict(Failure),
    /// The request is wrong; [`Facts::violations`] says where.
    #[error("{0}")]
    InvalidArgument(Failure),
    /// The daemon could not identify the caller.
    #[error("{0}")]
    Unauthenticated(Failure),
    /// The caller may not do this.
    #[error("{0}")]
    PermissionDenied(Failure),
    /// The link, its namespace or its host is switched off; nothing was revoked.
    #[error("{0}")]
    LinkDisabled(Failure),
    /// The link is not authorized yet.
    #[error("{failure}")]
    NotBound {
        /// How far it is, such as `PENDING_AUTHORIZATION`; may be empty.
        stage: String,
        /// What the daemon said.
        failure: Failure,
    },
    /// The provider no longer accepts the grant: a person authorizes the link again.
    #[error("{failure}")]
    NeedsReauthorization {
        /// The page where they do it.
        url: Option<String>,
        /// Why, such as `GRANT_REVOKED`; may be empty.
        cause: String,
        /// What the daemon said.
        failure: Failure,
    },
    /// The token lacks scopes: a person authorizes the link again, with more permissions.
    #[error("{failure}")]
    ScopeMissing {
        /// Which, in the provider's words.
        scopes: Vec<String>,
        /// The page where they do it.
        url: Option<String>,
        /// What the daemon said.
        failure: Failure,
    },
    /// An organization at the provider does not let the link in; its owner can change that.
    #[error("{failure}")]
    OrganizationNotGranted {
        /// The page where they do it.
        url: Option<String>,
        /// What the daemon said.
        failure: Failure,
    },
    /// Too many calls, at the daemon or at the provider.
    #[error("{failure}")]
    RateLimited {
        /// When to try again, from the moment of the answer.
        retry_after: Option<Duration>,
        /// What the daemon said.
        failure: Failure,
    },
    /// Something is in a state in which this can't be done.
    #[error("{0}")]
    Precondition(Failure),
    /// The daemon has no root key: its operator unseals it.
    #[error("{0}")]
    Sealed(Failure),
    /// The daemon or the provider can't be reached, or can't answer now.
    #[error("{0}")]
    Unavailable(Failure),
    /// It took too long.
    #[error("{0}")]
    DeadlineExceeded(Failure),
    /// The daemon or the provider can't do this at all.
    #[error("{0}")]
    Unsupported(Failure),
    /// The client is not configured rightly; the text says what to set.
    #[error("{0}")]
    Configuration(String),
    /// Another failure, by its status code.
    #[error("{0}")]
    Other(Failure),
}

/// What the daemon said about a failure.
///
/// The request's secrets are never in here.
#[derive(Clone)]
pub struct Failure(Arc<Facts>);

/// The parts of a [`Failure`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// The status code.
    pub code: Code,
    /// The stable reason, such as `LINK_DISABLED`, in the daemon's spelling also where this client does not
    /// know it; empty where the answer did not come from a daemon.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// Public facts, by the keys that the reason documents.
    pub metadata: BTreeMap<String, String>,
    /// The page where a person acts or reads on.
    pub url: Option<String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Which fields of the request are wrong.
    pub violations: Vec<Violation>,
    /// Name of the resource that it is about.
    pub resource: Option<String>,
    /// The `x-request-id` of the call, as in the daemon's log.
    pub request_id: Option<String>,
    /// True where the request was never sent.
    pub unsent: bool,
}

/// A field of a request that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Path of the field, such as `host.public_urls.web`.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl Failure {
    pub(crate) fn new(code: Code, reason: &str, message: impl Into<String>) -> Self {
        Self::of(Facts {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            metadata: BTreeMap::new(),
            url: None,
            retry_after: None,
            violations: Vec::new(),
            resource: None,
            request_id: None,
            unsent: false,
        })
    }

    pub(crate) fn of(facts: Facts) -> Self {
        Self(Arc::new(facts))
    }

    /// True where a daemon said it, and not something on the way to it.
    #[must_use]
    pub fn is_from_daemon(&self) -> bool {
        !self.reason.is_empty()
    }
}

impl Deref for Failure {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Error {
    /// Makes a case of a status, as the calls of this client do; for users of [`Client::raw`](crate::Client::raw).
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        classify::classify(read::failure(status, None))
    }

    pub(crate) fn from_answer(status: &Status, endpoint: &str) -> Self {
        classify::classify(read::failure(status, Some(endpoint)))
    }

    pub(crate) fn from_failure(failure: Failure) -> Self {
        classify::classify(failure)
    }

    pub(crate) fn local(code: Code, message: impl Into<String>) -> Self {
        classify::classify(Failure::new(code, "", message))
    }

    /// What the daemon said; `None` where it is about the client's configuration.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::NotFound(failure)
            | Self::AlreadyExists(failure)
            | Self::Conflict(failure)
            | Self::InvalidArgument(failure)
            | Self::Unauthenticated(failure)
            | Self::PermissionDenied(failure)
            | Self::LinkDisabled(failure)
            | Self::NotBound { failure, .. }
            | Self::NeedsReauthorization { failure, .. }
            | Self::ScopeMissing { failure, .. }
            | Self::OrganizationNotGranted { failure, .. }
            | Self::RateLimited { failure, .. }
            | Self::Precondition(failure)
            | Self::Sealed(failure)
            | Self::Unavailable(failure)
            | Self::DeadlineExceeded(failure)
            | Self::Unsupported(failure)
            | Self::Other(failure) => Some(failure),
            Self::Configuration(_) => None,
        }
    }

    /// The stable reason, such as `LINK_DISABLED`; empty where there is none.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.failure().map_or("", |failure| &failure.reason)
    }

    /// The status code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.failure()
            .map_or(Code::InvalidArgument, |failure| failure.code)
    }

    /// The page where a person acts or reads on.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.failure()?.url.as_deref()
    }
}
