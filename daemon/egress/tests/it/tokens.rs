//! Token endpoints: what each forge's answer means, what counts as lost, and that nothing but tokens comes out.

use std::time::Duration;

use bindery_core::{
    exchange::{TokenCall, TokenGrant, TokenOutcome, Tokens},
    host::HostNetwork,
    port::Egress,
    problem::{Problem, Reason},
    provider::{AuthKind, AuthMethod, Rotation},
    secret::Secret,
};
use bindery_egress::HttpEgress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Seen, Server, bind, egress, json, loopback, origins, reply, short};

const TOKEN: &str = "gho_ACCESS0123456789";
const REFRESH: &str = "ghr_REFRESH0123456789";

fn method() -> AuthMethod {
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
    }
}

fn github() -> AuthMethod {
    AuthMethod {
        response_scope_separator: ",".to_owned(),
        dead_grant_errors: vec!["bad_refresh_token".to_owned()],
        errors_with_status_ok: true,
        ..method()
    }
}

fn gitea() -> AuthMethod {
    AuthMethod {
        dead_grant_errors: vec!["unauthorized_client".to_owned(), "invalid_grant".to_owned()],
        ..method()
    }
}

async fn refresh(
    egress: &HttpEgress,
    endpoint: &str,
    method: &AuthMethod,
    keys: &[&str],
) -> TokenOutcome {
    let refresh_token = Secret::new("OLDREFRESHTOKEN".to_owned());
    let grant = TokenGrant::Refresh {
        refresh_token: &refresh_token,
    };
    call(egress, endpoint, method, keys, grant, &loopback()).await
}

async fn call(
    egress: &HttpEgress,
    endpoint: &str,
    method: &AuthMethod,
    keys: &[&str],
    grant: TokenGrant<'_>,
    network: &HostNetwork,
) -> TokenOutcome {
    let client_secrets: Vec<_> = keys
        .iter()
        .map(|key| Secret::new((*key).to_owned()))
        .collect();
    let origins = origins(&[endpoint]);
    egress
        .token(TokenCall {
            endpoint,
            client_id: "client-id",
            client_secrets: &client_secrets,
            method,
            network,
            origins: &origins,
            grant,
        })
        .await
}

type Headers<'a> = &'a [(&'a str, &'a str)];

