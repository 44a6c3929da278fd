//! Webhooks of a repository

use super::*;

const API: &str = "https://git.test/api/v1";
const URL: &str = "https://bindery.test/hooks/abcdefghijklmnopqrstuvwxyz";
const ACME: &str = r#"{"id":7,"full_name":"acme/api","clone_url":"https://git.test/acme/api.git",
    "html_url":"https://git.test/acme/api"}"#;

/// A host on which the repository is found.
fn found() -> Driver<Gitea> {
    on(driver(), "GET", "/repositories/7", Reply::json(200, ACME))
}

fn on(driver: Driver<Gitea>, method: &str, path: &str, reply: Reply) -> Driver<Gitea> {
    driver.on(method, &format!("{API}{path}"), reply)
}

fn hook(id: u32, url: &str) -> String {
    format!(
        r#"{{"id":{id},"type":"gitea","config":{{"content_type":"json","url":"{url}"}},
        "events":["delete","push","repository"],"active":true,"branch_filter":""}}"#
    )
}

fn hooks(all: &[String]) -> Reply {
    let total = all.len().to_string();
    Reply::json(200, format!("[{}]", all.join(","))).header("x-total-count", &total)
}

const REPOSITORY: &str = "id:7";
const LIST: &str = "/repos/acme/api/hooks?page=1&limit=50";

fn create() -> v1::CreateHook {
    v1::CreateHook {
        repository: REPOSITORY.to_owned(),
        url: URL.to_owned(),
        scheme: "hmac-sha256".to_owned(),
    }
}

fn update(hook_id: &str) -> v1::UpdateHook {
    v1::UpdateHook {
        repository: REPOSITORY.to_owned(),
        hook_id: hook_id.to_owned(),
        url: URL.to_owned(),
        scheme: "hmac-sha256".to_owned(),
    }
}

fn delete() -> v1::DeleteHook {
    v1::DeleteHook {
        repository: REPOSITORY.to_owned(),
        hook_id: "1".to_owned(),
    }
}

fn list() -> v1::ListHooks {
    v1::ListHooks {
        repository: REPOSITORY.to_owned(),
        max_pages: 0,
    }
}

/// Section 7: `active` is false unless it is said; a hook comes as JSON, with only the events that are needed, and its secret is
/// a segment of the body.
#[test]
fn trap_7_a_hook_is_made_active_and_signed() {
    let reply = Reply::json(201, hook(4, URL));
    let run = on(found(), "POST", "/repos/acme/api/hooks", reply).run(create());
    assert_eq!(
        run.requests[1].body,
        format!(
            "{{\"type\":\"gitea\",\"active\":true,\"events\":[\"push\",\"delete\",\"repository\"],\
             \"config\":{{\"url\":\"{URL}\",\"content_type\":\"json\",\"secret\":<secret:hook_secret json>}}}}"
        )
    );
    let made = run.hook();
    assert_eq!((made.hook_id.as_str(), made.url.as_str()), ("4", URL));
    assert_eq!(made.web_uri, "https://git.test/acme/api/settings/hooks/4");
    assert!(made.active && made.deviations.is_empty());
}

