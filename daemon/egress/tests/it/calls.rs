//! Calls of token endpoints: what is sent, what counts as lost, and that nothing but tokens comes out.

use std::{io, net::IpAddr, sync::Arc};

use bindery_core::{
    exchange::{TokenCall, TokenGrant, TokenOutcome},
    host::HostNetwork,
    port::{BoxFuture, Egress},
    problem::{Problem, Reason},
    provider::AuthMethod,
    secret::Secret,
};
use bindery_egress::{EgressConfig, HttpEgress, resolve::Lookup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    support::{Entry, Names, Seen, Server, bind, egress, json, loopback, origins, reply, short},
    tls,
    tokens::{JSON, call, gitea, github, method, outcome, refresh},
};

const TOKEN: &str = "gho_ACCESS0123456789";
const REFRESH: &str = "ghr_REFRESH0123456789";

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
        redirect_uri: None,
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
    let (entry, other) = (Entry::new(&loopback()), origins(&["https://forge.example"]));
    let call = TokenCall {
        endpoint: &server.url("/token"),
        client_id: "client-id",
        method: &method(),
        reach: entry.reach(),
        origins: &other,
        grant: grant(),
    };
    let refused = egress().token(call).await.outcome;
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

/// What fails before the request is sent used nothing up: a name, an address, a certificate.
#[tokio::test]
async fn unsent_is_not_now() {
    let server = Server::tls(tls::good(&tls::ca()), |_| json(200, "{}")).await;
    let network = tls::network(&server, None);
    let closed = HostNetwork {
        extra_ports: network.extra_ports.clone(),
        ..HostNetwork::default()
    };
    let nowhere = HttpEgress::with_lookup(EgressConfig::default(), Names::new(|_, _| Vec::new()));
    let token = Secret::new("OLDREFRESHTOKEN".to_owned());
    let url = format!("https://forge.example:{}/token", server.port());
    let cases = [
        (tls::named(), &network, Reason::HostCertificateUnknown),
        (tls::named(), &closed, Reason::HostAddressForbidden),
        (nowhere, &network, Reason::HostNameUnresolved),
    ];
    for (egress, network, expected) in cases {
        let grant = TokenGrant::Refresh {
            refresh_token: &token,
            redirect_uri: None,
        };
        match call(&egress, &url, &method(), &["one", "two"], grant, network).await {
            TokenOutcome::NotNow(problem) => assert_eq!(problem.reason, expected),
            other => panic!("{other:?}"),
        }
    }
    assert!(server.seen().is_empty());
}

/// A resolver that never answers.
struct Never;

impl Lookup for Never {
    fn lookup(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::pending())
    }
}

/// A connection that is not made in time has sent nothing.
#[tokio::test]
async fn slow_connections_are_not_now() {
    let mut config = EgressConfig::default();
    config.limits.connect = std::time::Duration::from_millis(200);
    let egress = HttpEgress::with_lookup(config, Arc::new(Never));
    let outcome = refresh(&egress, "https://forge.example/token", &method(), &["key"]).await;
    let unreachable = Reason::HostUnreachable;
    assert!(
        matches!(outcome, TokenOutcome::NotNow(Problem { reason, .. }) if reason == unreachable)
    );
}

/// PROVIDERS 3: GitLab asks for the redirect URI in a refresh as well. It is in the form where it is told, and not where it is
/// not.
#[tokio::test]
async fn trap_3_a_refresh_names_its_redirect_uri() {
    let server = Server::http(|_| json(200, r#"{"access_token":"a"}"#)).await;
    let token = Secret::new("OLDREFRESHTOKEN".to_owned());
    for redirect_uri in [Some("https://bindery.example/oauth/x/callback"), None] {
        let grant = TokenGrant::Refresh {
            refresh_token: &token,
            redirect_uri,
        };
        let (endpoint, network) = (server.url("/token"), loopback());
        let outcome = call(&egress(), &endpoint, &method(), &["key"], grant, &network).await;
        assert!(matches!(outcome, TokenOutcome::Granted(_)), "{outcome:?}");
        let seen = server.seen().pop().expect("a request");
        let mut fields = form_urlencoded::parse(&seen.body);
        let told = fields.find(|(name, _)| name == "redirect_uri");
        assert_eq!(
            told.map(|(_, value)| value.into_owned()).as_deref(),
            redirect_uri
        );
    }
}
