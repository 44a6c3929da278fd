//! Recorded answers of Gitea and Gitee: what they have, the twins' answers have, member by member.

use std::path::Path;

use bindery_twins::{
    Twin,
    world::{Owner, Ref, Role},
};
use serde_json::{Value, json};

use crate::{
    corpus::{corpus, covers},
    gitea_hooks::{Scene, for_gitea, gitea, gitee},
    scene::{COMMIT, START},
};

/// Token that nobody has
const UNKNOWN: &str = "0123456789abcdef0123456789abcdef01234567";

fn read(corpus: &Path, name: &str) -> Value {
    let text = std::fs::read(corpus.join(name)).expect("a recorded answer");
    serde_json::from_slice(&text).expect("JSON")
}

/// `octo` owns `acme`, which has `acme/web`; everything has branches and tags
fn peopled<T: Twin>(mut scene: Scene<T>) -> Scene<T> {
    let octo = scene.octo;
    let world = &mut scene.twin.state_mut().world;
    let acme = world.add_group("acme", None, START);
    world.join(octo, acme, Role::Owner);
    let web = world.add_repository(Owner::Group(acme), "web", START);
    let refs = ["refs/heads/main", "refs/tags/v1"].map(|name| Ref {
        name: name.to_owned(),
        commit: COMMIT.to_owned(),
        tag_object: None,
    });
    world.set_refs(web, refs.into());
    scene
}

/// Gitea answers as it was recorded: status, members and their types, and the headers that pages are counted in.
#[test]
fn gitea_has_what_was_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut scene = peopled(gitea());
    scene.twin.version = "1.14.2".to_owned();
    let hook = for_gitea("gitea", "json");
    let made = scene.call("POST", "/repos/acme/web/hooks", &hook).value();
    let hook_path = format!("/repos/acme/web/hooks/{}", made["id"]);
    let cases = [
        ("GET", "/user", "02-user"),
        ("GET", "/user", "74-user_oauth_tokenscheme"),
        ("GET", "/user/orgs", "11-user_orgs"),
        ("GET", "/user/repos?limit=1&page=2", "13-user_repos_p2"),
        ("GET", "/user/repos?limit=50", "66-user_repos_all"),
        ("GET", "/orgs/acme/repos", "65-org_repos"),
        ("GET", "/repos/acme/nope", "15-repo_404"),
        ("GET", "/repos/acme/web/branches", "16-branches"),
        ("GET", "/repos/octo/hello/tags", "17-tags_empty"),
        ("POST", "/repos/acme/web/hooks", "18-hook_create"),
        ("POST", "/repos/acme/web/hooks", "76-oauth_hook_create"),
        ("GET", "/repos/acme/web/hooks", "20-hooks"),
        ("GET", hook_path.as_str(), "21-hook_get"),
        ("POST", &format!("{hook_path}/tests"), "23-hook_test"),
        ("DELETE", hook_path.as_str(), "28-hook_delete"),
    ];
    let mut missing = Vec::new();
    for (method, path, name) in cases {
        let known = read(
            &corpus,
            &format!("gitea/api/recorded-1.14.2.{name}.exchange.json"),
        );
        let known = &known["response"];
        let answer = scene.call(method, path, &hook);
        assert_eq!(u64::from(answer.status), known["status"], "{name}");
        for header in ["X-Total-Count", "Link"] {
            let counted = known["headers"].get(header).is_some();
            if counted && answer.header(&header.to_lowercase()).is_none() {
                missing.push(format!("{name}: no {header}"));
            }
        }
        if answer.status != 204 {
            covers(&answer.value(), &known["body"], name, &mut missing);
        }
    }
    for name in ["04-user_unauth", "115-inv_user_expired_access"] {
        let known = read(
            &corpus,
            &format!("gitea/api/recorded-1.14.2.{name}.exchange.json"),
        );
        let answer = scene.call_as(UNKNOWN, "GET", "/user", &Value::Null);
        assert_eq!(
            u64::from(answer.status),
            known["response"]["status"],
            "{name}"
        );
        assert_eq!(
            answer.value()["message"],
            known["response"]["body"]["message"]
        );
        covers(
            &answer.value(),
            &known["response"]["body"],
            name,
            &mut missing,
        );
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// What go-scm holds of Gitea's answers is in the twin's too.
#[test]
fn gitea_has_what_go_scm_knows() {
    let Some(corpus) = corpus() else { return };
    let mut scene = peopled(gitea());
    let hook = for_gitea("gitea", "json");
    scene.call("POST", "/repos/acme/web/hooks", &hook);
    let cases = [
        ("/user", "", "user"),
        ("/user/orgs", "/0", "organization"),
        ("/users/octo/orgs/acme/permissions", "", "permissions"),
        ("/repos/acme/web", "", "repo"),
        ("/repos/acme/web/branches", "/0", "branch"),
        ("/repos/acme/web/hooks", "/0", "hook"),
    ];
    hold(&mut scene, "gitea", &cases, &corpus);
}

/// What go-scm holds of Gitee's answers is in the twin's too.
#[test]
fn gitee_has_what_was_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut scene = peopled(gitee());
    let hook = json!({"url": "https://bindery.example.com/hooks/a", "password": "s3cr3t"});
    scene.call("POST", "/repos/acme/web/hooks", &hook);
    let cases = [
        ("/user/orgs", "", "orgs"),
        ("/user/memberships/orgs", "/0", "membership"),
        ("/user/repos", "", "repos"),
        ("/repos/acme/web", "/owner", "commit#/author"),
        ("/user", "", "commit#/author"),
        ("/repos/acme/web/branches/main", "", "branch"),
        ("/repos/acme/web/tags", "", "tags"),
        ("/repos/acme/web/hooks", "/0", "hook"),
    ];
    hold(&mut scene, "gitee", &cases, &corpus);
}

/// Holds the answers to these paths, at a pointer, against recorded files, or what is at `#` in them
fn hold<T: Twin>(scene: &mut Scene<T>, folder: &str, cases: &[(&str, &str, &str)], corpus: &Path) {
    let mut missing = Vec::new();
    for (path, pointer, name) in cases {
        let (file, part) = name.split_once('#').unwrap_or((name, ""));
        let known = read(corpus, &format!("{folder}/api/go-scm.{file}.json"));
        let known = known.pointer(part).expect("it was recorded");
        let answer = scene.call("GET", path, &Value::Null);
        assert_eq!(answer.status, 200, "{path}");
        let answer = answer.value();
        let found = answer.pointer(pointer).expect("the twin has it");
        covers(found, known, &format!("{path}: {name}"), &mut missing);
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
