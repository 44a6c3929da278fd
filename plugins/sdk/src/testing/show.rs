//! Segments as text, with `<secret:name>` where a secret goes

use std::fmt::Write as _;

use bindery_plugin_proto::v1::{self, Encoding, segment};

/// Segments as people read them: `Bearer <secret:access_token>`, `Basic <secret:client_secret base64 of "id:">`.
pub fn show_segments(segments: &[v1::Segment]) -> String {
    let mut out = String::new();
    for segment in segments {
        match &segment.kind {
            Some(segment::Kind::Literal(bytes)) => out.push_str(&String::from_utf8_lossy(bytes)),
            Some(segment::Kind::Secret(secret)) => show_secret(&mut out, secret),
            None => out.push_str("<nothing>"),
        }
    }
    out
}

fn show_secret(out: &mut String, secret: &v1::SecretRef) {
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
