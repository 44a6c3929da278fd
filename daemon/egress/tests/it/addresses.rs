//! Where a connection may lead: THREATS S1 and S2, and the rules that need no network.

use std::net::{IpAddr, Ipv4Addr};

use bindery_core::{
    exchange::Reach,
    host::{Host, HostNetwork, HostSecrets},
    name::{HostName, ProviderName},
    port::Egress,
    problem::Reason,
    time::Timestamp,
};
use bindery_egress::{EgressConfig, HttpEgress};
use bindery_replay::figure;

use crate::support::{Names, Server, bind, egress, get, json, loopback, reason, reply, send};

/// What a URL may hold instead of a name; every one is an address that nobody allowed.
const LITERALS: &str = "127.0.0.1 127.1 127.0.1 2130706433 017700000001 0x7f000001 0x7f.1 0177.0.0.1 0x7f.0x0.0x0.0x1 \
    127.255.255.254 0 0.0.0.0 0.0.0.1 0x0 00 10.0.0.1 10.255.255.255 012.0.0.1 0xa000001 167772161 172.16.0.1 \
    172.31.255.255 192.168.0.1 192.168.255.255 0300.0250.0.1 3232235521 0xc0a80001 169.254.0.1 169.254.169.254 \
    0xa9fea9fe 2852039166 0251.0376.0251.0376 169.254.43518 169.16689662 169.254.170.2 169.254.170.23 169.254.42.42 \
    169.254.169.253 169.254.0.23 100.64.0.1 100.127.255.255 100.100.100.200 0x646464c8 168.63.129.16 2822734096 \
    192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 \
    239.255.255.255 240.0.0.1 255.255.255.255 4294967295 [::] [::1] [0:0:0:0:0:0:0:1] [::127.0.0.1] [::7f00:1] \
    [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:10.0.0.1] [::ffff:192.168.0.1] [::ffff:169.254.169.254] \
    [::ffff:a9fe:a9fe] [::ffff:100.100.100.200] [::ffff:168.63.129.16] [::ffff:0.0.0.0] [::ffff:0:127.0.0.1] \
    [::ffff:0:169.254.169.254] [64:ff9b::127.0.0.1] [64:ff9b::10.0.0.1] [64:ff9b::169.254.169.254] \
    [64:ff9b::a9fe:a9fe] [64:ff9b:1::10.0.0.1] [64:ff9b:1::8.8.8.8] [2002:7f00:1::] [2002:7f00:1::1] \
    [2002:a00:1::1] [2002:a9fe:a9fe::1] [2002:c0a8:1::1] [2002:6464:64c8::1] \
    [2001:0:7f00:1::1] [2001:0:808:808::80ff:fffe] [2001:0:a9fe:a9fe::1] [2001:0:808:808::5601:5601] \
    [2001:db8::1] [3fff::1] [2001:10::1] [2001:20::1] [2001:2::1] [100::1] [5f00::1] [fc00::1] [fd00::1] \
    [fd00:ec2::254] [fd00:ec2::23] [fd20:ce::254] [fd00:42::42] [fe80::1] [fe80::a9fe:a9fe] [febf::1] [fec0::1] \
    [ff00::1] [ff02::1] [ff0e::1] [2001:4860::5efe:127.0.0.1] [2001:4860::200:5efe:10.0.0.1] [4000::1] [8000::1] \
    127\u{3002}0\u{3002}0\u{3002}1 \u{ff11}27.0.0.1 \u{2460}27.0.0.1 %31%32%37.0.0.1 127.0.0.1. 127.1. [::ffff:7f00:0001]";

