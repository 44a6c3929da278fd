//! Forms that come from other sites are refused.

use http::{HeaderMap, header::ORIGIN};

use crate::{failure::Failure, public_url::PublicUrl};

/// Whether a form was sent by one of our own pages, or by something that is no browser.
///
/// A browser that knows `Sec-Fetch-Site` is believed on it. Its `Origin` is then `null`, because the pages send no
/// referrer. A browser that doesn't know it must name our origin.
pub(crate) fn check(headers: &HeaderMap, public_url: &PublicUrl) -> Result<(), Failure> {
    let origin = headers.get(ORIGIN).map(http::HeaderValue::as_bytes);
    let ours = origin.is_none_or(|origin| origin == public_url.origin().as_bytes());
    let allowed = match headers
        .get("sec-fetch-site")
        .map(http::HeaderValue::as_bytes)
    {
        Some(b"same-origin" | b"none") => ours || origin == Some(b"null"),
        Some(_) => false,
        None => ours,
    };
    if allowed {
        Ok(())
    } else {
        Err(Failure::CrossSite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O2: every combination that another site can cause is refused.
    #[test]
    fn o2_other_sites_are_refused() {
        let ours = PublicUrl::parse("https://b.example").expect("url");
        let allowed = |site: &str, origin: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if !value.is_empty() {
                    headers.insert(name, value.parse().expect("header"));
                }
            }
            check(&headers, &ours).is_ok()
        };
        for (site, origin) in [
            ("", ""),
            ("", "https://b.example"),
            ("same-origin", ""),
            ("same-origin", "null"),
            ("same-origin", "https://b.example"),
            ("none", "null"),
        ] {
            assert!(allowed(site, origin), "{site:?} {origin:?}");
        }
        for (site, origin) in [
            ("cross-site", ""),
            ("cross-site", "https://b.example"),
            ("same-site", "https://b.example"),
            ("same-origin", "https://evil.example"),
            ("", "null"),
            ("", "https://evil.example"),
            ("", "http://b.example"),
            ("Same-Origin", ""),
        ] {
            assert!(!allowed(site, origin), "{site:?} {origin:?}");
        }
    }
}
