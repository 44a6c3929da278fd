//! Signatures of deliveries, over the bytes as they came.
//!
//! All that is accepted is tried, whichever was right first, and something is computed over the body in each case: how long
//! it takes tells nothing but the length of the body.

use std::{borrow::Cow, hint::black_box, time::Duration};

use bindery_core::{
    hook::HookSecrets,
    provider::{HookSupport, SignatureKind, SignatureScheme},
    secret::Secret,
    time::Timestamp,
};
use data_encoding::{BASE64, HEXLOWER};
use ring::hmac;

/// How far the time of a delivery may be off (Standard Webhooks).
const STANDARD_WINDOW: Duration = Duration::from_secs(300);

/// How far it may be off at Gitee.
const GITEE_WINDOW: Duration = Duration::from_secs(3600);

/// Header with the id that a Standard Webhooks signature covers.
const STANDARD_ID: &str = "webhook-id";

/// Signatures in one header.
const MOST_SIGNATURES: usize = 8;

/// No signature, and what is compared where none came.
const NOTHING: [u8; 32] = [0; 32];

/// The headers of a delivery, names in lower case.
#[derive(Clone, Copy)]
pub(super) struct Headers<'a>(pub(super) &'a [(String, Vec<u8>)]);

impl<'a> Headers<'a> {
    /// The only header of a name. Nothing where it is empty, or where two might be read differently by another party.
    pub(super) fn only(&self, name: &str) -> Option<&'a str> {
        let mut all = self.0.iter().filter(|(known, _)| known == name);
        let (Some((_, value)), None) = (all.next(), all.next()) else {
            return None;
        };
        let text = std::str::from_utf8(value).ok()?;
        (!name.is_empty() && !text.is_empty()).then_some(text)
    }
}

/// A body without the secrets of its hook, which older Giteas and Gitee write into it. It is as long as it was.
pub(super) fn blanked(body: &[u8], secrets: &HookSecrets) -> Vec<u8> {
    let mut blanked = body.to_vec();
    let previous = secrets.previous.iter().map(|(secret, _)| secret);
    for secret in previous.chain([&secrets.current]).chain(&secrets.next) {
        blank(&mut blanked, secret.expose().as_bytes());
    }
    blanked
}

fn blank(body: &mut [u8], secret: &[u8]) {
    if secret.is_empty() {
        return;
    }
    let mut from = 0;
    while let Some(place) = find(&body[from..], secret) {
        let end = from + place + secret.len();
        body[from + place..end].fill(b'*');
        from = end;
    }
}

fn find(body: &[u8], secret: &[u8]) -> Option<usize> {
    body.windows(secret.len()).position(|part| part == secret)
}

/// The bytes that are signed: those of the body, or of the member of a form that carries them.
pub(super) fn signed<'a>(
    support: &HookSupport,
    headers: Headers<'_>,
    body: &'a [u8],
) -> Option<Cow<'a, [u8]>> {
    if !is_form(support, headers) {
        return Some(Cow::Borrowed(body));
    }
    let mut members =
        url::form_urlencoded::parse(body).filter(|(name, _)| *name == support.form_member);
    match (members.next(), members.next()) {
        (Some((_, text)), None) => Some(Cow::Owned(text.into_owned().into_bytes())),
        _ => None,
    }
}

/// Whether the JSON, which is what is signed, is a member of a form.
pub(super) fn is_form(support: &HookSupport, headers: Headers<'_>) -> bool {
    let form = "application/x-www-form-urlencoded";
    let kind = headers.only("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    !support.form_member.is_empty() && kind.eq_ignore_ascii_case(form)
}

/// The secrets that a delivery may be signed with at `now`. An empty one is none.
pub(super) fn accepted(secrets: &HookSecrets, now: Timestamp) -> Vec<&Secret> {
    let previous = secrets.previous.as_ref();
    let previous = previous
        .filter(|(_, until)| now < *until)
        .map(|(secret, _)| secret);
    let all = [Some(&secrets.current), secrets.next.as_ref(), previous];
    let all = all.into_iter().flatten();
    all.filter(|secret| !secret.is_empty()).collect()
}

/// A delivery that is to be verified.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) scheme: &'a SignatureScheme,
    pub(super) headers: Headers<'a>,
    pub(super) body: &'a [u8],
    pub(super) now: Timestamp,
}

