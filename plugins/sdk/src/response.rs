//! Responses, and what their headers say

use std::time::Duration;

use bindery_plugin_proto::v1;
use serde::de::DeserializeOwned;

use crate::{Failure, Result, calendar};

/// A response that arrived, whatever its status.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    status: u16,
    headers: Vec<v1::PlainHeader>,
    body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(message: v1::HttpResponse) -> Self {
        Self {
            status: u16::try_from(message.status).unwrap_or(0),
            headers: message.headers,
            body: message.body,
        }
    }

    /// Status; 0 if the daemon had none.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// First value of a header; the case of the name does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        let found = all.find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.as_str())
    }

    /// A header that holds a whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// Body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Body as JSON. Give it a struct of the members that matter: a whole `serde_json::Value` costs twice the time.
    ///
    /// # Errors
    ///
    /// `MALFORMED_RESPONSE` if the body is not of this shape. The message says where, not what was there.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        match serde_json::from_slice(&self.body) {
            Ok(value) => Ok(value),
            Err(error) => Err(Failure::malformed(format!(
                "the response is not of the expected shape (line {}, column {})",
                error.line(),
                error.column()
            ))
            .with_status(self.status)),
        }
    }

    /// Target of a `Link` header (RFC 8288) by relation: `next`, `last`.
    pub fn link(&self, relation: &str) -> Option<String> {
        let links = self
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case("link"));
        links
            .into_iter()
            .find_map(|header| find_link(&header.value, relation))
    }

    /// Target of the `Link` with relation `next`.
    pub fn next_link(&self) -> Option<String> {
        self.link("next")
    }

    /// `Retry-After`, in either of its forms, seen from `now_unix_ms`.
    pub fn retry_after(&self, now_unix_ms: u64) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at = u64::try_from(calendar::parse_http_date(text)?).ok()?;
        Some(Duration::from_secs(at.saturating_sub(now_unix_ms / 1000)))
    }

    /// The failure that the status alone stands for. A provider with more to say looks at it first.
    #[track_caller]
    pub fn failure(&self, now_unix_ms: u64) -> Failure {
        let failure = match self.status {
            401 => Failure::unauthenticated("the provider refused the token"),
            403 => Failure::permission_denied("the provider does not allow this to the token"),
            404 | 410 => Failure::not_found("the provider does not have it, or hides it"),
            409 => Failure::conflict("it exists already, or changed meanwhile"),
            400 | 422 => Failure::invalid_argument("the provider does not accept the request"),
            408 | 500..=599 => Failure::upstream("the provider has a problem"),
            429 => Failure::rate_limited(self.retry_after(now_unix_ms)),
            _ => Failure::malformed("the provider answered with an unexpected status"),
        };
        failure.with_status(self.status)
    }
}

/// One header may hold many links, and a target may hold commas.
fn find_link(mut text: &str, relation: &str) -> Option<String> {
    while let Some((_, rest)) = text.split_once('<') {
        let (target, rest) = rest.split_once('>')?;
        let end = end_of_parameters(rest);
        if has_relation(&rest[..end], relation) {
            return Some(target.to_owned());
        }
        text = &rest[end..];
    }
    None
}

/// Where the parameters of a link end: at a comma outside quotes.
fn end_of_parameters(text: &str) -> usize {
    let mut quoted = false;
    let comma = text.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ',' && !quoted
    });
    comma.map_or(text.len(), |(at, _)| at)
}

fn has_relation(parameters: &str, relation: &str) -> bool {
    parameters.split(';').any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else {
            return false;
        };
        let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel")
            && relations.any(|one| one.eq_ignore_ascii_case(relation))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::Code;

    fn response(status: u32, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let headers = headers.iter().map(|(name, value)| v1::PlainHeader {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        });
        Response::new(v1::HttpResponse {
            status,
            headers: headers.collect(),
            body: body.to_vec(),
        })
    }

    /// The next page is found whatever the order, the quotes and the other relations.
    #[test]
    fn a_next_link_is_found() {
        for (value, next) in [
            (
                r#"<https://a/x?page=2>; rel="next", <https://a/x?page=9>; rel="last""#,
                Some("https://a/x?page=2"),
            ),
            (
                r#"<https://a/x?page=1>; rel="prev", <https://a/x?a=1,2>; title="a, b"; rel="last next""#,
                Some("https://a/x?a=1,2"),
            ),
            ("<https://a/y>; rel=next", Some("https://a/y")),
            (r#"<https://a/y>; rel="last""#, None),
            ("<https://a/y", None),
            ("", None),
        ] {
            assert_eq!(
                response(200, &[("Link", value)], b"")
                    .next_link()
                    .as_deref(),
                next,
                "{value}"
            );
        }
    }

    /// A wait is read as seconds or as a date; nonsense is not guessed at.
    #[test]
    fn a_wait_is_read() {
        let wait =
            |value| response(429, &[("retry-after", value)], b"").retry_after(784_111_770_000);
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            wait("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(wait("soon"), None);
    }

    /// A body that is not JSON, not of the shape, not UTF-8 or absurdly deep is a typed failure that quotes nothing.
    #[test]
    fn a_bad_body_is_a_typed_failure() {
        let deep = "[".repeat(100_000);
        for body in [
            b"<html>".as_slice(),
            b"{}",
            b"\"\xff\"",
            b"",
            deep.as_bytes(),
        ] {
            let failure = response(200, &[], body).json::<Vec<u8>>().unwrap_err();
            assert_eq!(failure.code(), Code::MalformedResponse);
            assert!(!failure.message().contains("html"));
        }
    }

    /// Every status has a failure of its class.
    #[test]
    fn a_status_is_a_class() {
        for (status, code) in [
            (0, Code::MalformedResponse),
            (304, Code::MalformedResponse),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::NotFound),
            (422, Code::InvalidArgument),
            (429, Code::RateLimited),
            (502, Code::Upstream),
        ] {
            assert_eq!(
                response(status, &[], b"").failure(0).code(),
                code,
                "{status}"
            );
        }
    }
}
