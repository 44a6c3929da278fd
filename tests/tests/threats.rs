//! The threat model is true: every row names tests that exist, or a risk that is accepted in the open.

use std::collections::BTreeSet;

use bindery_tests::sources::{self, functions, named, read, root};

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
    sources::each(&root().join("daemon"), &mut |path, text| {
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

fn row<'a>(model: &'a str, id: &str) -> Option<&'a str> {
    let start = format!("| {id} |");
    model.lines().find(|line| line.starts_with(&start))
}

fn row_of_policy(policy: &str, id: &str) -> bool {
    policy
        .lines()
        .any(|line| line.starts_with(&format!("| {id} |")))
}

/// The names in the last column of a row.
fn tests(line: &str) -> Vec<&str> {
    let cells = line.trim_end_matches(" |").rsplit_once(" | ");
    cells.map_or_else(Vec::new, |(_, column)| named(column))
}
