//! Hooks, and what their errors mean

use serde_json::{Value, json};

use super::*;

const HOOKS: &str = "/repos/acme/api/hooks";
const HOOK: &str = "/repos/acme/api/hooks/7";
const OURS: &str = "https://bindery.test/hooks/aaaabbbbccccddddeeeeffff22";

fn on_repository(admin: bool) -> Driver<Gitee> {
    let found = json!({"id": 42, "full_name": "acme/api", "path": "api", "name": "API", "namespace": {"path": "acme"},
        "html_url": "https://gitee.test/acme/api.git", "permission": {"admin": admin, "push": true, "pull": true}});
    driver().on("GET", &url("/repos/acme/api"), Reply::json(200, found))
}

fn name() -> String {
    "acme/api".to_owned()
}

fn create(scheme: &str) -> v1::CreateHook {
    v1::CreateHook {
        repository: name(),
        url: OURS.to_owned(),
        scheme: scheme.to_owned(),
    }
}

fn update(scheme: &str) -> v1::UpdateHook {
    v1::UpdateHook {
        repository: name(),
        hook_id: "7".to_owned(),
        url: OURS.to_owned(),
        scheme: scheme.to_owned(),
    }
}

fn delete() -> v1::DeleteHook {
    v1::DeleteHook {
        repository: name(),
        hook_id: "7".to_owned(),
    }
}

fn hook(more: Value) -> Value {
    let mut hook = json!({"id": 7, "url": OURS, "password": "in clear", "project_id": 42, "result": "<html>in clear",
        "result_code": 202, "push_events": true, "tag_push_events": true, "issues_events": false, "note_events": false,
        "merge_requests_events": false});
    for (name, value) in more.as_object().expect("members") {
        hook[name] = value.clone();
    }
    hook
}

fn facts(more: Value) -> v1::HookFacts {
    let run = on_repository(true)
        .on("PATCH", &url(HOOK), Reply::json(200, hook(more)))
        .run(update("signature"));
    assert!(!format!("{run:?}").contains("in clear"));
    run.hook().clone()
}

/// Section 6: a hook is a form; the signature mode is chosen, and only pushes are on.
#[test]
fn trap_6_a_hook_signs() {
    let run = on_repository(true)
        .on("POST", &url(HOOKS), Reply::json(201, hook(json!({}))))
        .run(create("signature"));
    assert_eq!(
        run.requests[1].body,
        "url=https%3A%2F%2Fbindery.test%2Fhooks%2Faaaabbbbccccddddeeeeffff22&encryption_type=1\
         &password=<secret:hook_secret form>&push_events=true&tag_push_events=true&issues_events=false&note_events=false\
         &merge_requests_events=false"
    );
    let facts = run.hook();
    assert!(facts.deviations.is_empty() && facts.active && !facts.failing);
    assert_eq!(facts.scheme, "signature");
    assert_eq!(facts.web_uri, "https://gitee.test/acme/api/hooks/7/edit");
    let run = on_repository(true)
        .on("PATCH", &url(HOOK), Reply::json(200, hook(json!({}))))
        .run(update("password"));
    assert!(run.requests[1].body.contains("encryption_type=0&"));
    assert_eq!(run.hook().scheme, "password");
    let other = driver().run(create("hmac-sha256"));
    assert_eq!(other.failure().code(), Code::InvalidArgument);
}

/// Trap 1.10: the server tells the password in clear. Nothing of a response but what is asked for is repeated.
#[test]
fn trap_1_10_the_password_is_not_repeated() {
    facts(json!({}));
    let list = json!([hook(json!({}))]);
    let run = on_repository(true)
        .on(
            "GET",
            &url(&format!("{HOOKS}?page=1&per_page=100")),
            counted(list, 1),
        )
        .run(v1::ListHooks {
            repository: name(),
            max_pages: 0,
        });
    assert_eq!(run.hooks()[0].hook_id, "7");
    assert!(!format!("{run:?}").contains("in clear"));
}

/// Section 6: ids, truth values and numbers come in two forms; what the server says of the mode counts.
#[test]
fn trap_6_values_come_in_two_forms() {
    let texts = facts(
        json!({"id": "8", "push_events": "true", "tag_push_events": "1", "note_events": "false", "result_code": "200"}),
    );
    assert_eq!(texts.hook_id, "8");
    assert!(texts.deviations.is_empty() && !texts.failing);
    for (mode, wanted) in [
        (json!(0), "password"),
        (json!("1"), "signature"),
        (Value::Null, "signature"),
    ] {
        assert_eq!(facts(json!({"encryption_type": mode})).scheme, wanted);
    }
}

