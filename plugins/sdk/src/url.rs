//! URLs that a plugin builds: whatever is put into a path stays one segment of it

use std::fmt::{self, Write as _};

use crate::{Failure, Result};

/// An absolute URL, grown from one of the host's bases.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Url {
    text: String,
    has_query: bool,
}

impl Url {
    /// `base` and below it one path segment for each of `segments`, percent-encoded.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` if a segment is empty, `.` or `..`: those would name another resource.
    #[track_caller]
    pub fn below(base: &str, segments: &[&str]) -> Result<Self> {
        let mut text = base.trim_end_matches('/').to_owned();
        for segment in segments {
            if matches!(*segment, "" | "." | "..") {
                return Err(Failure::invalid_argument(format!(
                    "{segment:?} can't be a part of a path"
                )));
            }
            text.push('/');
            encode_to(&mut text, segment);
        }
        Ok(Self {
            text,
            has_query: false,
        })
    }

    /// Adds a query parameter, percent-encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.text.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        encode_to(&mut self.text, name);
        self.text.push('=');
        encode_to(&mut self.text, &value.to_string());
        self
    }

    /// A URL that the provider gave (`Link`, `Location`), made absolute, provided that it stays on the origin of
    /// `base`.
    ///
    /// # Errors
    ///
    /// `MALFORMED_RESPONSE` if it leads to another origin.
    #[track_caller]
    pub fn on_origin_of(base: &str, given: &str) -> Result<Self> {
        let text = match origin(given) {
            Some(_) => given.to_owned(),
            None if given.starts_with('/') && !given.starts_with("//") => {
                format!("{}{given}", origin(base).unwrap_or_default())
            }
            None => String::new(),
        };
        match (origin(base), origin(&text)) {
            (Some(ours), Some(theirs)) if ours.eq_ignore_ascii_case(theirs) => Ok(Self {
                has_query: text.contains('?'),
                text,
            }),
            _ => Err(Failure::malformed(
                "the provider sent a link that leads to another server",
            )),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        url.text
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Scheme, host and port, as written. User info and backslashes make it none: they are only there to deceive.
fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let known = ["https", "http"]
        .iter()
        .any(|one| scheme.eq_ignore_ascii_case(one));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    let plain = !host.is_empty() && !host.contains(['@', '\\']) && host.is_ascii();
    (known && plain).then(|| &url[..scheme.len() + 3 + end])
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub(crate) fn encode_to(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P9: nothing that comes from outside can leave its path segment or its query parameter.
    #[test]
    fn p9_a_segment_stays_a_segment() {
        let url = Url::below(
            "https://api.test/v1/",
            &["repos", "a/../b?x#y", "%2e{access_token}"],
        )
        .unwrap()
        .query("q", "a&b=c")
        .query("page", 2);
        assert_eq!(
            url.as_str(),
            "https://api.test/v1/repos/a%2F..%2Fb%3Fx%23y/%252e%7Baccess_token%7D?q=a%26b%3Dc&page=2"
        );
        for bad in ["", ".", ".."] {
            let failure = Url::below("https://api.test", &["repos", bad]).unwrap_err();
            assert_eq!(failure.code(), crate::v1::Code::InvalidArgument);
        }
    }

    /// A link is followed on the same origin only, whatever it looks like.
    #[test]
    fn a_link_stays_on_its_origin() {
        let base = "https://api.test/v1";
        for good in [
            "https://api.test/repositories/1?page=2",
            "https://API.test/x",
            "/repositories/1",
        ] {
            assert!(Url::on_origin_of(base, good).is_ok(), "{good}");
        }
        for bad in [
            "http://api.test/",
            "https://api.test:8443/",
            "https://api.test.evil/",
            "https://api.test@evil/",
            "https://evil\\@api.test/",
            "//evil/x",
            "x",
            "",
        ] {
            assert!(Url::on_origin_of(base, bad).is_err(), "{bad}");
        }
    }
}
