//! Hooks, and what their errors mean

use serde_json::{Value, json};

use super::*;

const HOOKS: &str = "/repositories/acme/api/hooks";
const HOOK: &str = "/repositories/acme/api/hooks/%7Bh-1%7D";
const OURS: &str = "https://bindery.test/hooks/aaaabbbbccccddddeeeeffff22";

/// The repository is asked for by its id, and then by its name.
fn on_repository() -> Driver<Bitbucket> {
    cloud().on(
        "GET",
        &api("/repositories/%7B%7D/%7Br-1%7D"),
        Reply::json(200, repository("r-1", "acme/api")),
    )
}

fn name() -> String {
    "id:{r-1}".to_owned()
}

fn create(scheme: &str) -> v1::CreateHook {
    v1::CreateHook {
        repository: name(),
        url: OURS.to_owned(),
        scheme: scheme.to_owned(),
    }
}

fn update() -> v1::UpdateHook {
    v1::UpdateHook {
        repository: name(),
        hook_id: "{h-1}".to_owned(),
        url: OURS.to_owned(),
        scheme: "hmac-sha256".to_owned(),
    }
}

fn hook(more: Value) -> Value {
    let mut hook = json!({
        "type": "webhook_subscription", "uuid": "{h-1}", "url": OURS, "description": "Bindery", "active": true,
        "events": ["repo:updated", "repo:push", "repo:deleted", "repo:transfer"], "secret_set": true, "skip_cert_verification": false,
    });
    for (name, value) in more.as_object().expect("members") {
        hook[name] = value.clone();
    }
    hook
}

fn facts(more: Value) -> v1::HookFacts {
    let run = on_repository()
        .on("PUT", &api(HOOK), Reply::json(200, hook(more)))
        .run(update());
    run.hook().clone()
}

/// Section 4: the secret is in every request, since null would remove it, and TLS is verified.
#[test]
fn trap_4_a_hook_is_signed() {
    let run = on_repository()
        .on("POST", &api(HOOKS), Reply::json(201, hook(json!({}))))
        .run(create("hmac-sha256"));
    assert_eq!(
        run.requests[1].body,
        format!(
            r#"{{"description":"Bindery","url":"{OURS}","active":true,"skip_cert_verification":false,"events":["repo:deleted","repo:push","repo:transfer","repo:updated"],"secret":<secret:hook_secret json>}}"#
        )
    );
    let facts = run.hook();
    assert!(facts.deviations.is_empty() && facts.active);
    assert_eq!(facts.scheme, "hmac-sha256");
    assert_eq!(
        facts.web_uri,
        "https://bitbucket.org/acme/api/admin/webhooks"
    );
    let other = cloud().run(create("token"));
    assert_eq!(other.failure().code(), Code::InvalidArgument);
}

/// Section 4: whether there is a secret is told by `secret_set`; what differs is named.
#[test]
fn trap_4_deviations_are_named() {
    for (more, wanted) in [
        (json!({"events": ["repo:push"]}), "events"),
        (json!({"skip_cert_verification": true}), "TLS verification"),
        (json!({"secret_set": false}), "secret"),
    ] {
        assert_eq!(facts(more.clone()).deviations, [wanted], "{more}");
    }
    assert_eq!(facts(json!({"secret_set": false})).scheme, "");
    assert_eq!(facts(json!({"secret_set": null})).scheme, "hmac-sha256");
    assert!(!facts(json!({"active": false})).active);
}

