//! JWTs against the example of RFC 7515 appendix A.2, whose key is public.

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::*;

const PKCS1: &str = include_str!("rfc7515.pkcs1.pem");
const PKCS8: &str = include_str!("rfc7515.pkcs8.pem");
const SHORT: &str = include_str!("short.pem");

const SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt\
                         _O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArL\
                         IARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7no\
                         OPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ\
                         Ge77Rw";

const NOW_S: u64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_unix_ms(NOW_S * 1000)
}

fn claims(end: u64) -> Vec<u8> {
    format!(r#"{{"exp":{end},"iat":{},"iss":"77"}}"#, NOW_S - 60).into_bytes()
}

fn signed(pem: &str, claims: &[u8]) -> Result<SecretSet, Problem> {
    let mut secrets = SecretSet::new();
    secrets.insert("app_private_key", Secret::new(pem.to_owned()));
    let ask = Ask {
        secret: "app_private_key",
        claims,
        store_as: "app_jwt",
    };
    sign(&secrets, ask, now())
}

fn reason(outcome: Result<SecretSet, Problem>) -> Reason {
    outcome.expect_err("nothing is signed").reason
}

/// The example of RFC 7515 appendix A.2: one input under one key has one signature, in either form of the key.
#[test]
fn rfc_7515_a_2() {
    let input = concat!(
        "eyJhbGciOiJSUzI1NiJ9",
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    );
    for pem in [PKCS1, PKCS8] {
        let key = key_pair(&Secret::new(pem.to_owned())).expect("a key");
        let signature = signature(&key, input.as_bytes()).expect("a signature");
        assert_eq!(BASE64URL_NOPAD.encode(&signature), SIGNATURE);
    }
}

/// What is kept is a JWT of exactly the claims that were given, with a signature that the public key verifies.
#[test]
fn the_jwt_verifies() {
    let kept = signed(PKCS1, &claims(NOW_S + 540)).expect("signed");
    let token = kept.get("app_jwt").expect("kept").expose();
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let (header, body) = input.split_once('.').expect("three parts");
    let decoded = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64url");
    assert_eq!(decoded(header), br#"{"alg":"RS256","typ":"JWT"}"#);
    assert_eq!(decoded(body), claims(NOW_S + 540));
    let key = key_pair(&Secret::new(PKCS1.to_owned())).expect("a key");
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public().as_ref());
    public
        .verify(input.as_bytes(), &decoded(signature))
        .expect("the signature is the key's");
}

/// S9: whatever a plugin asks for, a JWT lives ten minutes at most.
#[test]
fn s9_a_jwt_ends_within_ten_minutes() {
    assert!(signed(PKCS1, &claims(NOW_S + 600)).is_ok());
    for end in [NOW_S + 601, u64::MAX] {
        assert_eq!(reason(signed(PKCS1, &claims(end))), Reason::PluginFailed);
    }
    for endless in [
        br#"{"iss":"77"}"#.as_slice(),
        br#"{"exp":"1800000000"}"#,
        br#"{"exp":1e99}"#,
    ] {
        assert_eq!(reason(signed(PKCS1, endless)), Reason::PluginFailed);
    }
}

/// Claims are one small JSON object.
#[test]
fn claims_are_a_small_object() {
    let long = format!(r#"{{"exp":{NOW_S},"iss":"{}"}}"#, "7".repeat(MOST_CLAIMS));
    for claims in [
        b"".as_slice(),
        b"[]",
        b"77",
        b"{\"exp\":1",
        b"\xff",
        long.as_bytes(),
    ] {
        assert_eq!(reason(signed(PKCS1, claims)), Reason::PluginFailed);
    }
}

/// Without a usable key nothing is signed, and the refusal does not hold the key.
#[test]
fn a_key_that_cannot_sign_is_named() {
    let claims = claims(NOW_S + 540);
    for pem in ["", "not a key", SHORT] {
        let problem = signed(pem, &claims).expect_err("nothing is signed");
        assert_eq!(problem.reason, Reason::ProviderUnsupported);
        assert!(!problem.message.contains("not a key"), "{problem:?}");
    }
    let ask = Ask {
        secret: "app_private_key",
        claims: &claims,
        store_as: "app_jwt",
    };
    let outcome = sign(&SecretSet::new(), ask, now());
    assert_eq!(reason(outcome), Reason::ProviderUnsupported);
}

/// The key's own name is not free for the JWT: the next signature would have no key.
#[test]
fn the_key_is_not_replaced() {
    let mut secrets = SecretSet::new();
    secrets.insert("app_private_key", Secret::new(PKCS1.to_owned()));
    let claims = claims(NOW_S + 540);
    let ask = Ask {
        secret: "app_private_key",
        claims: &claims,
        store_as: "app_private_key",
    };
    assert_eq!(reason(sign(&secrets, ask, now())), Reason::PluginFailed);
}