/// The outcome of one answer, in short.
async fn outcome(method: &AuthMethod, status: u16, headers: Headers<'_>, body: &str) -> String {
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

const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const FORM: (&str, &str) = (
    "content-type",
    "application/x-www-form-urlencoded; charset=utf-8",
);

/// Every shape of a granted token that GitHub and Gitea (and the standard) have.
#[tokio::test]
async fn granted() {
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

/// After the request may have been read, no answer and no readable answer is "lost"; before, it is "not now".
#[tokio::test]
async fn lost_or_not_now() {
    for body in [
        "",
        "<html>fine</html>",
        "{",
        r#"{"token_type":"bearer"}"#,
        r#"{"access_token":""}"#,
        r#"{"access_token":7}"#,
    ] {
        assert_eq!(
            outcome(&method(), 200, &[JSON], body).await,
            "lost HOST_ANSWER_UNUSABLE",
            "{body}"
        );
    }
    let huge = format!(
        r#"{{"access_token":"a","pad":"{}"}}"#,
        "x".repeat(300 << 10)
    );
    assert_eq!(
        outcome(&method(), 200, &[JSON], &huge).await,
        "lost HOST_ANSWER_UNUSABLE"
    );

    let closing = Server::raw(|mut stream| async move {
        let mut buffer = [0; 4096];
        drop(stream.read(&mut buffer).await);
    })
    .await;
    let lost = refresh(
        &egress(),
        &closing.url("/token"),
        &method(),
        &["one", "two"],
    )
    .await;
    assert!(matches!(lost, TokenOutcome::Lost(_)), "{lost:?}");
    assert_eq!(closing.connections(), 1, "a lost request is not sent again");

    let half = Server::raw(|mut stream| async move {
        let mut buffer = [0; 4096];
        drop(stream.read(&mut buffer).await);
        drop(
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"access_token\":")
                .await,
        );
    })
    .await;
    let lost = refresh(&egress(), &half.url("/token"), &method(), &["key"]).await;
    assert!(matches!(lost, TokenOutcome::Lost(_)), "{lost:?}");

    let silent = Server::raw(|mut stream| async move {
        let mut buffer = [0; 4096];
        // Until the client gives up.
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let lost = refresh(
        &HttpEgress::new(short()),
        &silent.url("/token"),
        &method(),
        &["key"],
    )
    .await;
    assert!(matches!(lost, TokenOutcome::Lost(_)), "{lost:?}");

    let port = bind(std::net::Ipv4Addr::LOCALHOST)
        .await
        .local_addr()
        .expect("bound")
        .port();
    let refused = refresh(
        &egress(),
        &format!("http://127.0.0.1:{port}/token"),
        &method(),
        &["key"],
    )
    .await;
    assert!(
        matches!(
            refused,
            TokenOutcome::NotNow(Problem {
                reason: Reason::HostUnreachable,
                ..
            })
        ),
        "{refused:?}"
    );
}

/// Client secrets are tried in order until one is accepted, and what a server said of the grant outweighs the rest.
#[tokio::test]
async fn client_secrets_in_order() {
    let server = Server::http(|seen: &Seen| {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        match body {
            body if body.contains("client_secret=new") => json(200, r#"{"access_token":"a"}"#),
            body if body.contains("client_secret=gitea") => {
                json(400, r#"{"error":"unauthorized_client"}"#)
            }
            _ => json(401, r#"{"error":"invalid_client"}"#),
        }
    })
    .await;
    let (egress, url) = (egress(), server.url("/token"));
    let granted = refresh(&egress, &url, &method(), &["old", "older", "new", "never"]).await;
    assert!(matches!(granted, TokenOutcome::Granted(_)), "{granted:?}");
    assert_eq!(server.seen().len(), 3);
    assert!(matches!(
        refresh(&egress, &url, &method(), &["old", "older"]).await,
        TokenOutcome::ClientRefused
    ));
    let granted = refresh(&egress, &url, &gitea(), &["gitea", "new"]).await;
    assert!(matches!(granted, TokenOutcome::Granted(_)), "{granted:?}");
    for keys in [["gitea", "old"], ["old", "gitea"]] {
        let refused = refresh(&egress, &url, &gitea(), &keys).await;
        assert!(
            matches!(refused, TokenOutcome::Refused { dead: true, .. }),
            "{refused:?}"
        );
    }
}

/// O4: a code is presented as RFC 6749 and RFC 7636 say, with the client in the body or in the header.
#[tokio::test]
async fn o4_code_requests() {
    let server = Server::http(|_| json(200, r#"{"access_token":"a"}"#)).await;
    let (code, verifier) = (
        Secret::new("the code".to_owned()),
        Secret::new("v".repeat(43)),
    );
    let network = loopback();
    for basic_client_auth in [false, true] {
        let method = AuthMethod {
            basic_client_auth,
            ..method()
        };
        let redirect_uri = "https://bindery.example/oauth/x/callback";
        let grant = TokenGrant::Code {
            code: &code,
            redirect_uri,
            verifier: Some(&verifier),
        };
        let outcome = call(
            &egress(),
            &server.url("/token"),
            &method,
            &["a/b"],
            grant,
            &network,
        )
        .await;
        assert!(matches!(outcome, TokenOutcome::Granted(_)), "{outcome:?}");
        let seen = server.seen().pop().expect("a request");
        let fields: std::collections::BTreeMap<_, _> =
            form_urlencoded::parse(&seen.body).into_owned().collect();
        let field = |name: &str| fields.get(name).map(String::as_str);
        assert_eq!(field("grant_type"), Some("authorization_code"));
        assert_eq!(field("code"), Some("the code"));
        assert_eq!(field("code_verifier"), Some(verifier.expose()));
        assert_eq!(field("redirect_uri"), Some(redirect_uri));
        assert_eq!(
            field("client_secret"),
            (!basic_client_auth).then_some("a/b")
        );
        let header = basic_client_auth
            .then(|| format!("Basic {}", data_encoding::BASE64.encode(b"client-id:a%2Fb")));
        assert_eq!(seen.header("authorization"), header.as_deref());
        assert_eq!(seen.header("accept"), Some("application/json"));
        assert_eq!(
            (seen.method.as_str(), seen.target.as_str()),
            ("POST", "/token")
        );
    }
}

/// O3: a token endpoint outside of the host's origins, or on a forbidden address, gets nothing.
#[tokio::test]
async fn o3_endpoints_are_checked() {
    let server = Server::http(|_| json(200, r#"{"access_token":"a"}"#)).await;
    let token = Secret::new("OLDREFRESHTOKEN".to_owned());
    let grant = || TokenGrant::Refresh {
        refresh_token: &token,
    };
    let closed = HostNetwork {
        allow_plaintext: true,
        ..HostNetwork::default()
    };
    let refused = call(
        &egress(),
        &server.url("/token"),
        &method(),
        &[],
        grant(),
        &closed,
    )
    .await;
    assert!(matches!(
        refused,
        TokenOutcome::NotNow(Problem {
            reason: Reason::HostAddressForbidden,
            ..
        })
    ));
    let (network, other) = (loopback(), origins(&["https://forge.example"]));
    let call = TokenCall {
        endpoint: &server.url("/token"),
        client_id: "client-id",
        client_secrets: &[],
        method: &method(),
        network: &network,
        origins: &other,
        grant: grant(),
    };
    let refused = egress().token(call).await;
    assert!(matches!(
        refused,
        TokenOutcome::NotNow(Problem {
            reason: Reason::OriginNotAllowed,
            ..
        })
    ));
    assert_eq!(server.connections(), 0);
}

/// S9: whatever a token endpoint answers, tokens come out as secrets or not at all: no outcome prints one.
#[tokio::test]
async fn s9_outcomes_print_no_token() {
    let tokens = format!(r#""access_token":"{TOKEN}","refresh_token":"{REFRESH}""#);
    let bodies = [
        format!("{{{tokens}}}"),
        format!("{{{tokens}"),
        format!("{{{tokens},\"expires_in\":{{}}}}"),
        format!("{{{tokens},\"error\":\"invalid_grant\",\"error_description\":\"{TOKEN}\"}}"),
        format!("[{{{tokens}}}]"),
        format!("access_token={TOKEN}&refresh_token={REFRESH}"),
        format!("{{\"access_token\":[\"{TOKEN}\"]}}"),
        format!("{{\"access_token\":\"\",\"refresh_token\":\"{REFRESH}\"}}"),
    ];
    for status in [200, 400, 401, 403, 429, 500] {
        for body in bodies.clone() {
            let server = Server::http(move |_| reply(status, &[JSON], body.clone())).await;
            for method in [method(), github(), gitea()] {
                let outcome =
                    refresh(&egress(), &server.url("/token"), &method, &["CLIENTSECRET"]).await;
                let text = format!("{outcome:?}");
                let leaks = [TOKEN, REFRESH, "OLDREFRESHTOKEN", "CLIENTSECRET"]
                    .map(|secret| text.contains(secret));
                assert_eq!(leaks, [false; 4], "{text}");
            }
        }
    }
}

/// Tokens of forges that put a JWT into them are long.
#[tokio::test]
async fn long_tokens() {
    let long = "x".repeat(8 << 10);
    let body = format!(r#"{{"access_token":"{long}","refresh_token":"{long}"}}"#);
    assert!(
        outcome(&method(), 200, &[JSON], &body)
            .await
            .contains(&long)
    );
}
