//! The identity, its token, and what becomes of both

use super::*;

const JANE: &str = r#"{"id":7,"name":"jane@example","slug":"jane_example","displayName":"Jane","active":true,"type":"NORMAL"}"#;

fn cheap(reply: Reply) -> Driver<Bitbucket> {
    data_center().on("GET", &api("/application-properties"), reply)
}

fn known(name: &str) -> Driver<Bitbucket> {
    cheap(
        properties()
            .header("x-ausername", name)
            .header("x-auserid", "7"),
    )
}

/// P5: who one is stands in a header of any answer, escaped, and is looked up by name where the slug is another.
#[test]
fn trap_5_the_identity_is_in_a_header() {
    let run = known("jane%40example")
        .on(
            "GET",
            &api("/users/jane%40example"),
            error(404, "user.NoSuchUserException"),
        )
        .on(
            "GET",
            &api("/users?filter=jane%40example"),
            page(JANE, None),
        )
        .run(v1::Identify {});
    let identity = run.identity();
    assert_eq!(
        (identity.stable_id.as_str(), identity.login.as_str()),
        ("7", "jane@example")
    );
    assert_eq!(identity.kind(), v1::AccountKind::User);
    assert_eq!(
        identity.web_uri,
        "https://git.test/bitbucket/users/jane_example"
    );
}

/// P5: a proxy may take the header out; a servlet says it as text.
#[test]
fn trap_5_the_identity_is_asked_of_a_servlet() {
    let whoami = "https://git.test/bitbucket/plugins/servlet/applinks/whoami";
    let plain = JANE
        .replace("jane@example", "jane")
        .replace("jane_example", "jane");
    let run = cheap(properties())
        .on("GET", whoami, Reply::bytes(200, "jane\n"))
        .on("GET", &api("/users/jane"), Reply::json(200, plain))
        .run(v1::Identify {});
    assert_eq!(run.identity().login, "jane");
    for (reply, code) in [
        (Reply::bytes(200, ""), Code::MalformedResponse),
        (Reply::bytes(200, "<html>"), Code::MalformedResponse),
        (Reply::status(404), Code::NotFound),
    ] {
        let run = cheap(properties())
            .on("GET", whoami, reply)
            .run(v1::Identify {});
        assert_eq!(run.failure().code(), code);
    }
}

