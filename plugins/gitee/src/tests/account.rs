//! The identity, its token, and the server

use super::*;

const KIT: &str = r#"{"id":1535738,"login":"kit101","name":"小工具","html_url":"https://gitee.test/kit101","type":"User"}"#;

fn identify(reply: Reply) -> testing::Run {
    driver()
        .on("GET", &url("/user"), reply)
        .run(v1::Identify {})
}

/// An identity is known by its number, and shown by its name in any script.
#[test]
fn identify_tells_who() {
    let run = identify(Reply::json(200, KIT));
    let identity = run.identity();
    assert_eq!(
        (identity.stable_id.as_str(), identity.login.as_str()),
        ("1535738", "kit101")
    );
    assert_eq!(identity.display_name, "小工具");
    assert_eq!(identity.web_uri, "https://gitee.test/kit101");
    assert_eq!(identity.kind(), v1::AccountKind::User);
}

/// Section 6: an id may be a string, and is the same one.
#[test]
fn trap_6_an_id_is_a_number_or_a_string() {
    for id in ["7", r#""7""#] {
        let run = identify(Reply::json(
            200,
            format!(r#"{{"id":{id},"login":"a","name":null}}"#),
        ));
        assert_eq!(run.identity().stable_id, "7");
        assert_eq!(run.identity().web_uri, "https://gitee.test/a");
    }
    let run = identify(Reply::json(200, r#"{"id":null,"login":"a"}"#));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
}

/// Every class of error has its code, whatever language its text is in.
#[test]
fn errors_have_their_code() {
    for (reply, code) in [
        (
            refusal(401, "401 Unauthorized: Access token is expired"),
            Code::Unauthenticated,
        ),
        (
            refusal(401, "401 Unauthorized: Access token does not exist"),
            Code::Unauthenticated,
        ),
        (refusal(401, "认证失败"), Code::Unauthenticated),
        (refusal(403, "403 Forbidden"), Code::PermissionDenied),
        (refusal(403, "你没有权限访问"), Code::PermissionDenied),
        (refusal(404, "404 Project Not Found"), Code::NotFound),
        (refusal(422, "参数不合法"), Code::InvalidArgument),
        (refusal(429, "Too Many Requests"), Code::RateLimited),
        (
            refusal(403, "403 Forbidden (Rate Limit Exceeded)"),
            Code::RateLimited,
        ),
        (Reply::bytes(502, "<html>"), Code::Upstream),
        (Reply::bytes(200, "<html>"), Code::MalformedResponse),
        (Reply::transport_error(), Code::Transport),
    ] {
        let run = identify(reply);
        assert_eq!(run.failure().code(), code);
        assert!(run.failure().message.is_ascii(), "no body is quoted");
    }
}

/// A used-up limit says how long to wait, or is given a minute.
#[test]
fn a_limit_has_a_wait() {
    let told = refusal(403, "API rate limit exceeded").header("retry-after", "7");
    assert_eq!(identify(told).failure().retry_after_ms, 7_000);
    let untold = refusal(403, "API rate limit exceeded");
    assert_eq!(identify(untold).failure().retry_after_ms, 60_000);
}

/// A missing scope is a 401 here. It is named, and is no refused token: the link stays alive.
#[test]
fn a_missing_scope_is_no_refused_token() {
    let text = "401 Unauthorized: no 'user_info' scope";
    let run = identify(refusal(401, text));
    assert_eq!(run.failure().code(), Code::ScopeMissing);
    assert_eq!(run.failure().missing_scopes, ["user_info"]);
    assert_eq!(run.failure().http_status, 401);
}

/// A token is alive if the server takes it, even where it may not ask who it is; its scopes are not told.
#[test]
fn a_token_is_alive_or_not() {
    for (reply, active) in [
        (Reply::json(200, KIT), true),
        (refusal(401, "401 Unauthorized: no 'user_info' scope"), true),
        (
            refusal(401, "401 Unauthorized: Access token is expired"),
            false,
        ),
    ] {
        let run = driver()
            .on("GET", &url("/user"), reply)
            .run(v1::InspectToken {});
        let facts = run.token_facts();
        assert_eq!(
            (facts.active, facts.scopes_known, facts.expire_unix),
            (active, false, 0)
        );
    }
    for (reply, code) in [
        (Reply::status(500), Code::Upstream),
        (refusal(403, "403 Forbidden"), Code::PermissionDenied),
    ] {
        let run = driver()
            .on("GET", &url("/user"), reply)
            .run(v1::InspectToken {});
        assert_eq!(run.failure().code(), code);
    }
}

/// Nothing is asked, nothing is claimed: a person is sent to the page of what was linked.
#[test]
fn a_revocation_is_said_to_be_impossible() {
    for (kind, page) in [
        (
            v1::AuthKind::OauthCode,
            "https://gitee.test/oauth/applications",
        ),
        (
            v1::AuthKind::AccessToken,
            "https://gitee.test/profile/personal_access_tokens",
        ),
    ] {
        let credential = v1::Credential {
            auth_kind: kind.into(),
            ..v1::Credential::default()
        };
        let run = driver()
            .credential(credential)
            .run(v1::Revoke { whole_grant: true });
        assert_eq!(
            run.revocation().outcome(),
            v1::RevocationOutcome::Impossible
        );
        assert_eq!(run.revocation().action_uri, page);
        assert!(run.requests.is_empty());
    }
}

/// No endpoint tells a version. The server is known by how it refuses a stranger; another one is not taken for it.
#[test]
fn a_server_is_known_by_its_refusal() {
    let probe = |reply| driver().on("GET", &url("/user"), reply).run(v1::Probe {});
    let run = probe(refusal(401, "401 Unauthorized: Access token is required"));
    assert_eq!(run.server(), &v1::ServerFacts::default());
    assert_eq!(run.requests[0].header("authorization"), None);
    for (reply, code) in [
        (
            refusal(401, "Requires authentication"),
            Code::Unauthenticated,
        ),
        (Reply::bytes(401, "<html>"), Code::Unauthenticated),
        (Reply::json(200, KIT), Code::MalformedResponse),
        (Reply::status(404), Code::NotFound),
        (
            refusal(403, "403 Forbidden (Rate Limit Exceeded)"),
            Code::RateLimited,
        ),
        (Reply::status(502), Code::Upstream),
    ] {
        assert_eq!(probe(reply).failure().code(), code);
    }
}
