//! Where a secret must not go: THREATS S3, S4, S7, S9.

use std::process::Command;

use bindery_core::{
    exchange::{Capture, Encoding, HttpRequest},
    host::HostNetwork,
    problem::Reason,
};
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

use crate::support::{
    CANARY, Seen, Server, egress, get, json, literal, loopback, reason, reply, secret, send,
    with_token,
};

/// S3: no redirect is followed, to the same origin or to another port, host or scheme, and so no header and no body reaches the
/// second server. The two headers are all that may carry a secret.
#[tokio::test]
async fn s3_redirects_are_data() {
    let second = Server::http(|_| reply(200, &[], "")).await;
    let port = second.url("/taken?code=1");
    let host = port.replace("127.0.0.1", "localhost");
    let scheme = port.replace("http:", "https:");
    let first = Server::http(move |seen: &Seen| {
        let (status, place) = seen.target[1..].split_once('/').expect("status/place");
        let to = match place {
            "port" => &port,
            "host" => &host,
            "scheme" => &scheme,
            _ => "/200/here",
        };
        reply(
            status.parse().expect("a status"),
            &[("location", to)],
            "moved",
        )
    })
    .await;
    let egress = egress();
    let carriers = ["authorization", "private-token"];
    let mut sent = 0;
    for status in [301, 302, 303, 307, 308] {
        for place in ["same", "port", "host", "scheme"] {
            for method in ["GET", "POST", "DELETE"] {
                for carrier in carriers {
                    let value = vec![secret("access_token", Encoding::Raw, "")];
                    let mut request = get(&first.url(&format!("/{status}/{place}")));
                    request.method = method.to_owned();
                    request.headers = vec![(carrier.to_owned(), value)];
                    request.body = vec![secret("access_token", Encoding::Form, "")];
                    let response = send(&egress, &loopback(), &request)
                        .await
                        .expect("an answer")
                        .response;
                    assert_eq!(response.status, status);
                    assert!(response.headers.iter().any(|(name, _)| name == "location"));
                    sent += 1;
                }
            }
        }
    }
    assert_eq!((first.seen().len(), second.connections()), (sent, 0));
    assert!(
        first
            .seen()
            .iter()
            .all(|seen| seen.header("referer").is_none())
    );
}

/// S4: with every proxy variable set, nothing connects to the proxy. Runs in a child, which alone has the variables.
#[tokio::test]
async fn s4_environment_proxies_are_ignored() {
    let proxy = Server::http(|_| reply(200, &[], "through the proxy")).await;
    let target = Server::http(|_| reply(200, &[], "direct")).await;
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child
        .args(["--exact", "leaks::s4_child"])
        .env("BINDERY_TEST_TARGET", target.url("/"));
    for name in ["http_proxy", "https_proxy", "all_proxy", "ftp_proxy"] {
        child
            .env(name, proxy.url("/"))
            .env(name.to_uppercase(), proxy.url("/"));
    }
    child
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .env_remove("REQUEST_METHOD");
    let output = tokio::task::spawn_blocking(move || child.output())
        .await
        .expect("no panic");
    assert!(output.expect("a child").status.success());
    assert_eq!((proxy.connections(), target.connections()), (0, 1));
}

/// The child of [`s4_environment_proxies_are_ignored`]; by itself it has nothing to do.
#[tokio::test]
async fn s4_child() {
    let Ok(url) = std::env::var("BINDERY_TEST_TARGET") else {
        return;
    };
    let response = send(&egress(), &loopback(), &with_token(&url))
        .await
        .expect("an answer")
        .response;
    assert_eq!(response.body, b"direct");
}

/// The proxy of a host entry is used, and only a permitted literal address goes through it.
#[tokio::test]
async fn a_configured_proxy_is_used() {
    let proxy = Server::http(|_| reply(200, &[], "through the proxy")).await;
    let network = HostNetwork {
        proxy_url: proxy.url("/"),
        allow_plaintext: true,
        ..HostNetwork::default()
    };
    let egress = egress();
    let answer = send(&egress, &network, &get("http://forge.example/a"))
        .await
        .expect("an answer");
    assert_eq!(answer.response.body, b"through the proxy");
    assert_eq!(proxy.seen()[0].target, "http://forge.example/a");
    let refused = send(&egress, &network, &get("http://10.0.0.1/")).await;
    assert_eq!(reason(refused), Reason::HostAddressForbidden);
    assert_eq!(proxy.connections(), 1);
}

