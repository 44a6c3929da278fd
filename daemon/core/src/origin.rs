//! Exact origins: the only places that a secret may be sent to.

use std::fmt;

use thiserror::Error;
use url::Url;

/// Scheme, host and port of an `https` or `http` URL, written with the port: `https://github.com:443`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Origin(String);

/// A URL that names no origin.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("the URL must be absolute, http or https, with a host and without user name or password")]
pub struct NoOrigin;

impl Origin {
    /// The origin of `url`.
    ///
    /// # Errors
    ///
    /// [`NoOrigin`] for other schemes, and for URLs that carry a user name or password.
    pub fn of(url: &Url) -> Result<Self, NoOrigin> {
        let plain = matches!(url.scheme(), "https" | "http")
            && url.username().is_empty()
            && url.password().is_none();
        let (Some(host), Some(port), true) = (url.host_str(), url.port_or_known_default(), plain)
        else {
            return Err(NoOrigin);
        };
        Ok(Self(format!("{}://{host}:{port}", url.scheme())))
    }

    /// The origin of the URL in `text`.
    ///
    /// # Errors
    ///
    /// [`NoOrigin`], also when `text` is no URL.
    pub fn parse(text: &str) -> Result<Self, NoOrigin> {
        Self::of(&Url::parse(text).map_err(|_| NoOrigin)?)
    }

    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sorted set of origins without duplicates.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OriginSet(Vec<Origin>);

impl OriginSet {
    /// Collects origins.
    #[must_use]
    pub fn new(mut origins: Vec<Origin>) -> Self {
        origins.sort();
        origins.dedup();
        Self(origins)
    }

    /// Whether exactly this origin is in the set.
    #[must_use]
    pub fn contains(&self, origin: &Origin) -> bool {
        self.0.binary_search(origin).is_ok()
    }

    /// The origins in order.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P9: only scheme, host and port decide, and look-alikes are other origins.
    #[test]
    fn p9_look_alikes_differ() {
        let set = OriginSet::new(vec![
            Origin::parse("https://forge.example").expect("origin"),
        ]);
        assert!(set.contains(&Origin::parse("https://FORGE.example:443/a/b?c").expect("origin")));
        for other in [
            "http://forge.example",
            "https://forge.example:8443",
            "https://forge.example:4430",
            "https://forge.example.evil.test",
            "https://evil.test/https://forge.example",
            "https://forge.example./",
            "https://forge.example%2eevil.test",
        ] {
            if let Ok(origin) = Origin::parse(other) {
                assert!(!set.contains(&origin), "{other}");
            }
        }
        assert_eq!(
            Origin::parse("https://forge.example@evil.test/"),
            Err(NoOrigin)
        );
        assert_eq!(Origin::parse("file:///etc/passwd"), Err(NoOrigin));
    }
}
