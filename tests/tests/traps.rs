//! The list of traps is true: every row names tests that exist or says why there is none, and every trap's test is in it.

use std::collections::BTreeSet;

use bindery_tests::sources::{functions, named, read};

/// The list.
const LIST: &str = "daemon/docs/traps.md";

/// Every section, by the number that its tests bear, and how many traps it has.
const SECTIONS: [(&str, usize); 8] = [
    ("0", 4),
    ("1", 12),
    ("2", 32),
    ("3", 23),
    ("4", 14),
    ("5", 11),
    ("6", 9),
    ("7", 11),
];

/// No section is missing, and no trap of it: a row that goes has to be taken out here as well.
#[test]
fn every_trap_has_a_row() {
    let list = read(LIST);
    let found: Vec<_> = sections(&list)
        .iter()
        .map(|(number, text)| (*number, rows(text).len()))
        .collect();
    assert_eq!(found, SECTIONS);
}

/// A row names tests, or says why no test can set the trap.
#[test]
fn every_trap_has_a_test_or_a_reason() {
    let list = read(LIST);
    for (number, text) in sections(&list) {
        for (trap, tests) in rows(text) {
            let reason = tests.strip_prefix("none");
            let reason = reason.is_some_and(|reason| reason.len() > 40);
            let untested = named(tests).is_empty() && !reason;
            assert!(!untested, "section {number}: '{trap}' has neither");
        }
    }
}

/// Every test that a row names is there.
#[test]
fn every_test_of_the_list_exists() {
    let (list, known) = (read(LIST), functions());
    let missing: BTreeSet<_> = sections(&list)
        .into_iter()
        .flat_map(|(_, text)| rows(text))
        .flat_map(|(_, tests)| named(tests))
        .filter(|name| !known.contains(*name))
        .collect();
    assert!(missing.is_empty(), "not there: {missing:?}");
}

/// Every test that is named after a trap is in the list.
#[test]
fn every_test_of_a_trap_is_in_the_list() {
    let list = read(LIST);
    let named: BTreeSet<_> = named(&list).into_iter().collect();
    let unnamed: Vec<_> = functions()
        .into_iter()
        .filter(|name| name.starts_with("trap_") && !named.contains(name.as_str()))
        .collect();
    assert!(unnamed.is_empty(), "no row has these: {unnamed:#?}");
}

/// The sections by their numbers.
fn sections(list: &str) -> Vec<(&str, &str)> {
    let parts = list.split("\n## ").skip(1);
    parts.filter_map(|part| part.split_once(". ")).collect()
}

/// The rows of a section: the trap, and its tests.
fn rows(section: &str) -> Vec<(&str, &str)> {
    let lines = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = lines.filter_map(|line| line.strip_suffix(" |")?.split_once(" | "));
    cells.filter(|(trap, _)| *trap != "Trap").collect()
}
