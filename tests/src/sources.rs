//! The repository's own texts, for tests that hold its documents against its code.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Folders with Rust sources.
pub const FOLDERS: [&str; 5] = ["daemon", "plugins", "client-sdk", "tests", "proto"];

/// The repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the repository.
///
/// # Panics
///
/// If it can't be read.
#[must_use]
pub fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of all functions, tests among them.
#[must_use]
pub fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in FOLDERS {
        each(&root().join(folder), &mut |_, text| {
            let lines = text.lines().map(str::trim_start);
            let found = lines.filter_map(|line| line.split_once("fn "));
            let name = |rest: &str| rest.split('(').next().map(str::to_owned);
            names.extend(found.filter_map(|(_, rest)| name(rest)));
        });
    }
    names
}

/// The names of functions in a text: lower case with underscores, in backticks.
#[must_use]
pub fn named(text: &str) -> Vec<&str> {
    let is_name = |text: &&str| {
        text.contains('_')
            && text
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

/// Shows every Rust source below a folder: its path and its text.
///
/// # Panics
///
/// If a file can't be read.
pub fn each(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        let skipped = ["target", "node_modules"]
            .iter()
            .any(|name| path.ends_with(name));
        if path.is_dir() && !skipped {
            each(&path, look);
        } else if path.extension().is_some_and(|end| end == "rs") {
            look(&path, &fs::read_to_string(&path).expect("source"));
        }
    }
}