/// A refusal to make a hook comes with the page where a person makes it.
#[test]
fn a_refusal_names_the_page() {
    let refused = Reply::json(403, r#"{"message":"user should be an owner"}"#);
    let run = on(found(), "POST", "/repos/acme/api/hooks", refused).run(create());
    assert_eq!(run.failure().code(), Code::PermissionDenied);
    assert_eq!(
        run.failure().action_uri,
        "https://git.test/acme/api/settings/hooks"
    );
}

/// A token that lacks a scope hears of it, and not that a right is missing.
#[test]
fn a_missing_scope_is_named() {
    let refused = r#"{"message":"token does not have at least one of required scope(s): [write:repository]"}"#;
    let driver = on(
        found(),
        "POST",
        "/repos/acme/api/hooks",
        Reply::json(403, refused),
    );
    let run = driver.run(create());
    assert_eq!(run.failure().code(), Code::ScopeMissing);
    assert_eq!(run.failure().missing_scopes, ["write:repository"]);
}

/// Section 7: the update of a hook answers 200 and leaves the secret as it was (tried with 1.26.0). So nothing is updated: the new
/// hook is there before the old one goes, and what an earlier attempt left at this URL goes too.
#[test]
fn trap_7_a_secret_is_changed_by_a_new_hook_before_the_old_one_goes() {
    let others = [
        hook(1, "https://old.test/hooks/x"),
        hook(2, "https://ci.example/hook"),
        hook(4, URL),
        hook(5, URL),
    ];
    let driver = on(
        found(),
        "POST",
        "/repos/acme/api/hooks",
        Reply::json(201, hook(5, URL)),
    );
    let driver = on(driver, "GET", LIST, hooks(&others));
    let driver = on(
        driver,
        "DELETE",
        "/repos/acme/api/hooks/1",
        Reply::status(204),
    );
    let driver = on(
        driver,
        "DELETE",
        "/repos/acme/api/hooks/4",
        Reply::status(204),
    );
    let run = driver.run(update("1"));
    assert_eq!(run.hook().hook_id, "5");
    let methods: Vec<_> = run.requests.iter().map(|sent| &sent.method).collect();
    assert_eq!(methods, ["GET", "POST", "GET", "DELETE", "DELETE"]);
    assert!(run.requests[1].body.contains("<secret:hook_secret json>"));
}

/// An old hook that can't be deleted is a failure, so that the update is tried again; the new one is not given up for it.
#[test]
fn an_old_hook_that_stays_is_told() {
    let driver = on(
        found(),
        "POST",
        "/repos/acme/api/hooks",
        Reply::json(201, hook(5, URL)),
    );
    let driver = on(driver, "GET", LIST, hooks(&[hook(1, URL), hook(5, URL)]));
    let driver = on(
        driver,
        "DELETE",
        "/repos/acme/api/hooks/1",
        Reply::bytes(502, "<html>"),
    );
    let run = driver.run(update("1"));
    assert_eq!(run.failure().code(), Code::Upstream);
}

/// A hook is deleted, or was not there; a repository that is not to be seen is neither, since its hook may live on.
#[test]
fn a_hook_goes_or_was_not_there() {
    for (status, outcome) in [
        (204, v1::RevocationOutcome::Done),
        (404, v1::RevocationOutcome::AlreadyAbsent),
    ] {
        let reply = Reply::status(status);
        let run = on(found(), "DELETE", "/repos/acme/api/hooks/1", reply).run(delete());
        assert_eq!(run.revocation().outcome(), outcome);
    }
    let hidden = on(driver(), "GET", "/repositories/7", Reply::status(404));
    assert_eq!(hidden.run(delete()).failure().code(), Code::NotFound);
}

/// A renamed repository is found under its new name, and nothing is written through a redirect.
#[test]
fn a_renamed_repository_is_found() {
    let moved = Reply::status(301).header("location", "/api/v1/repos/acme/api");
    let driver = on(driver(), "GET", "/repos/acme/old", moved);
    let driver = on(driver, "GET", "/repos/acme/api", Reply::json(200, ACME));
    let driver = on(
        driver,
        "DELETE",
        "/repos/acme/api/hooks/1",
        Reply::status(204),
    );
    let run = driver.run(v1::DeleteHook {
        repository: "acme/old".to_owned(),
        ..delete()
    });
    assert_eq!(run.revocation().outcome(), v1::RevocationOutcome::Done);
}

/// What differs from a hook of ours is named, whatever a person changed; Forgejo's own type is as good.
#[test]
fn trap_7_deviations_are_named() {
    let changed = |from: &str, to: &str| {
        let reply = hooks(&[hook(1, URL).replace(from, to)]);
        let run = on(found(), "GET", LIST, reply).run(list());
        run.hooks()[0].clone()
    };
    for (from, to, deviation) in [
        ("\"json\"", "\"form\"", "content type"),
        ("\"delete\",", "", "events"),
        ("\"delete\"", "\"create\"", "events"),
        ("\"delete\",", "\"delete\",\"issues\",", "events"),
        ("\"gitea\"", "\"slack\"", "type"),
        ("_filter\":\"\"", "_filter\":\"main\"", "branch filter"),
        ("\"url\"", "\"http_method\":\"GET\",\"url\"", "method"),
    ] {
        assert_eq!(changed(from, to).deviations, [deviation], "{to}");
    }
    assert!(
        changed("\"gitea\"", "\"forgejo\"").deviations.is_empty()
            && changed("_filter\":\"\"", "_filter\":\"*\"")
                .deviations
                .is_empty()
            && changed("", "").deviations.is_empty()
    );
    assert!(!changed("true", "false").active);
}

/// All pages are listed, and no more than was asked for.
#[test]
fn hooks_come_in_pages() {
    let next = "<https://git.test/api/v1/repos/acme/api/hooks?page=2>; rel=\"next\"";
    let first = Reply::json(200, format!("[{}]", hook(1, URL))).header("link", next);
    let driver = on(found(), "GET", LIST, first);
    let one = v1::ListHooks {
        max_pages: 1,
        ..list()
    };
    assert_eq!(driver.clone().run(one).hooks().len(), 1);
    let second = hooks(&[hook(2, "https://ci.example/x")]).header("link", "<x>; rel=\"first\"");
    let driver = on(
        driver,
        "GET",
        "/repos/acme/api/hooks?page=2&limit=50",
        second,
    );
    assert_eq!(driver.run(list()).hooks().len(), 2);
}

/// A test is asked for, and a hook that is not there has none.
#[test]
fn a_hook_is_tested() {
    let ping = v1::PingHook {
        repository: REPOSITORY.to_owned(),
        hook_id: "1".to_owned(),
        url: URL.to_owned(),
    };
    let path = "/repos/acme/api/hooks/1/tests";
    let run = on(found(), "POST", path, Reply::status(204)).run(ping.clone());
    assert!(run.outcome.is_ok());
    let run = on(found(), "POST", path, Reply::status(404)).run(ping);
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// Section 7: the signature is bare hexadecimal, of the member `payload` where the body is a form; the headers that the plugin
/// asks for hold no secret.
#[test]
fn trap_7_a_signature_is_bare_hex() {
    let description = testing::description::<Gitea>();
    let support = description.hooks.unwrap();
    let [scheme] = support.schemes.as_slice() else {
        panic!("{:?}", support.schemes);
    };
    assert_eq!(scheme.kind(), v1::SignatureKind::BodyHmacSha256);
    assert_eq!(
        (scheme.header.as_str(), scheme.prefix.as_str()),
        ("x-gitea-signature", "")
    );
    assert_eq!(support.form_member, "payload");
    assert_eq!(support.event_header, "x-gitea-event");
    assert!(support.headers.is_empty() && !support.failures_disable && !scheme.weak);
}

/// W1: what the daemon verifies recorded and published signatures with is what it is told here.
#[test]
fn w1_schemes_are_those_that_signatures_were_verified_with() {
    use testing::schemes::{described, known};
    assert_eq!(described::<Gitea>(), known("gitea"));
}

/// Section 7: a type of hook that the server does not know is a 422, which is the request's fault and not a missing right. The
/// type that is asked for is the one that every server knows.
#[test]
fn trap_7_an_unknown_type_is_refused() {
    let refused = Reply::json(422, r#"{"message":"Invalid hook type: gitea2"}"#);
    let run = on(found(), "POST", "/repos/acme/api/hooks", refused).run(create());
    assert_eq!(run.failure().code(), Code::InvalidArgument);
    assert!(run.requests[1].body.starts_with(r#"{"type":"gitea","#));
}
