//! Gitee's OAuth: Doorkeeper, as far as it is known

use crate::oauth::{Pkce, Refreshing, Refusal, Refusals, Reply, Reuse, Rotation, Rules, Shape};

/// Seen with a code that was used, in replies of gitee.com
const GRANT: Refusal = Refusal::new(
    401,
    "invalid_grant",
    "授权方式无效，或者登录回调地址无效、过期或已被撤销",
);
/// Doorkeeper's own words; Gitee's are not known
const CLIENT: Refusal = Refusal::new(
    401,
    "invalid_client",
    "Client authentication failed due to unknown client, no client authentication included, or unsupported \
     authentication method.",
);

/// Access for a day (`expires_in` 86400), no PKCE, no device flow, no revocation
///
/// That a refresh brings both tokens anew is documented. What becomes of the old ones is not, so they are dead at once;
/// nor is how long a refresh token lasts, of which people who use it say thirty days.
#[must_use]
pub fn rules() -> Rules {
    Rules {
        code_ms: 600_000,
        mistake_burns_code: false,
        code_reuse_kills: false,
        pkce: Pkce::Ignored,
        access_ms: Some(86_400_000),
        access_shape: Shape::opaque("", 32),
        refreshing: Some(Refreshing {
            shape: Shape::opaque("", 64),
            idle_ms: Some(30 * 86_400_000),
            rotation: Rotation::Always {
                reuse: Reuse::Refused,
            },
            old_access_dies: true,
        }),
        reply: Reply {
            created_at: true,
            token_type: "bearer",
            ..Reply::rfc()
        },
        refusals: Refusals {
            client: CLIENT,
            ..Refusals::all(GRANT)
        },
        revocation: None,
        device: None,
        ..Rules::strict()
    }
}
