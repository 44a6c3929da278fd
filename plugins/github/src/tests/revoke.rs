//! Taking a token away

use bindery_plugin_sdk::testing::Run;

use super::*;
use crate::v1::RevocationOutcome as Outcome;

fn credential(auth: v1::AuthKind, kind: &str) -> v1::Credential {
    v1::Credential {
        auth_kind: auth.into(),
        token_kind: kind.to_owned(),
        client_id: "client-1".to_owned(),
        ..v1::Credential::default()
    }
}

fn grant(status: u16) -> Driver<GitHub> {
    driver().on(
        "DELETE",
        &api("/applications/client-1/grant"),
        Reply::status(status),
    )
}

fn whole(driver: &Driver<GitHub>) -> Run {
    driver.run(v1::Revoke { whole_grant: true })
}

/// The application shows its own name and secret, and the token as a member of the body; both are segments.
#[test]
fn p9_an_application_revokes_its_grant() {
    let run = whole(&grant(204));
    assert_eq!(run.revocation().outcome(), Outcome::Done);
    let sent = &run.requests[0];
    assert_eq!(
        sent.header("authorization"),
        Some(r#"Basic <secret:client_secret base64 of "client-1:">"#)
    );
    assert_eq!(sent.body, r#"{"access_token":<secret:access_token json>}"#);
    assert_eq!(sent.header("content-type"), Some("application/json"));
    let one = driver().on(
        "DELETE",
        &api("/applications/client-1/token"),
        Reply::status(204),
    );
    assert_eq!(
        one.run(v1::Revoke { whole_grant: false })
            .revocation()
            .outcome(),
        Outcome::Done
    );
}

/// Gone already is told from refused by the token itself: a token that still works was not revoked.
#[test]
fn gone_is_told_from_refused() {
    for status in [404, 422] {
        let run = whole(&grant(status).on("GET", &api("/user"), Reply::status(401)));
        assert_eq!(run.revocation().outcome(), Outcome::AlreadyAbsent);
        let run = whole(&grant(status).on("GET", &api("/user"), Reply::json(200, OCTOCAT)));
        assert_eq!(run.failure().code(), Code::ClientRefused);
        let run = whole(&grant(status).on("GET", &api("/user"), Reply::status(502)));
        assert_eq!(run.failure().code(), Code::Upstream);
    }
    assert_eq!(whole(&grant(401)).failure().code(), Code::ClientRefused);
    assert_eq!(whole(&grant(500)).failure().code(), Code::Upstream);
}

/// Without a client id there is nothing to ask for, and a page to go to.
#[test]
fn no_client_id_is_told() {
    let nobody = v1::Credential {
        client_id: String::new(),
        ..credential(v1::AuthKind::OauthCode, "oauth")
    };
    let run = whole(&driver().credential(nobody));
    assert_eq!(run.revocation().outcome(), Outcome::Impossible);
    assert_eq!(
        run.revocation().action_uri,
        "https://github.com/settings/applications"
    );
}

/// github.com takes a personal token without any authorization; other servers and the oldest tokens have the page.
#[test]
fn trap_2_a_personal_token_is_revoked_where_that_is_possible() {
    let personal = |kind: &str| credential(v1::AuthKind::AccessToken, kind);
    let url = api("/credentials/revoke");
    let run = whole(&driver().credential(personal("personal_access_token")).on(
        "POST",
        &url,
        Reply::status(202),
    ));
    assert_eq!(run.revocation().outcome(), Outcome::Done);
    assert_eq!(run.requests[0].header("authorization"), None);
    assert_eq!(
        run.requests[0].body,
        r#"{"credentials":[<secret:access_token json>]}"#
    );
    let run = whole(&driver().credential(personal("fine_grained_token")).on(
        "POST",
        &url,
        Reply::status(422),
    ));
    assert_eq!(run.revocation().outcome(), Outcome::Impossible);
    assert_eq!(
        run.revocation().action_uri,
        "https://github.com/settings/personal-access-tokens"
    );
    let run = whole(&server().credential(personal("personal_access_token")));
    assert_eq!(
        run.revocation().action_uri,
        "https://ghes.test/settings/tokens"
    );
    let run = whole(&driver().credential(personal("legacy_personal_access_token")));
    assert_eq!(run.revocation().outcome(), Outcome::Impossible);
}

/// An installation's token ends itself.
#[test]
fn an_installation_token_ends_itself() {
    let app = credential(v1::AuthKind::AppInstallation, "installation");
    for (status, outcome) in [(204, Outcome::Done), (401, Outcome::AlreadyAbsent)] {
        let end = driver().credential(app.clone()).on(
            "DELETE",
            &api("/installation/token"),
            Reply::status(status),
        );
        let run = end.run(v1::Revoke { whole_grant: false });
        assert_eq!(run.revocation().outcome(), outcome);
    }
}
