//! Parameters with bounds: known names once, nothing too long.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, header::CONTENT_TYPE};

use crate::failure::Failure;

/// Longest query and form.
const WHOLE: usize = 8 * 1024;

/// A form must be there in this time (THREATS D1).
const BODY_TIME: Duration = Duration::from_secs(15);

/// A known parameter and its longest value.
pub(crate) type Known = (&'static str, usize);

/// Takes the known parameters out of `text`, in the order of `known`. Unknown ones are passed over: forges send more than
/// the standard says.
pub(crate) fn pick<const N: usize>(
    text: &str,
    known: [Known; N],
) -> Result<[Option<String>; N], Failure> {
    if text.len() > WHOLE {
        return Err(Failure::TooLarge);
    }
    let mut found = [const { None }; N];
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let Some(place) = known.iter().position(|(known, _)| *known == name) else {
            continue;
        };
        if value.len() > known[place].1 || found[place].is_some() {
            return Err(Failure::Malformed);
        }
        found[place] = Some(value.into_owned());
    }
    Ok(found)
}

/// Reads a form of a few fields.
pub(crate) async fn form<const N: usize>(
    headers: &HeaderMap,
    body: Body,
    known: [Known; N],
) -> Result<[Option<String>; N], Failure> {
    let kind = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    if !kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded")) {
        return Err(Failure::Malformed);
    }
    let read = axum::body::to_bytes(body, WHOLE);
    let bytes = tokio::time::timeout(BODY_TIME, read)
        .await
        .map_err(|_| Failure::TooSlow)?
        .map_err(|_| Failure::TooLarge)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::Malformed)?;
    pick(text, known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Known; 2] = [("code", 4), ("state", 4)];

    /// O2: what comes twice or is too long is refused; what is not known is passed over.
    #[test]
    fn o2_parameters_are_bounded() {
        let [code, state] = pick("x=1&code=a%20b&y&x=2", KNOWN).unwrap_or_default();
        assert_eq!((code.as_deref(), state), (Some("a b"), None));
        for bad in [
            "code=1&code=1",
            "state=&state=",
            "code=12345",
            "co%64e=1&code=2",
        ] {
            assert!(matches!(pick(bad, KNOWN), Err(Failure::Malformed)), "{bad}");
        }
        let long = format!("x={}", "a".repeat(WHOLE));
        assert!(matches!(pick(&long, KNOWN), Err(Failure::TooLarge)));
    }
}
