//! Certificates: THREATS S5.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use bindery_core::{host::HostNetwork, port::Egress, problem::Reason};
use bindery_egress::{EgressConfig, HttpEgress};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use crate::support::{Entry, Names, Server, get, json, loopback, reason, send, with_token};

/// A CA of the tests.
pub(crate) type Ca = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "A CA of the tests");
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

fn leaf(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    params
}

/// A server side with a certificate by `ca`, or by itself.
pub(crate) fn acceptor(ca: Option<&Ca>, params: CertificateParams) -> TlsAcceptor {
    bindery_egress::tls::install();
    let key = KeyPair::generate().expect("a key");
    let certificate = match ca {
        Some(ca) => params.signed_by(&key, ca),
        None => params.self_signed(&key),
    };
    let chain = vec![certificate.expect("a certificate").der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.expect("a matching key");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

pub(crate) fn good(ca: &Ca) -> TlsAcceptor {
    acceptor(Some(ca), leaf(&["forge.example"], |_| ()))
}

pub(crate) fn named() -> HttpEgress {
    HttpEgress::with_lookup(
        EgressConfig::default(),
        Names::new(|_, _| vec![Ipv4Addr::LOCALHOST.into()]),
    )
}

pub(crate) fn network(server: &Server, ca: Option<&Ca>) -> HostNetwork {
    HostNetwork {
        ca_bundle_pem: ca.map(|ca| ca.pem()).unwrap_or_default(),
        extra_ports: vec![server.port()],
        allow_plaintext: false,
        ..loopback()
    }
}

/// The operator's CA makes a self-managed host reachable, and only under the entry that names it.
#[tokio::test]
async fn the_operators_ca_is_known() {
    let ca = ca();
    let server = Server::tls(good(&ca), |_| json(200, "{}")).await;
    let egress = named();
    let url = format!("https://forge.example:{}/", server.port());
    let known = network(&server, Some(&ca));
    assert_eq!(
        send(&egress, &known, &with_token(&url))
            .await
            .expect("an answer")
            .response
            .status,
        200
    );
    let unknown = network(&server, None);
    let problem = send(&egress, &unknown, &with_token(&url))
        .await
        .expect_err("an unknown CA");
    assert_eq!(problem.reason, Reason::HostCertificateUnknown);
    assert_eq!(
        problem.message,
        "the certificate of forge.example is signed by a CA that this host entry does not know; add it with --ca-file"
    );
    assert!(
        problem
            .metadata
            .contains(&("host", "forge.example".to_owned()))
    );
}

/// S5: no certificate with a fault is accepted, and nothing is sent over such a connection.
#[tokio::test]
async fn s5_faulty_certificates() {
    let (ours, other) = (ca(), ca());
    let past = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) =
            (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    };
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
    let client = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let forge = ["forge.example"];
    let faulty = [
        ("self-signed", acceptor(None, leaf(&forge, |_| ()))),
        ("unknown CA", acceptor(Some(&other), leaf(&forge, |_| ()))),
        (
            "wrong name",
            acceptor(Some(&ours), leaf(&["other.example"], |_| ())),
        ),
        (
            "parent name",
            acceptor(Some(&ours), leaf(&["example"], |_| ())),
        ),
        (
            "sub name",
            acceptor(Some(&ours), leaf(&["*.forge.example"], |_| ())),
        ),
        (
            "suffix name",
            acceptor(Some(&ours), leaf(&["forge.example.evil.test"], |_| ())),
        ),
        (
            "address only",
            acceptor(Some(&ours), leaf(&["127.0.0.1"], |_| ())),
        ),
        ("no name", acceptor(Some(&ours), leaf(&[], |_| ()))),
        ("expired", acceptor(Some(&ours), leaf(&forge, past))),
        ("not yet valid", acceptor(Some(&ours), leaf(&forge, future))),
        ("for clients", acceptor(Some(&ours), leaf(&forge, client))),
    ];
    let egress = named();
    for (fault, acceptor) in faulty {
        let server = Server::tls(acceptor, |_| json(200, "{}")).await;
        let url = format!("https://forge.example:{}/", server.port());
        let refused = send(&egress, &network(&server, Some(&ours)), &with_token(&url)).await;
        assert_eq!(reason(refused), Reason::HostCertificateUnknown, "{fault}");
        assert!(server.seen().is_empty(), "{fault}");
    }
}

/// S5: plain http needs permission, and https is never answered by a plain server.
#[tokio::test]
async fn s5_plain_http() {
    let server = Server::http(|_| json(200, "{}")).await;
    let egress = named();
    let strict = network(&server, None);
    let plain = format!("http://forge.example:{}/", server.port());
    assert_eq!(
        reason(send(&egress, &strict, &get(&plain)).await),
        Reason::InvalidArgument
    );
    assert_eq!(server.connections(), 0);
    let tls = format!("https://forge.example:{}/", server.port());
    assert_eq!(
        reason(send(&egress, &strict, &get(&tls)).await),
        Reason::HostAnswerUnusable
    );
    assert!(server.seen().is_empty());
}

/// An address in the URL is checked against the certificate as well.
#[tokio::test]
async fn literal_addresses_have_certificates() {
    let ca = ca();
    let egress = named();
    for (name, accepted) in [("127.0.0.1", true), ("127.0.0.2", false)] {
        let server = Server::tls(acceptor(Some(&ca), leaf(&[name], |_| ())), |_| {
            json(200, "{}")
        })
        .await;
        let url = format!("https://127.0.0.1:{}/", server.port());
        let result = send(&egress, &network(&server, Some(&ca)), &get(&url)).await;
        assert_eq!(result.is_ok(), accepted, "{name}");
    }
}

/// A bundle that can't be read stops a request as it stops `admit`.
#[tokio::test]
async fn unreadable_bundles_are_refused() {
    let egress = named();
    let network = HostNetwork {
        ca_bundle_pem: "nonsense".to_owned(),
        ..HostNetwork::default()
    };
    let refused = send(&egress, &network, &get("https://forge.example/")).await;
    assert_eq!(reason(refused), Reason::InvalidArgument);
    let report = egress
        .probe("https://forge.example/", Entry::new(&network).reach())
        .await;
    assert!(report.http.is_none());
}

/// Hosts that speak HTTP/2 are spoken to in it.
#[tokio::test]
async fn http2_is_spoken() {
    let ca = ca();
    let server = Server::tls(good(&ca), |_| json(200, "{}")).await;
    let url = format!("https://forge.example:{}/a", server.port());
    let answer = send(&named(), &network(&server, Some(&ca)), &with_token(&url)).await;
    assert_eq!(answer.expect("an answer").response.status, 200);
    assert_eq!(server.seen()[0].version, http::Version::HTTP_2);
    assert!(server.seen()[0].header("authorization").is_some());
}

/// A proxy that opens tunnels and remembers what it was asked for in clear.
async fn tunnel(to: std::net::SocketAddr, heads: Arc<Mutex<Vec<String>>>) -> Server {
    Server::raw(move |mut stream| {
        let heads = Arc::clone(&heads);
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a head"));
            }
            heads
                .lock()
                .expect("no panic")
                .push(String::from_utf8(head).expect("text"));
            let mut onward = TcpStream::connect(to).await.expect("the host");
            let opened = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await;
            opened.expect("the client");
            drop(copy_bidirectional(&mut stream, &mut onward).await);
        }
    })
    .await
}

