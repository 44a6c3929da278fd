//! Token endpoints: what each forge's answer means.

use std::time::Duration;

use bindery_core::{
    exchange::{TokenCall, TokenGrant, TokenOutcome, Tokens},
    host::HostNetwork,
    port::Egress,
    provider::{AuthKind, AuthMethod, Rotation},
    secret::Secret,
};
use bindery_egress::HttpEgress;

use crate::support::{Entry, Server, egress, loopback, origins, reply};

pub(crate) fn method() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::OAuthCode,
        pkce: true,
        basic_client_auth: false,
        scope_separator: " ".to_owned(),
        response_scope_separator: " ".to_owned(),
        rotation: Rotation::Always,
        reuse_is_fatal: true,
        authorize_parameters: Vec::new(),
        help_uri: String::new(),
        dead_grant_errors: vec!["invalid_grant".to_owned()],
        errors_with_status_ok: false,
        ..AuthMethod::new(AuthKind::OAuthCode)
    }
}

pub(crate) fn github() -> AuthMethod {
    AuthMethod {
        response_scope_separator: ",".to_owned(),
        dead_grant_errors: vec!["bad_refresh_token".to_owned()],
        errors_with_status_ok: true,
        ..method()
    }
}

pub(crate) fn gitea() -> AuthMethod {
    AuthMethod {
        dead_grant_errors: vec!["unauthorized_client".to_owned(), "invalid_grant".to_owned()],
        ..method()
    }
}

/// A provider that names no error of its own.
fn silent() -> AuthMethod {
    AuthMethod {
        dead_grant_errors: Vec::new(),
        ..method()
    }
}

pub(crate) async fn refresh(
    egress: &HttpEgress,
    endpoint: &str,
    method: &AuthMethod,
    keys: &[&str],
) -> TokenOutcome {
    let refresh_token = Secret::new("OLDREFRESHTOKEN".to_owned());
    let grant = TokenGrant::Refresh {
        refresh_token: &refresh_token,
        redirect_uri: None,
    };
    call(egress, endpoint, method, keys, grant, &loopback()).await
}

pub(crate) async fn call(
    egress: &HttpEgress,
    endpoint: &str,
    method: &AuthMethod,
    keys: &[&str],
    grant: TokenGrant<'_>,
    network: &HostNetwork,
) -> TokenOutcome {
    let mut entry = Entry::new(network);
    entry.secrets.client_secrets = keys
        .iter()
        .map(|key| Secret::new((*key).to_owned()))
        .collect();
    let origins = origins(&[endpoint]);
    egress
        .token(TokenCall {
            endpoint,
            client_id: "client-id",
            method,
            reach: entry.reach(),
            origins: &origins,
            grant,
        })
        .await
        .outcome
}

pub(crate) type Headers<'a> = &'a [(&'a str, &'a str)];

/// The outcome of one answer, in short.
pub(crate) async fn outcome(
    method: &AuthMethod,
    status: u16,
    headers: Headers<'_>,
    body: &str,
) -> String {
    let headers: Vec<_> = headers
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    let body = body.to_owned();
    let server = Server::http(move |_| {
        let headers: Vec<_> = headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        reply(status, &headers, body.clone())
    })
    .await;
    match refresh(&egress(), &server.url("/token"), method, &["key"]).await {
        TokenOutcome::Granted(tokens) => format!("granted {}", describe(&tokens)),
        TokenOutcome::Refused { error, dead } => {
            format!("refused {error} {}", if dead { "dead" } else { "alive" })
        }
        TokenOutcome::ClientRefused => "client".to_owned(),
        TokenOutcome::NotNow(problem) => format!(
            "not now {} {:?}",
            problem.reason.as_str(),
            problem.retry_after
        ),
        TokenOutcome::Lost(problem) => format!("lost {}", problem.reason.as_str()),
    }
}

