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

/// Every threat has a row, and every row has a test or an accepted risk. A row is met as a whole, or says that it is not, and
/// then the policy says in how far and why.
#[test]
fn every_threat_is_answered() {
    let (model, policy) = (read("daemon/docs/threat-model.md"), read("SECURITY.md"));
    for (letter, rows) in THREATS {
        for number in 1..=rows {
            let id = format!("{letter}{number}");
            let row = row(&model, &id).unwrap_or_else(|| panic!("{id} has no row"));
            let accepted = row_of_policy(&policy, &id);
            assert!(
                accepted || !tests(row).is_empty(),
                "{id} has neither a test nor an accepted risk"
            );
            assert_eq!(
                row.ends_with(IN_PART),
                accepted,
                "{id}: the model and the policy don't agree whether it is met as a whole"
            );
        }
    }
}

/// Every row of the policy is about threats that there are.
#[test]
fn the_policy_names_known_threats() {
    let known = |id: &str| {
        THREATS.iter().any(|(letter, rows)| {
            let number = id.strip_prefix(letter).and_then(|text| text.parse().ok());
            number.is_some_and(|number: usize| (1..=*rows).contains(&number))
        })
    };
    let policy = read("SECURITY.md");
    let unknown: Vec<_> = ids_of_policy(&policy).filter(|id| !known(id)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// How a row ends that is not met as a whole.
const IN_PART: &str = "in part: SECURITY.md |";

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
    // What a kind of token begins with is documented by its provider.
    (
        "daemon/engine/src/links/token.rs",
        "|kind: &&TokenKind| !kind.prefix.is_empty() && token.expose().starts_with(&kind.prefix);",
    ),
];

/// L6: nowhere in the daemon is a secret's text, or what ring computed, compared with `==` or by its beginning or end;
/// `ring::hmac::verify` takes the same time wherever two texts differ. A secret itself can't be compared.
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
        let own = statements(own);
        let bad = own.iter().filter(|line| {
            compares_a_secret(line) && !COMPARED.contains(&(name.as_str(), line.as_str()))
        });
        if !name.contains("/tests") {
            found.extend(bad.map(|line| format!("{name}: {line}")));
        }
    });
    assert!(found.is_empty(), "{found:#?}");
    let secret = read("daemon/core/src/secret.rs");
    assert!(!secret.contains("PartialEq") && !secret.contains("impl Eq"));
}

/// The lines of a source; one that begins with a comparison is put behind the one before.
fn statements(source: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in source.lines().map(str::trim) {
        match all.last_mut() {
            Some(last) if line.starts_with("==") || line.starts_with("!=") => {
                last.push(' ');
                last.push_str(line);
            }
            _ => all.push(line.to_owned()),
        }
    }
    all
}

fn compares_a_secret(line: &str) -> bool {
    let secret =
        line.contains("expose") || line.contains("tag.as_ref()") || line.contains("mac.as_ref()");
    let ways = [
        "==",
        "!=",
        ".eq(",
        ".ne(",
        ".cmp(",
        "starts_with(",
        "ends_with(",
        "contains(",
    ];
    secret && ways.iter().any(|way| line.contains(way))
}

/// The control: what is looked for is found.
#[test]
fn l6_comparisons_are_seen() {
    for source in [
        "if given.expose() == known {",
        "let same = given.expose()\n    == known;",
        "given.expose().eq(known)",
        "known.starts_with(given.expose())",
        "tag.as_ref() != given",
    ] {
        assert!(
            statements(source)
                .iter()
                .any(|line| compares_a_secret(line)),
            "{source}"
        );
    }
    assert!(!compares_a_secret(
        "hmac::verify(&key, body, given.expose().as_bytes())"
    ));
}

fn row<'a>(model: &'a str, id: &str) -> Option<&'a str> {
    let start = format!("| {id} |");
    model.lines().find(|line| line.starts_with(&start))
}

fn row_of_policy(policy: &str, id: &str) -> bool {
    ids_of_policy(policy).any(|known| known == id)
}

/// The threats in the first column of the tables.
fn ids_of_policy(policy: &str) -> impl Iterator<Item = &str> {
    let rows = policy.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter(|row| !row.starts_with('|'));
    let cells = rows.filter_map(|row| row.split(" |").next());
    cells
        .flat_map(|cell| cell.split(", "))
        .filter(|id| id.starts_with(|first: char| first.is_ascii_uppercase()))
}

/// The names in the last column of a row.
fn tests(line: &str) -> Vec<&str> {
    let cells = line.trim_end_matches(" |").rsplit_once(" | ");
    cells.map_or_else(Vec::new, |(_, column)| named(column))
}
