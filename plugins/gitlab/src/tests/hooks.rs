//! Hooks, and what their errors mean

use serde_json::{Value, json};

use super::*;

const HOOKS: &str = "/projects/3/hooks";
const HOOK: &str = "/projects/3/hooks/7";
const OURS: &str = "https://bindery.test/hooks/aaaabbbbccccddddeeeeffff22";
const PROJECT: &str = r#"{"id":3,"name":"api","path":"api","path_with_namespace":"acme/sub/api"}"#;

/// The project is asked for by its path, and then by its number.
fn on_project() -> Driver<GitLab> {
    driver().on(
        "GET",
        &api("/projects/acme%2Fsub%2Fapi"),
        Reply::json(200, PROJECT),
    )
}

fn repository() -> String {
    "acme/sub/api".to_owned()
}

fn create(scheme: &str) -> v1::CreateHook {
    v1::CreateHook {
        repository: repository(),
        url: OURS.to_owned(),
        scheme: scheme.to_owned(),
    }
}

fn update(scheme: &str) -> v1::UpdateHook {
    v1::UpdateHook {
        repository: repository(),
        hook_id: "7".to_owned(),
        url: OURS.to_owned(),
        scheme: scheme.to_owned(),
    }
}

fn delete() -> v1::DeleteHook {
    v1::DeleteHook {
        repository: repository(),
        hook_id: "7".to_owned(),
    }
}

fn hook(more: Value) -> Value {
    let mut hook = json!({
        "id": 7, "url": OURS, "project_id": 3, "push_events": true, "tag_push_events": true, "issues_events": false,
        "push_events_branch_filter": "", "branch_filter_strategy": "all_branches", "custom_webhook_template": null,
        "enable_ssl_verification": true, "alert_status": "executable", "disabled_until": null,
    });
    for (name, value) in more.as_object().expect("members") {
        hook[name] = value.clone();
    }
    hook
}

fn facts(more: Value) -> v1::HookFacts {
    let run = on_project()
        .on(
            "GET",
            &api(&format!("{HOOKS}?per_page=100")),
            Reply::json(200, json!([hook(more)])),
        )
        .run(v1::ListHooks {
            repository: repository(),
            max_pages: 0,
        });
    run.hooks()[0].clone()
}

/// Section 3: the signing token is what is set; only pushes are on, all else is off, and TLS is verified.
#[test]
fn trap_3_a_hook_is_signed_and_told_of_pushes_only() {
    let reply = Reply::json(
        201,
        hook(json!({"token_present": false, "signing_token_present": true})),
    );
    let run = on_project()
        .on("POST", &api(HOOKS), reply)
        .run(create("standard-webhooks"));
    assert_eq!(run.hook().scheme, "standard-webhooks");
    assert!(run.hook().deviations.is_empty());
    let sent = run.requests[1]
        .body
        .replace("<secret:hook_secret json>", "\"S\"");
    let body: Value = serde_json::from_str(&sent).expect("JSON");
    assert_eq!(body["signing_token"], "S");
    assert_eq!(body["enable_ssl_verification"], true);
    let on = body.as_object().expect("members").iter();
    let on = on.filter(|(name, value)| name.ends_with("_events") && *value == true);
    let on: Vec<_> = on.map(|(name, _)| name.as_str()).collect();
    assert_eq!(on, ["push_events", "tag_push_events"]);
    assert!(body.get("token").is_none());
}

