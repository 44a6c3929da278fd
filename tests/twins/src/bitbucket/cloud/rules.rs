//! The OAuth of Bitbucket Cloud, as it is being rolled out in 2026

use crate::{
    oauth::{Pkce, Refreshing, Refusal, Refusals, Reply, Reuse, Rotation, Rules, Shape},
    time::DAY,
};

const GRANT: Refusal = Refusal::new(
    400,
    "invalid_grant",
    "The specified grant is invalid, expired or was revoked",
);

/// Atlassian to those who keep tokens in short columns: "regularly exceed 2500 characters"
const LONG: Shape = Shape::opaque("", 2_600);

/// Access for 7,200 seconds; a refresh token works for ten more minutes after its first use, and dies after three months
#[must_use]
pub fn rules() -> Rules {
    Rules {
        mistake_burns_code: true,
        code_reuse_kills: false,
        // BCLOUD-23469
        pkce: Pkce::Ignored,
        access_ms: Some(7_200_000),
        access_shape: LONG,
        refreshing: Some(Refreshing {
            shape: LONG,
            idle_ms: Some(90 * DAY),
            rotation: Rotation::Always {
                reuse: Reuse::Grace { ms: 600_000 },
            },
            old_access_dies: false,
        }),
        scopes_fixed_by_client: true,
        reply: Reply {
            scope_member: Some("scopes"),
            token_type: "bearer",
            ..Reply::rfc()
        },
        refusals: Refusals::all(GRANT),
        revocation: None,
        device: None,
        ..Rules::strict()
    }
}
