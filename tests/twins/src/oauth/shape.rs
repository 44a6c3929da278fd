//! What tokens look like

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use crate::{mint::Mint, time};

/// What a token looks like
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// Letters and digits that mean nothing
    Opaque {
        /// In front of them
        prefix: &'static str,
        /// How many follow
        length: usize,
    },
    /// A JWT whose `iat` is in seconds: two of one grant in one second are the same, byte by byte
    Jwt,
}

/// What a JWT says
pub(super) struct Claims {
    pub(super) grant: u64,
    /// Which one of the grant's refresh tokens it is; 0 for access tokens
    pub(super) counter: u64,
    pub(super) now_ms: u64,
    pub(super) expires: Option<u64>,
}

impl Shape {
    /// Letters and digits after a prefix
    #[must_use]
    pub const fn opaque(prefix: &'static str, length: usize) -> Self {
        Self::Opaque { prefix, length }
    }

    pub(super) fn make(self, mint: &mut Mint, claims: &Claims) -> String {
        match self {
            Self::Opaque { prefix, length } => mint.secret(prefix, length),
            Self::Jwt => {
                let jwt = jwt(mint, claims);
                mint.remember(jwt)
            }
        }
    }
}

fn jwt(mint: &Mint, claims: &Claims) -> String {
    let header = json!({"alg": "HS512", "typ": "JWT"});
    let payload = json!({
        "gnt": claims.grant,
        "cnt": claims.counter,
        "iat": time::seconds(claims.now_ms),
        "exp": claims.expires.map(time::seconds),
    });
    let part = |value: &serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(&header), part(&payload));
    // Nobody has the key, so nobody can tell it from a signature.
    let signature = mint.derived(&signed, 86);
    format!("{signed}.{signature}")
}
