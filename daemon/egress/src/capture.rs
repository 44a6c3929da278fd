//! Takes new secrets out of an answer, and then blanks every known one.

use bindery_core::{
    exchange::{Capture, Exchanged, HttpResponse},
    problem::Problem,
    secret::{Secret, SecretSet},
};
use http::HeaderMap;
use serde_json::Value;

use crate::{exchange::Answer, failure, scrub::Scrubber};

/// Header lines that are handed on at most, and their bytes.
const HEADER_LINES: usize = 100;
const HEADER_BYTES: usize = 64 << 10;

/// Headers that are not handed on: cookies are secrets of the forge, and the body was decompressed.
const WITHHELD: [&str; 5] = [
    "set-cookie",
    "set-cookie2",
    "content-encoding",
    "content-length",
    "transfer-encoding",
];

/// The answer as others may see it, and what was captured from it.
pub(crate) fn exchanged(
    answer: Answer,
    captures: &[Capture],
    secrets: &SecretSet,
) -> Result<Exchanged, Problem> {
    let Answer {
        host,
        status,
        headers,
        body,
    } = answer;
    let mut captured = SecretSet::new();
    let body = if captures.is_empty() {
        body
    } else {
        take(body, captures, &mut captured, status).ok_or_else(|| {
            failure::unusable(
                &host,
                "it should have held a new secret in JSON and is not JSON",
            )
        })?
    };
    let scrubber = Scrubber::new(
        secrets
            .iter()
            .chain(captured.iter())
            .map(|(_, secret)| secret),
    );
    let response = HttpResponse {
        status,
        headers: visible(&headers, &scrubber),
        body: scrubber.clean(body),
    };
    Ok(Exchanged { response, captured })
}

/// Moves the values at the pointers into `captured`. `None` when a successful answer can't be read: it holds the secrets in
/// a form that nobody knows.
fn take(
    body: Vec<u8>,
    captures: &[Capture],
    captured: &mut SecretSet,
    status: u16,
) -> Option<Vec<u8>> {
    let Ok(mut json) = serde_json::from_slice::<Value>(&body) else {
        let harmless = body.is_empty() || !(200..300).contains(&status);
        return harmless.then_some(body);
    };
    for capture in captures {
        match json.pointer_mut(&capture.pointer).map(Value::take) {
            Some(Value::String(text)) if !text.is_empty() => {
                captured.insert(&capture.secret, Secret::new(text));
            }
            // A number or a list is no token, but whatever stands where a secret was expected is withheld.
            _ => {}
        }
    }
    serde_json::to_vec(&json).ok()
}

fn visible(headers: &HeaderMap, scrubber: &Scrubber) -> Vec<(String, String)> {
    let mut room = HEADER_BYTES;
    headers
        .iter()
        .filter(|(name, _)| !WITHHELD.contains(&name.as_str()))
        .take(HEADER_LINES)
        .map_while(|(name, value)| {
            room = room.checked_sub(name.as_str().len() + value.len())?;
            let clean = scrubber.clean(value.as_bytes().to_vec());
            Some((
                name.as_str().to_owned(),
                String::from_utf8_lossy(&clean).into_owned(),
            ))
        })
        .collect()
}
