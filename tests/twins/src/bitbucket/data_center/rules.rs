//! The OAuth 2.0 provider of Bitbucket Data Center

use crate::{
    oauth::{Pkce, Refreshing, Refusal, Refusals, Reply, Reuse, Rotation, Rules, Shape},
    time::DAY,
};

const GRANT: Refusal = Refusal::new(400, "invalid_grant", "The grant is invalid or has expired");
const CLIENT: Refusal = Refusal::new(
    401,
    "invalid_client",
    "The client is unknown or its secret is wrong",
);

/// Codes of ten seconds (`max.client.delay.seconds`), access for an hour, refresh tokens of 90 days
#[must_use]
pub fn rules() -> Rules {
    Rules {
        code_ms: 10_000,
        pkce: Pkce::Optional,
        access_ms: Some(3_600_000),
        refreshing: Some(Refreshing {
            shape: Shape::opaque("", 43),
            idle_ms: Some(90 * DAY),
            // What becomes of an old one is told nowhere; this is harder for a client.
            rotation: Rotation::Always {
                reuse: Reuse::Refused,
            },
            old_access_dies: false,
        }),
        reply: Reply {
            created_at: true,
            ..Reply::rfc()
        },
        refusals: Refusals {
            client: CLIENT,
            ..Refusals::all(GRANT)
        },
        device: None,
        ..Rules::strict()
    }
}
