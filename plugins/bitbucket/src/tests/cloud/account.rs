//! The identity, its token, and what becomes of both

use super::*;

fn identify(reply: Reply) -> testing::Run {
    cloud().on("GET", &api("/user"), reply).run(v1::Identify {})
}

/// P4: a person is known by `uuid`, in braces; `username` is gone from most answers, and the names that stay change.
#[test]
fn trap_4_a_person_is_known_by_uuid() {
    let run = identify(Reply::json(200, ADA));
    let identity = run.identity();
    assert_eq!(
        (identity.stable_id.as_str(), identity.login.as_str()),
        ("{a-1}", "ada")
    );
    assert_eq!(identity.display_name, "Ada L");
    assert_eq!(identity.kind(), v1::AccountKind::User);
    assert_eq!(identity.web_uri, "https://bitbucket.org/%7Ba-1%7D");
    let nameless = identify(Reply::json(200, r#"{"uuid":"{a-1}","type":"app_user"}"#));
    assert_eq!(nameless.identity().login, "{a-1}");
    assert_eq!(nameless.identity().kind(), v1::AccountKind::Bot);
}

/// An account that is closed is told from a refused token.
#[test]
fn a_closed_account_is_suspended() {
    let closed = ADA.replace("active", "closed");
    assert_eq!(
        identify(Reply::json(200, closed)).failure().code(),
        Code::Suspended
    );
}

/// P4: an API token goes with the e-mail address of its account as Basic, and never without it; all others as Bearer.
#[test]
fn trap_4_an_api_token_goes_with_the_email() {
    let ask = |credential| {
        let driver = cloud().credential(credential);
        driver.on("GET", &api("/user"), Reply::json(200, ADA))
    };
    let run = ask(handed_over("api_token", "ada@example.com")).run(v1::Identify {});
    assert_eq!(
        run.requests[0].header("authorization"),
        Some(r#"Basic <secret:access_token base64 of "ada@example.com:">"#)
    );
    let run = cloud()
        .on("GET", &api("/user"), Reply::json(200, ADA))
        .run(v1::Identify {});
    assert_eq!(
        run.requests[0].header("authorization"),
        Some("Bearer <secret:access_token>")
    );
    for bad in ["", "ada:x@example.com"] {
        let run = cloud()
            .credential(handed_over("api_token", bad))
            .run(v1::Identify {});
        assert_eq!(run.failure().code(), Code::InvalidArgument);
        assert!(run.requests.is_empty());
    }
}

/// P4: an access token is nobody's: it is known by what it is bound to, which is asked instead of `/user`.
#[test]
fn trap_4_an_access_token_is_its_own_user() {
    let workspace = r#"{"uuid":"{w-1}","slug":"acme","name":"Acme"}"#;
    let driver = cloud().on("GET", &api("/workspaces/acme"), Reply::json(200, workspace));
    for driver in [
        driver
            .clone()
            .credential(handed_over("access_token", "acme")),
        driver
            .credential(handed_over("access_token", ""))
            .setting("workspace", "acme"),
    ] {
        let run = driver.run(v1::Identify {});
        let identity = run.identity();
        assert_eq!(
            (identity.stable_id.as_str(), identity.login.as_str()),
            ("{w-1}", "acme")
        );
        assert_eq!(identity.kind(), v1::AccountKind::Bot);
    }
    let run = cloud()
        .credential(handed_over("access_token", "acme/api"))
        .on(
            "GET",
            &api("/repositories/acme/api"),
            Reply::json(200, r#"{"uuid":"{r-1}","name":"api"}"#),
        )
        .run(v1::Identify {});
    assert_eq!(run.identity().stable_id, "{r-1}");
    assert_eq!(run.identity().login, "acme/api");
    for bad in ["", "a/b/c", "/b"] {
        let run = cloud()
            .credential(handed_over("access_token", bad))
            .run(v1::Identify {});
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{bad}");
    }
}

/// A missing scope is named in the words of the token at hand, and only what is missing.
#[test]
fn a_missing_scope_is_named() {
    for (reply, scopes) in [
        (lacking(r#""account""#, r#""email""#), ["account"]),
        (
            lacking(
                r#""read:user:bitbucket","read:workspace:bitbucket""#,
                r#""read:workspace:bitbucket""#,
            ),
            ["read:user:bitbucket"],
        ),
    ] {
        let run = identify(reply);
        assert_eq!(run.failure().code(), Code::ScopeMissing);
        assert_eq!(run.failure().missing_scopes, scopes);
    }
    let words = r#"{"type":"error","error":{"message":"Forbidden","detail":"Ask an admin."}}"#;
    assert_eq!(
        identify(Reply::json(403, words)).failure().code(),
        Code::PermissionDenied
    );
}

/// Every class of error has its code.
#[test]
fn errors_have_their_code() {
    for (reply, code) in [
        (Reply::bytes(401, "Login failed"), Code::Unauthenticated),
        (Reply::json(404, "{}"), Code::NotFound),
        (Reply::bytes(502, "<html>"), Code::Upstream),
        (Reply::bytes(200, "<html>"), Code::MalformedResponse),
        (Reply::json(200, "{}"), Code::MalformedResponse),
        (Reply::transport_error(), Code::Transport),
    ] {
        assert_eq!(identify(reply).failure().code(), code);
    }
}

/// P4: a limit says neither what is left nor until when; then it has a wait of its own.
#[test]
fn trap_4_a_limit_has_no_time() {
    for (reply, wait) in [
        (Reply::status(429).header("retry-after", "7"), 7000),
        (Reply::status(429), 60_000),
    ] {
        let run = identify(reply);
        assert_eq!(run.failure().code(), Code::RateLimited);
        assert_eq!(run.failure().retry_after_ms, wait);
    }
}

/// P4, CHANGE-2770: an endpoint that was taken away is told as such, not as something that is not there.
#[test]
fn trap_4_change_2770_is_told() {
    let gone = |message: &str| {
        let body = format!(r#"{{"type":"error","error":{{"message":"{message}"}}}}"#);
        identify(Reply::json(410, body)).failure().code()
    };
    assert_eq!(
        gone("CHANGE-2770 - Functionality has been deprecated"),
        Code::Unsupported
    );
    assert_eq!(gone("This account was marked as spam"), Code::NotFound);
}

/// A token is alive if the server takes it, for whatever; its scopes are known where they are told.
#[test]
fn a_token_is_alive_or_not() {
    let told = Reply::json(200, ADA).header("x-oauth-scopes", "account, repository:write");
    for (reply, active, scopes) in [
        (Reply::json(200, ADA), true, &[][..]),
        (told, true, &["account", "repository:write"]),
        (
            lacking(r#""account""#, r#""repository""#),
            true,
            &["repository"],
        ),
        (Reply::status(401), false, &[]),
    ] {
        let run = cloud()
            .on("GET", &api("/user"), reply)
            .run(v1::InspectToken {});
        let facts = run.token_facts();
        assert_eq!((facts.active, facts.expire_unix), (active, 0));
        assert_eq!(facts.scopes, scopes);
        assert_eq!(facts.scopes_known, !scopes.is_empty());
    }
    let run = cloud()
        .on("GET", &api("/user"), Reply::status(500))
        .run(v1::InspectToken {});
    assert_eq!(run.failure().code(), Code::Upstream);
}

/// An access token's life is asked for where it is bound: `/user` refuses the best of them.
#[test]
fn an_access_token_is_inspected_where_it_is_bound() {
    let inspect = |reply| {
        let driver = cloud().credential(handed_over("access_token", "acme"));
        let run = driver
            .on("GET", &api("/workspaces/acme"), reply)
            .run(v1::InspectToken {});
        run.token_facts().active
    };
    assert!(inspect(Reply::json(200, r#"{"uuid":"{w-1}"}"#)));
    assert!(!inspect(Reply::status(401)));
}

/// P4: there is no API to revoke. Nothing is asked, nothing is claimed, and each token has its page.
#[test]
fn trap_4_a_revocation_is_said_to_be_impossible() {
    let oauth = v1::Credential {
        auth_kind: v1::AuthKind::OauthCode.into(),
        ..v1::Credential::default()
    };
    for (credential, page) in [
        (
            oauth,
            "https://bitbucket.org/account/settings/app-authorizations",
        ),
        (
            handed_over("api_token", "ada@example.com"),
            "https://id.atlassian.com/manage-profile/security/api-tokens",
        ),
        (
            handed_over("access_token", "acme"),
            "https://bitbucket.org/acme/workspace/settings/access-tokens",
        ),
        (
            handed_over("access_token", "acme/api"),
            "https://bitbucket.org/acme/api/admin/access-tokens",
        ),
        (
            handed_over("access_token", ""),
            "https://bitbucket.org/account/workspaces",
        ),
    ] {
        let run = cloud()
            .credential(credential)
            .run(v1::Revoke { whole_grant: false });
        let revocation = run.revocation();
        assert_eq!(revocation.outcome(), v1::RevocationOutcome::Impossible);
        assert_eq!(revocation.action_uri, page);
    }
}

/// The server is asked without a token, and what is not Bitbucket is not taken for it.
#[test]
fn the_server_is_told() {
    let probe = |reply| {
        cloud()
            .on("GET", &api("/hook_events"), reply)
            .run(v1::Probe {})
    };
    let run = probe(Reply::json(200, r#"{"repository":{},"workspace":{}}"#));
    assert_eq!(run.server().product, "Bitbucket Cloud");
    assert_eq!(run.requests[0].header("authorization"), None);
    assert_eq!(
        probe(Reply::json(200, "{}")).failure().code(),
        Code::MalformedResponse
    );
}
