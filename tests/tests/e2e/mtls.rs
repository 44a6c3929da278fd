//! The registry's part of the story over mutual TLS, and who is kept out.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bindery_client::{Client, Code, CredentialRequest, Error, RepositoryQuery, RetryPolicy};
use bindery_tests::{
    artifacts::Plugin,
    daemon::{Options, TlsFiles},
    forge::GitHubForge,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;
use tokio::sync::Barrier;

use crate::{policies::own_user, story::clones_from, world::World};

const REGISTRY: &str = "spiffe://example.org/registry";
const READER: &str = "reader.example.org";

/// Concurrent callers.
const CALLERS: usize = 64;

/// Connections that they share; the daemon takes sixteen handshakes of one address at a time.
const CONNECTIONS: usize = 8;

fn policy() -> String {
    format!(
        "admins = [\"uid:{uid}\"]\n\
         [[allow]]\nprincipals = [\"uid:{uid}\"]\nnamespaces = [\"*\"]\n\
         actions = [\"read\", \"link\", \"credential:read\", \"namespace\", \"host\", \"host:read\"]\n\
         [[allow]]\nprincipals = [\"{REGISTRY}\"]\nnamespaces = [\"acme\"]\nactions = [\"read\", \"credential:read\"]\n\
         [[allow]]\nprincipals = [\"dns:{READER}\"]\nnamespaces = [\"acme\"]\nactions = [\"read\"]\n",
        uid = own_user(),
    )
}

/// A certificate authority of one test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    folder: TempDir,
}

/// A certificate and its key, as files.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = parameters.self_signed(&key)?.pem();
        let folder = TempDir::new()?;
        std::fs::write(folder.path().join("ca.pem"), &pem)?;
        Ok(Self {
            issuer: Issuer::new(parameters, key),
            pem,
            folder,
        })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What a daemon needs to serve those whom it certifies.
    pub(crate) fn server(&self) -> Result<TlsFiles> {
        let server = self.identity("server", dns("localhost")?)?;
        Ok(TlsFiles {
            certificate: server.certificate,
            key: server.key,
            client_ca: self.file(),
        })
    }

    /// Where a TLS library would write down the keys of its sessions.
    fn key_log(&self) -> PathBuf {
        self.folder.path().join("tls-keys")
    }

    pub(crate) fn identity(&self, file: &str, name: SanType) -> Result<Identity> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.subject_alt_names = vec![name];
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let path = |end: &str| self.folder.path().join(format!("{file}.{end}"));
        std::fs::write(path("pem"), certificate.pem())?;
        write_key(&path("key"), &key.serialize_pem())?;
        Ok(Identity {
            certificate: path("pem"),
            key: path("key"),
        })
    }
}

fn write_key(path: &Path, pem: &str) -> Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(file.write_all(pem.as_bytes())?)
}

pub(crate) fn dns(name: &str) -> Result<SanType> {
    Ok(SanType::DnsName(name.try_into()?))
}

pub(crate) fn spiffe(id: &str) -> Result<SanType> {
    Ok(SanType::URI(id.try_into()?))
}

/// A daemon with a bound link that serves mutual TLS.
struct Scene {
    world: World<GitHubForge>,
    link: String,
    authority: Authority,
}

impl Scene {
    async fn new() -> Result<Self> {
        let authority = Authority::new()?;
        let options = Options {
            plugins: vec![Plugin::GitHub],
            policy: Some(policy()),
            tls: Some(authority.server()?),
            environment: vec![("SSLKEYLOGFILE", authority.key_log())],
            ..Options::default()
        };
        let mut world = World::with(GitHubForge::start(true, None).await?, options).await?;
        let link = world.link().await?;
        Ok(Self {
            world,
            link,
            authority,
        })
    }

    async fn client(&self, identity: &Identity) -> Result<Client, Error> {
        Client::builder()
            .endpoint(self.world.daemon.tls_endpoint())
            .ca_file(self.authority.file())
            .identity_files(&identity.certificate, &identity.key)
            .retry(RetryPolicy::never())
            .deadline(Duration::from_secs(30))
            .connect()
            .await
    }

    /// What a client gets that connects and asks.
    async fn asks(&self, identity: &Identity) -> Result<(), Error> {
        self.client(identity)
            .await?
            .get_link(&self.link)
            .await
            .map(|_| ())
    }
}

/// L7: the keys of TLS sessions are not written down, though a variable of the environment asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn l7_the_keys_of_tls_sessions_are_not_written_down() -> Result<()> {
    let scene = Scene::new().await?;
    let registry = spiffe(REGISTRY)?;
    scene
        .asks(&scene.authority.identity("registry", registry)?)
        .await?;
    ensure!(!scene.authority.key_log().exists(), "they are in a file");
    Ok(())
}

