//! What a server says when it refuses

/// One refusal
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Status, where errors have one of their own
    pub status: u16,
    /// `error`
    pub error: &'static str,
    /// `error_description`
    pub description: &'static str,
}

/// The words for each event, because forges disagree on them
#[derive(Clone, Debug)]
pub struct Refusals {
    /// Unknown client, or a wrong secret
    pub client: Refusal,
    /// Unknown, expired or used code
    pub code: Refusal,
    /// Another redirect URI than the code's
    pub redirect: Refusal,
    /// Wrong PKCE verifier
    pub verifier: Refusal,
    /// Unknown, expired or revoked refresh token
    pub refresh: Refusal,
    /// A refresh token that was used before
    pub reused: Refusal,
    /// The person took the consent back
    pub revoked: Refusal,
    /// The person is blocked
    pub suspended: Refusal,
    /// Another grant type
    pub grant_type: Refusal,
}

impl Refusal {
    /// One refusal
    #[must_use]
    pub const fn new(status: u16, error: &'static str, description: &'static str) -> Self {
        Self {
            status,
            error,
            description,
        }
    }
}

impl Refusals {
    /// As RFC 6749 section 5.2 has it
    #[must_use]
    pub const fn rfc() -> Self {
        let grant = Refusal::new(
            400,
            "invalid_grant",
            "the grant is invalid, expired or revoked",
        );
        Self {
            client: Refusal::new(401, "invalid_client", "client authentication failed"),
            grant_type: Refusal::new(400, "unsupported_grant_type", "no such grant type"),
            ..Self::all(grant)
        }
    }

    /// The same words for everything
    #[must_use]
    pub const fn all(refusal: Refusal) -> Self {
        Self {
            client: refusal,
            code: refusal,
            redirect: refusal,
            verifier: refusal,
            refresh: refusal,
            reused: refusal,
            revoked: refusal,
            suspended: refusal,
            grant_type: refusal,
        }
    }
}
