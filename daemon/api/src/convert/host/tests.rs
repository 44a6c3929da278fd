use bindery_core::name::{HostName, ProviderName};

use super::{input::BUNDLE, *};
use crate::fields::Fields;

fn given() -> wire::Host {
    wire::Host {
        provider: "providers/gitea".into(),
        display_name: "Forge".into(),
        public_urls: Some(part::Urls {
            web: "https://forge.example".into(),
            ..Default::default()
        }),
        oauth_client: Some(part::OAuthClient {
            client_id: "id".into(),
            client_secrets: vec!["BNDRYCANARY".into()],
            ..Default::default()
        }),
        allowed_private_cidrs: vec!["10.1.0.0/16".into()],
        port_policy: Some(part::PortPolicy {
            http_ports: vec![
                part::PortRange {
                    first: 8080,
                    last: 8081,
                },
                part::PortRange { first: 81, last: 0 },
            ],
            https_ports: vec![part::PortRange {
                first: 8443,
                last: 0,
            }],
        }),
        ..Default::default()
    }
}

/// A host becomes what the engine asks for; secrets can't be printed any more, and only unusual ports are kept.
#[test]
fn hosts_are_taken() {
    let new = new_host("forge", Some(given()), "uid:0").expect("host");
    assert_eq!(
        (new.name.as_str(), new.provider.as_str()),
        ("forge", "gitea")
    );
    let ports = new.settings.network.ports.clone();
    assert_eq!(ports, Some((vec![81, 8443], true)));
    assert!(!format!("{new:?}").contains("BNDRYCANARY"));
}

/// The port policy that is shown is one that is taken, and means the same.
#[test]
fn port_policies_round_trip() {
    for (extra_ports, allow_plaintext) in [
        (vec![], false),
        (vec![], true),
        (vec![81, 8443], true),
        (vec![8443], false),
    ] {
        let network = HostNetwork {
            extra_ports,
            allow_plaintext,
            ..Default::default()
        };
        let shown = ports::policy(&network);
        let mut fields = Fields::default();
        assert_eq!(
            ports::read(&mut fields, shown.as_ref()),
            (network.extra_ports, network.allow_plaintext)
        );
        fields.finish().expect("right");
    }
}

