//! The identity, its token, errors, and the server

use super::*;

fn identify(reply: Reply) -> testing::Run {
    driver()
        .on("GET", &api("/user"), reply)
        .run(v1::Identify {})
}

/// An identity is known by its number, and the requests name their version.
#[test]
fn identify_tells_who() {
    let run = identify(Reply::json(200, OCTOCAT));
    let identity = run.identity();
    assert_eq!(
        (identity.stable_id.as_str(), identity.login.as_str()),
        ("1", "octocat")
    );
    assert_eq!(identity.kind(), v1::AccountKind::User);
    let sent = &run.requests[0];
    assert_eq!(sent.header("x-github-api-version"), Some("2022-11-28"));
    assert_eq!(
        sent.header("authorization"),
        Some("Bearer <secret:access_token>")
    );
}

/// Every class of error has its code.
#[test]
fn errors_have_their_code() {
    let sso = Reply::json(403, "{}").header(
        "x-github-sso",
        "required; url=https://github.com/orgs/acme/sso?x=1",
    );
    for (reply, code) in [
        (
            Reply::json(401, r#"{"message":"Bad credentials"}"#),
            Code::Unauthenticated,
        ),
        (
            Reply::json(403, r#"{"message":"Forbidden"}"#),
            Code::PermissionDenied,
        ),
        (Reply::json(403, RESTRICTED), Code::OrganizationRestricted),
        (sso, Code::SsoRequired),
        (
            Reply::json(404, r#"{"message":"Not Found"}"#),
            Code::NotFound,
        ),
        (Reply::json(451, "{}"), Code::PermissionDenied),
        (Reply::bytes(502, "<html>"), Code::Upstream),
        (Reply::bytes(200, "<html>"), Code::MalformedResponse),
        (Reply::transport_error(), Code::Transport),
    ] {
        assert_eq!(identify(reply).failure().code(), code);
    }
}

/// A used-up limit says when it ends; a secondary one is waited for at least a minute if it does not say.
#[test]
fn trap_2_limits_are_waited_for() {
    let reset = (NOW + 90).to_string();
    let primary = |status| {
        Reply::json(status, r#"{"message":"API rate limit exceeded"}"#)
            .header("x-ratelimit-remaining", "0")
            .header("x-ratelimit-reset", &reset)
    };
    let secondary = r#"{"message":"You have exceeded a secondary rate limit."}"#;
    let locked =
        r#"{"message":"Maximum number of login attempts exceeded. Please try again later."}"#;
    for (reply, wait) in [
        (primary(403), 90_000),
        (primary(429), 90_000),
        (
            Reply::json(403, secondary).header("retry-after", "120"),
            120_000,
        ),
        (
            Reply::json(403, secondary).header("x-ratelimit-remaining", "4000"),
            60_000,
        ),
        (Reply::json(429, "{}"), 60_000),
        (Reply::json(403, locked), 60_000),
    ] {
        let run = identify(reply);
        assert_eq!(run.failure().code(), Code::RateLimited);
        assert_eq!(run.failure().retry_after_ms, wait);
    }
}

/// A 403 with a limit that is not used up is no limit.
#[test]
fn a_refusal_is_no_limit() {
    let reply = Reply::json(403, "{}")
        .header("x-ratelimit-remaining", "12")
        .header("x-ratelimit-reset", "1");
    assert_eq!(identify(reply).failure().code(), Code::PermissionDenied);
}

/// A missing scope is named by the least that would do; an accepted one that is there is no missing scope.
#[test]
fn a_missing_scope_is_named() {
    let reply = |granted: &str| {
        Reply::json(403, "{}")
            .header("x-oauth-scopes", granted)
            .header(
                "x-accepted-oauth-scopes",
                "admin:org, read:org, repo, user, write:org",
            )
    };
    let run = identify(reply("gist"));
    assert_eq!(run.failure().code(), Code::ScopeMissing);
    assert_eq!(run.failure().missing_scopes, ["read:org"]);
    assert_eq!(
        identify(reply("gist, user")).failure().code(),
        Code::PermissionDenied
    );
}

/// Scopes and expiry are told by classic tokens only; an empty list is told too; a refused token is not alive.
#[test]
fn trap_2_an_expiry_has_its_own_format() {
    let inspect = |reply| {
        driver()
            .on("GET", &api("/user"), reply)
            .run(v1::InspectToken {})
            .token_facts()
            .clone()
    };
    let classic = Reply::json(200, OCTOCAT)
        .header("x-oauth-scopes", "repo, read:org")
        .header(
            "github-authentication-token-expiration",
            "2021-10-07 19:07:53 UTC",
        );
    let facts = inspect(classic);
    assert!(facts.active && facts.scopes_known);
    assert_eq!(
        (facts.scopes, facts.expire_unix),
        (
            vec!["repo".to_owned(), "read:org".to_owned()],
            1_633_633_673
        )
    );
    let none = inspect(Reply::json(200, OCTOCAT).header("x-oauth-scopes", ""));
    assert!(none.scopes_known && none.scopes.is_empty());
    let fine = inspect(Reply::json(200, OCTOCAT).header(
        "github-authentication-token-expiration",
        "2021-10-07 21:07:53 +0200",
    ));
    assert_eq!(
        (fine.scopes_known, fine.expire_unix),
        (false, 1_633_633_673)
    );
    let odd =
        inspect(Reply::json(200, OCTOCAT).header("github-authentication-token-expiration", "soon"));
    assert_eq!(odd.expire_unix, 0);
    assert!(!inspect(Reply::json(401, "{}")).active);
    let app = inspect(Reply::json(
        403,
        r#"{"message":"Resource not accessible by integration"}"#,
    ));
    assert!(app.active && !app.scopes_known);
}

/// A used-up limit does not make a token dead.
#[test]
fn trap_2_a_limit_kills_no_token() {
    let reply = Reply::status(403).header("retry-after", "5");
    let run = driver()
        .on("GET", &api("/user"), reply)
        .run(v1::InspectToken {});
    assert_eq!(run.failure().code(), Code::RateLimited);
}

/// A server tells its version in its answer or, in private mode, in a header; github.com has none.
#[test]
fn a_server_is_told() {
    let meta = "https://ghes.test/api/v3/meta";
    let run = server()
        .on(
            "GET",
            meta,
            Reply::json(200, r#"{"installed_version":"3.12.1"}"#),
        )
        .run(v1::Probe {});
    assert_eq!(
        (run.server().version.as_str(), run.server().product.as_str()),
        ("3.12.1", "GitHub Enterprise Server")
    );
    assert_eq!(run.requests[0].header("authorization"), None);
    let private =
        Reply::status(401).header("x-github-enterprise-version", "enterprise-server@3.9.0");
    let run = server().on("GET", meta, private).run(v1::Probe {});
    assert_eq!(run.server().version, "3.9.0");
    let run = driver()
        .on("GET", &api("/meta"), Reply::json(200, "{}"))
        .run(v1::Probe {});
    assert_eq!(
        (run.server().version.as_str(), run.server().product.as_str()),
        ("", "")
    );
    let run = server()
        .on("GET", meta, Reply::bytes(200, "<html>"))
        .run(v1::Probe {});
    assert_eq!(run.failure().code(), Code::MalformedResponse);
}

/// A missing scope that is told in words alone is named as well.
#[test]
fn a_missing_scope_in_words_is_named() {
    let words = r#"{"message":"You need at least read:org scope or user scope to list your organizations."}"#;
    let run = driver()
        .on(
            "GET",
            &api("/user/orgs?per_page=100"),
            Reply::json(403, words),
        )
        .run(v1::ListOrganizations::default());
    assert_eq!(run.failure().code(), Code::ScopeMissing);
    assert_eq!(run.failure().missing_scopes, ["read:org"]);
}
