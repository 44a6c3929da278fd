//! A delivery that is right, of each scheme that a plugin describes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::*;

/// The schemes that plugins describe: a test of each plugin compares what it says with these.
const SCHEMES: &str = include_str!("../../../../../../plugins/sdk/src/testing/schemes.json");

/// Every scheme of every provider.
pub(super) fn schemes() -> Vec<(String, SignatureScheme)> {
    let all: BTreeMap<String, Vec<Value>> = serde_json::from_str(SCHEMES).expect("JSON");
    let each = all.iter().flat_map(|(provider, schemes)| {
        let known = schemes.iter().map(known);
        known.map(|scheme| (provider.clone(), scheme))
    });
    each.collect()
}

fn known(scheme: &Value) -> SignatureScheme {
    let text = |member: &str| scheme[member].as_str().expect("text").to_owned();
    SignatureScheme {
        name: text("name"),
        kind: match scheme["kind"].as_str().expect("text") {
            "BODY_HMAC_SHA256" => SignatureKind::BodyHmacSha256,
            "TOKEN" => SignatureKind::Token,
            "STANDARD_WEBHOOKS" => SignatureKind::StandardWebhooks,
            "TIMESTAMP_HMAC_SHA256" => SignatureKind::TimestampHmacSha256,
            other => panic!("{other} is no kind of signature"),
        },
        header: text("header"),
        prefix: text("prefix"),
        timestamp_header: text("timestamp_header"),
        weak: scheme["weak"].as_bool().expect("truth"),
    }
}

fn scheme(provider: &str, name: &str) -> SignatureScheme {
    let mut all = schemes().into_iter();
    let found = all.find(|(whose, scheme)| whose == provider && scheme.name == name);
    found.expect("a known scheme").1
}

pub(super) fn github() -> SignatureScheme {
    scheme("github", "hmac-sha256")
}

fn bitbucket() -> SignatureScheme {
    scheme("bitbucket", "hmac-sha256")
}

pub(super) fn gitea() -> SignatureScheme {
    scheme("gitea", "hmac-sha256")
}

fn gitlab_token() -> SignatureScheme {
    scheme("gitlab", "token")
}

pub(super) fn standard() -> SignatureScheme {
    scheme("gitlab", "standard-webhooks")
}

pub(super) fn gitee() -> SignatureScheme {
    scheme("gitee", "signature")
}

fn gitee_password() -> SignatureScheme {
    scheme("gitee", "password")
}

/// A delivery that is right.
#[derive(Clone, Debug)]
pub(super) struct Right {
    pub(super) scheme: SignatureScheme,
    pub(super) secret: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) now: Timestamp,
}

impl Right {
    pub(super) fn new(
        scheme: SignatureScheme,
        secret: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Self {
            scheme,
            secret: secret.to_owned(),
            headers: headers.collect(),
            body: body.to_vec(),
            now: Timestamp::default(),
        }
    }

    pub(super) fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    pub(super) fn holds(&self) -> bool {
        let holds = self.holds_for(&[&Secret::new(self.secret.clone())]);
        let in_pieces = self.holds_in_pieces();
        assert_eq!(in_pieces.unwrap_or(holds), holds, "{:?}", self.headers);
        holds
    }

    /// As [`Self::holds`], where the body comes in two pieces; `None` where it is not signed.
    fn holds_in_pieces(&self) -> Option<bool> {
        let secret = Secret::new(self.secret.clone());
        let claim = Claim {
            scheme: &self.scheme,
            headers: Headers(&self.headers),
            body: &[],
            now: self.now,
        };
        let mut bodies = claim.begin(&[&secret]);
        let (first, second) = self.body.split_at(self.body.len() / 2);
        for body in &mut bodies {
            body.update(first);
            body.update(second);
        }
        let covers = claim.covers_body();
        covers.then(|| claim.holds_over(&[&secret], &bodies))
    }

    pub(super) fn holds_for(&self, secrets: &[&Secret]) -> bool {
        let claim = Claim {
            scheme: &self.scheme,
            headers: Headers(&self.headers),
            body: &self.body,
            now: self.now,
        };
        claim.holds(secrets)
    }
}

pub(super) fn hex(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    HEXLOWER.encode(hmac::sign(&key, body).as_ref())
}

fn base64(key: &[u8], message: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    BASE64.encode(hmac::sign(&key, message).as_ref())
}

/// A right delivery of each scheme, all at the same moment.
pub(super) fn one_of_each() -> Vec<Right> {
    let (secret, body) = ("5ecre7", b"{}".as_slice());
    let seconds = 1_700_000_000_u64;
    let now = Timestamp::from_unix_ms(seconds * 1000);
    let key = [7; 32];
    let whsec = format!("whsec_{}", BASE64.encode(&key));
    let covered = format!("m1.{seconds}.{{}}");
    let standard_sign = format!("v1,{}", base64(&key, covered.as_bytes()));
    let ms = now.unix_ms().to_string();
    let gitee_sign = base64(secret.as_bytes(), format!("{ms}\n{secret}").as_bytes());
    let seconds = seconds.to_string();
    let all = [
        Right::new(
            github(),
            secret,
            &[(
                "x-hub-signature-256",
                &format!("sha256={}", hex(secret, body)),
            )],
            body,
        ),
        Right::new(
            bitbucket(),
            secret,
            &[("x-hub-signature", &format!("sha256={}", hex(secret, body)))],
            body,
        ),
        Right::new(
            gitea(),
            secret,
            &[("x-gitea-signature", &hex(secret, body))],
            body,
        ),
        Right::new(gitlab_token(), secret, &[("x-gitlab-token", secret)], body),
        Right::new(
            standard(),
            &whsec,
            &[
                ("webhook-id", "m1"),
                ("webhook-timestamp", &seconds),
                ("webhook-signature", &standard_sign),
            ],
            body,
        ),
        Right::new(
            gitee(),
            secret,
            &[("x-gitee-timestamp", &ms), ("x-gitee-token", &gitee_sign)],
            body,
        ),
        Right::new(gitee_password(), secret, &[("x-gitee-token", secret)], body),
    ];
    all.into_iter().map(|one| one.at(now)).collect()
}
