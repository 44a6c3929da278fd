//! Recorded answers of real forges: what they have, the twins' answers have.

use std::{io::Write, path::PathBuf};

use serde_json::Value;

use crate::{
    bitbucket,
    scene::{START, Scene},
};
use bindery_twins::{http::Request, world::NewToken};

/// The folder of recorded answers; says so where there is none
pub(crate) fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("BINDERY_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        let why = "not run: BINDERY_CORPUS names no folder with recorded answers";
        // Past the test runner, which keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "{why}");
    }
    folder
}

/// Every member of the recorded value is in the twin's, with the same type unless one of them is null
pub(crate) fn covers(twin: &Value, recorded: &Value, place: &str, missing: &mut Vec<String>) {
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

/// Holds the answers to these paths, asked with a token, against recorded ones
fn hold(
    cases: &[(&str, &str, &str)],
    folder: &str,
    mut ask: impl FnMut(&str) -> Value,
    corpus: &std::path::Path,
) {
    let mut missing = Vec::new();
    for (path, pointer, name) in cases {
        let file = corpus.join(format!("{folder}/api/{name}.json"));
        let text = std::fs::read(&file).expect("a recorded answer");
        let recorded: Value = serde_json::from_slice(&text).expect("JSON");
        let answer = ask(path);
        let found = answer.pointer(pointer).expect("the twin has it");
        covers(found, &recorded, name, &mut missing);
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The answers of Bitbucket Data Center have what recorded ones have.
#[test]
fn bitbucket_data_center_has_what_was_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut scene = bitbucket::data_center(&[]);
    let new = bitbucket::new_token(scene.octo, &["REPO_ADMIN"]);
    let token = scene.twin.make_token(&new, START);
    let hello = "/projects/acme/repos/hello";
    let of = |rest: &str| format!("{hello}/{rest}");
    let (branches, tags, default) = (of("branches"), of("tags"), of("default-branch"));
    let cases = [
        ("/users?filter=octo", "", "go-scm.user_search"),
        ("/repos", "", "go-scm.repos_filter"),
        (hello, "", "go-scm.repo"),
        (branches.as_str(), "", "go-scm.branches_filter"),
        (branches.as_str(), "", "go-scm.branch"),
        (tags.as_str(), "", "go-scm.tags"),
        (default.as_str(), "", "go-scm.default_branch"),
    ];
    let ask = |path: &str| {
        let target = format!("/bitbucket/rest/api/latest{path}");
        let request = Request::new("GET", &target).bearer(&token);
        scene.ask(&request, START).value()
    };
    hold(&cases, "bitbucket-dc", ask, &corpus);
}

/// The answers of Bitbucket Cloud have what recorded ones have.
#[test]
fn bitbucket_cloud_has_what_was_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut scene = bitbucket::cloud(&[]);
    let scopes = [
        "read:user:bitbucket",
        "read:workspace:bitbucket",
        "read:repository:bitbucket",
    ];
    let new = bitbucket::new_token(scene.octo, &scopes);
    let token = scene.twin.make_token(&new, START);
    let cases = [
        ("/user", "", "go-scm.user"),
        ("/repositories/acme", "", "go-scm.repo_as_list"),
        (
            "/repositories/acme?role=owner&q=name%20~%20%22none%22",
            "",
            "go-scm.repos_empty",
        ),
        (
            "/user/workspaces/acme/permissions/repositories",
            "",
            "go-scm.user_repo_perm_admin",
        ),
        ("/repositories/none/none", "", "go-scm.error"),
    ];
    let ask = |path: &str| {
        let target = format!("/2.0{path}");
        let request = Request::new("GET", &target).basic("octo@example.com", &token);
        scene.ask(&request, START).value()
    };
    hold(&cases, "bitbucket", ask, &corpus);
}
