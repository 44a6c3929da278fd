//! Digests and random texts.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use ring::digest;

use crate::Engine;

/// SHA-256 of `bytes`, which may be a secret: nothing of them is left on the stack.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let out = hash(bytes);
    overwrite_stack();
    out
}

/// Not a part of its caller, so that what `ring` keeps of the last block lies below the caller on the stack.
#[inline(never)]
fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Puts zeros where the function that was called before left its own (THREATS L5).
#[inline(never)]
fn overwrite_stack() {
    let mut below = [0_u8; 8 * 1024];
    std::hint::black_box(&mut below);
}

impl Engine {
    /// 26 characters of lower-case base32 over 128 random bits.
    pub(crate) fn new_id(&self) -> String {
        BASE32_NOPAD
            .encode(&self.random::<16>())
            .to_ascii_lowercase()
    }

    /// 43 characters of base64url over 256 random bits.
    pub(crate) fn new_ticket(&self) -> String {
        BASE64URL_NOPAD.encode(&self.random::<32>())
    }
}

/// The S256 challenge of a PKCE verifier (RFC 7636 section 4.2).
pub(crate) fn pkce_challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(&sha256(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636 appendix B.
    #[test]
    fn pkce_vector() {
        let challenge = pkce_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