/// S1: no notation of a forbidden address opens a connection, whichever scheme it has.
#[tokio::test]
async fn s1_literals_are_refused() {
    let watch = Server::http(|_| reply(200, &[], "")).await;
    let egress = egress();
    let open = HostNetwork {
        allow_plaintext: true,
        extra_ports: vec![watch.port()],
        ..HostNetwork::default()
    };
    let literals: Vec<_> = LITERALS.split_whitespace().collect();
    assert!(literals.len() >= 120, "{}", literals.len());
    for literal in literals {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{literal}:{}/", watch.port());
            let refused = reason(send(&egress, &open, &get(&url)).await);
            let known = matches!(
                refused,
                Reason::HostAddressForbidden | Reason::InvalidArgument
            );
            assert!(known, "{url}: {refused:?}");
        }
    }
    assert_eq!(watch.connections(), 0);
}

/// S1: a name that leads to a forbidden address opens no connection, in whichever form the resolver gives the address.
#[tokio::test]
async fn s1_names_are_checked_after_resolution() {
    let watch = Server::http(|_| reply(200, &[], "")).await;
    for literal in LITERALS.split_whitespace() {
        let plain = literal.trim_start_matches('[').trim_end_matches(']');
        let Ok(address) = plain.parse::<IpAddr>() else {
            continue;
        };
        let names = Names::new(move |_, _| vec![address]);
        let egress = HttpEgress::with_lookup(EgressConfig::default(), names);
        let open = HostNetwork {
            allow_plaintext: true,
            ..HostNetwork::default()
        };
        let url = format!("http://forge.example:{}/", watch.port());
        assert_eq!(
            reason(send(&egress, &open, &get(&url)).await),
            Reason::HostAddressForbidden,
            "{address}"
        );
    }
    assert_eq!(watch.connections(), 0);
}

/// S1: an allowed network does not open a metadata service, not even when it holds every address.
#[tokio::test]
async fn s1_metadata_stays_closed() {
    let all = ["0.0.0.0/0", "::/0"].map(|net| net.parse().expect("a network"));
    let network = HostNetwork {
        allowed_networks: all.to_vec(),
        allow_plaintext: true,
        ..HostNetwork::default()
    };
    let closed = "169.254.169.254 0xa9fea9fe 169.254.170.2 100.100.100.200 168.63.129.16 [fd00:ec2::254] \
        [::ffff:169.254.169.254] [64:ff9b::169.254.169.254] [2002:a9fe:a9fe::1] [2001:0:a9fe:a9fe::1] [::a9fe:a9fe]";
    let egress = egress();
    for literal in closed.split_whitespace() {
        let refused = send(&egress, &network, &get(&format!("http://{literal}/"))).await;
        assert_eq!(reason(refused), Reason::HostAddressForbidden, "{literal}");
    }
}

/// S1: of several addresses only the permitted ones are connected to.
#[tokio::test]
async fn s1_forbidden_addresses_are_left_out() {
    let good = Server::start(bind(Ipv4Addr::new(127, 0, 0, 2)).await, None, |_| {
        json(200, "{}")
    })
    .await;
    let names = Names::new(|_, _| {
        vec![
            Ipv4Addr::LOCALHOST.into(),
            Ipv4Addr::new(127, 0, 0, 2).into(),
        ]
    });
    let egress = HttpEgress::with_lookup(EgressConfig::default(), names);
    let network = HostNetwork {
        allowed_networks: vec!["127.0.0.2/32".parse().expect("a network")],
        ..loopback()
    };
    let url = format!("http://forge.example:{}/", good.port());
    assert_eq!(
        send(&egress, &network, &get(&url))
            .await
            .expect("an answer")
            .response
            .status,
        200
    );
    assert_eq!(good.connections(), 1);
}

