//! Help and completions.

use crate::support::{bare, finish};

fn help(path: &[&str]) -> String {
    let mut arguments = path.to_vec();
    arguments.push("--help");
    let run = finish(bare(&arguments), "");
    assert_eq!(run.exit, 0, "{path:?}");
    run.out
}

/// Names of the commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn walk(path: &[&str], seen: &mut Vec<String>) {
    let text = help(path);
    let children = commands(&text);
    if children.is_empty() {
        let name = path.join(" ");
        assert!(text.contains("Example"), "{name} has no example:\n{text}");
        assert!(text.contains(&format!("bindery {name}")), "{name}");
        seen.push(name);
    }
    for child in &children {
        let mut deeper = path.to_vec();
        deeper.push(child);
        walk(&deeper, seen);
    }
}

/// Every command says in its help how it is used, by an example of itself.
#[test]
fn every_command_has_an_example() {
    let mut seen = Vec::new();
    walk(&[], &mut seen);
    for name in [
        "host add",
        "link create",
        "credential helper",
        "repo refs",
        "source add",
        "source delivery retry",
        "hooks orphans",
        "events watch",
        "trigger rotate",
        "subscription dead-letters",
        "status",
        "doctor",
        "admin unseal",
        "admin slot add",
    ] {
        assert!(seen.contains(&name.to_owned()), "{seen:?}");
    }
}

/// The help documents the exit codes and the environment.
#[test]
fn the_help_documents_exit_codes() {
    let text = help(&[]);
    for word in [
        "Exit codes:",
        "78  the configuration is wrong",
        "BINDERY_ENDPOINT",
        "NO_COLOR",
    ] {
        assert!(text.contains(word), "{word}");
    }
}

/// Completions for the shells that people have know the commands.
#[test]
fn completions_are_there() {
    for shell in ["bash", "zsh", "fish"] {
        let run = finish(bare(&["completions", shell]), "");
        assert_eq!(run.exit, 0, "{shell}");
        for word in [
            "bindery",
            "namespace",
            "credential",
            "unlink",
            "catch-up",
            "orphans",
        ] {
            assert!(run.out.contains(word), "{shell}: {word}");
        }
    }
}

/// The documents, which name commands.
fn documents() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = std::fs::read_dir(root.join("daemon/docs")).expect("folder");
    let docs = docs.map(|entry| entry.expect("entry").path());
    let mut files: Vec<_> = docs
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    files.extend(["README.md", "systemd/bindery.toml"].map(|name| root.join(name)));
    let text = |path| std::fs::read_to_string(path).expect("file");
    files.into_iter().map(text).collect()
}

/// The commands that a text names: the words after each `bindery`.
fn named(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let places = text.split("bindery ").skip(1);
    let word = |word: &&str| word.bytes().all(|c| c.is_ascii_lowercase() || c == b'-');
    places.map(move |rest| {
        let line = rest.split(['`', '\n', ',', ';', ')', '"']).next();
        let words = line.unwrap_or_default().split(' ').take_while(word);
        words
            .take_while(|one| one.starts_with(|c: char| c.is_ascii_lowercase()))
            .collect()
    })
}

/// Every command that a document names is there.
#[test]
fn documents_name_commands_that_there_are() {
    let (texts, mut count) = (documents(), 0);
    for words in texts.iter().flat_map(|text| named(text)) {
        let mut path = Vec::new();
        for word in words {
            if commands(&help(&path)).is_empty() {
                break;
            }
            path.push(word);
        }
        help(&path);
        count += usize::from(!path.is_empty());
    }
    assert!(count > 30, "{count} commands are named");
}
