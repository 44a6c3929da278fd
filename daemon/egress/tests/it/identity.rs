//! Client certificates and proxies that ask who is there: on every leg, and to nobody else.

use std::sync::{Arc, Mutex};

use bindery_core::{
    exchange::{TokenCall, TokenGrant, TokenOutcome},
    port::Egress,
    problem::Reason,
    secret::Secret,
};
use bindery_egress::HttpEgress;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio_rustls::TlsAcceptor;

use crate::{
    support::{CANARY, Entry, Server, get, json, origins, secrets, with_token},
    tls::{Ca, ca, good, named, network},
    tokens::method,
};

/// A server that lets nobody in without a certificate by `ca`.
fn demanding(ca: &Ca) -> TlsAcceptor {
    bindery_egress::tls::install();
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["forge.example".to_owned()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, ca).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).expect("a CA");
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier.expect("a verifier"))
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        );
    TlsAcceptor::from(Arc::new(config.expect("a matching key")))
}

/// A client certificate by `ca` and its key, both PEM.
fn client(ca: &Ca) -> (String, Secret) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["bindery.example".to_owned()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, ca).expect("a certificate");
    (certificate.pem(), Secret::new(key.serialize_pem()))
}

/// An entry for `server` that shows a certificate by `by`.
fn showing(server: &Server, ca: &Ca, by: &Ca) -> Entry {
    let mut entry = Entry::new(&network(server, Some(ca)));
    let (pem, key) = client(by);
    entry.host.network.client_certificate_pem = pem;
    entry.secrets.client_key = Some(key);
    entry
}

async fn status(egress: &HttpEgress, entry: &Entry, url: &str) -> Result<u16, Reason> {
    let (origins, secrets) = (origins(&[url]), secrets(&[("access_token", CANARY)]));
    let route = bindery_core::exchange::Route {
        reach: entry.reach(),
        origins: &origins,
        secrets: &secrets,
    };
    let sent = egress.send(&with_token(url), route).await;
    sent.map(|answer| answer.response.status)
        .map_err(|problem| problem.reason)
}

async fn refresh(egress: &HttpEgress, entry: &Entry, endpoint: &str) -> TokenOutcome {
    let refresh_token = Secret::new("OLDREFRESHTOKEN".to_owned());
    let call = TokenCall {
        endpoint,
        client_id: "client-id",
        method: &method(),
        reach: entry.reach(),
        origins: &origins(&[endpoint]),
        grant: TokenGrant::Refresh {
            refresh_token: &refresh_token,
            redirect_uri: None,
        },
    };
    egress.token(call).await.outcome
}

const TOKENS: &str = r#"{"access_token":"new","expires_in":60}"#;

/// A host that demands a client certificate is reached on every leg: API, token endpoint and probe.
#[tokio::test]
async fn a_client_certificate_is_shown_on_every_leg() {
    let ca = ca();
    let server = Server::tls(demanding(&ca), |_| json(200, TOKENS)).await;
    let (egress, entry) = (named(), showing(&server, &ca, &ca));
    let url = format!("https://forge.example:{}/", server.port());
    assert_eq!(status(&egress, &entry, &url).await, Ok(200));
    let outcome = refresh(&egress, &entry, &url).await;
    assert!(matches!(outcome, TokenOutcome::Granted(_)), "{outcome:?}");
    let report = egress.probe(&url, entry.reach()).await;
    assert!(matches!(report.http, Some(Ok(_))), "{report:?}");
    assert_eq!(server.seen().len(), 3);
}

/// Without the certificate, or with one of another CA, such a host sees no request.
#[tokio::test]
async fn without_its_certificate_nothing_is_sent() {
    let (ours, other) = (ca(), ca());
    let server = Server::tls(demanding(&ours), |_| json(200, TOKENS)).await;
    let egress = named();
    let url = format!("https://forge.example:{}/", server.port());
    for entry in [
        Entry::new(&network(&server, Some(&ours))),
        showing(&server, &ours, &other),
    ] {
        assert_eq!(
            status(&egress, &entry, &url).await,
            Err(Reason::HostUnreachable)
        );
    }
    assert!(server.seen().is_empty());
}

/// A kept connection belongs to the certificate that it was made with: another key makes another client.
#[tokio::test]
async fn clients_are_kept_by_their_keys() {
    let (ours, other) = (ca(), ca());
    let server = Server::tls(demanding(&ours), |_| json(200, TOKENS)).await;
    let egress = named();
    let url = format!("https://forge.example:{}/", server.port());
    let good = showing(&server, &ours, &ours);
    assert_eq!(status(&egress, &good, &url).await, Ok(200));
    let bad = showing(&server, &ours, &other);
    assert_eq!(
        status(&egress, &bad, &url).await,
        Err(Reason::HostUnreachable)
    );
    assert_eq!(status(&egress, &good, &url).await, Ok(200));
    assert_eq!(server.connections(), 2, "the good one was kept");
}

