//! Filters of listings: comparisons joined by `AND`, such as `host = "hosts/github.com" AND stage = "BOUND"`.

use std::collections::BTreeMap;

use crate::problem::{Problem, Reason};

/// Longest filter.
const LONGEST: usize = 1000;

/// All of these must hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter(Vec<(String, String)>);

impl Filter {
    /// Parses a filter over `fields`.
    ///
    /// # Errors
    ///
    /// `FILTER_INVALID` for what is not understood.
    pub fn parse(text: &str, fields: &[&str]) -> Result<Self, Problem> {
        if text.len() > LONGEST {
            return Err(refuse(fields));
        }
        let mut rest = text.trim();
        let mut comparisons = Vec::new();
        while !rest.is_empty() {
            let (comparison, after) = comparison(rest).ok_or_else(|| refuse(fields))?;
            if !known(fields, &comparison.0) {
                return Err(refuse(fields));
            }
            comparisons.push(comparison);
            let after = after.trim_start();
            rest = match after.strip_prefix("AND ") {
                Some(next) if !next.trim().is_empty() => next.trim_start(),
                _ if after.is_empty() => after,
                _ => return Err(refuse(fields)),
            };
        }
        Ok(Self(comparisons))
    }

    /// Whether what `value` says about each field fits.
    #[must_use]
    pub fn admits(&self, value: impl Fn(&str) -> String) -> bool {
        self.0.iter().all(|(field, wanted)| value(field) == *wanted)
    }

    /// What a field must be, if it is asked for.
    #[must_use]
    pub fn wanted(&self, field: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == field);
        found.map(|(_, value)| value.as_str())
    }
}

/// A field, or a label by its key where labels are among the fields.
fn known(fields: &[&str], field: &str) -> bool {
    let label = field
        .strip_prefix("labels.")
        .is_some_and(|key| !key.is_empty());
    fields.contains(&field) || (label && fields.contains(&LABELS))
}

/// The value of the label that a field of a filter names; empty where there is none.
#[must_use]
pub fn label_of(labels: &BTreeMap<String, String>, field: &str) -> String {
    let key = field.strip_prefix("labels.").unwrap_or_default();
    labels.get(key).cloned().unwrap_or_default()
}

/// Stands for every label in a list of fields.
pub const LABELS: &str = "labels.KEY";

/// `field = "value"`, and what comes after it. The value may stand without quotes if it has no spaces.
fn comparison(text: &str) -> Option<((String, String), &str)> {
    let (field, rest) = text.split_once('=')?;
    let rest = rest.trim_start();
    let (value, after) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
    };
    let plain = !value.is_empty() && !value.contains(['\\', '=', '*']);
    plain.then(|| ((field.trim().to_owned(), value.to_owned()), after))
}

fn refuse(fields: &[&str]) -> Problem {
    let message = format!(
        "filter is not understood; write comparisons such as {} = \"value\", joined by AND, over {}",
        fields.first().unwrap_or(&"field"),
        fields.join(", ")
    );
    Problem::new(Reason::FilterInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[&str] = &["host", "stage"];

    /// What is understood is applied, and what is not is refused instead of ignored.
    #[test]
    fn filters_are_strict() {
        let filter = Filter::parse(r#"host = "hosts/a" AND stage=BOUND"#, FIELDS).expect("filter");
        assert_eq!(filter.wanted("host"), Some("hosts/a"));
        let admits = |stage: &str| {
            filter.admits(|field| {
                if field == "host" {
                    "hosts/a".to_owned()
                } else {
                    stage.to_owned()
                }
            })
        };
        assert!(admits("BOUND") && !admits("UNLINKED"));
        assert!(
            Filter::parse("", FIELDS)
                .expect("filter")
                .admits(|_| String::new())
        );
        for odd in [
            "host",
            "host =",
            r#"host = "a"#,
            r#"host = "a" OR stage = "b""#,
            r#"hosts = "a""#,
            "host=a AND",
            r#"host != "a""#,
            r#"host = "*""#,
            "AND host=a",
            "host=a stage=b",
        ] {
            let reason = Filter::parse(odd, FIELDS).map_err(|problem| problem.reason);
            assert_eq!(reason, Err(Reason::FilterInvalid), "{odd}");
        }
    }
}