/// S7: a server that repeats the secret, in a header or in the body and in whichever writing, gets it back blanked.
#[tokio::test]
async fn s7_echoes_are_blanked() {
    let server = Server::http(|seen: &Seen| {
        let token = seen
            .header("authorization")
            .expect("a token")
            .trim_start_matches("Bearer ");
        let raw = token.as_bytes();
        let percent: String = raw.iter().map(|byte| format!("%{byte:02X}")).collect();
        let escaped: String = raw.iter().map(|byte| format!("\\u{byte:04x}")).collect();
        let form: String = form_urlencoded::byte_serialize(raw).collect();
        let base64 = |before: &str| BASE64.encode(format!("{before}{token}").as_bytes());
        let body = [
            token.to_owned(),
            percent,
            form.clone(),
            escaped,
            serde_json::to_string(token).expect("json"),
            base64(""),
            base64("u:"),
            base64("a:b"),
            BASE64URL.encode(raw),
            HEXLOWER.encode(raw),
            HEXUPPER.encode(raw),
        ];
        let headers = [
            ("x-echo", token),
            ("location", &format!("https://elsewhere.test/?token={form}")),
            ("set-cookie", "session=1"),
        ];
        reply(401, &headers, body.join("\n"))
    })
    .await;
    let answer = send(&egress(), &loopback(), &with_token(&server.url("/")))
        .await
        .expect("an answer");
    assert!(
        server.seen()[0].text().contains("BNDRYCANARY"),
        "the secret was sent"
    );
    let text = String::from_utf8(answer.response.body).expect("utf-8");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 11);
    for (nth, line) in lines.iter().enumerate() {
        // Up to two characters of base64 on either side belong to what stood beside the secret.
        let rest = line.replace("[redacted]", "");
        assert!(
            line.contains("[redacted]") && rest.len() <= 6,
            "{nth}: {line}"
        );
    }
    let header = |name: &str| {
        answer
            .response
            .headers
            .iter()
            .find(|(known, _)| known == name)
    };
    assert_eq!(header("x-echo").expect("it").1, "[redacted]");
    assert_eq!(
        header("location").expect("it").1,
        "https://elsewhere.test/?token=[redacted]"
    );
    assert_eq!(header("set-cookie"), None);
}

fn capturing(url: &str) -> HttpRequest {
    let capture = Capture {
        pointer: "/token".to_owned(),
        secret: "installation_token".to_owned(),
    };
    HttpRequest {
        method: "POST".to_owned(),
        capture: vec![capture],
        ..get(url)
    }
}

/// S9: a new secret in an answer is taken out, and blanked wherever else the answer repeats it.
#[tokio::test]
async fn s9_captured_secrets_are_taken_out() {
    let server = Server::http(|_| {
        let body =
            r#"{"id":1,"token":"ghs_NEW\/Secret0123","url":"https://x/?t=ghs_NEW%2FSecret0123"}"#;
        reply(201, &[("x-token", "ghs_NEW/Secret0123")], body)
    })
    .await;
    let answer = send(&egress(), &loopback(), &capturing(&server.url("/")))
        .await
        .expect("an answer");
    let captured = answer.captured.get("installation_token").expect("captured");
    assert_eq!(captured.expose(), "ghs_NEW/Secret0123");
    let text = format!("{:?}", String::from_utf8(answer.response.body.clone()));
    assert!(
        !text.contains("Secret0123") && text.contains("[redacted]"),
        "{text}"
    );
    assert!(!format!("{:?}", answer.response.headers).contains("Secret0123"));
}

/// S9: a successful answer that should hold a new secret and can't be read is withheld; an error without one is not.
#[tokio::test]
async fn s9_unreadable_captures_are_withheld() {
    let server = Server::http(|seen: &Seen| match seen.target.as_str() {
        "/form" => reply(200, &[], "token=ghs_NEWSecret0123&scope=repo"),
        _ => reply(502, &[], "<html>bad gateway</html>"),
    })
    .await;
    let egress = egress();
    let refused = send(&egress, &loopback(), &capturing(&server.url("/form"))).await;
    assert_eq!(reason(refused), Reason::HostAnswerUnusable);
    let answer = send(&egress, &loopback(), &capturing(&server.url("/error")))
        .await
        .expect("an answer");
    assert_eq!(
        (answer.response.status, answer.captured.iter().count()),
        (502, 0)
    );
}

/// L1: a problem names the host, and neither the path nor the query nor a secret.
#[tokio::test]
async fn l1_problems_hold_no_url() {
    let port = crate::support::bind(std::net::Ipv4Addr::LOCALHOST)
        .await
        .local_addr()
        .expect("bound")
        .port();
    let url = format!("http://127.0.0.1:{port}/secret-path?secret-query=1");
    let mut request = with_token(&url);
    request.body = vec![literal("x")];
    let problem = send(&egress(), &loopback(), &request)
        .await
        .expect_err("nobody listens");
    let text = format!("{problem:?}");
    assert!(
        text.contains("127.0.0.1") && !text.contains("secret") && !text.contains(CANARY),
        "{text}"
    );
}

/// The daemon says who it is, and asks for what it can undo.
#[tokio::test]
async fn requests_introduce_themselves() {
    let server = Server::http(|_| json(200, "{}")).await;
    let egress = egress();
    send(&egress, &loopback(), &get(&server.url("/a?b=c#d")))
        .await
        .expect("an answer");
    let seen = &server.seen()[0];
    assert_eq!(
        seen.header("user-agent"),
        Some(concat!("bindery/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("GET", "/a?b=c")
    );
}
