//! Hooks of Bitbucket: what is registered, and what they are told.

use bindery_twins::{
    Twin,
    hooks::{Change, Delivery, Outcome, Push, RefChange, Target, Why, sign},
    http::{Request, Response},
};
use serde_json::{Value, json};

use crate::{
    bitbucket::{self, Scene},
    corpus::{corpus, covers},
    scene::{COMMIT, START},
};

const CLOUD: &str = "/2.0/repositories/acme/hello/hooks";
const SERVER: &str = "/bitbucket/rest/api/latest/projects/acme/repos/hello/webhooks";
const ALL: [&str; 4] = [
    "read:webhook:bitbucket",
    "write:webhook:bitbucket",
    "delete:webhook:bitbucket",
    "read:repository:bitbucket",
];

fn asked<T: Twin>(scene: &mut Scene<T>, request: Request, body: &Value) -> Response {
    let mut request = request.with("content-type", "application/json");
    request.body = body.to_string().into_bytes();
    scene.ask(&request, START)
}

fn pushed<T: Twin>(scene: &mut Scene<T>, refs: Vec<RefChange>) -> Vec<Delivery> {
    let change = Change::Push(Push {
        repository: scene.hello,
        by: scene.octo,
        refs,
    });
    scene.twin.change(&change, START);
    scene.twin.state_mut().hooks.due(START)
}

fn told(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.request.body).expect("JSON")
}

fn recorded(name: &str) -> Option<Value> {
    let text = std::fs::read(corpus()?.join(name)).expect("a recorded one");
    Some(serde_json::from_slice(&text).expect("JSON"))
}

fn refs() -> Vec<RefChange> {
    vec![
        RefChange::created("refs/tags/v2", Target::tag(&"7f01".repeat(10), COMMIT)),
        RefChange::deleted("refs/heads/old", Target::commit(COMMIT)),
    ]
}

/// A change without a secret keeps it, `null` removes it, and each event needs its own scope.
#[test]
fn trap_4_a_secret_stays_unless_it_is_taken_away() {
    let mut scene = bitbucket::cloud(&[]);
    let token = scene
        .twin
        .make_token(&bitbucket::new_token(scene.octo, &ALL), START);
    let at = |method: &str, rest: &str| {
        Request::new(method, &format!("{CLOUD}{rest}")).basic("octo@example.com", &token)
    };
    let body = json!({"description": "Bindery", "url": "https://bindery.example.com/hooks/a",
        "active": true, "secret": "s3cr3t", "events": ["repo:push"]});
    let made = asked(&mut scene, at("POST", ""), &body);
    assert_eq!(made.status, 201, "{}", made.value());
    assert_eq!(made.value()["secret_set"], true);
    assert!(!made.value().to_string().contains("s3cr3t"));
    let own = format!("/{}", made.value()["uuid"].as_str().expect("an id"))
        .replace('{', "%7B")
        .replace('}', "%7D");
    for (secret, set) in [(None, true), (Some(Value::Null), false)] {
        let mut change = json!({"active": true});
        if let Some(secret) = secret {
            change["secret"] = secret;
        }
        let changed = asked(&mut scene, at("PUT", &own), &change);
        assert_eq!(changed.value()["secret_set"], set, "{change}");
    }
    let more = json!({"events": ["pullrequest:created"]});
    assert_eq!(asked(&mut scene, at("PUT", &own), &more).status, 403);
    if let Some(known) = recorded("bitbucket/api/go-scm.hooks.json") {
        let mut missing = Vec::new();
        let list = asked(&mut scene, at("GET", ""), &Value::Null).value();
        covers(&list, &known, "hooks", &mut missing);
        assert!(missing.is_empty(), "{missing:#?}");
    }
    assert_eq!(
        asked(&mut scene, at("POST", &format!("{own}/tests")), &body).status,
        404
    );
    assert_eq!(
        asked(&mut scene, at("DELETE", &own), &Value::Null).status,
        204
    );
    assert_eq!(asked(&mut scene, at("GET", &own), &Value::Null).status, 404);
}

