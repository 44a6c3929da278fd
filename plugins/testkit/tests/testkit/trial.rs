//! The kit finds seeded mistakes, each with a line that says what is wrong

use bindery_plugin_testkit::{Report, check};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::artifacts::options;

/// Checks the hostile plugin with one mistake, against what an author might have recorded.
fn report(bug: &str, url: &str, headers: &Value) -> Report {
    let exchange = |url: &str, headers: &Value| {
        json!({
            "request": {"method": "GET", "url": url, "headers": headers},
            "response": {"status": 200, "body": {"id": 7, "login": "ada"}}
        })
    };
    let bearer = json!({"authorization": "Bearer <secret:access_token>"});
    let fixture = json!({
        "operation": "identify",
        "settings": {"attack": bug},
        "exchanges": [exchange(url, headers), exchange("https://api.test/user", &bearer)],
        "expect": {"identity": {"stable_id": "7", "login": "ada", "kind": "USER"}}
    });
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("identify.json"), fixture.to_string()).expect("a fixture");
    check(&options("hostile", folder.path())).expect("a report")
}

fn honest(bug: &str) -> Report {
    let bearer = json!({"authorization": "Bearer <secret:access_token>"});
    report(bug, "https://api.test/user", &bearer)
}

#[track_caller]
fn assert_says(report: &Report, group: &str, name: &str, words: &str) {
    let found = report.checks.iter().find(|check| {
        !check.passed
            && check.group == group
            && check.name.contains(name)
            && check.detail.contains(words)
    });
    assert!(
        found.is_some(),
        "no line about {words}:\n{}",
        report.failures()
    );
}

/// `unwrap` on what a provider sends is a panic with its line, at each fault that makes the JSON wrong.
#[test]
fn an_unwrap_is_found() {
    let report = honest("bug_unwrap");
    for fault in ["200 with HTML", "truncated JSON", "an empty body", "401"] {
        assert_says(
            &report,
            "faults",
            fault,
            "PANIC: the plugin panicked: the provider is right",
        );
        assert_says(&report, "faults", fault, "bug.rs:");
    }
}

/// A rate limit that is taken for something else.
#[test]
fn a_wrong_code_is_found() {
    let report = honest("bug_limit");
    assert_says(&report, "faults", "429", "PERMISSION_DENIED");
    assert_says(&report, "faults", "429", "expected RATE_LIMITED");
}

/// A header that is another one in each run: it differs from the recording, and from its own replay.
#[test]
fn a_nondeterministic_header_is_found() {
    let report = honest("bug_random_header");
    assert_says(&report, "recorded", "requests", "/headers/x-gitea-nonce");
    assert_says(
        &report,
        "recorded",
        "replay",
        "differs from the first in step 1",
    );
}

/// A request to somebody else.
#[test]
fn a_foreign_origin_is_found() {
    let report = report(
        "bug_foreign_origin",
        "https://telemetry.example/count",
        &json!({}),
    );
    assert_says(
        &report,
        "recorded",
        "allowed",
        "outside the host's base URLs",
    );
}

/// An authorization that is not a reference to a secret.
#[test]
fn a_missing_secret_reference_is_found() {
    let literal = json!({"authorization": "Bearer abc"});
    let report = report("bug_literal_token", "https://api.test/user", &literal);
    assert_says(
        &report,
        "recorded",
        "secrets",
        "header authorization carries no secret reference",
    );
}

/// Memory that stays behind.
#[test]
fn a_leak_is_found() {
    assert_says(&honest("bug_leak"), "lives", "leave nothing", "KiB more");
}

/// A failure that nobody is told of.
#[test]
fn a_swallowed_failure_is_found() {
    let report = honest("bug_swallow");
    assert_says(&report, "faults", "429", "it succeeded");
}

/// A plugin that dies is reported with its signal, and the other checks go on in a new worker.
#[test]
fn a_crash_is_found() {
    let report = honest("abort");
    assert_says(&report, "recorded", "result", "SIGABRT");
    assert!(report.checks.iter().any(|check| check.group == "lives"));
}

