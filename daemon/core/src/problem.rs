//! What went wrong, with a reason that never changes its meaning.

use std::{fmt, time::Duration};

use thiserror::Error;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $text:literal => $kind:ident,)*) => {
        /// Stable, machine-readable reasons. The public API sends them as they are written here.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The reason as callers see it: `LINK_DISABLED`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The class that decides the status code.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }
        }
    };
}

/// Classes of problems, a closed set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The caller's input is wrong.
    InvalidInput,
    /// Absent, or not the caller's.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// The caller is not known.
    Unauthenticated,
    /// The caller may not do this.
    Denied,
    /// The state forbids it: something must be done first.
    Precondition,
    /// Somebody else was faster.
    Conflict,
    /// Too much.
    Exhausted,
    /// Try again later.
    Unavailable,
    /// Not offered here.
    Unimplemented,
    /// A defect of Bindery or of a plugin.
    Internal,
}

impl Kind {
    /// Name of the status code that a caller sees.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidInput => "INVALID_ARGUMENT",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Denied => "PERMISSION_DENIED",
            Self::Precondition => "FAILED_PRECONDITION",
            Self::Conflict => "ABORTED",
            Self::Exhausted => "RESOURCE_EXHAUSTED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
        }
    }
}

reasons! {
    /// A field is missing or malformed.
    InvalidArgument = "INVALID_ARGUMENT" => InvalidInput,
    /// A page token is not of this query.
    InvalidPageToken = "INVALID_PAGE_TOKEN" => InvalidInput,
    /// Absent, or not the caller's.
    NotFound = "NOT_FOUND" => NotFound,
    /// The name is taken, or was taken once: ids are never reused.
    AlreadyExists = "ALREADY_EXISTS" => AlreadyExists,
    /// The caller presented no identity that the policy knows.
    Unauthenticated = "UNAUTHENTICATED" => Unauthenticated,
    /// The policy does not allow it.
    PermissionDenied = "PERMISSION_DENIED" => Denied,
    /// The etag is not the current one.
    EtagMismatch = "ETAG_MISMATCH" => Conflict,
    /// Something still stands below it.
    HasChildren = "HAS_CHILDREN" => Precondition,
    /// The link is disabled by a person.
    LinkDisabled = "LINK_DISABLED" => Precondition,
    /// The link is not authorized yet.
    LinkNotBound = "LINK_NOT_BOUND" => Precondition,
    /// The link's grant is dead; a person must authorize again.
    LinkNeedsReauthorization = "LINK_NEEDS_REAUTHORIZATION" => Precondition,
    /// The link is being unlinked, or is unlinked.
    LinkUnlinked = "LINK_UNLINKED" => Precondition,
    /// The flow does not exist, is over time, or was used.
    FlowExpired = "FLOW_EXPIRED" => Precondition,
    /// Another browser or caller started the flow.
    FlowMismatch = "FLOW_MISMATCH" => Denied,
    /// Nothing is under way that could be ended.
    FlowUsed = "FLOW_USED" => Precondition,
    /// Too many flows are open.
    TooManyFlows = "TOO_MANY_FLOWS" => Exhausted,
    /// The person said no at the provider.
    ConsentDenied = "CONSENT_DENIED" => Precondition,
    /// Another identity answered than the one that the link is bound to.
    IdentityMismatch = "IDENTITY_MISMATCH" => Precondition,
    /// Scopes are missing.
    ScopeMissing = "SCOPE_MISSING" => Precondition,
    /// More was granted than was asked for.
    ScopeExcessive = "SCOPE_EXCESSIVE" => Precondition,
    /// The token was refused by the provider.
    TokenRefused = "TOKEN_REFUSED" => Precondition,
    /// The authorization method is not offered by this provider or host.
    MethodNotSupported = "METHOD_NOT_SUPPORTED" => Precondition,
    /// No plugin of this name is loaded.
    ProviderNotLoaded = "PROVIDER_NOT_LOADED" => Precondition,
    /// The host's name did not resolve.
    HostNameUnresolved = "HOST_NAME_UNRESOLVED" => Unavailable,
    /// The host's address is one that may not be reached.
    HostAddressForbidden = "HOST_ADDRESS_FORBIDDEN" => Precondition,
    /// The host's port is one that may not be reached.
    HostPortForbidden = "HOST_PORT_FORBIDDEN" => Precondition,
    /// The host did not answer.
    HostUnreachable = "HOST_UNREACHABLE" => Unavailable,
    /// The host's certificate is not signed by a CA that is known for it.
    HostCertificateUnknown = "HOST_CERTIFICATE_UNKNOWN" => Precondition,
    /// The host answered too much, too slowly, or not in HTTP.
    HostAnswerUnusable = "HOST_ANSWER_UNUSABLE" => Unavailable,
    /// The host refused the OAuth client.
    ClientRefused = "CLIENT_REFUSED" => Precondition,
    /// The provider limits requests.
    ProviderRateLimited = "PROVIDER_RATE_LIMITED" => Exhausted,
    /// The provider is broken or away.
    ProviderUnavailable = "PROVIDER_UNAVAILABLE" => Unavailable,
    /// The provider does not let the identity do this.
    ProviderDenied = "PROVIDER_DENIED" => Precondition,
    /// The provider does not have it, or hides it.
    ProviderNotFound = "PROVIDER_NOT_FOUND" => NotFound,
    /// An organization's policy is in the way.
    OrganizationRestricted = "ORGANIZATION_RESTRICTED" => Precondition,
    /// An organization asks for a single sign-on.
    SsoRequired = "SSO_REQUIRED" => Precondition,
    /// The app is not installed, or not any more.
    AppNotInstalled = "APP_NOT_INSTALLED" => Precondition,
    /// The identity or the installation is suspended at the provider.
    IdentitySuspended = "IDENTITY_SUSPENDED" => Precondition,
    /// The namespace requires a service account.
    ServiceAccountRequired = "SERVICE_ACCOUNT_REQUIRED" => Precondition,
    /// Builds of a team hang on the account of one person.
    PersonalAccount = "PERSONAL_ACCOUNT" => Precondition,
    /// The same identity is linked to the namespace already.
    LinkExists = "LINK_EXISTS" => AlreadyExists,
    /// Other links live on the same grant.
    GrantShared = "GRANT_SHARED" => Precondition,
    /// The person has not acted yet.
    FlowPending = "FLOW_PENDING" => Precondition,
    /// The host is switched off.
    HostDisabled = "HOST_DISABLED" => Precondition,
    /// No token lives long enough.
    TokenTooShort = "TOKEN_TOO_SHORT" => Precondition,
    /// A token, key or certificate ends soon.
    ExpiresSoon = "EXPIRES_SOON" => Precondition,
    /// An organization that the link reached is not reached any more.
    OrganizationLost = "ORGANIZATION_LOST" => Precondition,
    /// A repository has another name than when it was last asked for.
    RepositoryRenamed = "REPOSITORY_RENAMED" => Precondition,
    /// A repository that the link reached is not reached any more.
    RepositoryLost = "REPOSITORY_LOST" => Precondition,
    /// The clocks of daemon and host differ too much.
    HostClockSkew = "HOST_CLOCK_SKEW" => Precondition,
    /// The host is no server of this provider.
    HostNotRecognized = "HOST_NOT_RECOGNIZED" => Precondition,
    /// The repository is a source of the link already.
    SourceExists = "SOURCE_EXISTS" => AlreadyExists,
    /// The provider allows no more of them.
    ProviderLimitReached = "PROVIDER_LIMIT_REACHED" => Exhausted,
    /// The events after the cursor are not kept any more.
    CursorTooOld = "CURSOR_TOO_OLD" => Precondition,
    /// The watcher did not take its events in time.
    WatcherTooSlow = "WATCHER_TOO_SLOW" => Exhausted,
    /// Another watcher took over the consumer.
    ConsumerTakenOver = "CONSUMER_TAKEN_OVER" => Conflict,
    /// More triggers in a minute than the source allows.
    TriggerLimitReached = "TRIGGER_LIMIT_REACHED" => Exhausted,
    /// A filter can't be read.
    FilterInvalid = "FILTER_INVALID" => InvalidInput,
    /// The provider can't do this.
    ProviderUnsupported = "PROVIDER_UNSUPPORTED" => Unimplemented,
    /// The plugin's files are not those that the operator agreed to.
    PluginNotTrusted = "PLUGIN_NOT_TRUSTED" => Precondition,
    /// The plugin misbehaved.
    PluginFailed = "PLUGIN_FAILED" => Internal,
    /// The plugin's worker died.
    PluginCrashed = "PLUGIN_CRASHED" => Unavailable,
    /// The plugin took too long.
    PluginTimeout = "PLUGIN_TIMEOUT" => Unavailable,
    /// The plugin asked for a request that its manifest does not allow.
    RequestNotAllowed = "REQUEST_NOT_ALLOWED" => Internal,
    /// The plugin asked for an origin that the operator did not allow.
    OriginNotAllowed = "ORIGIN_NOT_ALLOWED" => Internal,
    /// A refresh was sent and its answer was lost; the daemon finds out by itself.
    RefreshOutcomeUnknown = "REFRESH_OUTCOME_UNKNOWN" => Unavailable,
    /// The store had an I/O error and takes no writes.
    StoreReadOnly = "STORE_READ_ONLY" => Unavailable,
    /// The disk is nearly full: no new links.
    StoreLowSpace = "STORE_LOW_SPACE" => Exhausted,
    /// The store gave up.
    StoreFailed = "STORE_FAILED" => Internal,
    /// A record does not open: changed, moved or rolled back.
    RecordTampered = "RECORD_TAMPERED" => Internal,
    /// The store is older than what was acknowledged, and nobody has accepted that.
    StoreRolledBack = "STORE_ROLLED_BACK" => Precondition,
    /// A backup is damaged, cut, or of another key.
    BackupInvalid = "BACKUP_INVALID" => Precondition,
    /// Two writers met; try again.
    StoreConflict = "STORE_CONFLICT" => Conflict,
    /// The audit record could not be written, so nothing was done.
    AuditUnavailable = "AUDIT_UNAVAILABLE" => Unavailable,
    /// The daemon is sealed.
    Sealed = "SEALED" => Unavailable,
    /// A key, passphrase or share does not open the seal.
    UnsealRejected = "UNSEAL_REJECTED" => Precondition,
    /// The same request id came with another request.
    RequestIdReused = "REQUEST_ID_REUSED" => InvalidInput,
    /// This call is designed, and comes with a later release.
    NotServedYet = "NOT_SERVED_YET" => Unimplemented,
    /// The daemon is busy.
    Overloaded = "OVERLOADED" => Exhausted,
    /// The daemon stops.
    ShuttingDown = "SHUTTING_DOWN" => Unavailable,
    /// A defect of Bindery.
    Internal = "INTERNAL" => Internal,
}