/// The registry's part of the story works with its certificate, and git takes the token.
#[tokio::test(flavor = "multi_thread")]
async fn the_registry_looks_around_fetches_and_clones() -> Result<()> {
    let scene = Scene::new().await?;
    let client = scene
        .client(&scene.authority.identity("registry", spiffe(REGISTRY)?)?)
        .await?;
    let listed = client
        .list_repositories(&scene.link, RepositoryQuery::default())
        .all()
        .await?;
    let hello = listed
        .into_iter()
        .find(|found| found.full_name == "octo/hello");
    let hello = hello.context("octo/hello is not listed")?;
    let refs = client.list_refs(&hello.name, None).all().await?;
    ensure!(
        refs.iter().any(|found| found.commit_id.len() == 40),
        "no commit: {refs:?}"
    );
    let request = CredentialRequest::new(&scene.link).repository(&hello.full_name);
    let credential = client.read_credential(&request).await?;
    clones_from(&credential.clone_uri, &credential)?;
    let made = client.create_namespace("other", Default::default()).await;
    ensure!(made.is_err(), "the registry made a namespace");
    Ok(())
}

/// G2, G4: a principal that may only read gets no token, and a name in another field or of another spelling is nobody.
#[tokio::test(flavor = "multi_thread")]
async fn g2_g4_rights_are_the_certificates_own() -> Result<()> {
    let scene = Scene::new().await?;
    let reader = scene
        .client(&scene.authority.identity("reader", dns(READER)?)?)
        .await?;
    let listed = reader
        .list_repositories(&scene.link, RepositoryQuery::default())
        .all()
        .await?;
    ensure!(!listed.is_empty(), "the reader sees nothing");
    let fetched = reader
        .read_credential(&CredentialRequest::new(&scene.link))
        .await;
    let error = fetched
        .map(|_| ())
        .err()
        .context("the reader got a token")?;
    ensure!(
        matches!(error.code(), Code::PermissionDenied | Code::NotFound),
        "{error:?}"
    );
    for (file, name) in [
        ("other", spiffe("spiffe://example.org/registry/x")?),
        ("as-dns", dns("registry")?),
    ] {
        let other = scene.client(&scene.authority.identity(file, name)?).await?;
        let got = other.get_link(&scene.link).await.map(|_| ());
        ensure!(matches!(got, Err(Error::NotFound(_))), "{file}: {got:?}");
    }
    Ok(())
}

/// G4: strangers, callers without a certificate and callers without TLS get no answer at all.
#[tokio::test(flavor = "multi_thread")]
async fn g4_strangers_are_refused() -> Result<()> {
    let scene = Scene::new().await?;
    let other = Authority::new()?;
    let stranger = other.identity("registry", spiffe(REGISTRY)?)?;
    ensure!(
        scene.asks(&stranger).await.is_err(),
        "a stranger's CA was trusted"
    );

    let address = scene.world.daemon.tls_endpoint();
    let ca = tonic::transport::Certificate::from_pem(&scene.authority.pem);
    let anonymous = tonic::transport::ClientTlsConfig::new().ca_certificate(ca);
    let channel =
        tonic::transport::Endpoint::from_shared(address.clone())?.tls_config(anonymous)?;
    ensure!(
        answers(channel).await.is_err(),
        "a caller without a certificate was served"
    );

    let plain = tonic::transport::Endpoint::from_shared(address.replace("https://", "http://"))?;
    ensure!(answers(plain).await.is_err(), "plain text was served");

    let registry = scene.authority.identity("registry", spiffe(REGISTRY)?)?;
    scene
        .asks(&registry)
        .await
        .context("the right one is refused as well")?;
    Ok(())
}

/// Whether anything is answered.
async fn answers(endpoint: tonic::transport::Endpoint) -> Result<()> {
    let channel = endpoint.timeout(Duration::from_secs(10)).connect().await?;
    let mut client =
        bindery_client::proto::v1::provider_service_client::ProviderServiceClient::new(channel);
    client
        .list_providers(bindery_client::proto::v1::ListProvidersRequest::default())
        .await?;
    Ok(())
}

/// Sixty-four callers at once, on eight connections, get the same token.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_callers_at_once() -> Result<()> {
    let scene = Scene::new().await?;
    let registry = scene.authority.identity("registry", spiffe(REGISTRY)?)?;
    let token = scene.world.token(&scene.link).await?;
    let start = Arc::new(Barrier::new(CALLERS));
    let mut callers = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = scene.client(&registry).await?;
        for _ in 0..CALLERS / CONNECTIONS {
            let (client, start) = (client.clone(), Arc::clone(&start));
            let request = CredentialRequest::new(&scene.link);
            callers.push(tokio::spawn(async move {
                start.wait().await;
                client.read_credential(&request).await
            }));
        }
    }
    for caller in callers {
        ensure!(caller.await??.token.expose() == token, "another token");
    }
    println!("{CALLERS} callers over mutual TLS, {CALLERS} times the right token");
    Ok(())
}
