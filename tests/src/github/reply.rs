//! Answers of the API, before the headers that all of them have

use axum::body::Body;
use axum::response::Response;
use data_encoding::HEXUPPER;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::mint;

/// A status, some headers, and perhaps a JSON document
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Box<Value>>,
}

/// What an API handler ends with: both sides are answers
pub(super) type Outcome = Result<Reply, Reply>;

const DOCS: &str = "https://docs.github.com/rest";
const EXPOSED: &str = "ETag, Link, Location, Retry-After, X-GitHub-OTP, X-RateLimit-Limit, \
    X-RateLimit-Remaining, X-RateLimit-Used, X-RateLimit-Resource, X-RateLimit-Reset, \
    X-OAuth-Scopes, X-Accepted-OAuth-Scopes, X-Poll-Interval, X-GitHub-Media-Type, X-GitHub-SSO, \
    X-GitHub-Request-Id, Deprecation, Sunset";
const COMMON: [(&str, &str); 9] = [
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", EXPOSED),
    ("content-security-policy", "default-src 'none'"),
    (
        "referrer-policy",
        "origin-when-cross-origin, strict-origin-when-cross-origin",
    ),
    (
        "strict-transport-security",
        "max-age=31536000; includeSubdomains; preload",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "deny"),
    ("x-github-media-type", "github.v3; format=json"),
    ("x-xss-protection", "0"),
];

impl Reply {
    pub(super) fn json(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            body: Some(Box::new(body)),
        }
    }

    pub(super) const fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
        }
    }

    /// An error as GitHub words it; the page is the part of its address after `/rest`
    pub(super) fn error(status: StatusCode, message: &str, page: &str) -> Self {
        let mut reply = Self::json(json!({
            "message": message,
            "documentation_url": format!("{DOCS}{page}"),
            "status": status.as_str(),
        }));
        reply.status = status;
        reply
    }

    pub(super) fn not_found(page: &str) -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not Found", page)
    }

    pub(super) fn unprocessable(page: &str, message: &str) -> Self {
        Self::error(StatusCode::UNPROCESSABLE_ENTITY, message, page)
    }

    pub(super) fn rate_limited(now: i64, retry_after: u64) -> Self {
        let reset = now.saturating_add_unsigned(retry_after);
        Self::error(
            StatusCode::FORBIDDEN,
            "API rate limit exceeded for user ID 1.",
            "/overview/rate-limits-for-the-rest-api",
        )
        .with("retry-after", retry_after.to_string())
        .with("x-ratelimit-limit", "5000".to_owned())
        .with("x-ratelimit-remaining", "0".to_owned())
        .with("x-ratelimit-used", "5000".to_owned())
        .with("x-ratelimit-reset", reset.to_string())
        .with("x-ratelimit-resource", "core".to_owned())
    }

    pub(super) fn secondary_limit() -> Self {
        Self::error(
            StatusCode::FORBIDDEN,
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try \
             again.",
            "/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
        )
        .with("retry-after", "60".to_owned())
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer without anything that depends on the caller
    pub(super) fn plain(self) -> Response {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        for (name, value) in COMMON {
            headers.insert(name, HeaderValue::from_static(value));
        }
        insert(headers, "x-github-request-id", &request_id());
        for (name, value) in &self.headers {
            insert(headers, name, value);
        }
        if let Some(body) = self.body {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, json);
            *answer.body_mut() = Body::from(body.to_string());
        }
        answer
    }

    /// What a client may compare to know whether something changed
    pub(super) fn etag(&self) -> Option<String> {
        let body = self
            .body
            .as_ref()
            .filter(|_| self.status == StatusCode::OK)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, body.to_string().as_bytes());
        let digest = data_encoding::HEXLOWER.encode(digest.as_ref());
        Some(format!("W/\"{digest}\""))
    }
}

pub(super) fn insert(headers: &mut http::HeaderMap, name: &'static str, value: &str) {
    // What can't be a header value is not worth an answer without any headers.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Looks as `E1F2:3A4B5C:6D7E8F:90A1B2:C3D4E5F6` does
fn request_id() -> String {
    let hex = HEXUPPER.encode(mint::random(15).as_bytes());
    let parts = [
        &hex[..4],
        &hex[4..10],
        &hex[10..16],
        &hex[16..22],
        &hex[22..30],
    ];
    parts.join(":")
}