/// Who must act to mend it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    /// The person whose identity it is.
    User,
    /// An owner of the organization.
    OrganizationOwner,
    /// Who operates the host's entry in Bindery.
    HostOperator,
}

/// One problem: what is wrong and what to do, a stable reason, never a secret.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct Problem {
    /// Stable reason.
    pub reason: Reason,
    /// What is wrong and what to do, one sentence, lower case, without full stop.
    pub message: String,
    /// Page where it can be mended; empty when none is known.
    pub action_uri: String,
    /// Who must act.
    pub who: Option<Who>,
    /// When to try again at the earliest, from now.
    pub retry_after: Option<Duration>,
    /// Names and values for machines: `host`, `scope`, `field`.
    pub metadata: Vec<(&'static str, String)>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Problem {
    /// A problem with a reason and a sentence.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            action_uri: String::new(),
            who: None,
            retry_after: None,
            metadata: Vec::new(),
        }
    }

    /// A field of the request is wrong.
    #[must_use]
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::new(Reason::InvalidArgument, message).with("field", field)
    }

    /// The one answer for "absent" and "not yours".
    #[must_use]
    pub fn not_found(resource: impl fmt::Display) -> Self {
        Self::new(
            Reason::NotFound,
            format!("{resource} does not exist or is not yours"),
        )
        .with("resource", resource.to_string())
    }

    /// Adds metadata.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }

    /// Says who must act, and where.
    #[must_use]
    pub fn act(mut self, who: Who, action_uri: impl Into<String>) -> Self {
        self.who = Some(who);
        self.action_uri = action_uri.into();
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reason has a text of its own in UPPER_SNAKE.
    #[test]
    fn reasons_are_distinct() {
        let mut texts: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Reason::ALL.len());
        assert!(
            texts
                .iter()
                .all(|t| t.bytes().all(|c| c.is_ascii_uppercase() || c == b'_'))
        );
    }
}
