//! Where a daemon is.

use std::{fmt, path::PathBuf, str::FromStr};

use http::Uri;

use crate::Error;

/// Where a daemon is: `unix:///path`, `https://host:port`, or `http://` to a loopback address.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Endpoint {
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
    /// Mutual TLS.
    Tls(Uri),
    /// Plain text, to this machine only.
    Loopback(Uri),
}

impl Endpoint {
    /// The socket of the daemon of this machine.
    pub const DEFAULT: &'static str = "unix:///run/bindery/bindery.sock";

    /// The admin socket that belongs to a Unix socket: `admin.sock` beside it.
    #[must_use]
    pub fn admin_sibling(&self) -> Option<Self> {
        match self {
            Self::Unix(path) => Some(Self::Unix(path.with_file_name("admin.sock"))),
            Self::Tls(_) | Self::Loopback(_) => None,
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(path) = text.strip_prefix("unix://") {
            return unix(path).ok_or_else(|| unusable(text, "the path of a socket is absolute"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| unusable(text, "it is not a URL"))?;
        let authority = uri
            .authority()
            .ok_or_else(|| unusable(text, "it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(Error::Configuration(
                "the endpoint must not hold a user name or password; a client certificate \
                 identifies the caller"
                    .to_owned(),
            ));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(unusable(text, "it must end after the port"));
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self::Tls(uri)),
            Some("http") if is_loopback(authority.host()) => Ok(Self::Loopback(uri)),
            Some("http") => Err(unusable(text, "plain text leaves this machine; use https")),
            _ => Err(unusable(text, "its scheme is not known")),
        }
    }
}

fn unix(path: &str) -> Option<Endpoint> {
    path.starts_with('/').then(|| Endpoint::Unix(path.into()))
}

fn unusable(text: &str, why: &str) -> Error {
    Error::Configuration(format!(
        "the endpoint {text:?} can't be used: {why}; write unix:///path/of/the.sock or \
         https://host:7443"
    ))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tls(uri) | Self::Loopback(uri) => {
                write!(formatter, "{}", uri.to_string().trim_end_matches('/'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    /// What may be dialled, and what it prints as.
    #[test]
    fn good_endpoints_are_read() {
        for text in [
            Endpoint::DEFAULT,
            "https://bindery.example.org:7443",
            "http://localhost:7080",
            "http://127.0.0.1:7080",
            "http://[::1]:7080",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    /// Plain text to another machine is refused, and so is what is no endpoint at all.
    #[test]
    fn bad_endpoints_are_refused() {
        for text in [
            "http://bindery.example.org:7443",
            "http://10.0.0.1:7443",
            "http://localhost.example.org:7443",
            "https://user:hunter2@host:7443",
            "https://host:7443/path",
            "unix://relative.sock",
            "ftp://host",
            "",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
