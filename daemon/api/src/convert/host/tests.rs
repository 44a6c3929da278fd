use super::*;

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
    let new = new_host("forge", Some(given())).expect("host");
    assert_eq!(
        (new.name.as_str(), new.provider.as_str()),
        ("forge", "gitea")
    );
    assert_eq!(new.network.extra_ports, [81, 8443]);
    assert!(new.network.allow_plaintext);
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
        let shown = port_policy(&network);
        let mut fields = Fields::default();
        assert_eq!(
            ports(&mut fields, shown.as_ref()),
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
        disabled: true,
        ..Default::default()
    };
    let failure = new_host("A", Some(mangled)).expect_err("mangled");
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
        "host.disabled",
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
    let new = new_host("forge", Some(with(&[("a", "b")]))).expect("host");
    assert_eq!(new.settings["a"], "b");
    for odd in [
        ("", "b"),
        ("a", "\0"),
        ("a", &*"x".repeat(1001)),
        (&*"x".repeat(64), "b"),
    ] {
        assert!(new_host("forge", Some(with(&[odd]))).is_err(), "{odd:?}");
    }
}
