//! Hooks, and what their errors mean

use serde_json::{Value, json};

use super::*;

const HOOKS: &str = "/projects/PRJ/repos/api/webhooks";
const HOOK: &str = "/projects/PRJ/repos/api/webhooks/7";
const OURS: &str = "https://bindery.test/hooks/aaaabbbbccccddddeeeeffff22";

fn on_repository() -> Driver<Bitbucket> {
    data_center().on(
        "GET",
        &api("/projects/PRJ/repos/api"),
        Reply::json(
            200,
            json!({"id": 9, "slug": "api", "project": {"key": "PRJ"}}),
        ),
    )
}

fn name() -> String {
    "PRJ/api".to_owned()
}

fn create() -> v1::CreateHook {
    v1::CreateHook {
        repository: name(),
        url: OURS.to_owned(),
        scheme: "hmac-sha256".to_owned(),
    }
}

fn hook(more: Value) -> Value {
    let mut hook = json!({
        "id": 7, "name": "Bindery", "url": OURS, "active": true, "events": ["repo:refs_changed", "repo:modified"],
        "configuration": {"secret": "in clear"}, "sslVerificationRequired": true,
    });
    for (name, value) in more.as_object().expect("members") {
        hook[name] = value.clone();
    }
    hook
}

fn facts(more: Value) -> v1::HookFacts {
    let list = json!({"values": [hook(more)], "isLastPage": true});
    let run = on_repository()
        .on(
            "GET",
            &api(&format!("{HOOKS}?statistics=true")),
            Reply::json(200, list),
        )
        .run(v1::ListHooks {
            repository: name(),
            max_pages: 0,
        });
    assert!(!format!("{run:?}").contains("in clear"));
    run.hooks()[0].clone()
}

/// Section 5: a hook is made with its secret, TLS verified, and what the server echoes of the secret is not repeated.
#[test]
fn trap_5_a_hook_is_signed() {
    for status in [200, 201] {
        let run = on_repository()
            .on("POST", &api(HOOKS), Reply::json(status, hook(json!({}))))
            .run(create());
        assert_eq!(
            run.requests[1].body,
            format!(
                r#"{{"name":"Bindery","url":"{OURS}","active":true,"sslVerificationRequired":true,"events":["repo:modified","repo:refs_changed"],"configuration":{{"secret":<secret:hook_secret json>}}}}"#
            )
        );
        assert!(run.hook().deviations.is_empty());
        assert_eq!(run.hook().scheme, "hmac-sha256");
        assert_eq!(
            run.hook().web_uri,
            "https://git.test/bitbucket/plugins/servlet/webhooks/projects/PRJ/repos/api"
        );
        assert!(!format!("{run:?}").contains("in clear"));
    }
}

/// What differs is named; what a server of some age does not know is no difference.
#[test]
fn deviations_are_named() {
    assert!(facts(json!({})).deviations.is_empty());
    for (more, wanted) in [
        (json!({"events": ["repo:refs_changed"]}), "events"),
        (
            json!({"sslVerificationRequired": false}),
            "TLS verification",
        ),
        (json!({"configuration": {"secret": ""}}), "secret"),
    ] {
        assert_eq!(facts(more.clone()).deviations, [wanted], "{more}");
    }
    let old = facts(json!({"sslVerificationRequired": null, "configuration": {}}));
    assert!(old.deviations.is_empty());
    assert_eq!(old.scheme, "");
    assert!(!facts(json!({"active": false})).active);
}

/// The latest delivery tells whether they fail.
#[test]
fn a_failing_hook_is_told() {
    let after = |success: u64, failure: u64| {
        let statistics =
            json!({"lastSuccess": {"finish": success}, "lastFailure": {"finish": failure}});
        facts(json!({"statistics": statistics})).failing
    };
    assert!(after(1, 2) && !after(2, 1));
    assert!(facts(json!({"statistics": {"lastError": {"finish": 3}}})).failing);
    assert!(!facts(json!({"statistics": {}})).failing);
}

/// Section 5: a refusal of an account that is known is a missing right, a 404 is the hook's.
#[test]
fn errors_are_told_apart() {
    let with = |reply| {
        on_repository()
            .on("PUT", &api(HOOK), reply)
            .run(v1::UpdateHook {
                repository: name(),
                hook_id: "7".to_owned(),
                url: OURS.to_owned(),
                scheme: "hmac-sha256".to_owned(),
            })
            .failure()
            .clone()
    };
    let right = with(Reply::status(401).header("x-ausername", "ada"));
    assert_eq!(right.code(), Code::PermissionDenied);
    assert!(right.action_uri.ends_with("/projects/PRJ/repos/api"));
    assert_eq!(with(Reply::status(401)).code(), Code::Unauthenticated);
    assert_eq!(with(Reply::status(404)).code(), Code::NotFound);
    assert_eq!(with(Reply::status(400)).code(), Code::InvalidArgument);
}

/// A hook that is gone is absent.
#[test]
fn a_hook_is_deleted_once() {
    let with = |status| {
        on_repository()
            .on("DELETE", &api(HOOK), Reply::status(status))
            .run(v1::DeleteHook {
                repository: name(),
                hook_id: "7".to_owned(),
            })
    };
    let outcome = |status| with(status).revocation().outcome();
    assert_eq!(outcome(204), v1::RevocationOutcome::Done);
    assert_eq!(outcome(404), v1::RevocationOutcome::AlreadyAbsent);
    assert_eq!(with(401).failure().code(), Code::Unauthenticated);
}

/// Trap 1.11: only `nextPageStart` says where the list goes on.
#[test]
fn trap_1_11_hooks_come_in_pages() {
    let first = json!({"values": [hook(json!({}))], "isLastPage": false, "nextPageStart": 25});
    let second = json!({"values": [hook(json!({"id": 8}))], "isLastPage": true});
    let at = format!("{HOOKS}?statistics=true");
    let run = on_repository()
        .on("GET", &api(&at), Reply::json(200, first))
        .on(
            "GET",
            &api(&format!("{at}&start=25")),
            Reply::json(200, second),
        )
        .run(v1::ListHooks {
            repository: name(),
            max_pages: 0,
        });
    assert_eq!(run.hooks().len(), 2);
}

/// Section 5: a test is asked for with the hook and its address.
#[test]
fn trap_5_a_test_names_the_hook_and_its_address() {
    let at = "/test?webhookId=7&url=https%3A%2F%2Fbindery.test%2Fhooks%2Faaaabbbbccccddddeeeeffff22&sslVerificationRequired=true";
    let run = on_repository()
        .on(
            "POST",
            &api(&format!("{HOOKS}{at}")),
            Reply::json(200, "{}"),
        )
        .run(v1::PingHook {
            repository: name(),
            hook_id: "7".to_owned(),
            url: OURS.to_owned(),
        });
    assert!(run.outcome.is_ok());
    assert_eq!(
        run.requests[1].header("x-atlassian-token"),
        Some("no-check")
    );
}
