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