/// S2: a name that turns from a permitted to a forbidden address between look-ups never gets a connection there, and each
/// connection goes to the address that was checked. 10,000 requests with `BINDERY_FIGURES=full`.
#[tokio::test]
async fn s2_rebinding() {
    let permitted = Ipv4Addr::new(127, 0, 0, 2);
    let close = |_: &_| reply(200, &[("connection", "close")], "{}");
    let good = Server::start(bind(permitted).await, None, close).await;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, good.port())).await;
    let inner = Server::start(listener.expect("loopback"), None, close).await;
    let names = Names::new(move |_, nth| {
        vec![
            if nth % 2 == 0 {
                permitted
            } else {
                Ipv4Addr::LOCALHOST
            }
            .into(),
        ]
    });
    let egress = HttpEgress::with_lookup(EgressConfig::default(), names.clone());
    let network = HostNetwork {
        allowed_networks: vec!["127.0.0.2/32".parse().expect("a network")],
        ..loopback()
    };
    let url = format!("http://forge.example:{}/", good.port());
    let requests = figure(200, 10_000);
    for nth in 0..requests {
        let result = send(&egress, &network, &get(&url)).await;
        match nth % 2 {
            0 => assert_eq!(result.expect("an answer").response.status, 200),
            _ => assert_eq!(reason(result), Reason::HostAddressForbidden),
        }
    }
    println!(
        "figure: S2: {requests} requests to a name that changes its address, {} connections to the forbidden one",
        inner.connections()
    );
    assert_eq!((inner.connections(), good.connections()), (0, requests / 2));
    assert_eq!(names.count(), requests, "one look-up per connection");
}

/// A kept connection of one host entry is not used under the rules of another.
#[tokio::test]
async fn rules_do_not_share_connections() {
    let server = Server::http(|_| json(200, "{}")).await;
    let names = Names::new(|_, _| vec![Ipv4Addr::LOCALHOST.into()]);
    let egress = HttpEgress::with_lookup(EgressConfig::default(), names);
    let url = format!("http://forge.example:{}/", server.port());
    send(&egress, &loopback(), &get(&url))
        .await
        .expect("an answer");
    send(&egress, &loopback(), &get(&url))
        .await
        .expect("an answer");
    assert_eq!(server.connections(), 1, "the same rules share");
    let strict = HostNetwork {
        allow_plaintext: true,
        ..HostNetwork::default()
    };
    assert_eq!(
        reason(send(&egress, &strict, &get(&url)).await),
        Reason::HostAddressForbidden
    );
}

/// An origin that the route does not name gets no connection, however alike it looks.
#[tokio::test]
async fn p9_other_origins_are_refused() {
    let server = Server::http(|_| json(200, "{}")).await;
    let egress = egress();
    let port = server.port();
    let origins = crate::support::origins(&["https://forge.example"]);
    let secrets = crate::support::secrets(&[("access_token", crate::support::CANARY)]);
    for url in [
        format!("http://127.0.0.1:{port}/"),
        "http://forge.example/".to_owned(),
        "https://forge.example.evil.test/".to_owned(),
        "https://evil.test/https://forge.example/".to_owned(),
        "https://evil.test\\@forge.example/".to_owned(),
        "https://forge.example%2eevil.test/".to_owned(),
        "https://sub.forge.example/".to_owned(),
    ] {
        let entry = crate::support::Entry::new(&loopback());
        let route = bindery_core::exchange::Route {
            reach: entry.reach(),
            origins: &origins,
            secrets: &secrets,
        };
        let refused = reason(egress.send(&crate::support::with_token(&url), route).await);
        assert!(
            matches!(refused, Reason::OriginNotAllowed | Reason::InvalidArgument),
            "{url}: {refused:?}"
        );
    }
    assert_eq!(server.connections(), 0);
}

fn host(web: &str, network: HostNetwork) -> Host {
    let (name, provider) = (
        HostName::parse("forge").expect("a name"),
        ProviderName::parse("gitea").expect("a name"),
    );
    Host {
        api_url: format!("{web}/api/v1"),
        network,
        ..Host::new(name, provider, web.to_owned(), Timestamp::default())
    }
}

