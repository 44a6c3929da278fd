//! Signatures as Standard Webhooks has them: HMAC-SHA-256 over id, time and body.

use bindery_core::{
    problem::{Problem, Reason},
    secret::Secret,
    time::Timestamp,
    trigger::OverlappingSecret,
};
use data_encoding::BASE64;
use ring::hmac;

/// What stands before the base64 of a secret.
const PREFIX: &str = "whsec_";

/// A secret of these bytes.
pub(super) fn secret(bytes: &[u8; 32]) -> Secret {
    Secret::new(format!("{PREFIX}{}", BASE64.encode(bytes)))
}

/// `v1,` and the base64 of the signature over `id`, the time in seconds and `body`.
///
/// # Errors
///
/// `INTERNAL` for a secret that is not `whsec_` and base64.
pub fn signature(
    secret: &Secret,
    id: &str,
    unix_seconds: u64,
    body: &[u8],
) -> Result<String, Problem> {
    let key = secret.expose().strip_prefix(PREFIX);
    let key = key.and_then(|text| BASE64.decode(text.as_bytes()).ok());
    // The decoded copy is wiped as the secret itself is: it lives in the key alone from here on.
    let key = zeroed(key.ok_or_else(unusable)?);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{unix_seconds}.").as_bytes());
    context.update(body);
    Ok(format!("v1,{}", BASE64.encode(context.sign().as_ref())))
}

/// All signatures that count at `now`, the newest first, with a space between them.
pub(super) fn signatures(
    secrets: &OverlappingSecret,
    id: &str,
    now: Timestamp,
    body: &[u8],
) -> Result<String, Problem> {
    let sign = |secret| signature(secret, id, now.unix_seconds(), body);
    let mut all = sign(&secrets.current)?;
    for previous in secrets.before(now) {
        all.push(' ');
        all.push_str(&sign(previous)?);
    }
    Ok(all)
}

fn zeroed(mut bytes: Vec<u8>) -> hmac::Key {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    bytes.fill(0);
    std::hint::black_box(&bytes);
    key
}

fn unusable() -> Problem {
    let message = "the signing secret of this subscription can't be used; rotate it";
    Problem::new(Reason::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of Standard Webhooks' own libraries.
    #[test]
    fn the_published_vector_holds() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signed = signature(&secret, id, 1_614_265_330, br#"{"test": 2432232314}"#);
        let wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed.expect("signed"), wanted);
        let bare = Secret::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        assert!(signature(&bare, id, 1_614_265_330, b"").is_err());
    }
}
