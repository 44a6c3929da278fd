//! Form, length and number

use bindery_core::time::Timestamp;
use thiserror::Error;

use crate::text;

/// A field of a message that is not acceptable. Holds no value, only names.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{field} {wrong}")]
pub struct Invalid {
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it.
    pub wrong: &'static str,
}

pub(crate) type Checked<T> = Result<T, Invalid>;

const NAME: usize = 512;
const URI: usize = 2048;

pub(crate) const fn invalid(field: &'static str, wrong: &'static str) -> Invalid {
    Invalid { field, wrong }
}

/// A name or id, not empty.
pub(crate) fn name(field: &'static str, value: String) -> Checked<String> {
    if value.is_empty() {
        return Err(invalid(field, "is empty"));
    }
    optional_name(field, value)
}

/// A name or id, perhaps empty.
pub(crate) fn optional_name(field: &'static str, value: String) -> Checked<String> {
    if value.len() > NAME {
        return Err(invalid(field, "is too long"));
    }
    if !text::is_clean(&value) {
        return Err(invalid(field, "has control characters"));
    }
    Ok(value)
}

/// Some names.
pub(crate) fn names(field: &'static str, values: Vec<String>, most: usize) -> Checked<Vec<String>> {
    at_most(field, values.len(), most)?;
    values.into_iter().map(|value| name(field, value)).collect()
}

pub(crate) fn at_most(field: &'static str, count: usize, most: usize) -> Checked<()> {
    if count > most {
        Err(invalid(field, "has too many items"))
    } else {
        Ok(())
    }
}

/// Text for people.
pub(crate) fn prose(value: &str) -> String {
    text::clean(value, text::MESSAGE)
}

/// An absolute http(s) URL.
pub(crate) fn uri(field: &'static str, value: String) -> Checked<String> {
    let rest = value
        .strip_prefix("https://")
        .or_else(|| value.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.bytes().next());
    let plain = value
        .bytes()
        .all(|c| c.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&c));
    if !plain || !host.is_some_and(|c| c.is_ascii_alphanumeric() || c == b'[') {
        return Err(invalid(field, "is not an absolute http or https URL"));
    }
    if value.len() > URI {
        Err(invalid(field, "is too long"))
    } else {
        Ok(value)
    }
}

/// Such a URL, or nothing.
pub(crate) fn optional_uri(field: &'static str, value: String) -> Checked<String> {
    if value.is_empty() {
        Ok(value)
    } else {
        uri(field, value)
    }
}

/// A clone URL over SSH, as a URL or as `user@host:path`. What is neither is left out: a server's odd setting is no reason to
/// show no repository.
pub(crate) fn ssh_uri(value: String) -> String {
    let plain = value
        .bytes()
        .all(|c| c.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&c));
    let short = value.split_once(':').is_some_and(|(place, path)| {
        let user = place.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !user.starts_with('-') && !host.is_empty() && !host.contains('/')
        });
        user && !path.is_empty() && !path.starts_with("//")
    });
    let good = plain && value.len() <= URI && (value.starts_with("ssh://") || short);
    if good { value } else { String::new() }
}

/// A URL template over `{web}`, `{api}`, `{client_id}` and `{app_slug}`, or nothing.
pub(crate) fn template(field: &'static str, value: String) -> Checked<String> {
    if value.is_empty() {
        return Ok(value);
    }
    let filled = value
        .replace("{web}", "https://w.example")
        .replace("{api}", "https://a.example");
    let filled = filled.replace("{client_id}", "id");
    uri(field, filled.replace("{app_slug}", "app")).map(|_| value)
}

/// `owner/name` with at least two levels.
pub(crate) fn full_name(field: &'static str, value: String) -> Checked<String> {
    let value = name(field, value)?;
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '?', '#']);
    let good = value.contains('/') && value.split('/').all(plain);
    good.then_some(value)
        .ok_or_else(|| invalid(field, "is not owner/name"))
}

/// A branch or tag by its full name, by the rules of git.
pub(crate) fn reference(field: &'static str, value: String) -> Checked<String> {
    let value = name(field, value)?;
    let short = ["refs/heads/", "refs/tags/"]
        .iter()
        .find_map(|prefix| value.strip_prefix(prefix));
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let plain = |short: &str| {
        short.split('/').all(part)
            && !short.ends_with('.')
            && !short.contains("..")
            && !short.contains("@{")
            && !short.contains([' ', '~', '^', ':', '?', '*', '[', '\\'])
    };
    short
        .is_some_and(plain)
        .then_some(value)
        .ok_or_else(|| invalid(field, "is no name below refs/heads/ or refs/tags/"))
}

/// A header name as the daemon looks it up: in lower case.
pub(crate) fn header(field: &'static str, value: String) -> Checked<String> {
    let token =
        |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&c);
    let good = (1..=64).contains(&value.len()) && value.bytes().all(token);
    good.then_some(value)
        .ok_or_else(|| invalid(field, "is not a header name in lower case"))
}

/// Milliseconds since the epoch; 0 for no time at all.
pub(crate) fn when_ms(field: &'static str, unix_ms: u64) -> Checked<Option<Timestamp>> {
    /// The end of the year 9999.
    const LAST: u64 = 253_402_300_799_999;
    if unix_ms > LAST {
        return Err(invalid(field, "is after the year 9999"));
    }
    Ok((unix_ms != 0).then(|| Timestamp::from_unix_ms(unix_ms)))
}

/// A SHA-1 or SHA-256 of git, in lower case, or nothing. Zeros stand for nothing at a provider, and never here.
pub(crate) fn optional_commit(field: &'static str, value: String) -> Checked<String> {
    if value.is_empty() {
        return Ok(value);
    }
    let value = commit(field, value)?;
    if value.bytes().all(|c| c == b'0') {
        return Err(invalid(field, "is all zeros"));
    }
    Ok(value.to_ascii_lowercase())
}

/// A SHA-1 or SHA-256 of git.
pub(crate) fn commit(field: &'static str, value: String) -> Checked<String> {
    let hex = matches!(value.len(), 40 | 64) && value.bytes().all(|c| c.is_ascii_hexdigit());
    hex.then_some(value)
        .ok_or_else(|| invalid(field, "is not a commit id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clone URL over SSH is a URL or `user@host:path`; what could be an option of ssh or no place at all is left out.
    #[test]
    fn ssh_places_are_places() {
        for good in [
            "git@forge.example:acme/api.git",
            "git@forge.example:~ada/api.git",
            "ssh://git@forge.example:2222/acme/api.git",
        ] {
            assert_eq!(ssh_uri(good.to_owned()), good);
        }
        let long = format!("ssh://{}", "a".repeat(URI));
        for wrong in [
            "",
            "https://forge.example/acme/api.git",
            "-oProxyCommand=x@forge.example:a",
            "forge.example:acme/api.git",
            "git@:a",
            "git@forge.example:",
            "git@forge.example:a b",
            "ssh://forge.example/`x`",
            long.as_str(),
        ] {
            assert_eq!(ssh_uri(wrong.to_owned()), "", "{wrong}");
        }
    }
}
