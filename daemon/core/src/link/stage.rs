//! The stages of a link's life, and what is wrong with it.

/// Stages of a link's life.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// A person must go to the provider.
    PendingAuthorization,
    /// The grant is there; the one who started it must confirm.
    PendingConfirmation,
    /// In order.
    Bound,
    /// The grant is dead.
    NeedsReauthorization(Cause),
    /// The unlink saga runs.
    Unlinking,
    /// Over; only the receipt remains.
    Unlinked,
}

impl Stage {
    /// The stage as callers see it: `PENDING_AUTHORIZATION`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingAuthorization => "PENDING_AUTHORIZATION",
            Self::PendingConfirmation => "PENDING_CONFIRMATION",
            Self::Bound => "BOUND",
            Self::NeedsReauthorization(_) => "NEEDS_REAUTHORIZATION",
            Self::Unlinking => "UNLINKING",
            Self::Unlinked => "UNLINKED",
        }
    }
}

/// What is wrong with a link: why it must be authorized again, or what troubles it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// The provider says that the grant is invalid.
    GrantRevoked,
    /// The token ended and can't be refreshed.
    TokenExpired,
    /// A refresh was sent, its answer was lost, and the old token is dead.
    RotationLost,
    /// The provider refuses the token.
    TokenRefused,
    /// The pending grant was not confirmed in time.
    NotConfirmed,
    /// The refresh token ended.
    RefreshTokenExpired,
    /// The answer to a refresh was lost.
    RefreshOutcomeUnknown,
    /// Scopes are missing.
    ScopeMissing,
    /// The identity is suspended or deleted.
    IdentitySuspended,
    /// The app was uninstalled.
    AppUninstalled,
    /// The installation is suspended.
    AppSuspended,
    /// The token belongs to another identity now.
    IdentityChanged,
    /// The host's client id or every client secret is refused.
    ClientRefused,
    /// The host's URLs changed, and the token is bound to the old ones.
    HostOriginChanged,
    /// The host can't be reached.
    HostUnreachable,
    /// The provider limits the rate.
    RateLimited,
    /// The provider answers with errors of its own.
    ProviderUnavailable,
    /// The plugin does not work.
    PluginFailed,
    /// The operator switched the host off.
    HostDisabled,
    /// Consent was refused.
    ConsentDenied,
    /// The flow was not finished in time.
    FlowExpired,
    /// The flow was cancelled.
    FlowCancelled,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 22] = [
        Self::GrantRevoked,
        Self::TokenExpired,
        Self::RotationLost,
        Self::TokenRefused,
        Self::NotConfirmed,
        Self::RefreshTokenExpired,
        Self::RefreshOutcomeUnknown,
        Self::ScopeMissing,
        Self::IdentitySuspended,
        Self::AppUninstalled,
        Self::AppSuspended,
        Self::IdentityChanged,
        Self::ClientRefused,
        Self::HostOriginChanged,
        Self::HostUnreachable,
        Self::RateLimited,
        Self::ProviderUnavailable,
        Self::PluginFailed,
        Self::HostDisabled,
        Self::ConsentDenied,
        Self::FlowExpired,
        Self::FlowCancelled,
    ];

    /// The cause as callers see it: `GRANT_REVOKED`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GrantRevoked => "GRANT_REVOKED",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::RotationLost => "ROTATION_LOST",
            Self::TokenRefused => "TOKEN_REFUSED",
            Self::NotConfirmed => "NOT_CONFIRMED",
            Self::RefreshTokenExpired => "REFRESH_TOKEN_EXPIRED",
            Self::RefreshOutcomeUnknown => "REFRESH_OUTCOME_UNKNOWN",
            Self::ScopeMissing => "SCOPE_MISSING",
            Self::IdentitySuspended => "IDENTITY_SUSPENDED",
            Self::AppUninstalled => "APP_UNINSTALLED",
            Self::AppSuspended => "APP_SUSPENDED",
            Self::IdentityChanged => "IDENTITY_CHANGED",
            Self::ClientRefused => "CLIENT_REFUSED",
            Self::HostOriginChanged => "HOST_ORIGIN_CHANGED",
            Self::HostUnreachable => "HOST_UNREACHABLE",
            Self::RateLimited => "RATE_LIMITED",
            Self::ProviderUnavailable => "PROVIDER_UNAVAILABLE",
            Self::PluginFailed => "PLUGIN_FAILED",
            Self::HostDisabled => "HOST_DISABLED",
            Self::ConsentDenied => "CONSENT_DENIED",
            Self::FlowExpired => "FLOW_EXPIRED",
            Self::FlowCancelled => "FLOW_CANCELLED",
        }
    }
}
