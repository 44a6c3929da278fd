//! Probes tell how far one gets, and send nothing secret.

use bindery_core::{exchange::ProbeReport, host::HostNetwork, port::Egress, problem::Reason};
use bindery_egress::{EgressConfig, HttpEgress};

use crate::{
    support::{Entry, Names, Server, bind, loopback, reason, reply},
    tls::{ca, good, named, network},
};

/// Every step of a good host is told, with its clock.
#[tokio::test]
async fn a_good_host() {
    let ca = ca();
    let date = ("date", "Sat, 21 Nov 2026 19:29:16 GMT");
    let server = Server::tls(good(&ca), move |_| reply(404, &[date], "")).await;
    let url = format!("https://forge.example:{}/", server.port());
    let report = named()
        .probe(&url, Entry::new(&network(&server, Some(&ca))).reach())
        .await;
    let text = |step: Option<Result<String, _>>| step.expect("tried").expect("good");
    assert_eq!(text(report.dns), "127.0.0.1");
    assert_eq!(text(report.tcp), server.address.to_string());
    assert_eq!(text(report.tls), "TLSv1_3");
    assert_eq!(text(report.http), "status 404");
    assert_eq!(report.date_unix, Some(1_795_289_356));
    assert_eq!(report.addresses, [std::net::IpAddr::from([127, 0, 0, 1])]);
    assert_eq!(report.http_status, 404);
    let took = report.took;
    assert!(
        [took.dns, took.tcp, took.tls, took.http]
            .iter()
            .all(Option::is_some)
    );
    let shown = report.certificate.expect("a certificate");
    assert_eq!(shown.names, ["forge.example"]);
    assert!(shown.issuer.contains("A CA of the tests"), "{shown:?}");
    assert!(shown.sha256.len() == 64 && shown.expires.is_some());
    assert_eq!(server.seen()[0].header("authorization"), None);
}

/// The first step that fails has the problem, and no later one is tried.
#[tokio::test]
async fn the_failing_step_is_named() {
    let empty = HttpEgress::with_lookup(EgressConfig::default(), Names::new(|_, _| Vec::new()));
    let report = empty
        .probe(
            "https://forge.example/",
            Entry::new(&HostNetwork::default()).reach(),
        )
        .await;
    let only_dns = ProbeReport {
        dns: report.dns.clone(),
        took: report.took,
        ..ProbeReport::default()
    };
    assert_eq!(report, only_dns);
    assert_eq!(
        reason(report.dns.expect("tried")),
        Reason::HostNameUnresolved
    );

    let report = named()
        .probe(
            "https://forge.example/",
            Entry::new(&HostNetwork::default()).reach(),
        )
        .await;
    assert_eq!(
        reason(report.dns.clone().expect("tried")),
        Reason::HostAddressForbidden
    );
    assert_eq!(report.addresses.len(), 1, "refused ones are told");
    let report = named()
        .probe("https://forge.example:22/", Entry::new(&loopback()).reach())
        .await;
    assert_eq!(
        reason(report.dns.expect("tried")),
        Reason::HostPortForbidden
    );

    let port = bind(std::net::Ipv4Addr::LOCALHOST)
        .await
        .local_addr()
        .expect("bound")
        .port();
    let report = named()
        .probe(
            &format!("http://forge.example:{port}/"),
            Entry::new(&loopback()).reach(),
        )
        .await;
    assert!(matches!(report.dns, Some(Ok(_))));
    assert_eq!(reason(report.tcp.expect("tried")), Reason::HostUnreachable);

    let server = Server::tls(good(&ca()), |_| reply(200, &[], "")).await;
    let url = format!("https://forge.example:{}/", server.port());
    let report = named()
        .probe(&url, Entry::new(&network(&server, None)).reach())
        .await;
    assert!(matches!(report.tcp, Some(Ok(_))) && report.http.is_none());
    // Who has to mend it sees the certificate that is not accepted.
    assert!(report.certificate.is_some());
    let problem = report.tls.expect("tried").expect_err("an unknown CA");
    assert_eq!(problem.reason, Reason::HostCertificateUnknown);
    assert!(problem.message.contains("--ca-file"), "{problem}");
}