/// Section 3: a server that ignores the signing token says so only by what it has afterwards, or says nothing at all. The plain
/// token is then set in the same operation, with the URL, since a changed URL resets it.
#[test]
fn trap_3_an_ignored_signing_token_is_noticed() {
    for said in [
        json!({}),
        json!({"token_present": false, "signing_token_present": false}),
    ] {
        let after = match said.get("token_present") {
            Some(_) => json!({"token_present": true, "signing_token_present": false}),
            None => json!({}),
        };
        let put = || Reply::json(200, hook(after.clone()));
        let created = on_project()
            .on("POST", &api(HOOKS), Reply::json(201, hook(said.clone())))
            .on("PUT", &api(HOOK), put())
            .run(create("standard-webhooks"));
        let updated = on_project()
            .on("PUT", &api(HOOK), Reply::json(200, hook(said)))
            .on("PUT", &api(HOOK), put())
            .run(update("standard-webhooks"));
        for run in [created, updated] {
            assert_eq!(run.hook().scheme, "token");
            assert!(run.hook().deviations.is_empty());
            assert_eq!(
                run.requests[2].body,
                format!(r#"{{"url":"{OURS}","token":<secret:hook_secret json>}}"#)
            );
        }
    }
}

/// Section 3: where the plain token is asked for it goes with the URL in one request.
#[test]
fn trap_3_a_url_and_its_token_go_together() {
    let run = on_project()
        .on(
            "PUT",
            &api(HOOK),
            Reply::json(200, hook(json!({"token_present": true}))),
        )
        .run(update("token"));
    assert_eq!(run.hook().scheme, "token");
    let body = &run.requests[1].body;
    assert!(body.contains(r#""token":<secret:hook_secret json>"#) && body.contains(OURS));
}

/// Section 3: what GitLab has switched off is told, with the time and with what ends it.
#[test]
fn trap_3_a_disabled_hook_is_told() {
    let on = facts(json!({}));
    assert!(on.active && !on.disabled && !on.failing && on.message.is_empty());
    assert_eq!(
        on.web_uri,
        "https://git.test/gitlab/acme/sub/api/-/hooks/7/edit"
    );
    let for_a_while = facts(
        json!({"alert_status": "temporarily_disabled", "disabled_until": "2026-11-30T06:00:00Z"}),
    );
    assert!(for_a_while.disabled && for_a_while.message.contains("2026-11-30T06:00:00Z"));
    let for_good = facts(json!({"alert_status": "disabled"}));
    assert!(for_good.disabled && for_good.message.contains("until a test"));
}

/// What differs from our own hooks is named, the body that a template replaces as well; what is not told is no difference.
#[test]
fn trap_3_deviations_are_named() {
    let deviations = |more| facts(more).deviations;
    assert!(deviations(json!({})).is_empty());
    let none: Vec<String> = Vec::new();
    for (more, wanted) in [
        (json!({"push_events": false}), "events"),
        (json!({"tag_push_events": false}), "events"),
        (json!({"issues_events": true}), "events"),
        (
            json!({"enable_ssl_verification": false}),
            "TLS verification",
        ),
        (json!({"custom_webhook_template": "{}"}), "body"),
        (
            json!({"push_events_branch_filter": "main", "branch_filter_strategy": "wildcard"}),
            "branch filter",
        ),
        (json!({"token_present": false}), "secret"),
    ] {
        assert_eq!(deviations(more.clone()), [wanted], "{more}");
    }
    let signed = facts(json!({"token_present": false, "signing_token_present": true}));
    assert_eq!(
        (signed.deviations, signed.scheme.as_str()),
        (none, "standard-webhooks")
    );
    assert_eq!(facts(json!({"token_present": true})).scheme, "token");
    assert_eq!(facts(json!({"token_present": false})).scheme, "");
    assert_eq!(facts(json!({})).scheme, "");
}

/// A missing scope names it, a missing role is told, and what is not there is the hook, since the project was.
#[test]
fn errors_are_told_apart() {
    let with = |reply| {
        on_project()
            .on("PUT", &api(HOOK), reply)
            .run(update("token"))
            .failure()
            .clone()
    };
    let scope = with(Reply::json(
        403,
        r#"{"error":"insufficient_scope","error_description":"x","scope":"api"}"#,
    ));
    assert_eq!(scope.code(), Code::ScopeMissing);
    assert_eq!(scope.missing_scopes, ["api"]);
    let role = with(Reply::json(403, r#"{"message":"403 Forbidden"}"#));
    assert_eq!(role.code(), Code::PermissionDenied);
    assert!(role.action_uri.ends_with("/acme/sub/api/-/hooks"));
    let gone = with(Reply::json(404, r#"{"message":"404 Not found"}"#));
    assert_eq!(gone.code(), Code::NotFound);
    let full = with(Reply::json(
        422,
        r#"{"message":{"base":["Maximum number of project hooks (100) exceeded"]}}"#,
    ));
    assert_eq!(full.code(), Code::LimitReached);
    let local = with(Reply::json(422, r#"{"error":"Invalid url given"}"#));
    assert_eq!(local.code(), Code::InvalidArgument);
    assert!(local.message.contains("administrator"));
    let other = with(Reply::json(400, r#"{"error":"url is missing"}"#));
    assert_eq!(other.code(), Code::InvalidArgument);
}

/// A hook that is gone is absent, and a refusal is none.
#[test]
fn a_hook_is_deleted_once() {
    let with = |status| {
        on_project()
            .on("DELETE", &api(HOOK), Reply::status(status))
            .run(delete())
    };
    let outcome = |status| with(status).revocation().outcome();
    assert_eq!(outcome(204), v1::RevocationOutcome::Done);
    assert_eq!(outcome(404), v1::RevocationOutcome::AlreadyAbsent);
    assert_eq!(with(403).failure().code(), Code::PermissionDenied);
    assert_eq!(with(200).failure().code(), Code::MalformedResponse);
    let hidden = driver()
        .on(
            "GET",
            &api("/projects/acme%2Fsub%2Fapi"),
            Reply::status(404),
        )
        .run(delete());
    assert_eq!(hidden.failure().code(), Code::NotFound);
}

/// Section 3: a test sends the latest push; a project without one can't be tested, and five a minute are the limit.
#[test]
fn trap_3_a_test_needs_a_commit() {
    let with = |reply| {
        on_project()
            .on("POST", &api(&format!("{HOOK}/test/push_events")), reply)
            .run(v1::PingHook {
                repository: repository(),
                hook_id: "7".to_owned(),
                url: OURS.to_owned(),
            })
    };
    assert!(
        with(Reply::json(201, r#"{"message":"201 Created"}"#))
            .outcome
            .is_ok()
    );
    let empty = with(Reply::json(
        422,
        r#"{"message":"Ensure the project has at least one commit."}"#,
    ));
    assert_eq!(empty.failure().code(), Code::Unsupported);
    let refused = with(Reply::json(422, r#"{"message":"Hook execution failed"}"#));
    assert_eq!(refused.failure().code(), Code::Upstream);
    let often = with(Reply::status(429).header("retry-after", "60"));
    assert_eq!(often.failure().code(), Code::RateLimited);
    let old = with(Reply::json(404, r#"{"error":"404 Not Found"}"#));
    assert_eq!(old.failure().code(), Code::Unsupported);
}

/// Section 3: the log has the stable id among the headers, and a status that may be words; it is gone through by pages.
#[test]
fn trap_3_the_log_of_deliveries_is_read() {
    let entry = |id: u64, status: &str, at: Value| {
        json!({"id": id, "trigger": "push_hooks", "request_headers": {"Idempotency-Key": format!("k-{id}"), "X-Gitlab-Event": "Push Hook",
            "X-Gitlab-Token": "[REDACTED]"}, "request_data": {"x": 1}, "response_status": status, "created_at": at})
    };
    let bare = json!({"id": 1, "trigger": "tag_push_hooks", "response_status": "200"});
    let first = json!([
        entry(3, "internal error", Value::Null),
        entry(2, "503", "2026-11-30T05:00:00.000Z".into())
    ]);
    let at = format!("{HOOK}/events?per_page=20");
    let next = format!(r#"<{}&page=2>; rel="next""#, api(&at));
    let ask = |since_unix_ms| v1::ListDeliveries {
        repository: repository(),
        hook_id: "7".to_owned(),
        since_unix_ms,
    };
    let page = || Reply::json(200, &first).header("link", &next);
    let all = on_project()
        .on("GET", &api(&at), page())
        .on(
            "GET",
            &api(&format!("{at}&page=2")),
            Reply::json(200, json!([bare])),
        )
        .run(ask(0));
    let told: Vec<_> = all
        .sent_deliveries()
        .iter()
        .map(|one| {
            (
                one.sent_id.as_str(),
                one.stable_id.as_str(),
                one.event.as_str(),
                one.status,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("3", "k-3", "Push Hook", 0),
            ("2", "k-2", "Push Hook", 503),
            ("1", "", "Tag Push Hook", 200),
        ]
    );
    let late = on_project()
        .on("GET", &api(&at), page())
        .run(ask(1_800_000_000_000));
    assert_eq!(late.sent_deliveries().len(), 1);
    let again = on_project()
        .on(
            "POST",
            &api(&format!("{HOOK}/events/2/resend")),
            Reply::json(201, "{}"),
        )
        .run(v1::Redeliver {
            repository: repository(),
            hook_id: "7".to_owned(),
            sent_id: "2".to_owned(),
        });
    assert!(again.outcome.is_ok());
}

/// Section 3: the schemes in order, the id that stays the same, and that a refusal counts against the hook.
#[test]
fn trap_3_webhooks_are_described() {
    let support = testing::description::<GitLab>().hooks.expect("hooks");
    let schemes: Vec<_> = support
        .schemes
        .iter()
        .map(|one| (one.name.as_str(), one.kind(), one.weak))
        .collect();
    assert_eq!(
        schemes,
        [
            (
                "standard-webhooks",
                v1::SignatureKind::StandardWebhooks,
                false
            ),
            ("token", v1::SignatureKind::Token, true),
        ]
    );
    assert_eq!(support.id_headers, ["webhook-id", "idempotency-key"]);
    assert!(support.failures_disable);
    let run = driver().run(create("hmac-sha256"));
    assert_eq!(run.failure().code(), Code::InvalidArgument);
}

/// W1: what the daemon verifies recorded and published signatures with is what it is told here.
#[test]
fn w1_schemes_are_those_that_signatures_were_verified_with() {
    use testing::schemes::{described, known};
    assert_eq!(described::<GitLab>(), known("gitlab"));
}

/// Trap 1.10: an old server tells nothing of a hook's token. That is not taken for a hook without one, nor for a kind of it.
#[test]
fn trap_1_10_a_token_is_not_told_back() {
    let told = facts(json!({}));
    assert!(told.deviations.is_empty());
    assert_eq!(told.scheme, "");
    assert_eq!(
        facts(json!({"token_present": false})).deviations,
        ["secret"]
    );
}
