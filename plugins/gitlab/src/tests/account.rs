//! The identity, and the server

use super::*;
use crate::v1::AccountKind;

fn identify(body: &str) -> testing::Run {
    driver()
        .on("GET", &api("/user"), Reply::json(200, body))
        .run(v1::Identify {})
}

/// The token is named, never seen, and goes into the header alone: GitLab takes it in a URL as well.
#[test]
fn p9_the_token_is_a_segment_of_one_header() {
    let run = identify(ADA);
    let sent = &run.requests[0];
    assert_eq!(
        sent.header("authorization"),
        Some("Bearer <secret:access_token>")
    );
    assert!(!sent.url.contains("token") && sent.body.is_empty());
}

/// An identity is known by its number, and has a page even where the API gives none.
#[test]
fn identify_tells_who() {
    let run = identify(ADA);
    let identity = run.identity();
    assert_eq!(
        (identity.stable_id.as_str(), identity.login.as_str()),
        ("7", "ada")
    );
    assert_eq!(identity.web_uri, "https://git.test/gitlab/ada");
    assert_eq!(identity.kind(), AccountKind::User);
}

/// Machine accounts are told by the flag, and by their logins where an older server has no flag.
#[test]
fn bots_are_told_from_people() {
    for (login, flag, kind) in [
        ("ada", "", AccountKind::User),
        ("ada", r#","bot":false"#, AccountKind::User),
        ("ada", r#","bot":null"#, AccountKind::User),
        ("ada", r#","bot":true"#, AccountKind::Bot),
        ("project_81_bot", "", AccountKind::Bot),
        ("project_81_bot2", "", AccountKind::Bot),
        ("group_3_bot_1a2b3c", "", AccountKind::Bot),
        ("service_account_1a2b", "", AccountKind::Bot),
        ("project_81", "", AccountKind::User),
        ("project_bot", "", AccountKind::User),
        ("project__bot", "", AccountKind::User),
        ("group_leader_bot", "", AccountKind::User),
    ] {
        let run = identify(&format!(
            r#"{{"id":7,"username":"{login}","state":"active"{flag}}}"#
        ));
        assert_eq!(run.identity().kind(), kind, "{login} {flag}");
    }
}

/// An account that is not active is suspended, and not merely refused.
#[test]
fn a_blocked_account_is_suspended() {
    for state in ["blocked", "deactivated", "ldap_blocked", "banned"] {
        let run = identify(&format!(r#"{{"id":7,"username":"ada","state":"{state}"}}"#));
        assert_eq!(run.failure().code(), Code::Suspended, "{state}");
    }
}

/// GitLab refuses strangers its version, and is known by how it refuses: by a header, or by its words where a proxy took the
/// header away.
#[test]
fn a_server_is_told_without_a_token() {
    let probe = |reply| {
        driver()
            .credential(v1::Credential::default())
            .on("GET", &api("/version"), reply)
            .run(v1::Probe {})
    };
    let meta = r#"{"correlation_id":"1","version":"1"}"#;
    for reply in [
        Reply::json(401, REFUSED),
        Reply::status(401).header("x-gitlab-meta", meta),
        Reply::json(403, r#"{"message":"403 Forbidden"}"#),
    ] {
        let run = probe(reply);
        assert_eq!(run.server().version, "");
        assert_eq!(run.requests[0].header("authorization"), None);
    }
    let run = probe(Reply::json(200, r#"{"version":"18.5.0-ee"}"#));
    assert_eq!(run.server().version, "18.5.0-ee");
    for (reply, code) in [
        (Reply::bytes(401, "<html>"), Code::Unauthenticated),
        (
            Reply::json(403, r#"{"message":"no"}"#),
            Code::PermissionDenied,
        ),
        (Reply::bytes(200, "<html>"), Code::MalformedResponse),
        (Reply::status(404), Code::NotFound),
    ] {
        assert_eq!(probe(reply).failure().code(), code);
    }
}
