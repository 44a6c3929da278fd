//! How a request is put together: THREATS S8 and P9.

use bindery_core::{
    exchange::{Encoding, HttpRequest, Route, Segment},
    port::Egress,
    problem::Reason,
};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::support::{
    CANARY, Entry, Server, egress, get, json, literal, loopback, origins, reason, secret, secrets,
    send,
};

/// S8: what frames a message, names its host or could split it never leaves, and neither does a header nobody listed.
#[tokio::test]
async fn s8_headers_are_listed() {
    let server = Server::http(|_| json(200, "{}")).await;
    let egress = egress();
    let wrong = [
        ("host", "evil.test"),
        ("content-length", "0"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("keep-alive", "1"),
        ("upgrade", "h2c"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("expect", "100-continue"),
        ("cookie", "a=b"),
        ("proxy-authorization", "Basic x"),
        ("proxy-connection", "close"),
        ("forwarded", "for=127.0.0.1"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "evil.test"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("sudo", "root"),
        ("referer", "https://x"),
        ("user-agent", "x"),
        ("accept-encoding", "br"),
        ("range", "bytes=0-"),
        (":authority", "evil.test"),
        ("", "x"),
        ("accept ", "x"),
        ("accept\r\nhost", "x"),
        ("accept", "a\r\nhost: evil.test"),
        ("accept", "a\nb"),
        ("accept", "a\rb"),
        ("accept", "a\0b"),
        ("accept", "a\u{7f}b"),
        ("accept", "\u{10d}\u{10a}"),
    ];
    for (name, value) in wrong {
        let request = HttpRequest {
            headers: vec![(name.to_owned(), vec![literal(value)])],
            ..get(&server.url("/"))
        };
        let refused = reason(send(&egress, &loopback(), &request).await);
        assert_eq!(refused, Reason::RequestNotAllowed, "{name:?}: {value:?}");
    }
    let twice = vec![
        ("Accept".to_owned(), vec![literal("a")]),
        ("accept".to_owned(), vec![literal("b")]),
    ];
    let request = HttpRequest {
        headers: twice,
        ..get(&server.url("/"))
    };
    assert_eq!(
        reason(send(&egress, &loopback(), &request).await),
        Reason::RequestNotAllowed
    );
    for method in ["CONNECT", "TRACE", "get", "GET /x HTTP/1.1\r\n", ""] {
        let request = HttpRequest {
            method: method.to_owned(),
            ..get(&server.url("/"))
        };
        assert_eq!(
            reason(send(&egress, &loopback(), &request).await),
            Reason::RequestNotAllowed,
            "{method:?}"
        );
    }
    assert_eq!(server.connections(), 0);
}

/// What forges need does leave, as it was written.
#[tokio::test]
async fn listed_headers_are_sent() {
    let server = Server::http(|_| json(200, "{}")).await;
    let right = [
        ("Accept", "application/vnd.github+json"),
        ("X-GitHub-Api-Version", "2022-11-28"),
        ("If-None-Match", "\"abc\""),
        ("Content-Type", "application/json"),
    ];
    let headers = right.map(|(name, value)| (name.to_owned(), vec![literal(value)]));
    let request = HttpRequest {
        headers: headers.to_vec(),
        ..get(&server.url("/"))
    };
    send(&egress(), &loopback(), &request)
        .await
        .expect("an answer");
    for (name, value) in right {
        assert_eq!(server.seen()[0].header(&name.to_lowercase()), Some(value));
    }
}

/// Each encoding writes prefix and secret as its format wants them.
#[tokio::test]
async fn encodings() {
    let server = Server::http(|_| json(200, "{}")).await;
    let egress = egress();
    let cases = [
        (Encoding::Raw, "user:p\"a+b/".to_owned()),
        (Encoding::Base64, "dXNlcjpwImErYi8=".to_owned()),
        (Encoding::JsonString, "\"user:p\\\"a+b/\"".to_owned()),
        (Encoding::Form, "user%3Ap%22a%2Bb%2F".to_owned()),
    ];
    for (encoding, expected) in cases {
        let mut request = get(&server.url("/"));
        request.method = "POST".to_owned();
        request.body = vec![
            literal("<"),
            secret("password", encoding, "user:"),
            literal(">"),
        ];
        request.headers = vec![(
            "authorization".to_owned(),
            vec![secret("password", encoding, "user:")],
        )];
        let (entry, origins) = (Entry::new(&loopback()), origins(&[&server.url("/")]));
        let secrets = secrets(&[("password", "p\"a+b/")]);
        let route = Route {
            reach: entry.reach(),
            origins: &origins,
            secrets: &secrets,
        };
        egress.send(&request, route).await.expect("an answer");
        let seen = server.seen().pop().expect("a request");
        assert_eq!(
            String::from_utf8(seen.body.clone()).expect("utf-8"),
            format!("<{expected}>")
        );
        assert_eq!(seen.header("authorization"), Some(expected.as_str()));
    }
}

/// P9: a secret that the operation may not use, or that would split a header, stops the request.
#[tokio::test]
async fn p9_unknown_and_broken_secrets() {
    let server = Server::http(|_| json(200, "{}")).await;
    let egress = egress();
    let (entry, origins) = (Entry::new(&loopback()), origins(&[&server.url("/")]));
    let secrets = secrets(&[("split", "a\r\nhost: evil.test")]);
    for name in ["split", "another", ""] {
        let value = vec![secret(name, Encoding::Raw, "")];
        let request = HttpRequest {
            headers: vec![("authorization".to_owned(), value)],
            ..get(&server.url("/"))
        };
        let route = Route {
            reach: entry.reach(),
            origins: &origins,
            secrets: &secrets,
        };
        let problem = egress.send(&request, route).await.expect_err(name);
        assert_eq!(problem.reason, Reason::RequestNotAllowed);
        assert!(!problem.message.contains("evil"), "{problem}");
    }
    assert_eq!(server.connections(), 0);
}

fn segments() -> impl Strategy<Value = Vec<Segment>> {
    let encoding = prop_oneof![
        Just(Encoding::Raw),
        Just(Encoding::Base64),
        Just(Encoding::JsonString),
        Just(Encoding::Form)
    ];
    let part = prop_oneof![
        3 => "[ -~]{0,12}".prop_map(|text| literal(&text)),
        2 => (encoding, "[a-z:]{0,4}").prop_map(|(encoding, prefix)| secret("access_token", encoding, &prefix)),
        1 => Just(literal("{access_token}")),
    ];
    proptest::collection::vec(part, 0..4)
}

fn request() -> impl Strategy<Value = HttpRequest> {
    let name = proptest::sample::select(vec![
        "authorization",
        "PRIVATE-TOKEN",
        "accept",
        "content-type",
        "x-github-api-version",
        "if-none-match",
        "host",
        "cookie",
        "x-gitlab-token",
        "user-agent",
        "location",
    ]);
    let headers = proptest::collection::vec((name.prop_map(str::to_owned), segments()), 0..3);
    let path = "/[a-z{}_?=&#%]{0,12}";
    (path, headers, segments()).prop_map(|(path, headers, body)| HttpRequest {
        method: "POST".to_owned(),
        headers,
        body,
        ..get(&path)
    })
}

/// P9: whatever a plugin asks for, a server sees the secret in the two headers and in the body, and nowhere else; and what
/// comes back holds none.
#[test]
fn p9_secrets_only_in_slots() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = runtime.block_on(Server::http(|seen| {
        let echo = serde_json::to_string(&seen.text()).expect("json");
        json(200, &echo)
    }));
    let egress = egress();
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    });
    let outcome = runner.run(&request(), |mut request| {
        request.url = server.url(&request.url);
        let before = server.seen().len();
        let result = runtime.block_on(send(&egress, &loopback(), &request));
        let seen: Vec<_> = server.seen().split_off(before);
        match result {
            Err(problem) => {
                prop_assert!(
                    seen.is_empty() && problem.reason == Reason::RequestNotAllowed,
                    "{problem:?}"
                );
            }
            Ok(answer) => {
                let seen = &seen[0];
                let holds =
                    |text: &str| text.contains("BNDRYCANARY") || text.contains("QkNEUllDQU5BUl");
                prop_assert!(!holds(&seen.target));
                for (name, value) in &seen.headers {
                    prop_assert!(
                        !holds(value)
                            || ["authorization", "private-token"].contains(&name.as_str()),
                        "{name}"
                    );
                }
                let back = String::from_utf8_lossy(&answer.response.body).into_owned();
                prop_assert!(
                    !back.contains(CANARY) && !back.contains("BNDRYCANARY/7f"),
                    "{back}"
                );
            }
        }
        Ok(())
    });
    outcome.expect("the property");
    assert!(
        server
            .seen()
            .iter()
            .any(|seen| seen.text().contains("BNDRYCANARY")),
        "some did carry it"
    );
}