/// What differs is named, and what the last delivery was answered.
#[test]
fn deviations_and_failures_are_named() {
    for more in [
        json!({"push_events": false}),
        json!({"tag_push_events": "false"}),
        json!({"issues_events": true}),
    ] {
        assert_eq!(facts(more.clone()).deviations, ["events"], "{more}");
    }
    let refused = facts(json!({"result_code": 403}));
    assert!(refused.failing && refused.message.ends_with("403"));
    assert!(facts(json!({"result_code": "timeout"})).failing);
    for fine in [json!(0), json!(204), Value::Null, json!("")] {
        assert!(!facts(json!({"result_code": fine})).failing);
    }
}

/// A missing scope is a 401 that names it; a 404 hides hooks from who does not administer; the limit and a double are told
/// by words of either language.
#[test]
fn trap_6_errors_are_told_apart() {
    let with = |admin: bool, reply: Reply| {
        on_repository(admin)
            .on("POST", &url(HOOKS), reply)
            .run(create("signature"))
            .failure()
            .clone()
    };
    let scope = with(true, refusal(401, "401 Unauthorized: no 'hook' scope"));
    assert_eq!(scope.code(), Code::ScopeMissing);
    assert_eq!(scope.missing_scopes, ["hook"]);
    let hidden = with(false, refusal(404, "404 Not Found"));
    assert_eq!(hidden.code(), Code::PermissionDenied);
    assert_eq!(hidden.action_uri, "https://gitee.test/acme/api/hooks");
    assert_eq!(
        with(true, refusal(403, "403 Forbidden")).code(),
        Code::PermissionDenied
    );
    for words in ["webhook 数量已达上限", "Hooks limit reached"] {
        assert_eq!(with(true, refusal(400, words)).code(), Code::LimitReached);
    }
    for words in ["url 已存在", "Url has already been taken"] {
        assert_eq!(with(true, refusal(422, words)).code(), Code::Conflict);
    }
    let other = with(true, refusal(400, "url is invalid"));
    assert_eq!(other.code(), Code::InvalidArgument);
}

/// A hook that is gone is absent to who would see it, and proves nothing to others.
#[test]
fn a_hook_is_deleted_once() {
    let with = |admin, status| {
        on_repository(admin)
            .on("DELETE", &url(HOOK), Reply::status(status))
            .run(delete())
    };
    let outcome = |status| with(true, status).revocation().outcome();
    assert_eq!(outcome(204), v1::RevocationOutcome::Done);
    assert_eq!(outcome(404), v1::RevocationOutcome::AlreadyAbsent);
    assert_eq!(with(false, 404).failure().code(), Code::PermissionDenied);
    assert_eq!(with(true, 200).failure().code(), Code::MalformedResponse);
}

/// Section 6: there is a test.
#[test]
fn trap_6_a_test_is_asked_for() {
    let run = on_repository(true)
        .on("POST", &url(&format!("{HOOK}/tests")), Reply::status(204))
        .run(v1::PingHook {
            repository: name(),
            hook_id: "7".to_owned(),
            url: OURS.to_owned(),
        });
    assert!(run.outcome.is_ok());
}

/// Section 6: neither scheme covers the body, and there is no id that could tell a delivery that came before.
#[test]
fn trap_6_both_schemes_are_weak() {
    let support = testing::description::<Gitee>().hooks.expect("hooks");
    let schemes: Vec<_> = support
        .schemes
        .iter()
        .map(|one| (one.name.as_str(), one.kind(), one.weak))
        .collect();
    assert_eq!(
        schemes,
        [
            ("signature", v1::SignatureKind::TimestampHmacSha256, true),
            ("password", v1::SignatureKind::Token, true),
        ]
    );
    assert_eq!(support.schemes[0].timestamp_header, "x-gitee-timestamp");
    assert!(support.id_headers.is_empty());
}

/// W1: what the daemon verifies recorded and published signatures with is what it is told here.
#[test]
fn w1_schemes_are_those_that_signatures_were_verified_with() {
    use testing::schemes::{described, known};
    assert_eq!(described::<Gitee>(), known("gitee"));
}
