//! Where an app may be called back

use url::{Host, Url};

/// Whether an app may be called back there
///
/// Host and port must be equal and the path below the registered one. An app with one callback
/// URL may also use subdomains of its host; loopback addresses may use any port.
pub(super) fn redirect_matches(registered: &[String], redirect: &str) -> bool {
    let Ok(redirect) = Url::parse(redirect) else {
        return false;
    };
    let wildcard = registered.len() == 1;
    let urls = registered.iter().filter_map(|url| Url::parse(url).ok());
    let mut urls = urls.filter(|url| url.scheme() == redirect.scheme());
    urls.any(|url| {
        host_matches(&url, &redirect, wildcard) && path_matches(&url, &redirect, wildcard)
    })
}

fn host_matches(registered: &Url, redirect: &Url, wildcard: bool) -> bool {
    let same_port = registered.port_or_known_default() == redirect.port_or_known_default();
    let (Some(known), Some(given)) = (registered.host_str(), redirect.host_str()) else {
        return false;
    };
    let loopback = match redirect.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => given == "localhost",
    };
    let below = given
        .strip_suffix(known)
        .is_some_and(|sub| sub.ends_with('.'));
    (same_port || loopback) && (given == known || (wildcard && below))
}

fn path_matches(registered: &Url, redirect: &Url, wildcard: bool) -> bool {
    let below = redirect
        .path()
        .strip_prefix(registered.path().trim_end_matches('/'));
    match below {
        Some("" | "/") => true,
        Some(rest) => wildcard && rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::redirect_matches;

    fn allowed(registered: &[&str], redirect: &str) -> bool {
        let registered: Vec<_> = registered.iter().map(|&url| url.to_owned()).collect();
        redirect_matches(&registered, redirect)
    }

    /// The examples of GitHub's documentation, and what looks like them and isn't
    #[test]
    fn trap_2_redirects_match_as_documented() {
        let one = ["http://example.com/path"];
        for good in [
            "http://example.com/path",
            "http://example.com/path/subdir/other",
            "http://oauth.example.com/path",
            "http://oauth.example.com/path/subdir/other",
        ] {
            assert!(allowed(&one, good), "{good}");
        }
        for bad in [
            "http://example.com/bar",
            "http://example.com/",
            "http://example.com/pathology",
            "http://example.com:8080/path",
            "http://oauth.example.com:8080/path",
            "http://example.org",
            "http://badexample.com/path",
            "https://example.com/path",
            "path",
        ] {
            assert!(!allowed(&one, bad), "{bad}");
        }
        assert!(allowed(
            &["http://127.0.0.1/path"],
            "http://127.0.0.1:1234/path"
        ));
        let two = ["http://a.example/x", "http://b.example/y"];
        assert!(allowed(&two, "http://b.example/y"));
        assert!(!allowed(&two, "http://b.example/y/z"));
    }
}
