//! Mutual TLS.

use std::path::PathBuf;

use bindery_client::{Client, ClientBuilder, Error, testing::FakeBindery};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A certificate and its key, as files.
    fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let paths = (
            self.path(&format!("{name}.pem")),
            self.path(&format!("{name}.key")),
        );
        std::fs::write(&paths.0, certificate.pem()).unwrap();
        std::fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    }
}

async fn daemon(authority: &Authority) -> FakeBindery {
    let (certificate, key) = authority.issue("localhost");
    FakeBindery::start_tls(&certificate, &key, &authority.ca())
        .await
        .unwrap()
}

fn client_of(bindery: &FakeBindery, ca: &Authority, own: &Authority) -> ClientBuilder {
    let (certificate, key) = own.issue("registry");
    let builder = Client::builder().endpoint(bindery.endpoint());
    builder.ca_file(ca.ca()).identity_files(certificate, key)
}

/// Who has a certificate of the right authority is served.
#[tokio::test]
async fn mutual_tls_works() {
    let authority = Authority::new();
    let bindery = daemon(&authority).await;
    bindery.add_namespace("acme");
    let client = client_of(&bindery, &authority, &authority)
        .connect()
        .await
        .unwrap();
    assert_eq!(client.list_namespaces("").all().await.unwrap().len(), 1);
}

/// A daemon with a certificate of another authority is not spoken to, and one that does not know the
/// caller's authority does not answer.
#[tokio::test]
async fn strangers_are_refused_on_both_sides() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let bindery = daemon(&authority).await;
    let fooled = client_of(&bindery, &stranger, &authority).connect().await;
    assert!(matches!(fooled, Err(Error::Unavailable(_))), "{fooled:?}");
    // A server refuses a certificate after the client believes that it is connected.
    let refused = match client_of(&bindery, &authority, &stranger).connect().await {
        Ok(client) => client.list_namespaces("").all().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}

/// Without its files an https endpoint is a matter of configuration, and the text names what to set.
#[tokio::test]
async fn missing_files_are_named() {
    let builder = || Client::builder().endpoint("https://localhost:7443");
    let error = builder().connect().await.unwrap_err();
    assert!(error.to_string().contains("BINDERY_CA_FILE"), "{error}");
    let error = builder()
        .ca_file("/nowhere/ca.pem")
        .connect()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

/// Plain text to another machine is refused before anything is sent.
#[tokio::test]
async fn plain_text_does_not_leave_the_machine() {
    let error = Client::builder()
        .endpoint("http://bindery.example.org:7443")
        .connect()
        .await;
    assert!(matches!(error, Err(Error::Configuration(_))), "{error:?}");
}
