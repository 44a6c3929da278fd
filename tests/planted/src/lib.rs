//! A table of bugs that somebody could make one day, each with the test that must then fail.
//!
//! `cargo run -p bindery-planted` plants each bug in a copy of the tree, one after another, and runs its test there. `cargo test`
//! only sees that every row still fits the code.

#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

pub mod plant;

/// A bug, and the test that must find it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// Stable name.
    pub name: String,
    /// File, from the root of the repository.
    pub file: PathBuf,
    /// Text that is there once.
    pub find: String,
    /// Text that takes its place.
    pub plant: String,
    /// Package of the test.
    pub package: String,
    /// What of it is built: `--lib`, or `--test` and a name.
    pub target: String,
    /// Name of the test, without its module.
    pub test: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    bug: Vec<Bug>,
}

impl Bug {
    /// `text` with the bug in it.
    ///
    /// # Errors
    ///
    /// When the place is not there, or is there more than once.
    pub fn planted(&self, text: &str) -> Result<String> {
        let places = text.matches(self.find.as_str()).count();
        ensure!(
            places == 1,
            "{}: {} holds the text {places} times, and must hold it once",
            self.name,
            self.file.display()
        );
        Ok(text.replacen(&self.find, &self.plant, 1))
    }
}

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All bugs of the table.
///
/// # Errors
///
/// When it can't be read.
pub fn table() -> Result<Vec<Bug>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bugs.toml");
    let text = fs::read_to_string(&path).context("the table of bugs")?;
    Ok(toml::from_str::<Table>(&text)?.bug)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every row fits the code: its place is there once, what is planted differs, and its test is there.
    #[test]
    fn every_bug_can_be_planted() {
        for bug in table().unwrap() {
            let text = fs::read_to_string(root().join(&bug.file)).unwrap();
            assert_ne!(bug.planted(&text).unwrap(), text, "{}", bug.name);
            let there = ["daemon", "tests"]
                .iter()
                .any(|folder| has_test(&root().join(folder), &bug.test));
            assert!(there, "{}: no test {}", bug.name, bug.test);
        }
    }

    /// There are at least 24, and each has a name of its own.
    #[test]
    fn there_are_enough_bugs() {
        let table = table().unwrap();
        let names: BTreeSet<_> = table.iter().map(|bug| &bug.name).collect();
        assert_eq!(names.len(), table.len());
        assert!(names.len() >= 24, "{}", names.len());
    }

    /// A place that is not there, or twice, is refused.
    #[test]
    fn a_place_must_be_there_once() {
        let bug = &table().unwrap()[0];
        assert!(bug.planted("nothing").is_err());
        assert!(bug.planted(&bug.find.repeat(2)).is_err());
    }

    fn has_test(folder: &Path, test: &str) -> bool {
        let wanted = format!("fn {test}(");
        fs::read_dir(folder).unwrap().any(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                return path.file_name().is_some_and(|name| name != "target")
                    && has_test(&path, test);
            }
            let is_rust = path.extension().is_some_and(|ext| ext == "rs");
            is_rust && fs::read_to_string(path).unwrap().contains(&wanted)
        })
    }
}
