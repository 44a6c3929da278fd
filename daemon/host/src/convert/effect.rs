//! `Effect`: what a plugin wants done

use bindery_core::exchange::{Capture, Effect, EffectKind, Encoding, HttpRequest, Segment};
use bindery_plugin_proto::v1::{self, effect, segment};

use super::check::{Checked, at_most, invalid, name};

const HEADERS: usize = 64;
const SEGMENTS: usize = 64;
const CAPTURES: usize = 16;
const URL: usize = 8192;

/// Headers that belong to the connection, which is the daemon's.
const OURS: [&str; 11] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// One effect.
pub(crate) fn effect(raw: v1::Effect) -> Checked<Effect> {
    let kind = match raw.kind.ok_or(invalid("effect", "is not set"))? {
        effect::Kind::Http(raw) => EffectKind::Http(http(raw)?),
        effect::Kind::VerifyMac(raw) => verify_mac(raw)?,
        effect::Kind::SignJwt(raw) => sign_jwt(raw)?,
    };
    Ok(Effect { id: raw.id, kind })
}

fn http(raw: v1::HttpRequest) -> Checked<HttpRequest> {
    let upper =
        (1..=16).contains(&raw.method.len()) && raw.method.bytes().all(|c| c.is_ascii_uppercase());
    if !upper || raw.method == "CONNECT" {
        return Err(invalid("http.method", "is not a method in upper case"));
    }
    if raw.url.len() > URL || !raw.url.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(invalid("http.url", "is too long or not plain ASCII"));
    }
    at_most("http.headers", raw.headers.len(), HEADERS)?;
    at_most("http.body", raw.body.len(), SEGMENTS)?;
    at_most("http.capture", raw.capture.len(), CAPTURES)?;
    Ok(HttpRequest {
        method: raw.method,
        url: raw.url,
        headers: raw
            .headers
            .into_iter()
            .map(header)
            .collect::<Checked<_>>()?,
        body: raw.body.into_iter().map(segment).collect::<Checked<_>>()?,
        capture: raw
            .capture
            .into_iter()
            .map(capture)
            .collect::<Checked<_>>()?,
        max_response_bytes: raw.max_response_bytes,
    })
}

fn header(raw: v1::Header) -> Checked<(String, Vec<Segment>)> {
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    let name = raw.name.to_ascii_lowercase();
    if !(1..=64).contains(&name.len()) || !name.bytes().all(token) {
        return Err(invalid("http.headers.name", "is not a header name"));
    }
    if OURS.contains(&name.as_str()) || name.starts_with("proxy-") {
        return Err(invalid(
            "http.headers.name",
            "is a header that the daemon sets",
        ));
    }
    at_most("http.headers.value", raw.value.len(), SEGMENTS)?;
    let value = raw
        .value
        .into_iter()
        .map(segment)
        .collect::<Checked<Vec<_>>>()?;
    if value.iter().any(breaks_line) {
        return Err(invalid("http.headers.value", "has control characters"));
    }
    Ok((raw.name, value))
}

/// A line break in a header would start another header.
fn breaks_line(segment: &Segment) -> bool {
    let bytes = match segment {
        Segment::Literal(bytes) => bytes.as_slice(),
        Segment::Secret { prefix, .. } => prefix.as_bytes(),
    };
    bytes
        .iter()
        .any(|c| (*c < 0x20 && *c != b'\t') || *c == 0x7f)
}

fn segment(raw: v1::Segment) -> Checked<Segment> {
    match raw.kind.ok_or(invalid("segment", "is not set"))? {
        segment::Kind::Literal(bytes) => Ok(Segment::Literal(bytes)),
        segment::Kind::Secret(raw) => secret(raw),
    }
}

fn secret(raw: v1::SecretRef) -> Checked<Segment> {
    let encoding = match v1::Encoding::try_from(raw.encoding) {
        Ok(v1::Encoding::Raw) => Encoding::Raw,
        Ok(v1::Encoding::Base64) => Encoding::Base64,
        Ok(v1::Encoding::JsonString) => Encoding::JsonString,
        Ok(v1::Encoding::Form) => Encoding::Form,
        Err(_) => {
            return Err(invalid(
                "secret.encoding",
                "is not one that this daemon knows",
            ));
        }
    };
    if raw.prefix.len() > 256 {
        return Err(invalid("secret.prefix", "is too long"));
    }
    Ok(Segment::Secret {
        name: name("secret.name", raw.name)?,
        encoding,
        prefix: raw.prefix,
    })
}

fn capture(raw: v1::Capture) -> Checked<Capture> {
    if !raw.pointer.starts_with('/') {
        return Err(invalid("capture.pointer", "is not a JSON pointer"));
    }
    let pointer = name("capture.pointer", raw.pointer)?;
    Ok(Capture {
        pointer,
        secret: name("capture.secret", raw.secret)?,
    })
}

fn verify_mac(raw: v1::VerifyMac) -> Checked<EffectKind> {
    if !["hmac-sha256", "hmac-sha1", "equal"].contains(&raw.algorithm.as_str()) {
        return Err(invalid(
            "verify_mac.algorithm",
            "is not one that this daemon knows",
        ));
    }
    Ok(EffectKind::VerifyMac {
        secret: name("verify_mac.secret", raw.secret)?,
        algorithm: raw.algorithm,
        message: raw.message,
        mac: raw.mac,
    })
}

fn sign_jwt(raw: v1::SignJwt) -> Checked<EffectKind> {
    if raw.algorithm != "RS256" {
        return Err(invalid(
            "sign_jwt.algorithm",
            "is not one that this daemon knows",
        ));
    }
    Ok(EffectKind::SignJwt {
        secret: name("sign_jwt.secret", raw.secret)?,
        algorithm: raw.algorithm,
        claims_json: raw.claims_json,
        store_as: name("sign_jwt.store_as", raw.store_as)?,
    })
}