fn describe(tokens: &Tokens) -> String {
    format!(
        "{} {:?} {:?} {:?}",
        tokens.access_token.expose(),
        tokens.refresh_token.as_ref().map(Secret::expose),
        tokens.expires_in.map(|lifetime| lifetime.as_secs()),
        tokens.scopes
    )
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const FORM: (&str, &str) = (
    "content-type",
    "application/x-www-form-urlencoded; charset=utf-8",
);

/// Every shape of a granted token that GitHub and Gitea (and the standard) have.
#[tokio::test]
async fn trap_2_token_replies_have_many_shapes() {
    let cases = [
        (
            github(),
            JSON,
            r#"{"access_token":"gho_a","token_type":"bearer","scope":"repo,read:org"}"#,
            r#"granted gho_a None None Some(["repo", "read:org"])"#,
        ),
        (
            github(),
            JSON,
            r#"{"access_token":"ghu_a","expires_in":28800,"refresh_token":"ghr_a","refresh_token_expires_in":15811200,"scope":"","token_type":"bearer"}"#,
            r#"granted ghu_a Some("ghr_a") Some(28800) Some([])"#,
        ),
        (
            github(),
            FORM,
            "access_token=gho_a&expires_in=28800&refresh_token=&scope=repo%2Cgist&token_type=bearer",
            r#"granted gho_a None Some(28800) Some(["repo", "gist"])"#,
        ),
        (
            gitea(),
            JSON,
            r#"{"access_token":"eyJ.a.b","token_type":"bearer","expires_in":3600,"refresh_token":"eyJ.c.d"}"#,
            r#"granted eyJ.a.b Some("eyJ.c.d") Some(3600) None"#,
        ),
        (
            method(),
            JSON,
            r#"{"access_token":"a","token_type":"BEARER","expires_in":"7200","scope":"api  read_user"}"#,
            r#"granted a None Some(7200) Some(["api", "read_user"])"#,
        ),
        (
            method(),
            JSON,
            r#"{"access_token":"a","refresh_token":null,"scope":null}"#,
            "granted a None None None",
        ),
        (
            method(),
            ("content-type", "text/plain"),
            r#"{"access_token":"a","scope":["x","y"],"expires_in":0,"error":""}"#,
            r#"granted a None None Some(["x", "y"])"#,
        ),
    ];
    for (method, kind, body, expected) in cases {
        assert_eq!(
            outcome(&method, 200, &[kind], body).await,
            expected,
            "{body}"
        );
    }
}

/// What is no grant: who was refused, whether the grant is dead, and what is only a matter of time.
#[tokio::test]
async fn refused_and_not_now() {
    let error =
        |code: &str| format!(r#"{{"error":"{code}","error_description":"OLDREFRESHTOKEN"}}"#);
    let cases = [
        (
            github(),
            200,
            error("bad_verification_code"),
            "refused bad_verification_code alive",
        ),
        (
            github(),
            200,
            error("bad_refresh_token"),
            "refused bad_refresh_token dead",
        ),
        (
            github(),
            200,
            error("redirect_uri_mismatch"),
            "refused redirect_uri_mismatch alive",
        ),
        (
            github(),
            200,
            error("incorrect_client_credentials"),
            "client",
        ),
        (
            github(),
            200,
            r#"{"error":"unverified_user_email","access_token":"x"}"#.to_owned(),
            "refused unverified_user_email alive",
        ),
        (
            gitea(),
            400,
            error("unauthorized_client"),
            "refused unauthorized_client dead",
        ),
        (
            gitea(),
            400,
            error("invalid_grant"),
            "refused invalid_grant dead",
        ),
        // RFC 6749 section 5.2 says it for every provider.
        (
            silent(),
            401,
            error("invalid_grant"),
            "refused invalid_grant dead",
        ),
        (gitea(), 400, error("invalid_client"), "client"),
        (
            method(),
            400,
            error("invalid_grant"),
            "refused invalid_grant dead",
        ),
        (method(), 400, error("unauthorized_client"), "client"),
        (method(), 401, error("invalid_client"), "client"),
        (
            method(),
            401,
            error("invalid_grant"),
            "refused invalid_grant dead",
        ),
        (method(), 401, String::new(), "client"),
        (
            method(),
            400,
            error("invalid_scope"),
            "refused invalid_scope alive",
        ),
        (
            method(),
            400,
            error("a b\\u001b[31m<x>"),
            "refused ab31mx alive",
        ),
        (
            method(),
            400,
            error("temporarily_unavailable"),
            "not now PROVIDER_UNAVAILABLE None",
        ),
        (
            method(),
            500,
            error("invalid_grant"),
            "not now PROVIDER_UNAVAILABLE None",
        ),
        (
            method(),
            503,
            "<html>".to_owned(),
            "not now PROVIDER_UNAVAILABLE None",
        ),
        (
            method(),
            403,
            "<html>".to_owned(),
            "not now HOST_ANSWER_UNUSABLE None",
        ),
        (
            method(),
            404,
            "<html>".to_owned(),
            "not now HOST_ANSWER_UNUSABLE None",
        ),
        (
            method(),
            302,
            String::new(),
            "not now HOST_ANSWER_UNUSABLE None",
        ),
    ];
    for (method, status, body, expected) in cases {
        assert_eq!(
            outcome(&method, status, &[JSON], &body).await,
            expected,
            "{status} {body}"
        );
    }
}

/// A limit is a matter of time, for as long as the host says, and a 403 is one only with the headers of one.
#[tokio::test]
async fn rate_limits() {
    let date = ("date", "Sat, 21 Nov 2026 19:29:16 GMT");
    let limited = |seconds: u64| {
        format!(
            "not now PROVIDER_RATE_LIMITED {:?}",
            Some(Duration::from_secs(seconds))
        )
    };
    let dead = r#"{"error":"invalid_grant"}"#;
    let cases: [(u16, Headers<'_>, String); 8] = [
        (429, &[], limited(60)),
        (429, &[("retry-after", "7")], limited(7)),
        (
            429,
            &[date, ("retry-after", "Sat, 21 Nov 2026 19:30:16 GMT")],
            limited(60),
        ),
        (
            429,
            &[date, ("x-ratelimit-reset", "1795289376")],
            limited(20),
        ),
        (429, &[("retry-after", "99999999")], limited(3600)),
        (
            403,
            &[
                date,
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1795289366"),
            ],
            limited(10),
        ),
        (403, &[("retry-after", "30")], limited(30)),
        (
            403,
            &[("x-ratelimit-remaining", "7")],
            "refused invalid_grant dead".to_owned(),
        ),
    ];
    for (status, headers, expected) in cases {
        assert_eq!(
            outcome(&method(), status, headers, dead).await,
            expected,
            "{status} {headers:?}"
        );
    }
}

/// Bitbucket Cloud writes the scopes into `scopes`, and Bitbucket Data Center wants the redirect URI again.
#[tokio::test]
async fn a_providers_own_members_are_kept() {
    let body = r#"{"access_token":"a","scopes":"repository account"}"#;
    let server = Server::http(move |_| reply(200, &[JSON], body)).await;
    let own = AuthMethod {
        scopes_member: "scopes".to_owned(),
        ..method()
    };
    let refresh_token = Secret::new("r".to_owned());
    let grant = TokenGrant::Refresh {
        refresh_token: &refresh_token,
        redirect_uri: Some("https://bindery.example/oauth/x/callback"),
    };
    let endpoint = server.url("/token");
    let outcome = call(&egress(), &endpoint, &own, &["k"], grant, &loopback()).await;
    let TokenOutcome::Granted(tokens) = outcome else {
        panic!("expected tokens, got {outcome:?}");
    };
    let scopes = ["repository".to_owned(), "account".to_owned()];
    assert_eq!(tokens.scopes.as_deref(), Some(scopes.as_slice()));
    let sent = String::from_utf8_lossy(&server.seen()[0].body).into_owned();
    assert!(sent.contains("redirect_uri=https%3A%2F%2Fbindery.example%2Foauth%2Fx%2Fcallback"));
}
