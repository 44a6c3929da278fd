//! How forges prove that a delivery is theirs

use data_encoding::{BASE64, HEXLOWER};
use ring::hmac;

fn mac(algorithm: hmac::Algorithm, key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(algorithm, key), message)
}

/// HMAC-SHA256 in lower-case hexadecimal
#[must_use]
pub fn sha256_hex(key: &str, message: &[u8]) -> String {
    HEXLOWER.encode(mac(hmac::HMAC_SHA256, key.as_bytes(), message).as_ref())
}

/// HMAC-SHA1 in lower-case hexadecimal
#[must_use]
pub fn sha1_hex(key: &str, message: &[u8]) -> String {
    let algorithm = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
    HEXLOWER.encode(mac(algorithm, key.as_bytes(), message).as_ref())
}

/// Gitee's: over the time and the secret, and not over what is sent
#[must_use]
pub fn gitee(secret: &str, timestamp_ms: u64) -> String {
    let message = format!("{timestamp_ms}\n{secret}");
    BASE64.encode(mac(hmac::HMAC_SHA256, secret.as_bytes(), message.as_bytes()).as_ref())
}

/// The `webhook-signature` of Standard Webhooks; `None` for a secret that is not `whsec_` and Base64
#[must_use]
pub fn standard(secret: &str, id: &str, timestamp_s: u64, body: &[u8]) -> Option<String> {
    let key = secret.strip_prefix("whsec_")?;
    let key = BASE64.decode(key.as_bytes()).ok()?;
    let mut message = format!("{id}.{timestamp_s}.").into_bytes();
    message.extend_from_slice(body);
    let signature = BASE64.encode(mac(hmac::HMAC_SHA256, &key, &message).as_ref());
    Some(format!("v1,{signature}"))
}