/// `admit` refuses keys that can't be used before anything is stored, and says which of the two is wrong.
#[tokio::test]
async fn admit_judges_client_certificates() {
    let ca = ca();
    let server = Server::tls(good(&ca), |_| json(200, "{}")).await;
    let egress = named();
    let field = |entry: &Entry| {
        let problem = egress.admit(entry.reach()).expect_err("refused");
        assert_eq!(problem.reason, Reason::InvalidArgument);
        problem.metadata[0].1.clone()
    };
    let mut entry = showing(&server, &ca, &ca);
    assert_eq!(egress.admit(entry.reach()), Ok(()));
    let key = entry.secrets.client_key.take();
    assert_eq!(field(&entry), "client_certificate.private_key_pem");
    entry.secrets.client_key = Some(client(&ca).1);
    assert_eq!(field(&entry), "client_certificate.private_key_pem");
    entry.secrets.client_key = Some(Secret::new("no PEM".to_owned()));
    assert_eq!(field(&entry), "client_certificate.private_key_pem");
    entry.secrets.client_key = key;
    entry.host.network.client_certificate_pem = "no PEM".to_owned();
    assert_eq!(field(&entry), "client_certificate.certificate_pem");
}

/// What certificates say of themselves is told: ends, and the digest of the own one.
#[tokio::test]
async fn certificates_tell_their_ends() {
    let ca = ca();
    let server = Server::tls(good(&ca), |_| json(200, "{}")).await;
    let entry = showing(&server, &ca, &ca);
    let egress = named();
    let facts = egress.certificates(&entry.host.network);
    assert!(facts.bundle_expires.is_some() && facts.client_expires.is_some());
    assert_eq!(facts.client_sha256.len(), 64);
    let none = egress.certificates(&network(&server, None));
    assert_eq!(none, bindery_core::host::Certificates::default());
}

/// `Proxy-Authorization` of `user` and `password`, as RFC 7617 writes it.
const BASIC: &str = "Basic ZGFlbW9uOnAhYXNz";

/// A proxy that opens tunnels for whoever knows the password, and remembers the heads that it was sent.
async fn guarded(to: std::net::SocketAddr, heads: Arc<Mutex<Vec<String>>>) -> Server {
    Server::raw(move |mut stream| {
        let heads = Arc::clone(&heads);
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a head"));
            }
            let head = String::from_utf8(head).expect("text");
            let known = head.lines().any(|line| {
                line.to_lowercase().starts_with("proxy-authorization: ") && line.ends_with(BASIC)
            });
            heads.lock().expect("no panic").push(head);
            if !known {
                let refusal = b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n";
                drop(stream.write_all(refusal).await);
                return;
            }
            let mut onward = tokio::net::TcpStream::connect(to).await.expect("the host");
            let opened = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await;
            opened.expect("the client");
            drop(copy_bidirectional(&mut stream, &mut onward).await);
        }
    })
    .await
}

/// A proxy's password opens the way on every leg, and never travels on to the host.
#[tokio::test]
async fn a_proxy_knows_the_daemon_and_the_host_does_not_see_how() {
    let ca = ca();
    let server = Server::tls(good(&ca), |_| json(200, TOKENS)).await;
    let heads = Arc::new(Mutex::new(Vec::new()));
    let proxy = guarded(server.address, Arc::clone(&heads)).await;
    let mut entry = Entry::new(&network(&server, Some(&ca)));
    entry.host.network.proxy_url = proxy.url("/");
    entry.host.network.proxy_username = "daemon".to_owned();
    entry.secrets.proxy_password = Some(Secret::new("p!ass".to_owned()));
    let egress = named();
    let url = format!("https://forge.example:{}/", server.port());
    assert_eq!(status(&egress, &entry, &url).await, Ok(200));
    let outcome = refresh(&egress, &entry, &url).await;
    assert!(matches!(outcome, TokenOutcome::Granted(_)), "{outcome:?}");
    let report = egress.probe(&url, entry.reach()).await;
    assert!(matches!(report.http, Some(Ok(_))), "{report:?}");
    assert_eq!(server.seen().len(), 3);
    for seen in server.seen() {
        let text = seen.text().to_lowercase();
        assert!(
            !text.contains("proxy-auth") && !text.contains(&BASIC.to_lowercase()),
            "{text}"
        );
    }
    let heads = heads.lock().expect("no panic").join("");
    assert!(!heads.contains("BNDRYCANARY"), "{heads}");
}

/// A proxy that does not know the daemon is named as what is in the way, and nothing was used up.
#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let ca = ca();
    let server = Server::tls(good(&ca), |_| json(200, TOKENS)).await;
    let proxy = guarded(server.address, Arc::default()).await;
    let egress = named();
    let mut entry = Entry::new(&network(&server, Some(&ca)));
    entry.host.network.proxy_url = proxy.url("/");
    let plain = format!("http://forge.example:{}/", server.port());
    let url = format!("https://forge.example:{}/", server.port());
    entry.host.network.allow_plaintext = true;
    for password in [None, Some("wrong")] {
        entry.host.network.proxy_username =
            password.map(|_| "daemon".to_owned()).unwrap_or_default();
        entry.secrets.proxy_password = password.map(|text| Secret::new(text.to_owned()));
        for url in [&url, &plain] {
            let (origins, secrets) = (origins(&[url.as_str()]), secrets(&[]));
            let route = bindery_core::exchange::Route {
                reach: entry.reach(),
                origins: &origins,
                secrets: &secrets,
            };
            let problem = egress.send(&get(url), route).await.expect_err("refused");
            assert_eq!(problem.reason, Reason::HostUnreachable);
            assert!(
                problem.message.contains("the proxy of this host entry"),
                "{problem}"
            );
        }
        match refresh(&egress, &entry, &url).await {
            TokenOutcome::NotNow(problem) => {
                assert!(problem.message.contains("proxy"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(server.seen().is_empty());
}
