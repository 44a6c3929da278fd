//! The threat model is true: every row names tests that exist, or a risk that is accepted in the open.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Every threat that the project knows, by the letter of its table and how many rows that has.
const THREATS: [(&str, usize); 10] = [
    ("O", 11),
    ("W", 7),
    ("S", 9),
    ("G", 8),
    ("D", 8),
    ("P", 9),
    ("K", 15),
    ("R", 9),
    ("L", 8),
    ("B", 4),
];

/// Every threat has a row, and every row has a test or an accepted risk.
#[test]
fn every_threat_is_answered() {
    let (model, policy) = (read("daemon/docs/threat-model.md"), read("SECURITY.md"));
    for (letter, rows) in THREATS {
        for number in 1..=rows {
            let id = format!("{letter}{number}");
            let row = row(&model, &id).unwrap_or_else(|| panic!("{id} has no row"));
            let answered = !tests(row).is_empty() || row_of_policy(&policy, &id);
            assert!(answered, "{id} has neither a test nor an accepted risk");
        }
    }
}

/// Every test that the model names is there.
#[test]
fn every_test_of_the_model_exists() {
    let known = functions();
    let model = read("daemon/docs/threat-model.md");
    let named: BTreeSet<_> = model.lines().flat_map(tests).collect();
    assert!(named.len() > 100, "only {} tests are named", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !known.contains(**name))
        .collect();
    assert!(missing.is_empty(), "not there: {missing:?}");
}

/// Lines that compare a secret's text with `==` for a reason that is no timing matter, by their file.
const COMPARED: &[(&str, &str)] = &[
    // Whether a kept client still fits the operator's settings: nobody else chooses either side.
    (
        "daemon/egress/src/clients.rs",
        "one.as_ref().map(Secret::expose) == other.as_ref().map(Secret::expose)",
    ),
    // Tokens that the provider gave, on both sides: nobody presents them here.
    (
        "daemon/engine/src/refresh/store.rs",
        "one.generation == other.generation && one.access_token.expose() == other.access_token.expose()",
    ),
    (
        "daemon/engine/src/flows/give_back.rs",
        "if kept.access_token.expose() == grant.access_token.expose() {",
    ),
    (
        "daemon/engine/src/flows/give_back.rs",
        ".filter(|token| Some(token.expose()) != keeps);",
    ),
];

/// L6: nowhere in the daemon is a secret's text, or what ring computed, compared with `==`; `ring::hmac::verify` takes the same
/// time wherever two texts differ.
#[test]
fn l6_secrets_are_not_compared_with_equals() {
    let mut found = Vec::new();
    each_source(&root().join("daemon"), &mut |path, text| {
        let name = path
            .strip_prefix(root())
            .expect("below the root")
            .display()
            .to_string();
        let own = text.split("#[cfg(test)]").next().unwrap_or_default();
        let bad = own.lines().filter(|line| {
            let secret = line.contains("expose")
                || line.contains("tag.as_ref()")
                || line.contains("mac.as_ref()");
            let compared = line.contains("==") || line.contains("!=");
            secret && compared && !COMPARED.contains(&(name.as_str(), line.trim()))
        });
        if !name.contains("/tests") {
            found.extend(bad.map(|line| format!("{name}: {}", line.trim())));
        }
    });
    assert!(found.is_empty(), "{found:#?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn row<'a>(model: &'a str, id: &str) -> Option<&'a str> {
    let start = format!("| {id} |");
    model.lines().find(|line| line.starts_with(&start))
}

fn row_of_policy(policy: &str, id: &str) -> bool {
    policy
        .lines()
        .any(|line| line.starts_with(&format!("| {id} |")))
}

/// The names in the last column of a row: lower case with underscores, in backticks.
fn tests(line: &str) -> Vec<&str> {
    let Some((_, column)) = line.trim_end_matches(" |").rsplit_once(" | ") else {
        return Vec::new();
    };
    let quoted = column.split('`').skip(1).step_by(2);
    let is_name = |text: &&str| {
        text.contains('_')
            && text
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    quoted.filter(is_name).collect()
}

fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["daemon", "plugins", "client-sdk", "tests", "proto"] {
        each_source(&root().join(folder), &mut |_, text| {
            let found = text
                .lines()
                .filter_map(|line| line.trim_start().split_once("fn "));
            let name = |rest: &str| rest.split('(').next().map(str::to_owned);
            names.extend(found.filter_map(|(_, rest)| name(rest)));
        });
    }
    names
}

/// Every Rust source below `folder`.
fn each_source(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        let skipped = ["target", "node_modules"]
            .iter()
            .any(|name| path.ends_with(name));
        if path.is_dir() && !skipped {
            each_source(&path, look);
        } else if path.extension().is_some_and(|end| end == "rs") {
            look(&path, &fs::read_to_string(&path).expect("source"));
        }
    }
}
