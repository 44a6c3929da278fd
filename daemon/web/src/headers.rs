//! What every response tells the browser (THREATS O6).

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{
    HeaderMap, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY,
        STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use url::{Host, Url};

use crate::state::WebState;

const FIXED: [(HeaderName, &str); 6] = [
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), camera=(), clipboard-read=(), display-capture=(), geolocation=(), gyroscope=(), \
         hid=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), serial=(), usb=()",
    ),
];

/// Sets the headers on every response, whoever made it.
pub(crate) async fn harden(
    State(state): State<WebState>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    unless_set(headers, CACHE_CONTROL, "no-store");
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, policy(&[]));
    }
    if state.public_url.is_https() {
        unless_set(headers, STRICT_TRANSPORT_SECURITY, "max-age=63072000");
    }
    response
}

fn unless_set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers
        .entry(name)
        .or_insert(HeaderValue::from_static(value));
}

/// The content security policy of a page whose forms may lead to `targets`.
///
/// Chromium holds `form-action` against the redirect that answers a form as well, so the place where a form leads in the
/// end must be named.
pub(crate) fn policy(targets: &[&str]) -> HeaderValue {
    let mut form_action = String::from("'self'");
    let mut sources: Vec<_> = targets.iter().filter_map(|url| source(url)).collect();
    sources.sort();
    sources.dedup();
    for source in sources {
        form_action.push(' ');
        form_action.push_str(&source);
    }
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action {form_action}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The origin of `url` as a source expression. A policy can't write an IPv6 address; its scheme is the narrowest that works.
fn source(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    if !matches!(url.scheme(), "https" | "http") {
        return None;
    }
    if let Some(Host::Ipv6(_)) = url.host() {
        return Some(format!("{}:", url.scheme()));
    }
    let origin = url.origin().ascii_serialization();
    // A host name may hold ';' or ',', which would end the directive.
    let plain = |c: char| c.is_ascii_alphanumeric() || ":/.-_".contains(c);
    origin.chars().all(plain).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O6: a target adds its exact origin to `form-action` and nothing anywhere else.
    #[test]
    fn o6_targets_stay_in_form_action() {
        let text = |targets: &[&str]| policy(targets).to_str().expect("ascii").to_owned();
        assert!(text(&[]).contains("form-action 'self';"));
        let github = text(&["https://github.com/login?x=y", "https://github.com"]);
        assert!(github.contains("form-action 'self' https://github.com;"));
        assert!(text(&["http://[::1]:3000"]).contains("form-action 'self' http:;"));
        for hostile in [
            "https://a;script-src *",
            "https://a;b.example",
            "data:x",
            "x",
        ] {
            assert_eq!(text(&[hostile]), text(&[]), "{hostile}");
        }
    }
}
