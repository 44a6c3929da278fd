//! Versions of plugins, so that a downgrade is noticed

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A semantic version. It is also the name of a folder, so it is only what such a name may be.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    text: String,
    core: [u64; 3],
    pre: Vec<Identifier>,
}

/// A part of a pre-release. Numbers come before words.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Identifier {
    Number(u64),
    Word(String),
}

/// A text that is no version.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("a version is MAJOR.MINOR.PATCH, optionally with -PRERELEASE and +BUILD")]
pub struct InvalidVersion;

impl Version {
    /// The version as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let (rest, build) = split(text, '+');
        let (core, pre) = split(rest, '-');
        let numbers: Vec<u64> = core.split('.').map(number).collect::<Result<_, _>>()?;
        let pre = match pre {
            Some(pre) => identifiers(pre)?,
            None => Vec::new(),
        };
        if let Some(build) = build {
            identifiers(build)?;
        }
        let core = numbers.try_into().map_err(|_| InvalidVersion)?;
        let text = text.to_owned();
        (text.len() <= 64)
            .then_some(Self { text, core, pre })
            .ok_or(InvalidVersion)
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at)
        .map_or((text, None), |(a, b)| (a, Some(b)))
}

fn number(text: &str) -> Result<u64, InvalidVersion> {
    let canonical =
        text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let parsed = text.parse().map_err(|_| InvalidVersion)?;
    canonical.then_some(parsed).ok_or(InvalidVersion)
}

fn identifiers(text: &str) -> Result<Vec<Identifier>, InvalidVersion> {
    text.split('.').map(identifier).collect()
}

fn identifier(text: &str) -> Result<Identifier, InvalidVersion> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    if text.is_empty() || !text.bytes().all(plain) {
        return Err(InvalidVersion);
    }
    Ok(number(text).map_or_else(|_| Identifier::Word(text.to_owned()), Identifier::Number))
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // A release comes after its pre-releases; builds only break ties, so that the order agrees with equality.
        self.core
            .cmp(&other.core)
            .then_with(|| self.pre.is_empty().cmp(&other.pre.is_empty()))
            .then_with(|| self.pre.cmp(&other.pre))
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for Version {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, InvalidVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions are ordered as semver.org says, so 1.10.0 is no downgrade from 1.9.0 and a release none from its candidate.
    #[test]
    fn versions_are_ordered() {
        let ordered = [
            "0.9.0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-rc.2",
            "1.0.0-rc.11",
            "1.0.0",
            "1.9.0",
            "1.10.0",
        ];
        let parsed: Vec<Version> = ordered.iter().map(|v| v.parse().unwrap()).collect();
        assert!(parsed.windows(2).all(|pair| pair[0] < pair[1]));
    }

    /// Nothing that means something else as a folder is a version.
    #[test]
    fn versions_play_no_tricks() {
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "..",
            "1.2.3/..",
            "01.2.3",
            "1.2.3-",
            "1.2.3-a/b",
            "1.2.3\0",
            "v1.2.3",
            "1.2.3+",
            "+1.2.3",
            "1.2.-3",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }
}
