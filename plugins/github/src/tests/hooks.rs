//! Hooks, and what their errors mean

use super::*;

const HOOKS: &str = "/repos/acme/api/hooks";
const OURS: &str = "https://bindery.test/hooks/aaaabbbbccccddddeeeeffff22";

fn list() -> v1::ListHooks {
    v1::ListHooks {
        repository: "acme/api".to_owned(),
        max_pages: 0,
    }
}

fn create() -> v1::CreateHook {
    v1::CreateHook {
        repository: "acme/api".to_owned(),
        url: OURS.to_owned(),
        scheme: "hmac-sha256".to_owned(),
    }
}

fn update() -> v1::UpdateHook {
    v1::UpdateHook {
        repository: "acme/api".to_owned(),
        hook_id: "7".to_owned(),
        url: OURS.to_owned(),
        scheme: "hmac-sha256".to_owned(),
    }
}

fn delete() -> v1::DeleteHook {
    v1::DeleteHook {
        repository: "acme/api".to_owned(),
        hook_id: "7".to_owned(),
    }
}

/// A hook as GitHub tells it, with parts of it changed.
fn hook(change: impl FnOnce(&mut serde_json::Value)) -> serde_json::Value {
    let mut hook = serde_json::json!({
        "type": "Repository", "id": 7, "name": "web", "active": true, "events": ["push", "repository"],
        "config": {"url": OURS, "content_type": "json", "insecure_ssl": "0", "secret": "********"},
        "last_response": {"code": null, "status": "unused", "message": null},
    });
    change(&mut hook);
    hook
}

fn facts(change: impl FnOnce(&mut serde_json::Value)) -> v1::HookFacts {
    let run = driver()
        .on("POST", &api(HOOKS), Reply::json(201, hook(change)))
        .run(create());
    run.hook().clone()
}

fn repository(admin: bool) -> Reply {
    Reply::json(
        200,
        format!(
            r#"{{"id":42,"name":"api","full_name":"acme/api","clone_url":"https://github.com/acme/api.git",
            "html_url":"https://github.com/acme/api","description":null,"permissions":{{"admin":{admin},"push":true,"pull":true}}}}"#
        ),
    )
}

/// Trap 1.6 and section 2: the content type is said, TLS is verified, and the secret is a segment of its own.
#[test]
fn trap_1_6_a_hook_is_json_and_signed() {
    let run = driver()
        .on("POST", &api(HOOKS), Reply::json(201, hook(|_| {})))
        .run(create());
    assert_eq!(
        run.requests[0].body,
        format!(
            r#"{{"active":true,"events":["push","repository"],"config":{{"url":"{OURS}","content_type":"json","insecure_ssl":"0","secret":<secret:hook_secret json>}},"name":"web"}}"#
        )
    );
    let facts = run.hook();
    assert!(facts.deviations.is_empty() && facts.active && !facts.failing);
    assert_eq!(facts.scheme, "hmac-sha256");
    assert_eq!(
        facts.web_uri,
        "https://github.com/acme/api/settings/hooks/7"
    );
}

