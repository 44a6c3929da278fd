//! Where browsers reach the listener. The `Host` header is never asked.

use thiserror::Error;
use url::{Host, Url};

/// The listener's origin as browsers see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicUrl {
    origin: String,
    https: bool,
}

/// A public URL at which linking can't be safe, or can't work.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InvalidPublicUrl {
    /// No absolute URL.
    #[error(
        "the public URL is not an absolute URL; write it as https://bindery.example or http://localhost:8080"
    )]
    NotAbsolute,
    /// Browsers would send the flow's cookie in clear.
    #[error(
        "the public URL must be https; http is for a loopback address (localhost, 127.0.0.1, [::1]) only"
    )]
    Plaintext,
    /// The flow's cookie is valid for a whole origin.
    #[error(
        "the public URL must be an origin of its own, without user name, path, query or fragment"
    )]
    NotAnOrigin,
}

impl PublicUrl {
    /// Parses `https://host[:port]`, or `http` on a loopback address.
    ///
    /// # Errors
    ///
    /// [`InvalidPublicUrl`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidPublicUrl> {
        let url = Url::parse(text).map_err(|_| InvalidPublicUrl::NotAbsolute)?;
        let https = url.scheme() == "https";
        let on_this_machine = url.scheme() == "http" && is_loopback(&url);
        if !https && !on_this_machine {
            return Err(InvalidPublicUrl::Plaintext);
        }
        let plain = url.username().is_empty() && url.password().is_none();
        if !plain || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidPublicUrl::NotAnOrigin);
        }
        let origin = url.origin().ascii_serialization();
        Ok(Self { origin, https })
    }

    /// The origin as browsers write it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether browsers come over TLS.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.https
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O1: only where the cookie is safe: https, or a loopback address.
    #[test]
    fn o1_plain_http_is_for_loopback() {
        for good in [
            "https://bindery.example",
            "https://b.example:8443/",
            "http://localhost:8080",
            "http://127.0.0.1:1",
            "http://[::1]:8080",
        ] {
            assert!(PublicUrl::parse(good).is_ok(), "{good}");
        }
        let parse = |text| PublicUrl::parse(text).expect_err(text);
        assert_eq!(parse("http://b.example"), InvalidPublicUrl::Plaintext);
        assert_eq!(parse("ftp://localhost"), InvalidPublicUrl::Plaintext);
        assert_eq!(parse("b.example"), InvalidPublicUrl::NotAbsolute);
        for bad in [
            "https://b.example/x",
            "https://b.example/?a",
            "https://u@b.example",
        ] {
            assert_eq!(parse(bad), InvalidPublicUrl::NotAnOrigin, "{bad}");
        }
    }
}
