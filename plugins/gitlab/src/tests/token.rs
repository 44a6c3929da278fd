//! What the token is, a new one in its place, and its end

use super::*;
use crate::v1::RevocationOutcome as Outcome;

/// 2027-03-01 00:00 UTC.
const MARCH: i64 = 1_803_859_200;

fn own(scopes: &str, rest: &str) -> String {
    format!(r#"{{"id":42,"scopes":{scopes},"revoked":false,"active":true,{rest}}}"#)
}

fn inspect(reply: Reply) -> testing::Run {
    by_token()
        .on("GET", &api(SELF), reply)
        .run(v1::InspectToken {})
}

/// PROVIDERS 3, expiry: a token ends at 00:00 UTC of the date that it names, as the day begins.
#[test]
fn trap_3_a_token_ends_as_its_day_begins() {
    let run = inspect(Reply::json(
        200,
        own(r#"["api"]"#, r#""expires_at":"2027-03-01""#),
    ));
    let facts = run.token_facts();
    assert_eq!((facts.active, facts.expire_unix), (true, MARCH));
    assert!(facts.scopes_known && facts.scopes == ["api"]);
    let endless = inspect(Reply::json(200, own("[]", r#""expires_at":null"#)));
    assert_eq!(endless.token_facts().expire_unix, 0);
    let odd = inspect(Reply::json(200, own("[]", r#""expires_at":"soon""#)));
    assert_eq!(odd.failure().code(), Code::MalformedResponse);
}

/// A token that is revoked, has ended, or is not known is not active, which is no failure.
#[test]
fn a_dead_token_is_not_active() {
    for reply in [
        Reply::json(401, REFUSED),
        Reply::json(200, r#"{"scopes":["api"],"revoked":true,"active":false}"#),
        Reply::json(200, r#"{"scopes":["api"],"revoked":true,"active":true}"#),
        Reply::json(200, r#"{"scopes":["api"],"revoked":false,"active":false}"#),
    ] {
        assert!(!inspect(reply).token_facts().active);
    }
}

/// Before 15.5 a token can't be asked about: whether it is alive shows in its use, also where its scope is too small.
#[test]
fn an_old_server_tells_by_use() {
    let scope = r#"{"error":"insufficient_scope","scope":"api read_user"}"#;
    for (reply, active) in [
        (Reply::json(200, ADA), true),
        (Reply::json(403, scope), true),
        (Reply::json(401, REFUSED), false),
    ] {
        let run = by_token()
            .on("GET", &api(SELF), Reply::status(404))
            .on("GET", &api("/user"), reply)
            .run(v1::InspectToken {});
        let facts = run.token_facts();
        assert_eq!((facts.active, facts.scopes_known), (active, false));
    }
}

/// An OAuth token is asked about at the authorization server, below the web base, whichever names its Doorkeeper uses.
#[test]
fn an_oauth_token_is_asked_about_at_its_server() {
    let inspect = |reply| {
        driver()
            .on("GET", &format!("{WEB}/oauth/token/info"), reply)
            .run(v1::InspectToken {})
    };
    for body in [
        r#"{"scope":["read_api"],"expires_in":100}"#,
        r#"{"scopes":["read_api"],"expires_in":100,"expires_in_seconds":100}"#,
    ] {
        let run = inspect(Reply::json(200, body));
        let facts = run.token_facts();
        assert_eq!(facts.scopes, ["read_api"]);
        assert_eq!(facts.expire_unix, i64::try_from(NOW).unwrap() + 100);
        assert!(facts.active && facts.scopes_known);
    }
    let dead = r#"{"error":"invalid_token","error_description":"The access token expired"}"#;
    assert!(!inspect(Reply::json(401, dead)).token_facts().active);
    assert_eq!(
        inspect(Reply::bytes(200, "<html>")).failure().code(),
        Code::MalformedResponse
    );
}

fn rotate(current: Reply, expire_unix: i64) -> testing::Run {
    by_token()
        .on("GET", &api(SELF), current)
        .run(v1::RotateToken { expire_unix })
}

/// PROVIDERS 3, reuse detection: rotating with a revoked token revokes its whole family, so a token that is not surely alive
/// is never rotated.
#[test]
fn trap_3_a_revoked_token_is_never_rotated() {
    let dead = r#"{"scopes":["api"],"revoked":true,"active":false}"#;
    for reply in [
        Reply::json(200, dead),
        Reply::json(200, r#"{"scopes":["api"],"revoked":true,"active":true}"#),
        Reply::json(401, REFUSED),
        Reply::bytes(200, "<html>"),
        Reply::status(500),
        Reply::transport_error(),
    ] {
        let run = rotate(reply, 0);
        assert!(run.outcome.is_err());
        assert!(run.requests.iter().all(|sent| sent.method == "GET"));
    }
    assert_eq!(
        rotate(Reply::json(200, dead), 0).failure().code(),
        Code::Unauthenticated
    );
}

/// The new token is captured and never seen; it is asked to end no later than it should.
#[test]
fn p9_the_new_token_is_captured() {
    let run = by_token()
        .on(
            "GET",
            &api(SELF),
            Reply::json(200, own(r#"["api"]"#, r#""expires_at":null"#)),
        )
        .on(
            "POST",
            &api("/personal_access_tokens/self/rotate"),
            Reply::json(
                200,
                own(r#"["api"]"#, r#""expires_at":"2027-03-01","token":"""#),
            ),
        )
        .run(v1::RotateToken {
            expire_unix: MARCH + 86_399,
        });
    assert_eq!(run.token_facts().expire_unix, MARCH);
    let sent = &run.requests[1];
    assert_eq!(sent.body, r#"{"expires_at":"2027-03-01"}"#);
    assert_eq!(
        sent.captures,
        [("/token".to_owned(), "rotated_token".to_owned())]
    );
}

/// A scope that is missing is named before anything is tried, and an expiry that is over before it begins is refused.
#[test]
fn what_would_fail_is_not_tried() {
    let run = rotate(
        Reply::json(200, own(r#"["read_api"]"#, r#""expires_at":null"#)),
        0,
    );
    assert_eq!(run.failure().code(), Code::ScopeMissing);
    assert_eq!(run.failure().missing_scopes, ["self_rotate", "api"]);
    for expire_unix in [1, i64::try_from(NOW).unwrap(), -5, i64::MAX] {
        let alive = Reply::json(200, own(r#"["self_rotate"]"#, r#""expires_at":null"#));
        let run = rotate(alive, expire_unix);
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{expire_unix}");
        assert_eq!(run.requests.len(), 1);
    }
    let oauth = driver().run(v1::RotateToken::default());
    assert_eq!(oauth.failure().code(), Code::Unsupported);
    assert!(oauth.requests.is_empty());
}

/// Each way in which a rotation fails is told apart; where nothing came back it may have happened.
#[test]
fn a_failed_rotation_says_what_happened() {
    for (reply, code) in [
        (
            Reply::json(400, r#"{"message":"400 Bad request"}"#),
            Code::InvalidArgument,
        ),
        (Reply::json(401, REFUSED), Code::Unauthenticated),
        (
            Reply::json(403, r#"{"message":"403 Forbidden"}"#),
            Code::PermissionDenied,
        ),
        (Reply::status(404), Code::NotFound),
        (Reply::status(405), Code::Unsupported),
        (Reply::status(503), Code::Upstream),
        (Reply::transport_error(), Code::Transport),
        (Reply::status(204), Code::MalformedResponse),
    ] {
        let run = by_token()
            .on(
                "GET",
                &api(SELF),
                Reply::json(200, own(r#"["api"]"#, r#""expires_at":null"#)),
            )
            .on("POST", &api("/personal_access_tokens/self/rotate"), reply)
            .run(v1::RotateToken::default());
        assert_eq!(run.failure().code(), code);
    }
}

/// A token ends itself with any scope. Only what GitLab confirms counts as done.
#[test]
fn trap_3_a_token_ends_itself() {
    let revoke = |reply| {
        by_token()
            .on("DELETE", &api(SELF), reply)
            .run(v1::Revoke { whole_grant: true })
    };
    for (reply, outcome) in [
        (Reply::status(204), Outcome::Done),
        (Reply::json(401, REFUSED), Outcome::AlreadyAbsent),
        (Reply::status(404), Outcome::Impossible),
    ] {
        assert_eq!(revoke(reply).revocation().outcome(), outcome);
    }
    for (reply, code) in [
        (Reply::bytes(200, "<html>"), Code::MalformedResponse),
        (
            Reply::json(400, r#"{"message":"400 Bad request"}"#),
            Code::InvalidArgument,
        ),
        (
            Reply::json(401, r#"{"error":"dpop_error"}"#),
            Code::PermissionDenied,
        ),
        (
            Reply::json(
                403,
                r#"{"message":"403 Forbidden - Your account has been blocked."}"#,
            ),
            Code::Suspended,
        ),
        (Reply::status(429), Code::RateLimited),
        (Reply::status(500), Code::Upstream),
    ] {
        assert_eq!(revoke(reply).failure().code(), code);
    }
}

/// What came by OAuth ends at the revocation endpoint, which is the daemon's: nothing is sent, and the page is named.
#[test]
fn trap_3_no_call_ends_a_whole_authorization() {
    let run = driver().run(v1::Revoke { whole_grant: true });
    assert_eq!(run.revocation().outcome(), Outcome::Impossible);
    assert_eq!(
        run.revocation().action_uri,
        format!("{WEB}/-/user_settings/applications")
    );
    assert!(run.requests.is_empty());
    let nobody = driver().credential(v1::Credential::default());
    let run = nobody.run(v1::Revoke { whole_grant: false });
    assert_eq!(run.failure().code(), Code::InvalidArgument);
}
