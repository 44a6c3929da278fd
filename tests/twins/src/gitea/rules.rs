//! Gitea's OAuth

use crate::oauth::{Pkce, Refreshing, Refusal, Refusals, Reply, Reuse, Rotation, Rules, Shape};

/// `REFRESH_TOKEN_EXPIRATION_TIME`: 730 hours
const REFRESH_MS: u64 = 730 * 3_600_000;

/// Seen with 1.14: the same words for every mistake with a code
const GRANT: Refusal = Refusal::new(400, "unauthorized_client", "client is not authorized");
const REFRESH: Refusal = Refusal::new(400, "unauthorized_client", "unable to parse refresh token");
const REUSED: Refusal = Refusal::new(400, "unauthorized_client", "token was already used");
const REVOKED: Refusal = Refusal::new(400, "invalid_grant", "grant does not exist");
/// Of a refresh; with a code it is `unauthorized_client` as well
const CLIENT: Refusal = Refusal::new(400, "invalid_client", "invalid client secret");

/// Access for an hour in a JWT of whole seconds, no scopes in the reply, no revocation, no device flow
///
/// Refresh tokens are JWTs too, and a refresh brings another one each time. By default the old one goes on working until
/// it ends by itself; with `INVALIDATE_REFRESH_TOKENS` it is used up, and using it again harms nobody else.
#[must_use]
pub fn rules(invalidates: bool) -> Rules {
    let reuse = match invalidates {
        true => Reuse::Refused,
        false => Reuse::Grace { ms: REFRESH_MS },
    };
    Rules {
        code_ms: 600_000,
        // Seen: a wrong verifier leaves the code as it was.
        mistake_burns_code: false,
        code_reuse_kills: false,
        pkce: Pkce::Optional,
        access_ms: Some(3_600_000),
        access_shape: Shape::Jwt,
        refreshing: Some(Refreshing {
            shape: Shape::Jwt,
            idle_ms: Some(REFRESH_MS),
            rotation: Rotation::Always { reuse },
            old_access_dies: false,
        }),
        reply: Reply {
            scope_member: None,
            token_type: "bearer",
            ..Reply::rfc()
        },
        refusals: Refusals {
            client: CLIENT,
            refresh: REFRESH,
            reused: REUSED,
            revoked: REVOKED,
            ..Refusals::all(GRANT)
        },
        revocation: None,
        device: None,
        ..Rules::strict()
    }
}