/// Section 2: a change that leaves the secret out removes it, so every change has it, and all else with it.
#[test]
fn trap_2_an_update_sends_the_secret() {
    let run = driver()
        .on(
            "PATCH",
            &api("/repos/acme/api/hooks/7"),
            Reply::json(200, hook(|_| {})),
        )
        .run(update());
    let body = &run.requests[0].body;
    assert!(body.contains(r#""secret":<secret:hook_secret json>"#) && body.contains(OURS));
    assert!(body.contains(r#""active":true"#) && !body.contains("add_events"));
}

/// What differs from our own hooks is named, a number for a string is no difference, and what failed is told.
#[test]
fn deviations_are_named() {
    assert!(
        facts(|hook| hook["config"]["insecure_ssl"] = 0.into())
            .deviations
            .is_empty()
    );
    let insecure = facts(|hook| hook["config"]["insecure_ssl"] = "1".into());
    assert_eq!(insecure.deviations, ["TLS verification"]);
    let form = facts(|hook| hook["config"]["content_type"] = "form".into());
    assert_eq!(form.deviations, ["content type"]);
    let unsigned = facts(|hook| hook["config"]["secret"] = serde_json::Value::Null);
    assert_eq!(unsigned.deviations, ["secret"]);
    assert_eq!(unsigned.scheme, "");
    for events in [
        r#"["push"]"#,
        r#"["push","repository","issues"]"#,
        r#"["*"]"#,
    ] {
        let other = facts(|hook| hook["events"] = serde_json::from_str(events).unwrap());
        assert_eq!(other.deviations, ["events"], "{events}");
    }
    assert!(!facts(|hook| hook["active"] = false.into()).active);
}

/// The last response tells whether deliveries fail; none at all is no failure.
#[test]
fn a_failing_hook_is_told() {
    let after = |response: &str| {
        facts(|hook| hook["last_response"] = serde_json::from_str(response).unwrap())
    };
    assert!(!after(r#"{"code":202,"status":"active","message":"OK"}"#).failing);
    assert!(!after("null").failing);
    let refused =
        after(r#"{"code":404,"status":"misconfigured","message":"Invalid HTTP Response: 404"}"#);
    assert!(refused.failing && refused.message.contains("404"));
    let silent = after(r#"{"code":null,"status":"failed to connect","message":"timed out"}"#);
    assert!(silent.failing && silent.message.contains("failed to connect"));
}

/// The same 422 is three things, told apart by words: a double, a full repository, and an address that GitHub can't reach.
#[test]
fn trap_2_a_422_is_told_apart() {
    let refusal = |message: &str| {
        let body = serde_json::json!({
            "message": "Validation Failed",
            "errors": [{"resource": "Hook", "code": "custom", "message": message}],
        });
        let run = driver()
            .on("POST", &api(HOOKS), Reply::json(422, body))
            .run(create());
        run.failure().clone()
    };
    let full = refusal(r#"The "push" event cannot have more than 20 hooks"#);
    assert_eq!(full.code(), Code::LimitReached);
    assert_eq!(
        full.action_uri,
        "https://github.com/acme/api/settings/hooks"
    );
    let double = refusal("Hook already exists on this repository");
    assert_eq!(double.code(), Code::Conflict);
    let private = refusal(
        "Sorry, the URL host 10.0.0.1 is not supported because it isn't reachable over the public Internet",
    );
    assert_eq!(private.code(), Code::InvalidArgument);
    assert!(private.message.contains("reachable from the internet"));
    assert_eq!(refusal("something new").code(), Code::InvalidArgument);
}

/// A 404 is a missing scope, a missing right, or a hook that is gone; a repository that is hidden proves nothing.
#[test]
fn trap_2_a_404_is_told_apart() {
    let at = api("/repos/acme/api/hooks/7");
    let scopes = Reply::status(404)
        .header("x-oauth-scopes", "read:org, user")
        .header(
            "x-accepted-oauth-scopes",
            "admin:repo_hook, public_repo, repo",
        );
    let run = driver().on("DELETE", &at, scopes).run(delete());
    assert_eq!(run.failure().code(), Code::ScopeMissing);
    assert_eq!(run.failure().missing_scopes, ["admin:repo_hook"]);
    let asked = |reply: Reply| {
        driver()
            .on("DELETE", &at, Reply::status(404))
            .on("GET", &api("/repos/acme/api"), reply)
            .run(delete())
    };
    let run = asked(repository(false));
    assert_eq!(run.failure().code(), Code::PermissionDenied);
    assert_eq!(run.failure().http_status, 404);
    let run = asked(repository(true));
    let gone = v1::RevocationOutcome::AlreadyAbsent;
    assert_eq!(run.revocation().outcome(), gone);
    let run = asked(Reply::status(404));
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// An installation has no rights of its own beside the app's permissions, of which a 403 tells.
#[test]
fn a_gone_hook_is_absent_to_an_installation() {
    let run = driver()
        .credential(installed())
        .on(
            "DELETE",
            &api("/repos/acme/api/hooks/7"),
            Reply::status(404),
        )
        .on("GET", &api("/repos/acme/api"), repository(false))
        .run(delete());
    let gone = v1::RevocationOutcome::AlreadyAbsent;
    assert_eq!(run.revocation().outcome(), gone);
}

/// By its id a repository is asked for first, and a hook of it that is not there is not found.
#[test]
fn a_repository_is_found_by_its_id() {
    let by_id = v1::UpdateHook {
        repository: "id:42".to_owned(),
        ..update()
    };
    let run = driver()
        .on("GET", &api("/repositories/42"), repository(true))
        .on("PATCH", &api("/repos/acme/api/hooks/7"), Reply::status(404))
        .run(by_id);
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// Trap 1.11: a renamed repository redirects. Its new name is looked up, and the request goes there once more.
#[test]
fn trap_1_11_a_renamed_repository_is_written_to_by_its_new_name() {
    let moved =
        || Reply::status(307).header("location", "https://api.github.com/repositories/42/hooks");
    let run = driver()
        .on("POST", &api("/repos/acme/old/hooks"), moved())
        .on("GET", &api("/repos/acme/old"), repository(true))
        .on("POST", &api(HOOKS), Reply::json(201, hook(|_| {})))
        .run(v1::CreateHook {
            repository: "acme/old".to_owned(),
            ..create()
        });
    assert_eq!(run.hook().hook_id, "7");
    let circle = driver()
        .on("POST", &api(HOOKS), moved())
        .on("GET", &api("/repos/acme/api"), repository(true))
        .on("POST", &api(HOOKS), moved())
        .on("GET", &api("/repos/acme/api"), repository(true))
        .run(create());
    assert_eq!(circle.failure().code(), Code::MalformedResponse);
}

/// Trap 1.11: the link to further hooks has another shape, and is followed; no more pages are read than asked for.
#[test]
fn trap_1_11_hooks_come_in_pages() {
    let first = || {
        Reply::json(200, serde_json::json!([hook(|_| {})])).header(
            "link",
            r#"<https://api.github.com/repositories/42/hooks?per_page=100&page=2>; rel="next""#,
        )
    };
    let old = serde_json::json!([{"id": 8, "name": "email", "active": true, "events": ["push"], "config": {"address": "x"}}]);
    let at = api("/repos/acme/api/hooks?per_page=100");
    let run = driver()
        .on("GET", &at, first())
        .on(
            "GET",
            &api("/repositories/42/hooks?per_page=100&page=2"),
            Reply::json(200, old),
        )
        .run(list());
    let hooks = run.hooks();
    assert_eq!((hooks.len(), hooks[1].url.as_str()), (2, ""));
    let one = v1::ListHooks {
        max_pages: 1,
        ..list()
    };
    assert_eq!(driver().on("GET", &at, first()).run(one).hooks().len(), 1);
}

/// Section 2: GitHub repeats nothing by itself. What it sent is listed back to a time, and sent again on request.
#[test]
fn trap_2_missed_deliveries_are_listed_and_sent_again() {
    let sent = |id: u64, at: &str, status: u16| {
        serde_json::json!({"id": id, "guid": format!("guid-{id}"), "delivered_at": at, "redelivery": false,
            "event": "push", "status_code": status})
    };
    let first = serde_json::json!([
        sent(3, "2026-11-30T05:00:00Z", 0),
        sent(2, "2026-11-30T04:00:00.5Z", 502)
    ]);
    let second = serde_json::json!([sent(1, "2026-11-30T03:00:00Z", 202)]);
    let at = "/repos/acme/api/hooks/7/deliveries?per_page=100";
    let ask = |since_unix_ms| v1::ListDeliveries {
        repository: "acme/api".to_owned(),
        hook_id: "7".to_owned(),
        since_unix_ms,
    };
    let page = Reply::json(200, first).header(
        "link",
        r#"<https://api.github.com/repositories/42/hooks/7/deliveries?per_page=100&cursor=v1_2>; rel="next""#,
    );
    let all = driver()
        .on("GET", &api(at), page.clone())
        .on(
            "GET",
            &api("/repositories/42/hooks/7/deliveries?per_page=100&cursor=v1_2"),
            Reply::json(200, second),
        )
        .run(ask(0));
    let ids: Vec<_> = all.sent_deliveries().iter().map(|one| one.status).collect();
    assert_eq!(ids, [0, 502, 202]);
    let late = driver()
        .on("GET", &api(at), page)
        .run(ask(all.sent_deliveries()[1].sent_unix_ms + 1));
    assert_eq!(late.sent_deliveries().len(), 1);
    let again = |status| {
        driver()
            .on(
                "POST",
                &api("/repos/acme/api/hooks/7/deliveries/3/attempts"),
                Reply::status(status),
            )
            .run(v1::Redeliver {
                repository: "acme/api".to_owned(),
                hook_id: "7".to_owned(),
                sent_id: "3".to_owned(),
            })
    };
    assert!(again(202).outcome.is_ok());
    assert_eq!(again(200).failure().code(), Code::MalformedResponse);
    assert_eq!(again(422).failure().code(), Code::InvalidArgument);
}

/// A scheme that GitHub does not have is not quietly another one.
#[test]
fn an_unknown_scheme_is_refused() {
    for scheme in ["", "token", "hmac-sha1"] {
        let scheme = scheme.to_owned();
        let run = driver().run(v1::CreateHook { scheme, ..create() });
        assert_eq!(run.failure().code(), Code::InvalidArgument);
    }
}

/// W1: what the daemon verifies recorded and published signatures with is what it is told here.
#[test]
fn w1_schemes_are_those_that_signatures_were_verified_with() {
    use testing::schemes::{described, known};
    assert_eq!(described::<GitHub>(), known("github"));
}

/// Trap 1.10: a secret is told as stars. They are no secret and no sign that it is another one, and nobody gets to see them.
#[test]
fn trap_1_10_stars_are_no_secret() {
    let told = facts(|_| {});
    assert!(told.deviations.is_empty());
    assert_eq!(told.scheme, "hmac-sha256");
    assert!(!format!("{told:?}").contains("****"));
}