/// One delivery has all of a push, signed with SHA-256; it comes three times, and too large a one never.
#[test]
fn trap_4_a_push_is_one_delivery() {
    let mut scene = bitbucket::cloud(&[]);
    let token = scene
        .twin
        .make_token(&bitbucket::new_token(scene.octo, &ALL), START);
    let body = json!({"url": "https://bindery.example.com/hooks/a", "secret": "s3cr3t",
        "events": ["repo:push"]});
    let request = Request::new("POST", CLOUD).basic("octo@example.com", &token);
    assert_eq!(asked(&mut scene, request, &body).status, 201);
    let due = pushed(&mut scene, refs());
    assert_eq!(due.len(), 1);
    let request = &due[0].request;
    let signature = format!("sha256={}", sign::sha256_hex("s3cr3t", &request.body));
    assert_eq!(request.header("X-Hub-Signature"), Some(signature.as_str()));
    assert_eq!(request.header("X-Event-Key"), Some("repo:push"));
    let changes = &told(&due[0])["push"]["changes"];
    assert_eq!(changes[0]["new"]["target"]["hash"], COMMIT);
    assert_eq!(
        (&changes[1]["new"], &changes[1]["closed"]),
        (&Value::Null, &json!(true))
    );
    let hooks = &mut scene.twin.state_mut().hooks;
    let again = hooks.settle(due[0].clone(), Outcome::Unreachable, START);
    let second = hooks.due(again.expect("another attempt"));
    assert_eq!(second[0].request.header("X-Attempt-Number"), Some("2"));
    assert_eq!(second[0].guid, due[0].guid);
    for (name, place) in [("push_tag_create", 0), ("push_branch_delete", 1)] {
        let due = pushed(&mut scene, vec![refs().swap_remove(place)]);
        let Some(known) = recorded(&format!("bitbucket/webhooks/go-scm.{name}.json")) else {
            return;
        };
        let mut missing = Vec::new();
        covers(&told(&due[0]), &known, name, &mut missing);
        assert!(missing.is_empty(), "{missing:#?}");
    }
    let wide = (0..101)
        .map(|number| RefChange::created(&format!("refs/heads/{number}"), Target::commit(COMMIT)));
    let due = pushed(&mut scene, wide.collect());
    let why = scene.twin.state().hooks.dropped().last().map(|one| one.why);
    assert_eq!((due.len(), why), (0, Some(Why::TooLarge)));
}

/// Data Center tells all of a push in one delivery, shows the secret, and tests any URL.
#[test]
fn trap_5_a_server_tells_and_tests() {
    let mut scene = bitbucket::data_center(&[]);
    let new = bitbucket::new_token(scene.octo, &["REPO_ADMIN"]);
    let token = scene.twin.make_token(&new, START);
    let at =
        |method: &str, rest: &str| Request::new(method, &format!("{SERVER}{rest}")).bearer(&token);
    let body = json!({"name": "Bindery", "url": "https://bindery.example.com/hooks/a",
        "active": true, "events": ["repo:refs_changed"], "configuration": {"secret": "s3cr3t"},
        "sslVerificationRequired": true});
    let made = asked(&mut scene, at("POST", ""), &body);
    assert_eq!(made.status, 201, "{}", made.value());
    let due = pushed(&mut scene, refs());
    assert_eq!(due.len(), 1);
    let signature = format!(
        "sha256={}",
        sign::sha256_hex("s3cr3t", &due[0].request.body)
    );
    assert_eq!(
        due[0].request.header("X-Hub-Signature"),
        Some(signature.as_str())
    );
    let changes = &told(&due[0])["changes"];
    assert_eq!(
        (&changes[0]["type"], &changes[1]["type"]),
        (&json!("ADD"), &json!("DELETE"))
    );
    let test = "/test?url=https%3A%2F%2Fbindery.example.com%2Fhooks%2Fb";
    assert_eq!(
        asked(&mut scene, at("POST", test), &Value::Null).status,
        200
    );
    let due = scene.twin.state_mut().hooks.due(START);
    assert_eq!(
        due[0].request.header("X-Event-Key"),
        Some("diagnostics:ping")
    );
    assert_eq!(due[0].request.url, "https://bindery.example.com/hooks/b");
    let mut missing = Vec::new();
    if let Some(known) = recorded("bitbucket-dc/api/go-scm.webhooks.json") {
        let list = asked(&mut scene, at("GET", ""), &Value::Null).value();
        covers(&list, &known, "hooks", &mut missing);
    }
    for name in [
        "push_tag_create",
        "push_branch_delete",
        "push_branch_create",
    ] {
        let due = pushed(&mut scene, refs());
        if let Some(known) = recorded(&format!("bitbucket-dc/webhooks/go-scm.{name}.json")) {
            covers(&told(&due[0]), &known, name, &mut missing);
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
