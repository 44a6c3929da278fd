//! The sample configuration is the manual.

use std::collections::BTreeSet;

use super::{Config, raw};

const MANUAL: &str = include_str!("../../../../systemd/bindery.toml");

/// What the configuration can't do without.
const LEAST: &str = "[web]\npublic_url = \"https://bindery.example\"\n";

/// The manual parses, and what it shows as defaults are the defaults: as it is, and with every default written out.
#[test]
fn sample_equals_the_defaults() {
    assert_eq!(Config::parse(MANUAL), Config::parse(LEAST));
    let written_out: String = MANUAL
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .fold(String::new(), |all, line| all + line + "\n");
    let shown = Config::parse(&written_out).expect("the commented keys parse");
    assert_eq!(Ok(shown), Config::parse(LEAST));
}

/// Each line with a default, alone, changes nothing: one wrong default can't hide behind another.
#[test]
fn each_default_alone_is_the_default() {
    let (mut section, mut defaults) = (String::new(), 0);
    for line in MANUAL.lines() {
        let bare = line.strip_prefix("#: ").or_else(|| line.strip_prefix("# "));
        let bare = bare.unwrap_or(line);
        if bare.starts_with('[') {
            bare.clone_into(&mut section);
        } else if line.starts_with("#: ") {
            defaults += 1;
            let text = match section.as_str() {
                "" => format!("{bare}\n{LEAST}"),
                "[web]" => format!("{LEAST}{bare}\n"),
                section => format!("{LEAST}{section}\n{bare}\n"),
            };
            assert_eq!(Config::parse(&text), Config::parse(LEAST), "{line}");
        }
    }
    assert!(defaults > 25, "only {defaults} defaults are shown");
}

/// Every key of the configuration is in the manual, below its section, and nothing else is.
#[test]
fn every_key_is_in_the_manual() {
    let (known, shown) = (keys(""), shown());
    assert!(known.len() > 40, "{known:?}");
    let missing: Vec<_> = known.difference(&shown).collect();
    assert!(missing.is_empty(), "not in the manual: {missing:?}");
    // Names of return addresses are the operator's.
    let free = |key: &&String| !key.starts_with("linking.return_addresses.");
    let unknown: Vec<_> = shown.difference(&known).filter(free).collect();
    assert!(unknown.is_empty(), "only in the manual: {unknown:?}");
}

/// All keys below a table, with their sections.
fn keys(table: &str) -> BTreeSet<String> {
    let paths = fields(table).into_iter().map(|field| match table {
        "" => field,
        table => format!("{table}.{field}"),
    });
    let below = |path: String| match keys(&path) {
        none if none.is_empty() => BTreeSet::from([path]),
        below => below,
    };
    paths.flat_map(below).collect()
}

/// Fields of a table: serde names them when it meets one that is not there. Empty where it is no table of fields.
fn fields(table: &str) -> Vec<String> {
    let text = match table {
        "" => "no_such_key = 1".to_owned(),
        table => format!("[{table}]\nno_such_key = 1"),
    };
    let error = toml::from_str::<raw::File>(&text).expect_err("an unknown key");
    let Some(expected) = error.message().strip_prefix("unknown field `no_such_key`") else {
        return Vec::new();
    };
    let quoted = expected.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// All keys that the manual shows, commented or not.
fn shown() -> BTreeSet<String> {
    let (mut section, mut all) = (String::new(), BTreeSet::new());
    for line in MANUAL.lines() {
        let line = line.trim_start_matches(['#', ':', ' ']);
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            section = format!("{name}.");
            // A table of free names is there by its name.
            all.extend(fields(name).is_empty().then(|| name.to_owned()));
        } else if let Some((key, _)) = line.split_once(" = ")
            && key
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || b"_-".contains(&byte))
        {
            all.insert(format!("{section}{key}"));
        }
    }
    all
}