impl Claim<'_> {
    /// Whether it is signed with one of `secrets`.
    pub(super) fn holds(&self, secrets: &[&Secret]) -> bool {
        let mut right = false;
        for secret in secrets {
            right |= self.holds_for(secret);
        }
        if secrets.is_empty() {
            black_box(self.holds_for(&Secret::new("none".to_owned())));
        }
        right
    }

    fn holds_for(&self, secret: &Secret) -> bool {
        match self.scheme.kind {
            SignatureKind::BodyHmacSha256 => self.body_hmac(secret),
            SignatureKind::Token => self.token(secret),
            SignatureKind::StandardWebhooks => self.standard(secret),
            SignatureKind::TimestampHmacSha256 => self.timestamp_hmac(secret),
        }
    }

    /// What stands in the scheme's header, behind its prefix.
    fn presented(&self) -> Option<&str> {
        let value = self.headers.only(&self.scheme.header)?;
        value.strip_prefix(&self.scheme.prefix)
    }

    fn body_hmac(&self, secret: &Secret) -> bool {
        let sent = self.presented();
        // Lower case only: every delivery has one signature, not many spellings of it.
        let sent = sent.and_then(|text| HEXLOWER.decode(text.as_bytes()).ok());
        let matches = is_mac(secret.expose().as_bytes(), self.body, sent.as_deref());
        sent.is_some() & matches
    }

    fn token(&self, secret: &Secret) -> bool {
        black_box(is_mac(secret.expose().as_bytes(), self.body, None));
        let sent = self.presented();
        let matches = same(secret, sent.unwrap_or_default());
        sent.is_some() & matches
    }

    fn standard(&self, secret: &Secret) -> bool {
        let key = standard_key(secret);
        let message = [self.standard_head().as_bytes(), self.body].concat();
        let signed =
            self.any_standard(|mac| is_mac(key.as_deref().unwrap_or(&NOTHING), &message, mac));
        signed & self.is_standard() & key.is_some()
    }

    /// What is signed before the body.
    fn standard_head(&self) -> String {
        let id = self.headers.only(STANDARD_ID);
        let time = self.headers.only(&self.scheme.timestamp_header);
        format!("{}.{}.", id.unwrap_or_default(), time.unwrap_or_default())
    }

    /// Whether what is beside the signature is there, and of this time.
    fn is_standard(&self) -> bool {
        let time = self.headers.only(&self.scheme.timestamp_header);
        let fresh = time.is_some_and(|time| self.is_fresh(time, 1000, STANDARD_WINDOW));
        fresh & self.headers.only(STANDARD_ID).is_some()
    }

    /// Whether one of the signatures in the header is right. Those of another version are passed over.
    fn any_standard(&self, is_right: impl Fn(Option<&[u8]>) -> bool) -> bool {
        let sent = self.headers.only(&self.scheme.header);
        let parts: Vec<_> = sent.unwrap_or_default().split(' ').collect();
        let well_formed =
            parts.len() <= MOST_SIGNATURES && parts.iter().all(|part| !part.is_empty());
        let mut right = false;
        for part in parts.iter().take(MOST_SIGNATURES) {
            let mac = part.strip_prefix("v1,");
            let mac = mac.and_then(|text| BASE64.decode(text.as_bytes()).ok());
            let matches = is_right(mac.as_deref());
            right |= mac.is_some() & matches;
        }
        right & well_formed
    }

    /// Whether the body is part of what is signed.
    pub(super) fn covers_body(&self) -> bool {
        matches!(
            self.scheme.kind,
            SignatureKind::BodyHmacSha256 | SignatureKind::StandardWebhooks
        )
    }

    /// Begins with a body that comes in pieces, for each of `secrets`; [`Self::holds_over`] ends it. Where the body is not
    /// signed as much is computed.
    pub(super) fn begin(&self, secrets: &[&Secret]) -> Vec<hmac::Context> {
        let begun = secrets.iter().map(|secret| {
            let standard = self.scheme.kind == SignatureKind::StandardWebhooks;
            let key = standard.then(|| standard_key(secret)).flatten();
            let key = match &key {
                Some(key) => key,
                None if standard => &NOTHING[..],
                None => secret.expose().as_bytes(),
            };
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            let mut body = hmac::Context::with_key(&key);
            if standard {
                body.update(self.standard_head().as_bytes());
            }
            body
        });
        begun.collect()
    }

    /// Whether a body that came in pieces is signed with one of `secrets`, which it was begun with.
    pub(super) fn holds_over(&self, secrets: &[&Secret], bodies: &[hmac::Context]) -> bool {
        let mut right = false;
        for (secret, body) in secrets.iter().zip(bodies) {
            let tag = body.clone().sign();
            right |= match self.scheme.kind {
                SignatureKind::StandardWebhooks => {
                    let signed = self.any_standard(|mac| is_tag(&tag, mac));
                    signed & self.is_standard() & standard_key(secret).is_some()
                }
                SignatureKind::BodyHmacSha256 => {
                    let sent = self.presented();
                    let sent = sent.and_then(|text| HEXLOWER.decode(text.as_bytes()).ok());
                    let matches = is_tag(&tag, sent.as_deref());
                    sent.is_some() & matches
                }
                SignatureKind::Token | SignatureKind::TimestampHmacSha256 => false,
            };
        }
        right
    }

    fn timestamp_hmac(&self, secret: &Secret) -> bool {
        black_box(is_mac(secret.expose().as_bytes(), self.body, None));
        let time = self.headers.only(&self.scheme.timestamp_header);
        let sent = self.presented();
        let mac = sent.and_then(|text| BASE64.decode(text.as_bytes()).ok());
        let message = format!("{}\n{}", time.unwrap_or_default(), secret.expose());
        // It holds the secret, and is wiped as one.
        let message = Secret::new(message);
        let signed = is_mac(
            secret.expose().as_bytes(),
            message.expose().as_bytes(),
            mac.as_deref(),
        );
        let fresh = time.is_some_and(|time| self.is_fresh(time, 1, GITEE_WINDOW));
        signed & fresh & mac.is_some()
    }

    /// Whether a time in units of `unit_ms` milliseconds is no further from now than `window`.
    fn is_fresh(&self, time: &str, unit_ms: u64, window: Duration) -> bool {
        if !time.bytes().all(|c| c.is_ascii_digit()) {
            return false;
        }
        let time = time.parse::<u64>().ok();
        let Some(ms) = time.and_then(|time| time.checked_mul(unit_ms)) else {
            return false;
        };
        let (then, now) = (Timestamp::from_unix_ms(ms), self.now);
        now.since(then).max(then.since(now)) <= window
    }
}

/// The key of a Standard Webhooks secret; `None` where it is not in that form.
fn standard_key(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose().strip_prefix("whsec_")?;
    let key = BASE64.decode(text.as_bytes()).ok()?;
    (!key.is_empty()).then_some(key)
}

fn is_mac(key: &[u8], message: &[u8], mac: Option<&[u8]>) -> bool {
    tracing::trace!(bytes = message.len(), "A MAC is computed");
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&key, message, mac.unwrap_or(&NOTHING)).is_ok()
}

/// Whether a MAC is this one, compared in constant time as [`same`] does.
fn is_tag(tag: &hmac::Tag, mac: Option<&[u8]>) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
    let right = hmac::sign(&key, tag.as_ref());
    hmac::verify(&key, mac.unwrap_or(&NOTHING), right.as_ref()).is_ok()
}

/// Compares in constant time: equal texts have equal MACs under any key.
fn same(secret: &Secret, presented: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let right = hmac::sign(&key, secret.expose().as_bytes());
    hmac::verify(&key, presented.as_bytes(), right.as_ref()).is_ok()
}

#[cfg(test)]
mod tests;
