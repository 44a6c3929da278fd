//! Recorded answers of real forges: what they have, the twins' answers have.

use std::{io::Write, path::PathBuf};

use serde_json::Value;

use crate::scene::{START, Scene};
use bindery_twins::{http::Request, world::NewToken};

/// The folder of recorded answers; says so where there is none
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("BINDERY_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        let why = "not run: BINDERY_CORPUS names no folder with recorded answers";
        // Past the test runner, which keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "{why}");
    }
    folder
}

/// Every member of the recorded value is in the twin's, with the same type unless one of them is null
fn covers(twin: &Value, recorded: &Value, place: &str, missing: &mut Vec<String>) {
    match (twin, recorded) {
        (Value::Object(twin), Value::Object(recorded)) => {
            for (name, value) in recorded {
                let place = format!("{place}.{name}");
                match twin.get(name) {
                    Some(found) => covers(found, value, &place, missing),
                    None => missing.push(place),
                }
            }
        }
        (Value::Array(twin), Value::Array(recorded)) => {
            if let (Some(twin), Some(recorded)) = (twin.first(), recorded.first()) {
                covers(twin, recorded, place, missing);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        (twin, recorded) => {
            if std::mem::discriminant(twin) != std::mem::discriminant(recorded) {
                missing.push(format!("{place} has another type"));
            }
        }
    }
}

/// GitLab's answers have what recorded ones have.
#[test]
fn gitlab_has_what_was_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut scene = Scene::new();
    let new = NewToken {
        person: scene.octo,
        name: "registry",
        scopes: &["api"],
        expires: None,
    };
    let token = scene.twin.make_token(&new, START);
    let project = format!("/projects/{}", scene.hello);
    let branches = format!("{project}/repository/branches");
    let cases = [
        ("GET", "/user".to_owned(), "go-gitlab.get_user"),
        ("GET", "/user".to_owned(), "go-scm.user_search"),
        ("GET", "/groups".to_owned(), "go-scm.groups"),
        ("GET", "/projects".to_owned(), "go-scm.repos"),
        ("GET", branches.clone(), "go-gitlab.list_branches"),
        ("GET", format!("{branches}/main"), "go-scm.branch"),
        ("GET", format!("{project}/repository/tags"), "go-scm.tags"),
        (
            "GET",
            "/personal_access_tokens/self".to_owned(),
            "go-gitlab.list_personal_access_tokens_single",
        ),
        (
            "POST",
            "/personal_access_tokens/self/rotate".to_owned(),
            "go-gitlab.rotate_personal_access_token",
        ),
    ];
    let mut missing = Vec::new();
    for (method, path, name) in cases {
        let file = corpus.join(format!("gitlab/api/{name}.json"));
        let text = std::fs::read(&file).expect("a recorded answer");
        let recorded: Value = serde_json::from_slice(&text).expect("JSON");
        let request = Request::new(method, &format!("/root/api/v4{path}"));
        let answer = scene.ask(&request.with("private-token", &token), START);
        assert_eq!(answer.status, 200, "{path}");
        // One person is recorded as a list of one.
        let recorded = match (&answer.value(), &recorded) {
            (Value::Object(_), Value::Array(list)) => list[0].clone(),
            _ => recorded,
        };
        covers(&answer.value(), &recorded, name, &mut missing);
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