/// What a plugin has no use for, operations without a fixture, and a fixture without the recorded request.
#[test]
fn the_rest_is_found() {
    let report = report("", "https://api.test/never", &json!({}));
    for name in ["socket", "fork", "execve", "ptrace"] {
        assert!(
            report.failures().contains(&format!("it imports {name}"))
                || report.failures().contains("more"),
            "{name}"
        );
    }
    assert_says(&report, "image", "imports", "it imports");
    assert_says(
        &report,
        "description",
        "fixture",
        "no fixture is about list_repositories",
    );
    assert_says(
        &report,
        "recorded",
        "requests",
        "it never asked for GET https://api.test/never",
    );
}

/// The kit's report on a plugin with one mistake, with a delivery of a push and a new hook.
fn hooks(bug: &str) -> Report {
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, fixture: &Value| {
        let file = folder.path().join(name);
        std::fs::write(file, fixture.to_string()).expect("a fixture");
    };
    let (before, after) = ("b".repeat(40), "a".repeat(40));
    let repository = json!({"id": 7, "full_name": "ada/app"});
    write(
        "parse.json",
        &json!({
            "operation": "parse_delivery",
            "settings": {"attack": bug},
            "input": {"event": "push", "body": {
                "ref": "refs/heads/main", "before": before, "after": after, "repository": repository
            }},
            "expect": {"delivered": {
                "repository": {"stable_id": "7", "full_name": "ada/app"},
                "happenings": [{"push": {"ref": "refs/heads/main", "before": before, "after": after}}]
            }}
        }),
    );
    let headers = json!({
        "authorization": "Bearer <secret:access_token>",
        "content-type": "application/json"
    });
    write(
        "create.json",
        &json!({
            "operation": "create_hook",
            "settings": {"attack": bug},
            "input": {"repository": "ada/app", "url": "https://b.test/hooks/1"},
            "exchanges": [{
                "request": {"method": "POST", "url": "https://api.test/hooks", "headers": headers,
                            "body": "{\"secret\":<secret:hook_secret json>}"},
                "response": {"status": 201, "body": {"id": 3}}
            }],
            "expect": {"hook": {"hook_id": "3"}}
        }),
    );
    check(&options("hostile", folder.path())).expect("a report")
}

/// A body that is taken for an object, an event that is taken for a push, and a question where there is nothing to ask.
#[test]
fn mistakes_with_deliveries_are_found() {
    let honest = hooks("");
    let mut checks = honest.checks.iter();
    assert!(checks.all(|check| check.passed || check.group != "deliveries"));
    let report = hooks("bug_index_delivery");
    assert_says(&report, "deliveries", "no JSON", "PANIC");
    let report = hooks("bug_every_event");
    assert_says(
        &report,
        "deliveries",
        "nobody knows",
        "it made something of it",
    );
    let report = hooks("bug_ask_to_parse");
    assert_says(
        &report,
        "deliveries",
        "cut off",
        "it asked for GET https://api.test/user to read a delivery",
    );
}

/// A hook's secret in a header, and a hook whose absence nobody tried.
#[test]
fn mistakes_with_hooks_are_found() {
    let report = hooks("bug_hook_secret");
    assert_says(
        &report,
        "hooks",
        "segment of a body",
        "header x-token carries hook_secret",
    );
    assert_says(
        &report,
        "hooks",
        "is absent",
        "no fixture of delete_hook ends in ALREADY_ABSENT",
    );
}

/// A report as JSON has everything that the table has.
#[test]
fn a_report_is_json() {
    let report = honest("bug_swallow");
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(
        json["checks"].as_array().map(Vec::len),
        Some(report.checks.len())
    );
    assert_eq!(json["plugin"], "hostile 0.1.0");
    assert_eq!(json["checks"][0]["group"], "image");
}