/// The port policy of the reference registry, and the operator's additions.
#[test]
fn trap_0_ports_have_gaps() {
    let egress = egress();
    let admit = |url: &str, extra: &[u16]| {
        let network = HostNetwork {
            allow_plaintext: true,
            extra_ports: extra.to_vec(),
            ..HostNetwork::default()
        };
        egress
            .admit(Reach {
                host: &host(url, network),
                secrets: &HostSecrets::default(),
            })
            .map_err(|problem| problem.reason)
    };
    for port in [
        80, 21, 443, 70, 210, 280, 488, 591, 777, 1025, 3000, 8080, 65535,
    ] {
        assert_eq!(
            admit(&format!("http://forge.example:{port}"), &[]),
            Ok(()),
            "{port}"
        );
    }
    for port in [1, 22, 25, 81, 1023, 1024] {
        let url = format!("http://forge.example:{port}");
        assert_eq!(admit(&url, &[]), Err(Reason::HostPortForbidden), "{port}");
        assert_eq!(admit(&url, &[port]), Ok(()), "{port}");
    }
    assert_eq!(admit("https://forge.example", &[]), Ok(()));
    assert_eq!(
        admit("https://forge.example:8443", &[]),
        Err(Reason::HostPortForbidden)
    );
    assert_eq!(admit("https://forge.example:8443", &[8443]), Ok(()));
}

/// Everything that can be known about a host's entry without the network is said when it is made.
#[test]
fn admit_judges_urls_and_bundles() {
    let egress = egress();
    let admit = |url: &str, change: fn(&mut HostNetwork)| {
        let mut network = HostNetwork::default();
        change(&mut network);
        egress
            .admit(Reach {
                host: &host(url, network),
                secrets: &HostSecrets::default(),
            })
            .map_err(|problem| problem.reason)
    };
    let invalid = Err(Reason::InvalidArgument);
    for url in [
        "forge.example",
        "ftp://forge.example",
        "http://forge.example",
        "https://user@forge.example",
        "https://user:password@forge.example",
        "https://forge.example.",
        "https://forge.example/?a=b",
        "https://forge.example/#a",
        "https://",
    ] {
        assert_eq!(admit(url, |_| ()), invalid, "{url}");
    }
    assert_eq!(
        admit("https://10.0.0.1", |_| ()),
        Err(Reason::HostAddressForbidden)
    );
    let ten = |network: &mut HostNetwork| {
        network.allowed_networks = vec!["10.0.0.0/8".parse().expect("a network")]
    };
    assert_eq!(admit("https://10.0.0.1", ten), Ok(()));
    let good = "https://forge.example";
    assert_eq!(
        admit(good, |network| network.ca_bundle_pem = "no PEM".to_owned()),
        invalid
    );
    let broken = |network: &mut HostNetwork| {
        network.ca_bundle_pem =
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    };
    assert_eq!(admit(good, broken), invalid);
    assert_eq!(
        admit(good, |network| network.proxy_url =
            "http://proxy.example:3128".to_owned()),
        Ok(())
    );
    assert_eq!(
        admit(good, |network| network.proxy_url =
            "socks5://proxy.example".to_owned()),
        invalid
    );
    assert_eq!(
        admit(good, |network| network.proxy_url =
            "http://user:pw@proxy.example".to_owned()),
        invalid
    );
    let metadata =
        |network: &mut HostNetwork| network.proxy_url = "http://169.254.169.254:3128".to_owned();
    assert_eq!(admit(good, metadata), Err(Reason::HostAddressForbidden));
}

/// The system's resolver is filtered like any other.
#[tokio::test]
async fn s1_system_names() {
    let server = Server::http(|_| json(200, "{}")).await;
    let url = format!("http://localhost:{}/", server.port());
    let closed = HostNetwork {
        allow_plaintext: true,
        ..HostNetwork::default()
    };
    let egress = egress();
    let refused = send(&egress, &closed, &get(&url)).await;
    assert_eq!(reason(refused), Reason::HostAddressForbidden);
    assert_eq!(server.connections(), 0);
    assert!(send(&egress, &loopback(), &get(&url)).await.is_ok());
}