/// A missing scope names it, as both kinds of token have it; a missing right, a full repository and a bad address are told.
#[test]
fn errors_are_told_apart() {
    let with = |reply| {
        on_repository()
            .on("POST", &api(HOOKS), reply)
            .run(create("hmac-sha256"))
            .failure()
            .clone()
    };
    let scope = with(lacking(r#""webhook""#, r#""repository""#));
    assert_eq!(scope.code(), Code::ScopeMissing);
    assert_eq!(scope.missing_scopes, ["webhook"]);
    let of_api_token = with(lacking(
        r#""write:webhook:bitbucket","read:webhook:bitbucket""#,
        r#""read:webhook:bitbucket""#,
    ));
    assert_eq!(of_api_token.missing_scopes, ["write:webhook:bitbucket"]);
    let said = |status, message: &str| {
        with(Reply::json(
            status,
            json!({"type": "error", "error": {"message": message}}),
        ))
    };
    let right = said(403, "You do not have admin access");
    assert_eq!(right.code(), Code::PermissionDenied);
    assert!(right.action_uri.ends_with("/acme/api/admin/webhooks"));
    assert_eq!(
        said(400, "Webhook limit exceeded").code(),
        Code::LimitReached
    );
    let address = said(400, "Bad request");
    assert_eq!(address.code(), Code::InvalidArgument);
    assert!(address.message.contains("reachable from the internet"));
}

/// A hook that is gone is absent; a repository that is hidden proves nothing.
#[test]
fn a_hook_is_deleted_once() {
    let ask = || v1::DeleteHook {
        repository: name(),
        hook_id: "{h-1}".to_owned(),
    };
    let with = |status| {
        on_repository()
            .on("DELETE", &api(HOOK), Reply::status(status))
            .run(ask())
    };
    let outcome = |status| with(status).revocation().outcome();
    assert_eq!(outcome(204), v1::RevocationOutcome::Done);
    assert_eq!(outcome(404), v1::RevocationOutcome::AlreadyAbsent);
    assert_eq!(with(403).failure().code(), Code::PermissionDenied);
    assert_eq!(with(200).failure().code(), Code::MalformedResponse);
    let hidden = cloud()
        .on(
            "GET",
            &api("/repositories/%7B%7D/%7Br-1%7D"),
            Reply::status(404),
        )
        .run(ask());
    assert_eq!(hidden.failure().code(), Code::NotFound);
}

/// Trap 1.11: the next page is named by the body.
#[test]
fn trap_1_11_hooks_come_in_pages() {
    let first = || {
        page(
            &hook(json!({})).to_string(),
            "https://api.bitbucket.org/2.0/repositories/acme/api/hooks?pagelen=100&page=2",
        )
    };
    let old = json!({"uuid": "{h-2}", "url": "https://ci.test", "active": false, "events": ["repo:push"]});
    let at = api(&format!("{HOOKS}?pagelen=100"));
    let ask = |max_pages| v1::ListHooks {
        repository: name(),
        max_pages,
    };
    let run = on_repository()
        .on("GET", &at, first())
        .on(
            "GET",
            &api(&format!("{HOOKS}?pagelen=100&page=2")),
            page(&old.to_string(), ""),
        )
        .run(ask(0));
    let hooks = run.hooks();
    assert_eq!(hooks.len(), 2);
    assert_eq!((hooks[1].scheme.as_str(), hooks[1].active), ("", false));
    let one = on_repository().on("GET", &at, first()).run(ask(1));
    assert_eq!(one.hooks().len(), 1);
}

/// Section 4: there is no ping, and nothing is asked for.
#[test]
fn trap_4_there_is_no_ping() {
    let run = cloud().run(v1::PingHook::default());
    assert_eq!(run.failure().code(), Code::Unsupported);
    assert!(run.requests.is_empty());
}

/// Section 4: `X-Hub-Signature` is a SHA-256 here.
#[test]
fn trap_1_5_the_old_header_holds_a_sha_256() {
    let description = testing::description::<Bitbucket>();
    let edition = description.editions[0].hooks.clone().expect("hooks");
    for support in [edition, description.hooks.expect("hooks")] {
        let scheme = &support.schemes[0];
        assert_eq!(scheme.kind(), v1::SignatureKind::BodyHmacSha256);
        assert_eq!(
            (scheme.header.as_str(), scheme.prefix.as_str()),
            ("x-hub-signature", "sha256=")
        );
    }
}

/// Section 4: a hook needs the scope of each of its events besides its own, and the refusal names which one is missing.
#[test]
fn trap_4_a_hook_needs_the_scope_of_its_events() {
    let refused = json!({"type": "error", "error": {
        "message": "Your credentials lack one or more required privilege scopes.",
        "detail": {"required": ["webhook", "repository"], "granted": ["webhook"]},
    }});
    let run = on_repository()
        .on("POST", &api(HOOKS), Reply::json(403, refused))
        .run(create("hmac-sha256"));
    assert_eq!(run.failure().code(), Code::ScopeMissing);
    assert_eq!(run.failure().missing_scopes, ["repository"]);
}
