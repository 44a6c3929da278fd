//! What comes back, and what is said when nothing does.

use bindery_core::problem::Reason;
use bindery_egress::{EgressConfig, HttpEgress};

use crate::support::{Names, Server, bind, egress, get, loopback, reason, reply, send};

/// Every status is data, names are in lower case, and the limits of the provider are left for the plugin.
#[tokio::test]
async fn answers_are_data() {
    let server = Server::http(|seen| {
        let status = seen.target[1..].parse().expect("a status");
        reply(
            status,
            &[
                ("X-RateLimit-Remaining", "0"),
                ("Retry-After", "60"),
                ("ETag", "\"a\""),
            ],
            "text",
        )
    })
    .await;
    let egress = egress();
    for status in [200, 201, 301, 401, 403, 404, 429, 500, 503] {
        let request = get(&server.url(&format!("/{status}")));
        let response = send(&egress, &loopback(), &request)
            .await
            .expect("an answer")
            .response;
        assert_eq!(
            (response.status, response.body.as_slice()),
            (status, &b"text"[..])
        );
        for (name, value) in [
            ("x-ratelimit-remaining", "0"),
            ("retry-after", "60"),
            ("etag", "\"a\""),
        ] {
            assert!(
                response
                    .headers
                    .contains(&(name.to_owned(), value.to_owned())),
                "{name}"
            );
        }
    }
}

/// Each way to get no answer has a reason of its own, the host's name, and a hint.
#[tokio::test]
async fn failures_have_reasons() {
    let port = bind(std::net::Ipv4Addr::LOCALHOST)
        .await
        .local_addr()
        .expect("bound")
        .port();
    let refused = send(
        &egress(),
        &loopback(),
        &get(&format!("http://127.0.0.1:{port}/")),
    )
    .await;
    let problem = refused.expect_err("nobody listens");
    assert_eq!(problem.reason, Reason::HostUnreachable);
    assert!(
        problem
            .message
            .contains("127.0.0.1 can't be reached: it refuses the connection"),
        "{problem}"
    );

    let nowhere = HttpEgress::with_lookup(EgressConfig::default(), Names::new(|_, _| Vec::new()));
    let problem = send(&nowhere, &loopback(), &get("https://forge.example/"))
        .await
        .expect_err("no address");
    assert_eq!(problem.reason, Reason::HostNameUnresolved);
    assert!(
        problem
            .message
            .contains("the name forge.example does not resolve"),
        "{problem}"
    );

    let refused = send(&nowhere, &loopback(), &get("https://forge.example:22/")).await;
    assert_eq!(reason(refused), Reason::HostPortForbidden);

    let noise = Server::raw(|mut stream| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut buffer = [0; 512];
        drop(stream.read(&mut buffer).await);
        drop(stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").await);
    })
    .await;
    let refused = send(&egress(), &loopback(), &get(&noise.url("/"))).await;
    assert_eq!(reason(refused), Reason::HostAnswerUnusable);
}