/// A user whose slug is the name of another one is not taken for that one.
#[test]
fn a_slug_is_no_name() {
    let other = r#"{"id":9,"name":"jane.example","slug":"jane","active":true}"#;
    let found = format!(
        r#"{{"id":8,"name":"janet","slug":"janet"}},{}"#,
        JANE.replace("jane@example", "Jane")
    );
    let run = known("jane")
        .on("GET", &api("/users/jane"), Reply::json(200, other))
        .on(
            "GET",
            &api("/users?filter=jane"),
            page(r#"{"id":8,"name":"janet","slug":"janet"}"#, Some(25)),
        )
        .on(
            "GET",
            &api("/users?filter=jane&start=25"),
            page(&found, None),
        )
        .run(v1::Identify {});
    assert_eq!(run.identity().stable_id, "7");
}

/// A token of a project acts for an account that no list shows: its number is all there is.
#[test]
fn a_projects_token_is_a_bot() {
    let run = known("access-token-user")
        .on("GET", &api("/users/access-token-user"), Reply::status(404))
        .on(
            "GET",
            &api("/users?filter=access-token-user"),
            page("", None),
        )
        .run(v1::Identify {});
    assert_eq!(run.identity().kind(), v1::AccountKind::Bot);
    assert_eq!(run.identity().stable_id, "7");
}

/// P5: an account that was closed is told from a refused token, in the list and at the door.
#[test]
fn trap_5_an_inactive_user_is_suspended() {
    let gone = JANE
        .replace("true", "false")
        .replace("jane@example", "jane");
    let run = known("jane")
        .on("GET", &api("/users/jane"), Reply::json(200, gone))
        .run(v1::Identify {});
    assert_eq!(run.failure().code(), Code::Suspended);
    let run =
        cheap(error(401, "auth.InactiveUserAuthenticationException")).run(v1::InspectToken {});
    assert_eq!(run.failure().code(), Code::Suspended);
}

/// P5: a CAPTCHA lock is no refused token, and its page is one of the server's own.
#[test]
fn trap_5_a_captcha_is_no_refused_token() {
    let locked = |page: &str| {
        error(403, "auth.CaptchaRequiredAuthenticationException").header(
            "x-authentication-denied-reason",
            &format!("CAPTCHA_CHALLENGE; login-url={page}"),
        )
    };
    let own = "https://git.test/bitbucket/login";
    for page in [own, "https://evil.test/login"] {
        let run = cheap(locked(page)).run(v1::InspectToken {});
        assert_eq!(run.failure().code(), Code::Suspended);
        assert_eq!(run.failure().action_uri, own);
    }
}

/// A 401 to whom the server knows by name is about what that account may do, not about the token.
#[test]
fn a_401_may_be_a_missing_permission() {
    for (reply, code) in [
        (error(401, "AuthorisationException"), Code::PermissionDenied),
        (
            Reply::status(401).header("x-ausername", "jane"),
            Code::PermissionDenied,
        ),
        (
            Reply::status(401).header("x-ausername", "anonymous"),
            Code::Unauthenticated,
        ),
        (
            error(401, "auth.IncorrectPasswordAuthenticationException"),
            Code::Unauthenticated,
        ),
        (Reply::status(401), Code::Unauthenticated),
        (Reply::status(403), Code::PermissionDenied),
        (Reply::bytes(503, "<html>"), Code::Upstream),
        (Reply::bytes(200, "<html>"), Code::MalformedResponse),
        (Reply::transport_error(), Code::Transport),
    ] {
        assert_eq!(cheap(reply).run(v1::Identify {}).failure().code(), code);
    }
}

/// A limit is a bucket: what is told is the wait, or the interval in which it fills.
#[test]
fn a_limit_has_its_wait() {
    for (reply, wait) in [
        (Reply::status(429).header("retry-after", "7"), 7000),
        (
            Reply::status(429).header("x-ratelimit-interval-seconds", "2"),
            2000,
        ),
        (Reply::status(429), 0),
    ] {
        let run = cheap(reply).run(v1::Identify {});
        assert_eq!(run.failure().code(), Code::RateLimited);
        assert_eq!(run.failure().retry_after_ms, wait);
    }
}

/// A token is alive if the server knows by it who asks; nothing else is told.
#[test]
fn a_token_is_alive_or_not() {
    let alive = known("jane").run(v1::InspectToken {});
    assert!(alive.token_facts().active && !alive.token_facts().scopes_known);
    let dead = cheap(Reply::status(401)).run(v1::InspectToken {});
    assert!(!dead.token_facts().active);
    let failed = cheap(Reply::status(500)).run(v1::InspectToken {});
    assert_eq!(failed.failure().code(), Code::Upstream);
}

/// An HTTP access token can't delete itself, and none is deleted by guess: the page is named.
#[test]
fn trap_5_a_token_that_cannot_delete_itself_is_a_page() {
    let oauth = v1::Credential {
        auth_kind: v1::AuthKind::OauthCode.into(),
        ..v1::Credential::default()
    };
    for (credential, page) in [
        (
            handed_over("http_access_token", ""),
            "/plugins/servlet/access-tokens/manage",
        ),
        (oauth, "/account"),
    ] {
        let run = data_center()
            .credential(credential)
            .run(v1::Revoke { whole_grant: true });
        let revocation = run.revocation();
        assert_eq!(revocation.outcome(), v1::RevocationOutcome::Impossible);
        assert_eq!(
            revocation.action_uri,
            format!("https://git.test/bitbucket{page}")
        );
    }
}

/// A server tells its version without a token, and a shy one is no error.
#[test]
fn a_server_is_told() {
    let run = cheap(properties()).run(v1::Probe {});
    assert_eq!(run.server().version, "9.2.0");
    assert_eq!(run.requests[0].header("authorization"), None);
    assert_eq!(
        cheap(Reply::status(401)).run(v1::Probe {}).server().version,
        ""
    );
    assert_eq!(
        cheap(Reply::json(200, "{}"))
            .run(v1::Probe {})
            .failure()
            .code(),
        Code::MalformedResponse
    );
}
