//! Ids, which some endpoints write as numbers and others as strings

use std::fmt;

use serde::Deserialize;

/// An id in either form.
#[derive(Clone, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(from = "Written")]
pub(crate) struct Id(String);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl From<Written> for Id {
    fn from(written: Written) -> Self {
        Self(match written {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        })
    }
}

impl Id {
    /// Whether it is this one.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0 == text
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
