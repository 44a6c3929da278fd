//! Targets of the fuzzer: each takes any bytes, and panics when a property does not hold.

use url::Url;

use crate::{
    name::{HostName, NamespaceName, ProviderName},
    origin::Origin,
    rules,
    source::Pattern,
};

/// An origin is what the `url` crate says it is, with its port; it is the same when it is read again; and no origin is taken
/// from a URL with a user name or password.
pub fn origin(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(origin) = Origin::parse(text) else {
        return;
    };
    let url = Url::parse(text).expect("it has an origin");
    assert!(matches!(url.scheme(), "http" | "https"));
    assert!(url.username().is_empty() && url.password().is_none());
    let port = url.port_or_known_default().expect("it has a port");
    let host = url.host_str().expect("it has a host");
    assert_eq!(origin.as_str(), format!("{}://{host}:{port}", url.scheme()));
    let other = Url::parse(origin.as_str()).expect("an origin is a URL");
    assert_eq!(other.origin(), url.origin());
    assert_eq!(Origin::of(&other).as_ref(), Ok(&origin));
}

/// A name that is accepted is written exactly as it came, and holds nothing but small letters, digits, hyphens and single dots
/// within (THREATS G2).
pub fn name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let accepted = [
        NamespaceName::parse(text).map(|name| name.to_string()),
        HostName::parse(text).map(|name| name.to_string()),
        ProviderName::parse(text).map(|name| name.to_string()),
    ];
    for written in accepted.into_iter().flatten() {
        assert_eq!(written, text);
        assert!((1..=63).contains(&text.len()) && !text.contains(".."));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        assert!(text.starts_with(plain) && text.ends_with(plain), "{text:?}");
        assert!(text.chars().all(|c| plain(c) || c == '-' || c == '.'));
    }
}

/// What is checked as a pattern can be matched against any name; a glob without signs matches itself and nothing else.
pub fn pattern(data: &[u8]) {
    let Some((pattern, name)) = std::str::from_utf8(data)
        .ok()
        .and_then(|text| text.split_once('\0'))
    else {
        return;
    };
    for kind in [Pattern::Glob, Pattern::Regex] {
        let kind = kind(pattern.to_owned());
        let known = rules::check(&kind).is_ok();
        let matched = rules::captures(&kind, name).is_some();
        let plain = !pattern.contains(['*', '?']);
        if known && plain && matches!(kind, Pattern::Glob(_)) {
            assert_eq!(matched, pattern == name);
        }
    }
}

#[cfg(test)]
mod tests {
    use bindery_replay::replay;

    /// P9: origins are what another reader of URLs takes them for.
    #[test]
    fn p9_origins_are_read_as_by_the_url_crate() {
        replay("origin", super::origin);
    }

    /// G2: names have one spelling.
    #[test]
    fn g2_names_have_one_spelling() {
        replay("name", super::name);
    }

    /// Patterns of people match any name without a panic.
    #[test]
    fn patterns_match_any_name() {
        replay("pattern", super::pattern);
    }
}