/// Through a proxy, TLS reaches to the host and its certificate is checked: the proxy sees a name and no secret.
#[tokio::test]
async fn s5_tls_through_a_proxy() {
    let (ours, other) = (ca(), ca());
    let server = Server::tls(good(&ours), |_| json(200, "{}")).await;
    let heads = Arc::new(Mutex::new(Vec::new()));
    let proxy = tunnel(server.address, Arc::clone(&heads)).await;
    let url = format!("https://forge.example:{}/", server.port());
    let egress = named();
    for (ca, accepted) in [(&ours, true), (&other, false)] {
        let network = HostNetwork {
            proxy_url: proxy.url("/"),
            ..network(&server, Some(ca))
        };
        match send(&egress, &network, &with_token(&url)).await {
            Ok(answer) => assert!(accepted && answer.response.status == 200),
            Err(problem) => {
                assert!(!accepted);
                assert_eq!(problem.reason, Reason::HostCertificateUnknown);
            }
        }
        let report = egress.probe(&url, Entry::new(&network).reach()).await;
        assert_eq!(report.http.is_some(), accepted);
        assert_eq!(report.tls.is_none(), accepted);
    }
    let heads = heads.lock().expect("no panic").join("");
    assert!(heads.contains("CONNECT forge.example:"), "{heads}");
    assert!(!heads.to_lowercase().contains("authorization"), "{heads}");
    assert_eq!(server.seen().len(), 2);
}
