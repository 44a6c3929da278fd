//! Events that are posted to registries: what arrives, and where they may not go.

use bindery_core::{exchange::Post, port::Egress, problem::Reason};
use bindery_egress::{EgressConfig, HttpEgress, Registries};

use crate::support::{Names, Server, egress, reply};

const BODY: &[u8] = br#"{"test": 2432232314}"#;

/// An egress for which the operator allows loopback.
fn open() -> HttpEgress {
    HttpEgress::new(EgressConfig {
        registries: Registries {
            allow_networks: vec!["127.0.0.0/8".parse().expect("a network")],
            allow_ports: Vec::new(),
        },
        ..EgressConfig::default()
    })
}

async fn post(egress: &HttpEgress, url: &str) -> Result<u16, bindery_core::problem::Problem> {
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", "evt_acme_1".to_owned()),
        ("webhook-signature", "v1,a v1,b".to_owned()),
    ];
    let post = Post {
        url,
        headers: &headers,
        body: BODY,
    };
    egress.post(post).await
}

/// Method, headers and body arrive as they are, and the status comes back, whatever it is.
#[tokio::test]
async fn what_is_posted_arrives_as_it_is() {
    let server = Server::http(|seen| {
        let status = if seen.target == "/gone" { 410 } else { 204 };
        reply(status, &[], "")
    })
    .await;
    let url = format!("http://127.0.0.1:{}/events?team=a", server.port());
    assert_eq!(post(&open(), &url).await.expect("answered"), 204);
    let gone = format!("http://127.0.0.1:{}/gone", server.port());
    assert_eq!(post(&open(), &gone).await.expect("answered"), 410);
    let seen = server.seen();
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].target, "/events?team=a");
    assert_eq!(seen[0].header("webhook-id"), Some("evt_acme_1"));
    assert_eq!(seen[0].header("webhook-signature"), Some("v1,a v1,b"));
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[0].body, BODY);
}

/// A redirect is an answer; nothing goes where it points.
#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Server::http(|_| reply(204, &[], "")).await;
    let target = format!("http://127.0.0.1:{}/", other.port());
    let server = Server::http(move |_| reply(307, &[("location", &target)], "")).await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    assert_eq!(post(&open(), &url).await.expect("answered"), 307);
    assert_eq!(other.connections(), 0);
}

/// A port beside the policy is refused, with those that are allowed, and passes where the operator allows it.
#[tokio::test]
async fn forbidden_ports_are_refused_by_name() {
    let strict = egress();
    let fine = "http://registry.example:80 http://registry.example:591 http://registry.example:1025 \
        http://registry.example:8080 https://registry.example https://registry.example:443";
    for url in fine.split_whitespace() {
        strict.admit_post(url).expect(url);
    }
    let odd = "http://registry.example:22 http://registry.example:1024 http://registry.example:81 \
        https://registry.example:8443 https://registry.example:80";
    for url in odd.split_whitespace() {
        let problem = strict.admit_post(url).expect_err(url);
        assert_eq!(problem.reason, Reason::HostPortForbidden, "{url}");
        let allowed =
            "for http 80, 21, 443, 70, 210, 280, 488, 591, 777 and 1025 to 65535, for https 443";
        assert!(problem.message.contains(allowed), "{}", problem.message);
        assert_eq!(
            post(&strict, url).await.expect_err(url).reason,
            Reason::HostPortForbidden
        );
    }
    let wider = HttpEgress::new(EgressConfig {
        registries: Registries {
            allow_networks: Vec::new(),
            allow_ports: vec![8443],
        },
        ..EgressConfig::default()
    });
    wider
        .admit_post("https://registry.example:8443/")
        .expect("allowed");
    let problem = wider.admit_post("https://registry.example:8444/");
    assert!(
        problem
            .expect_err("refused")
            .message
            .contains("for both 8443")
    );
}

/// A private address is refused, by number before anything is sent and by name after it was looked up; metadata services stay
/// closed whatever the operator allows.
#[tokio::test]
async fn forbidden_addresses_are_refused() {
    let server = Server::http(|_| reply(204, &[], "")).await;
    let literal = format!("http://127.0.0.1:{}/", server.port());
    let named = format!("http://registry.example:{}/", server.port());
    let names = Names::new(|_, _| vec!["127.0.0.1".parse().expect("address")]);
    let strict = HttpEgress::with_lookup(EgressConfig::default(), names.clone());
    let admitted = strict.admit_post(&literal);
    assert_eq!(
        admitted.expect_err("literal").reason,
        Reason::HostAddressForbidden
    );
    for url in [&literal, &named] {
        let problem = post(&strict, url).await.expect_err("refused");
        assert_eq!(problem.reason, Reason::HostAddressForbidden, "{url}");
        assert!(problem.message.contains("subscriptions.allow_networks"));
    }
    assert_eq!((names.count(), server.connections()), (1, 0));
    let all = HttpEgress::new(EgressConfig {
        registries: Registries {
            allow_networks: vec!["0.0.0.0/0".parse().expect("a network")],
            allow_ports: Vec::new(),
        },
        ..EgressConfig::default()
    });
    let metadata = all.admit_post("http://169.254.169.254/");
    assert_eq!(
        metadata.expect_err("closed").reason,
        Reason::HostAddressForbidden
    );
}

/// What is no URL to post to is refused: another scheme, a user name, a part after `#`.
#[test]
fn odd_urls_are_refused() {
    for odd in [
        "",
        "registry.example/events",
        "ftp://registry.example/",
        "https://user@registry.example/",
        "https://user:password@registry.example/",
        "https://registry.example/#events",
        "https://registry.example./",
    ] {
        let problem = egress().admit_post(odd).expect_err(odd);
        assert_eq!(problem.reason, Reason::InvalidArgument, "{odd}");
    }
}
