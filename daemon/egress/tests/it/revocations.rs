//! Revocation endpoints: what each answer means.

use bindery_core::{
    exchange::{RevokeCall, RevokeOutcome, TokenHint},
    port::Egress,
    problem::Reason,
    provider::AuthMethod,
    secret::Secret,
};

use crate::{
    support::{Entry, Server, egress, loopback, origins, reply},
    tokens::{JSON, method},
};

async fn revoke(server: &Server, method: &AuthMethod, keys: &[&str]) -> RevokeOutcome {
    let mut entry = Entry::new(&loopback());
    entry.secrets.client_secrets = keys
        .iter()
        .map(|key| Secret::new((*key).to_owned()))
        .collect();
    let endpoint = server.url("/oauth/revoke");
    let allowed = origins(&[&endpoint]);
    egress()
        .revoke(RevokeCall {
            endpoint: &endpoint,
            client_id: "client-id",
            method,
            reach: entry.reach(),
            origins: &allowed,
            token: &Secret::new("BNDRYCANARY+&=".to_owned()),
            hint: TokenHint::Refresh,
        })
        .await
}

async fn answered(status: u16, body: &'static str) -> RevokeOutcome {
    let server = Server::http(move |_| reply(status, &[JSON], body.to_owned())).await;
    revoke(&server, &method(), &["secret"]).await
}

/// GitLab: an unknown token is answered 200 with an empty object, and is done. Servers that say it with an error mean the
/// same.
#[tokio::test]
async fn trap_3_an_unknown_token_is_done() {
    for (status, body) in [
        (200, "{}"),
        (200, ""),
        (400, r#"{"error":"invalid_token"}"#),
    ] {
        assert_eq!(answered(status, body).await, RevokeOutcome::Done, "{body}");
    }
}

/// GitLab answers 403 `unauthorized_client` to a wrong client; others 401. The next secret is tried, each once.
#[tokio::test]
async fn every_client_secret_is_tried() {
    for (status, body) in [
        (403, r#"{"error":"unauthorized_client"}"#),
        (401, r#"{"error":"invalid_client"}"#),
        (401, ""),
    ] {
        let server = Server::http(move |seen| {
            let right = String::from_utf8_lossy(&seen.body).contains("client_secret=new");
            match right {
                true => reply(200, &[JSON], "{}".to_owned()),
                false => reply(status, &[JSON], body.to_owned()),
            }
        })
        .await;
        let old = ["old"];
        assert_eq!(
            revoke(&server, &method(), &old).await,
            RevokeOutcome::ClientRefused
        );
        let both = ["old", "new"];
        assert_eq!(revoke(&server, &method(), &both).await, RevokeOutcome::Done);
        assert_eq!(server.seen().len(), 3);
    }
}

/// What is broken, limited or not there has ended nothing.
#[tokio::test]
async fn nothing_else_counts_as_revoked() {
    for (status, body, reason) in [
        (503, "", Reason::ProviderUnavailable),
        (429, "", Reason::ProviderRateLimited),
        (404, "", Reason::ProviderUnsupported),
        (
            400,
            r#"{"error":"unsupported_token_type"}"#,
            Reason::ProviderUnsupported,
        ),
        (302, "", Reason::HostAnswerUnusable),
        (
            400,
            r#"{"error":"invalid_request"}"#,
            Reason::HostAnswerUnusable,
        ),
    ] {
        match answered(status, body).await {
            RevokeOutcome::Failed(problem) => assert_eq!(problem.reason, reason, "{status}"),
            other => panic!("{status}: {other:?}"),
        }
    }
}

/// The token and the client travel in the body, encoded; with Basic the client goes into the header, form-encoded first.
#[tokio::test]
async fn the_token_is_in_the_body() {
    let server = Server::http(|_| reply(200, &[JSON], "{}".to_owned())).await;
    revoke(&server, &method(), &["s+1"]).await;
    let basic = AuthMethod {
        basic_client_auth: true,
        ..method()
    };
    revoke(&server, &basic, &["s+1"]).await;
    let seen = server.seen();
    let body = |index: usize| String::from_utf8_lossy(&seen[index].body).into_owned();
    let token = "token=BNDRYCANARY%2B%26%3D&token_type_hint=refresh_token";
    assert_eq!(
        body(0),
        format!("{token}&client_id=client-id&client_secret=s%2B1")
    );
    assert_eq!(body(1), token);
    assert_eq!(
        seen[1].header("authorization"),
        Some("Basic Y2xpZW50LWlkOnMlMkIx")
    );
}
