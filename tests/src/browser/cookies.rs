//! Cookies, kept per origin and sent as their attributes allow

use http::Method;
use url::{Host, Origin, Url};

/// When a cookie goes along with a navigation that another site started
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Always
    None,
    /// When a link is followed, never with a form that is sent
    Lax,
    /// Never
    Strict,
}

/// A cookie as a server set it
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name
    pub name: String,
    /// Its value
    pub value: String,
    /// The path below which it is sent
    pub path: String,
    /// Sent over TLS only, or to loopback
    pub secure: bool,
    /// Hidden from scripts
    pub http_only: bool,
    /// Sent along with other sites' navigations
    pub same_site: SameSite,
}

#[derive(Debug, Default)]
pub(super) struct Jar(Vec<(Origin, Cookie)>);

impl Jar {
    pub(super) fn store(&mut self, url: &Url, set_cookie: &str) {
        let Some((cookie, expired)) = parse(set_cookie) else {
            return;
        };
        let origin = url.origin();
        self.0.retain(|(kept_for, kept)| {
            *kept_for != origin || kept.name != cookie.name || kept.path != cookie.path
        });
        if !expired {
            self.0.push((origin, cookie));
        }
    }

    pub(super) fn of(&self, origin: &Origin) -> Vec<Cookie> {
        let own = self.0.iter().filter(|(kept_for, _)| kept_for == origin);
        own.map(|(_, cookie)| cookie.clone()).collect()
    }

    pub(super) fn header(&self, url: &Url, method: &Method, crossed: bool) -> String {
        let cookies = self.of(&url.origin());
        let sent = cookies.iter().filter(|cookie| cookie.goes_to(url));
        let sent = sent.filter(|cookie| !crossed || cookie.crosses(method));
        let pairs = sent.map(|cookie| format!("{}={}", cookie.name, cookie.value));
        pairs.collect::<Vec<_>>().join("; ")
    }
}

impl Cookie {
    fn goes_to(&self, url: &Url) -> bool {
        let below = url.path().strip_prefix(self.path.trim_end_matches('/'));
        let in_path = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        in_path && (!self.secure || url.scheme() == "https" || is_loopback(url))
    }

    fn crosses(&self, method: &Method) -> bool {
        match self.same_site {
            SameSite::None => true,
            SameSite::Lax => method == Method::GET,
            SameSite::Strict => false,
        }
    }
}

/// A cookie, and whether it is set only to be deleted
fn parse(set_cookie: &str) -> Option<(Cookie, bool)> {
    let mut parts = set_cookie.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        path: "/".to_owned(),
        secure: false,
        http_only: false,
        same_site: SameSite::Lax,
    };
    let mut expired = false;
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key.to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "secure" => cookie.secure = true,
            "httponly" => cookie.http_only = true,
            "samesite" => cookie.same_site = same_site(value),
            "max-age" => expired = value.parse::<i64>().is_ok_and(|seconds| seconds <= 0),
            _ => {}
        }
    }
    Some((cookie, expired))
}

fn same_site(value: &str) -> SameSite {
    match value.to_ascii_lowercase().as_str() {
        "strict" => SameSite::Strict,
        "none" => SameSite::None,
        _ => SameSite::Lax,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(cookie: &str) -> Jar {
        let mut jar = Jar::default();
        jar.store(&url("https://a.example/"), cookie);
        jar
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    /// A cookie goes to its own origin and path, and nowhere else
    #[test]
    fn cookies_keep_to_their_origin_and_path() {
        let jar = jar("a=1; Path=/in; Secure");
        assert_eq!(
            jar.header(&url("https://a.example/in/x"), &Method::GET, false),
            "a=1"
        );
        for elsewhere in [
            "https://a.example/inner",
            "http://a.example/in",
            "https://b.example/in",
        ] {
            assert_eq!(
                jar.header(&url(elsewhere), &Method::GET, false),
                "",
                "{elsewhere}"
            );
        }
    }

    /// Strict cookies stay behind when another site leads here; lax ones come with links only
    #[test]
    fn cookies_cross_sites_as_they_allow() {
        let here = url("https://a.example/");
        assert_eq!(
            jar("a=1; SameSite=Strict").header(&here, &Method::GET, true),
            ""
        );
        assert_eq!(
            jar("a=1; SameSite=Lax").header(&here, &Method::GET, true),
            "a=1"
        );
        assert_eq!(
            jar("a=1; SameSite=Lax").header(&here, &Method::POST, true),
            ""
        );
        assert_eq!(
            jar("a=1; SameSite=None").header(&here, &Method::POST, true),
            "a=1"
        );
    }

    /// A cookie set with no age left is gone
    #[test]
    fn cookies_are_deleted_by_their_age() {
        let mut jar = jar("a=1");
        jar.store(&url("https://a.example/"), "a=; Max-Age=0");
        assert!(jar.of(&url("https://a.example/").origin()).is_empty());
    }
}
