//! A target of the fuzzer: it takes any bytes, and panics when a property does not hold.

use bindery_core::{
    provider::{SignatureKind, SignatureScheme},
    secret::Secret,
    time::Timestamp,
};
use data_encoding::{BASE64, HEXLOWER};
use ring::hmac;

use super::verify::{Claim, Headers};

/// As Standard Webhooks writes a secret; other schemes take the text as it is.
const SECRET: &str = "whsec_YSBzZWNyZXQgb2Ygb25lIGhvb2s=";

/// The key that is written in it.
const KEY: &[u8] = b"a secret of one hook";

/// A delivery holds exactly when what is signed is what came, for every scheme (THREATS W1, W4).
///
/// The first byte chooses the scheme, the second what is changed after signing; the rest is the body.
pub fn webhook(data: &[u8]) {
    let [kind, change, body @ ..] = data else {
        return;
    };
    let scheme = scheme(*kind);
    let (mut headers, mut body) = (signed(&scheme, body), body.to_vec());
    let changed = alter(*change, &mut headers, &mut body);
    let covered =
        scheme.kind != SignatureKind::Token && scheme.kind != SignatureKind::TimestampHmacSha256;
    let claim = Claim {
        scheme: &scheme,
        headers: Headers(&headers),
        body: &body,
        now: NOW,
    };
    let held = claim.holds(&[&Secret::new(SECRET.to_owned())]);
    match changed {
        Changed::Nothing => assert!(held, "{:?}", scheme.kind),
        Changed::Body => assert_eq!(held, !covered, "{:?}", scheme.kind),
        Changed::Signature => assert!(!held, "{:?}", scheme.kind),
    }
    let foreign = Headers(&headers);
    assert!(
        !Claim {
            headers: foreign,
            ..claim
        }
        .holds(&[])
    );
    assert!(!claim.holds(&[&Secret::new("another secret".to_owned())]));
}

enum Changed {
    Nothing,
    Body,
    Signature,
}

const NOW: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

fn scheme(kind: u8) -> SignatureScheme {
    let (kind, header, prefix, time) = match kind % 4 {
        0 => (
            SignatureKind::BodyHmacSha256,
            "x-hub-signature-256",
            "sha256=",
            "",
        ),
        1 => (SignatureKind::Token, "x-gitlab-token", "", ""),
        2 => (
            SignatureKind::StandardWebhooks,
            "webhook-signature",
            "",
            "webhook-timestamp",
        ),
        _ => (
            SignatureKind::TimestampHmacSha256,
            "x-gitee-token",
            "",
            "x-gitee-timestamp",
        ),
    };
    SignatureScheme {
        name: header.to_owned(),
        kind,
        header: header.to_owned(),
        prefix: prefix.to_owned(),
        timestamp_header: time.to_owned(),
        weak: false,
    }
}

/// The headers of a delivery that is right, as each provider's documentation says.
fn signed(scheme: &SignatureScheme, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mac = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let secret = SECRET.as_bytes();
    let seconds = NOW.unix_ms() / 1000;
    let headers = match scheme.kind {
        SignatureKind::BodyHmacSha256 => {
            let mac = HEXLOWER.encode(mac(secret, body).as_ref());
            vec![(scheme.header.clone(), format!("{}{mac}", scheme.prefix))]
        }
        SignatureKind::Token => vec![(scheme.header.clone(), SECRET.to_owned())],
        SignatureKind::StandardWebhooks => {
            let text = [format!("id-1.{seconds}.").as_bytes(), body].concat();
            let mac = BASE64.encode(mac(KEY, &text).as_ref());
            vec![
                (scheme.header.clone(), format!("v1,{mac}")),
                (scheme.timestamp_header.clone(), seconds.to_string()),
                ("webhook-id".to_owned(), "id-1".to_owned()),
            ]
        }
        SignatureKind::TimestampHmacSha256 => {
            let time = NOW.unix_ms().to_string();
            let mac = BASE64.encode(mac(secret, format!("{time}\n{SECRET}").as_bytes()).as_ref());
            vec![
                (scheme.header.clone(), mac),
                (scheme.timestamp_header.clone(), time),
            ]
        }
    };
    headers
        .into_iter()
        .map(|(name, value)| (name, value.into_bytes()))
        .collect()
}

/// Changes one thing. `change` says which byte of which part.
fn alter(change: u8, headers: &mut [(String, Vec<u8>)], body: &mut Vec<u8>) -> Changed {
    let at = usize::from(change / 4);
    match change % 4 {
        0 | 1 => Changed::Nothing,
        2 => {
            match at.checked_rem(body.len()) {
                Some(at) => body[at] ^= 1,
                None => body.push(0),
            }
            Changed::Body
        }
        _ => {
            let value = &mut headers[0].1;
            let at = at % value.len();
            value[at] ^= 1;
            Changed::Signature
        }
    }
}

#[cfg(test)]
mod tests {
    use bindery_replay::replay;

    /// W1: what is signed holds, and what was changed after does not.
    #[test]
    fn w1_changed_deliveries_do_not_hold() {
        replay("webhook", super::webhook);
    }
}
