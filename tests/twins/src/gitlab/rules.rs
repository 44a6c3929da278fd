//! GitLab's OAuth: Doorkeeper without `previous_refresh_token`

use crate::oauth::{
    DeviceRules, Pkce, Refreshing, Refusal, Refusals, Reply, Reuse, Rotation, Rules, Shape,
};

const GRANT: Refusal = Refusal::new(
    400,
    "invalid_grant",
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the \
     authorization request, or was issued to another client.",
);
const CLIENT: Refusal = Refusal::new(
    401,
    "invalid_client",
    "Client authentication failed due to unknown client, no client authentication included, or unsupported \
     authentication method.",
);
const GRANT_TYPE: Refusal = Refusal::new(
    400,
    "unsupported_grant_type",
    "The authorization grant type is not supported by the authorization server.",
);
const FOREIGN: Refusal = Refusal::new(
    403,
    "unauthorized_client",
    "You are not authorized to revoke this token",
);

/// Access for 7,200 seconds, and a refresh kills the old pair at once; seen with Doorkeeper 5.5 in GitLab's configuration
#[must_use]
pub fn rules() -> Rules {
    Rules {
        code_ms: 600_000,
        // Seen: a wrong verifier leaves the code as it was.
        mistake_burns_code: false,
        code_reuse_kills: false,
        pkce: Pkce::Optional,
        access_ms: Some(7_200_000),
        access_shape: Shape::opaque("", 64),
        refreshing: Some(Refreshing {
            shape: Shape::opaque("", 64),
            idle_ms: None,
            rotation: Rotation::Always {
                reuse: Reuse::Refused,
            },
            old_access_dies: true,
        }),
        reply: Reply {
            created_at: true,
            ..Reply::rfc()
        },
        refusals: Refusals {
            client: CLIENT,
            grant_type: GRANT_TYPE,
            ..Refusals::all(GRANT)
        },
        revocation: Some(FOREIGN),
        // doc/api/oauth2.md: a device code is good for 300 seconds.
        device: Some(DeviceRules {
            lifetime_ms: 300_000,
            interval_s: 5,
        }),
        ..Rules::strict()
    }
}
