//! Which requests an operation may ask for
//!
//! A pattern is `GET /repos/{owner}/{repo}`, over the host's API base, or `web:GET /login/{x...}` over its web base.
//! `{x}` stands for exactly one segment that is not empty, `{x...}` at the end for one or more. Queries don't count.
//! A URL that two readers could read differently (dots, encoded slashes, empty segments) matches nothing.
//!
//! One exception has to be asked for: `{x+}` is one segment that may hold a path of its own, its slashes written as `%2F`.
//! GitLab names a project so: `group%2Fsub%2Fproject`. Each part between the slashes is as plain as a segment. A proxy
//! that decodes the slashes reads a longer path below the same place, so whoever agrees to a manifest should see it there.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Which of the host's base URLs a pattern is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Base {
    /// The API base.
    Api,
    /// The web base.
    Web,
}

/// One allowed method and path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    text: String,
    base: Base,
    method: String,
    parts: Vec<Part>,
    rest: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Literal(String),
    One,
    Joined,
}

/// What stands in braces.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Hole {
    One,
    Joined,
    Rest,
}

/// A slash that belongs to a segment. In this spelling only: two would be two names for one thing.
const JOINT: &str = "%2F";

/// A text that is no pattern.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "'{0}' is not a pattern such as 'GET /repos/{{owner}}/{{repo}}' or 'web:GET /login/{{rest...}}'"
)]
pub struct InvalidPattern(String);

/// Why a URL has no path that could be matched.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum BadUrl {
    /// It is not below the base.
    #[error("is not below the host's base URL")]
    Elsewhere,
    /// Its path could be read in two ways.
    #[error("has a path that can be read in more than one way")]
    Ambiguous,
}

impl Pattern {
    /// Whether a request with this method to these path segments is meant.
    #[must_use]
    pub fn matches(&self, base: Base, method: &str, path: &[&str]) -> bool {
        let length = if self.rest {
            path.len() > self.parts.len()
        } else {
            path.len() == self.parts.len()
        };
        let same = |(part, segment): (&Part, &&str)| match part {
            Part::Literal(text) => text == segment,
            Part::One => is_single(segment),
            Part::Joined => true,
        };
        base == self.base
            && method == self.method
            && length
            && self.parts.iter().zip(path).all(same)
            && path.iter().skip(self.parts.len()).all(is_single)
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        parse(text).ok_or_else(|| InvalidPattern(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Pattern> {
    let (base, rest_of) = match text.split_once(':') {
        Some(("web", rest)) => (Base::Web, rest),
        Some(("api", rest)) => (Base::Api, rest),
        _ => (Base::Api, text),
    };
    let (method, path) = rest_of.split_once(' ')?;
    let upper = (1..=16).contains(&method.len()) && method.bytes().all(|c| c.is_ascii_uppercase());
    let mut segments: Vec<&str> = match path.strip_prefix('/')? {
        "" => Vec::new(),
        path => path.split('/').collect(),
    };
    let rest = segments
        .last()
        .is_some_and(|last| placeholder(last) == Some(Hole::Rest));
    if rest {
        segments.pop();
    }
    let parts = segments.into_iter().map(part).collect::<Option<Vec<_>>>()?;
    let method = method.to_owned();
    upper.then(|| Pattern {
        text: text.to_owned(),
        base,
        method,
        parts,
        rest,
    })
}

fn part(segment: &str) -> Option<Part> {
    match placeholder(segment) {
        Some(Hole::One) => Some(Part::One),
        Some(Hole::Joined) => Some(Part::Joined),
        Some(Hole::Rest) => None,
        None => segment_is_plain(segment).then(|| Part::Literal(segment.to_owned())),
    }
}

/// Whether the segment is a placeholder, and if so, for what.
fn placeholder(segment: &str) -> Option<Hole> {
    let inner = segment.strip_prefix('{')?.strip_suffix('}')?;
    let (name, hole) = match (inner.strip_suffix("..."), inner.strip_suffix('+')) {
        (Some(name), _) => (name, Hole::Rest),
        (None, Some(name)) => (name, Hole::Joined),
        (None, None) => (inner, Hole::One),
    };
    let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    (!name.is_empty() && name.bytes().all(word)).then_some(hole)
}

/// Whether a segment holds no path of its own.
fn is_single(segment: &&str) -> bool {
    !segment.contains(JOINT)
}

/// The segments of `url` below `base`. One may be made of several that are joined by `%2F`, which only a pattern that
/// says so matches.
///
/// # Errors
///
/// [`BadUrl`] if it is not below it, byte for byte, or is not plain.
pub fn path_below<'a>(url: &'a str, base: &str) -> Result<Vec<&'a str>, BadUrl> {
    let base = base.strip_suffix('/').unwrap_or(base);
    let rest = url.strip_prefix(base).filter(|_| !base.is_empty());
    let rest = rest.ok_or(BadUrl::Elsewhere)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !query
        .bytes()
        .all(|c| c.is_ascii_graphic() && c != b'#' && c != b'\\')
    {
        return Err(BadUrl::Ambiguous);
    }
    if path.is_empty() || path == "/" {
        return Ok(Vec::new());
    }
    let segments: Vec<&str> = path
        .strip_prefix('/')
        .ok_or(BadUrl::Elsewhere)?
        .split('/')
        .collect();
    let plain = segments
        .iter()
        .flat_map(|segment| segment.split(JOINT))
        .all(segment_is_plain);
    plain.then_some(segments).ok_or(BadUrl::Ambiguous)
}

/// Not empty, no dots that mean a folder, no encoded character that means something in a path, nothing outside
/// RFC 3986.
fn segment_is_plain(segment: &str) -> bool {
    let before_parameters = segment.split(';').next().unwrap_or(segment);
    !matches!(before_parameters, "" | "." | "..")
        && segment.bytes().all(is_path_char)
        && segment.split('%').skip(1).all(escape_is_plain)
}

fn is_path_char(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&c)
}

/// An escape has two digits, and is none of control, `%`, `.`, `/`, `;`, `\`, `?` or `#`.
fn escape_is_plain(after: &str) -> bool {
    let digits = after
        .get(..2)
        .filter(|d| d.bytes().all(|c| c.is_ascii_hexdigit()));
    let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
        return false;
    };
    byte >= 0x20 && byte != 0x7f && !b"%./;\\?#".contains(&byte)
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
