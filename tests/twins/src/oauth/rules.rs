//! How one forge does OAuth

use super::{Refusals, Reply, Shape, refusal::Refusal};

/// All rules of one forge
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long a code is good, in milliseconds
    pub code_ms: u64,
    /// Whether a wrong verifier or redirect URI uses the code up
    pub mistake_burns_code: bool,
    /// Whether a second use of a code kills what came of the first (RFC 6749 section 4.1.2)
    pub code_reuse_kills: bool,
    /// What it thinks of PKCE
    pub pkce: Pkce,
    /// Whether the client may come by HTTP Basic
    pub basic_client_auth: bool,
    /// Whether the client may come in the body
    pub body_client_auth: bool,
    /// How long an access token is good, in milliseconds; `None` for ever
    pub access_ms: Option<u64>,
    /// What access tokens look like
    pub access_shape: Shape,
    /// How they are renewed; `None` where they are not
    pub refreshing: Option<Refreshing>,
    /// Whether the client's scopes are what is granted, whatever is asked
    pub scopes_fixed_by_client: bool,
    /// What a good reply looks like
    pub reply: Reply,
    /// What it says when it refuses
    pub refusals: Refusals,
    /// How it answers who wants to revoke a token of another client; `None` where nothing can be revoked
    pub revocation: Option<Refusal>,
    /// Device flow; `None` without
    pub device: Option<DeviceRules>,
    /// `iss` in the callback (RFC 9207)
    pub issuer: Option<String>,
}

/// What a server thinks of PKCE (RFC 7636)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pkce {
    /// A request without a challenge is refused
    Required,
    /// A challenge that was sent is enforced
    Optional,
    /// A challenge is not looked at
    Ignored,
}

/// What happens to refresh tokens
#[derive(Clone, Debug)]
pub struct Refreshing {
    /// What refresh tokens look like
    pub shape: Shape,
    /// After how many milliseconds without use one dies; `None` for never
    pub idle_ms: Option<u64>,
    /// Whether a refresh brings another refresh token
    pub rotation: Rotation,
    /// Whether the access token that came with the old one dies at once
    pub old_access_dies: bool,
}

/// Whether a refresh brings another refresh token
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rotation {
    /// The same one goes on
    Never {
        /// Whether a reply repeats it
        repeated: bool,
    },
    /// Another one comes each time
    Always {
        /// What a second use of the old one does
        reuse: Reuse,
    },
}

/// What a second use of a refresh token does
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reuse {
    /// It is refused
    Refused,
    /// It is refused, and everything that came of the same consent dies (RFC 9700 section 4.14.2)
    KillsFamily,
    /// It works for so many milliseconds after the first use, and is refused afterwards
    Grace {
        /// Milliseconds
        ms: u64,
    },
}

/// Device authorization (RFC 8628)
#[derive(Clone, Debug)]
pub struct DeviceRules {
    /// How long a device code is good, in milliseconds
    pub lifetime_ms: u64,
    /// Seconds between two polls
    pub interval_s: u64,
}

impl Rules {
    /// The rules that the RFCs ask for, strictly: PKCE, rotation, and a second use kills the family
    #[must_use]
    pub fn strict() -> Self {
        Self {
            code_ms: 600_000,
            mistake_burns_code: true,
            code_reuse_kills: true,
            pkce: Pkce::Required,
            basic_client_auth: true,
            body_client_auth: true,
            access_ms: Some(3_600_000),
            access_shape: Shape::opaque("", 43),
            refreshing: Some(Refreshing {
                shape: Shape::opaque("", 43),
                idle_ms: None,
                rotation: Rotation::Always {
                    reuse: Reuse::KillsFamily,
                },
                old_access_dies: false,
            }),
            scopes_fixed_by_client: false,
            reply: Reply::rfc(),
            refusals: Refusals::rfc(),
            revocation: Some(Refusal::new(
                400,
                "invalid_client",
                "the token is another client's",
            )),
            device: Some(DeviceRules {
                lifetime_ms: 600_000,
                interval_s: 5,
            }),
            issuer: None,
        }
    }
}