/// Mangled hosts are refused with every wrong field, and no secret is in a message.
#[test]
fn mangled_hosts_are_refused() {
    let mangled = wire::Host {
        provider: "gitea".into(),
        display_name: "x\u{0}".into(),
        ca_bundle_pem: "x".repeat(BUNDLE + 1),
        oauth_client: Some(part::OAuthClient {
            client_secrets: vec!["BNDRY CANARY".into()],
            redirect_path: "/mine".into(),
            ..Default::default()
        }),
        allowed_private_cidrs: vec!["10.1.2.3/16".into(), "x".into()],
        port_policy: Some(part::PortPolicy {
            http_ports: vec![part::PortRange { first: 0, last: 7 }],
            https_ports: vec![
                part::PortRange {
                    first: 9,
                    last: 70_000,
                },
                part::PortRange {
                    first: 1,
                    last: 65_535,
                },
            ],
        }),
        disabled_reason: "x".repeat(1001),
        allowed_methods: vec![77],
        labels: [(String::new(), String::new())].into(),
        annotations: [("a".to_owned(), "x".repeat(16 << 10))].into(),
        rate_budget: Some(part::RateBudget {
            max_concurrent_requests: 257,
            ..Default::default()
        }),
        proxy: Some(part::Proxy {
            username: "a:b".into(),
            password: "BNDRYCANARY".repeat(1000),
            ..Default::default()
        }),
        client_certificate: Some(part::ClientCertificate {
            certificate_pem: "x".repeat((64 << 10) + 1),
            private_key_pem: "BNDRYCANARY".repeat(10_000),
            ..Default::default()
        }),
        app: Some(part::App {
            app_id: "1 2".into(),
            slug: "a/b".into(),
            private_key_pem: "BNDRYCANARY".repeat(10_000),
            private_key_expire_time: Some(prost_types::Timestamp {
                seconds: -1,
                nanos: 0,
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let failure = new_host("A", Some(mangled), "uid:0").expect_err("mangled");
    for field in [
        "host_id",
        "host.provider",
        "host.display_name",
        "host.public_urls.web",
        "host.ca_bundle_pem",
        "host.allowed_private_cidrs",
        "host.port_policy.http_ports",
        "host.port_policy.https_ports",
        "host.port_policy",
        "host.oauth_client.client_secrets",
        "host.oauth_client.redirect_path",
        "host.disabled_reason",
        "host.allowed_methods",
        "host.labels",
        "host.annotations",
        "host.rate_budget.max_concurrent_requests",
        "host.proxy.username",
        "host.proxy.password",
        "host.client_certificate.certificate_pem",
        "host.client_certificate.private_key_pem",
        "host.app.app_id",
        "host.app.slug",
        "host.app.private_key_pem",
        "host.app.private_key_expire_time",
    ] {
        assert!(failure.violations().contains(&field), "{field}");
    }
    assert!(!format!("{failure:?}").contains("CANARY"));
}

/// Settings for the plugin are kept, shown, changed as a whole, and bounded.
#[test]
fn settings_are_kept_and_bounded() {
    let with = |settings: &[(&str, &str)]| {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        wire::Host {
            settings: settings.iter().map(pair).collect(),
            ..given()
        }
    };
    let new = new_host("forge", Some(with(&[("a", "b")])), "uid:0").expect("host");
    assert_eq!(new.settings.settings.expect("settings")["a"], "b");
    for odd in [
        ("", "b"),
        ("a", "\0"),
        ("a", &*"x".repeat(1001)),
        (&*"x".repeat(64), "b"),
    ] {
        assert!(
            new_host("forge", Some(with(&[odd])), "uid:0").is_err(),
            "{odd:?}"
        );
    }
}

fn old() -> Host {
    let (name, provider) = (
        HostName::parse("forge").expect("name"),
        ProviderName::parse("gitea").expect("name"),
    );
    let web = "https://forge.example".to_owned();
    Host::new(name, provider, web, Timestamp::default())
}

fn changed(request: wire::UpdateHostRequest) -> bindery_engine::hosts::HostUpdate {
    let mut request = request;
    update(&mut request, &old(), "uid:7").expect("update")
}

fn paths(paths: &[&str]) -> Option<prost_types::FieldMask> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Some(prost_types::FieldMask { paths })
}

/// Only what the mask names changes; a secret changes by its own name only, and `*` leaves all secrets alone.
#[test]
fn masks_decide() {
    let named = changed(wire::UpdateHostRequest {
        host: Some(given()),
        update_mask: paths(&["display_name", "labels"]),
        ..Default::default()
    });
    assert_eq!(named.display_name.as_deref(), Some("Forge"));
    assert!(named.labels.is_some() && named.urls.web.is_none() && named.client.id.is_none());
    assert_eq!(named.actor, "uid:7");
    let all = changed(wire::UpdateHostRequest {
        host: Some(given()),
        update_mask: paths(&["*"]),
        ..Default::default()
    });
    assert_eq!(all.disabled, Some(false));
    assert!(all.network.client_certificate_pem.is_some() && all.app.id.is_some());
    assert!(all.client.secrets.is_none() && all.app.private_key.is_none());
    assert!(all.network.client_key.is_none() && all.network.proxy_password.is_none());
    let set = changed(wire::UpdateHostRequest {
        host: Some(given()),
        ..Default::default()
    });
    assert!(set.client.secrets.is_some() && set.disabled.is_none() && set.app.id.is_none());
}

/// An exchange of client secrets needs no mask, is bounded, and prints no secret.
#[test]
fn client_secrets_are_exchanged() {
    let request = wire::UpdateHostRequest {
        host: Some(wire::Host::default()),
        add_client_secrets: vec!["BNDRYCANARY".into()],
        remove_client_secrets: vec!["0123456789abcdef".into()],
        ..Default::default()
    };
    let update_ = changed(request);
    assert_eq!(update_.client.add.len(), 1);
    assert_eq!(update_.client.remove, ["0123456789abcdef"]);
    assert!(!format!("{update_:?}").contains("BNDRYCANARY"));
    let mut odd = wire::UpdateHostRequest {
        add_client_secrets: vec!["BNDRY CANARY".into()],
        ..Default::default()
    };
    let failure = update(&mut odd, &old(), "uid:7").expect_err("a blank");
    assert_eq!(failure.violations(), ["add_client_secrets"]);
}

/// A host that was read can be sent back with a change; a redirect path of one's own is refused.
#[test]
fn what_was_read_can_be_sent_back() {
    let request = |path: String| {
        let mut host = given();
        let client = host.oauth_client.get_or_insert_default();
        client.redirect_path = path;
        wire::UpdateHostRequest {
            host: Some(host),
            update_mask: paths(&["oauth_client.client_id"]),
            ..Default::default()
        }
    };
    let back = changed(request(redirect_path(&old())));
    assert_eq!(back.client.id.as_deref(), Some("id"));
    let failure = update(&mut request("/mine".to_owned()), &old(), "uid:7").expect_err("a path");
    assert_eq!(failure.violations(), ["host.oauth_client.redirect_path"]);
}
