//! Requests as JSON, with `<secret:name>` where a secret goes

use std::fmt::Write as _;

use bindery_plugin_proto::v1::{self, Encoding, effect, effect_result, segment};
use serde_json::{Map, Value, json};

/// An effect as fixtures write it.
pub(crate) fn effect(effect: &v1::Effect) -> Value {
    match &effect.kind {
        Some(effect::Kind::Http(request)) => http(request),
        Some(effect::Kind::VerifyMac(mac)) => json!({"verify_mac": {
            "secret": mac.secret,
            "algorithm": mac.algorithm,
            "message": String::from_utf8_lossy(&mac.message),
            "mac": data_encoding::HEXLOWER.encode(&mac.mac),
        }}),
        Some(effect::Kind::SignJwt(jwt)) => json!({"sign_jwt": {
            "secret": jwt.secret,
            "algorithm": jwt.algorithm,
            "claims": String::from_utf8_lossy(&jwt.claims_json),
            "store_as": jwt.store_as,
        }}),
        None => Value::Null,
    }
}

fn http(request: &v1::HttpRequest) -> Value {
    let mut headers = Map::new();
    for header in &request.headers {
        let value = segments(&header.value);
        let joined = match headers.get(&header.name).and_then(Value::as_str) {
            Some(before) => format!("{before}\n{value}"),
            None => value,
        };
        headers.insert(header.name.clone(), joined.into());
    }
    let capture = request.capture.iter();
    let capture: Map<String, Value> = capture
        .map(|one| (one.pointer.clone(), one.secret.clone().into()))
        .collect();
    let mut out = json!({
        "method": request.method,
        "url": request.url,
        "headers": headers,
    });
    for (name, value) in [
        ("body", Value::from(segments(&request.body))),
        ("capture", capture.into()),
        ("max_response_bytes", request.max_response_bytes.into()),
    ] {
        if !crate::diff::is_default(&value) {
            out[name] = value;
        }
    }
    out
}

/// `GET https://...`, for people.
pub(crate) fn title(shown: &Value) -> String {
    match (shown["method"].as_str(), shown["url"].as_str()) {
        (Some(method), Some(url)) => format!("{method} {url}"),
        _ => shown.to_string(),
    }
}

/// Segments as people read them: `Bearer <secret:access_token>`.
pub(crate) fn segments(segments: &[v1::Segment]) -> String {
    let mut out = String::new();
    for segment in segments {
        match &segment.kind {
            Some(segment::Kind::Literal(bytes)) => out.push_str(&String::from_utf8_lossy(bytes)),
            Some(segment::Kind::Secret(reference)) => secret(&mut out, reference),
            None => out.push_str("<nothing>"),
        }
    }
    out
}

fn secret(out: &mut String, secret: &v1::SecretRef) {
    let encoding = match secret.encoding() {
        Encoding::Raw => "",
        Encoding::Base64 => " base64",
        Encoding::JsonString => " json",
        Encoding::Form => " form",
    };
    // Writing to a string can't fail.
    let _ = write!(out, "<secret:{}{encoding}", secret.name);
    if !secret.prefix.is_empty() {
        let _ = write!(out, " of {:?}", secret.prefix);
    }
    out.push('>');
}

/// An effect that could not be done.
pub(crate) fn error(code: v1::Code, message: &str) -> effect_result::Kind {
    effect_result::Kind::Error(v1::Failure {
        code: code.into(),
        message: message.to_owned(),
        ..v1::Failure::default()
    })
}

/// `CODE_RATE_LIMITED` as fixtures write it.
pub(crate) fn code(code: v1::Code) -> &'static str {
    let name = code.as_str_name();
    name.strip_prefix("CODE_").unwrap_or(name)
}
