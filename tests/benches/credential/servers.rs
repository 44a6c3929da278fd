//! The two servers that are compared: a daemon with a bound link, and one whose call is empty.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use bindery_proto::v1::FetchReadCredentialRequest;
use bindery_tests::{
    artifacts::Plugin,
    daemon::{Options, TlsFiles},
    forge::GitHubForge,
};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tempfile::TempDir;

use crate::{
    load::{Address, Load},
    world::World,
};

/// The caller that comes with a certificate.
const REGISTRY: &str = "spiffe://bench.example/registry";
/// Rules about others, which stand before the one that counts.
const OTHER_RULES: usize = 20;

/// The two servers.
pub(crate) struct Servers {
    world: World<GitHubForge>,
    empty: Child,
    empty_port: u16,
    folder: TempDir,
    client: Arc<rustls::ClientConfig>,
    link: String,
    counted: std::cell::Cell<u64>,
}

/// One of the two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// `FetchReadCredential` of `binderyd`.
    Fetch,
    /// The empty call.
    Empty,
}

/// How it is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    /// The Unix socket.
    Unix,
    /// Mutual TLS.
    Tls,
}

impl Servers {
    /// Starts both, and links a namespace to the stand-in for GitHub.
    pub(crate) async fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let (tls, client) = certificates(folder.path())?;
        let (empty, empty_port) = start_empty(folder.path(), &tls)?;
        let options = Options {
            plugins: vec![Plugin::GitHub],
            policy: Some(policy()?),
            tls: Some(tls),
            api: "requests_per_second = 0\n".to_owned(),
            ..Options::default()
        };
        let mut world = World::with(GitHubForge::start(false, None).await?, options).await?;
        let link = world.link().await?;
        ensure!(
            !world.token(&link).await?.is_empty(),
            "the link hands out no token"
        );
        Ok(Self {
            world,
            empty,
            empty_port,
            folder,
            client,
            link,
            counted: std::cell::Cell::new(0),
        })
    }

    /// Connections to one of them.
    pub(crate) async fn load(&self, side: Side, transport: Transport) -> Result<Load> {
        let address = match (transport, side) {
            (Transport::Unix, Side::Fetch) => Address::Unix(self.world.daemon.socket()),
            (Transport::Unix, Side::Empty) => Address::Unix(socket(self.folder.path())),
            (Transport::Tls, Side::Fetch) => self.tls(port(&self.world.daemon.tls_endpoint())?),
            (Transport::Tls, Side::Empty) => self.tls(self.empty_port),
        };
        match side {
            Side::Fetch => {
                let path = "/bindery.v1.CredentialService/FetchReadCredential";
                let request = FetchReadCredentialRequest {
                    link: self.link.clone(),
                    ..Default::default()
                };
                Load::open(&address, path, &request.encode_to_vec()).await
            }
            Side::Empty => Load::open(&address, "/bindery.bench.v1.EmptyService/Call", &[]).await,
        }
    }

    fn tls(&self, port: u16) -> Address {
        Address::Tls(port, Arc::clone(&self.client))
    }

    /// Process id of one of them.
    pub(crate) fn id(&self, side: Side) -> Result<u32> {
        match side {
            Side::Fetch => self.world.daemon.id().context("binderyd does not run"),
            Side::Empty => Ok(self.empty.id()),
        }
    }

    /// How many lines the daemon has written to its audit log since it was last asked.
    pub(crate) fn audited(&self) -> Result<u64> {
        let mut count = 0;
        for file in std::fs::read_dir(self.world.daemon.path("data/audit"))? {
            for line in BufReader::new(File::open(file?.path())?).split(b'\n') {
                let fetch = String::from_utf8_lossy(&line?).contains("/FetchReadCredential\"");
                count += u64::from(fetch);
            }
        }
        Ok(count - self.counted.replace(count))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.empty.kill();
        let _ = self.empty.wait();
    }
}

/// The operator's user, who sets everything up, and the registry, after rules about others.
fn policy() -> Result<String> {
    let user = std::fs::metadata("/proc/self")?.uid();
    let rule = |who: &str, namespace: &str, actions: &str| {
        format!(
            "[[allow]]\nprincipals = [\"{who}\"]\nnamespaces = [\"{namespace}\"]\nactions = [{actions}]\n"
        )
    };
    let others = (0..OTHER_RULES).map(|n| {
        rule(
            &format!("spiffe://bench.example/other-{n}"),
            &format!("other-{n}"),
            "\"read\"",
        )
    });
    let all = "\"read\", \"link\", \"credential:read\", \"namespace\", \"provider\", \"host:read\", \"host\"";
    let user = rule(&format!("uid:{user}"), "*", all);
    let registry = rule(REGISTRY, "acme", "\"credential:read\"");
    Ok(others.chain([user, registry]).collect())
}

fn start_empty(folder: &Path, tls: &TlsFiles) -> Result<(Child, u16)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_empty-server"))
        .args([&socket(folder), &tls.certificate, &tls.key, &tls.client_ca])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let output = child.stdout.take().context("no output")?;
    BufReader::new(output).read_line(&mut line)?;
    let port = port(line.trim())?;
    Ok((child, port))
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("empty.sock")
}

fn port(address: &str) -> Result<u16> {
    let (_, port) = address
        .rsplit_once(':')
        .context("an address without a port")?;
    Ok(port.parse()?)
}

/// Files of both servers, and what the client presents.
fn certificates(folder: &Path) -> Result<(TlsFiles, Arc<rustls::ClientConfig>)> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
    let sign = |name: SanType| -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = vec![name];
        Ok((
            parameters.signed_by(&key, &authority)?.pem(),
            key.serialize_pem(),
        ))
    };
    let (certificate, key) = sign(SanType::DnsName("localhost".try_into()?))?;
    let files = TlsFiles {
        certificate: write(folder, "server.crt", &certificate)?,
        key: write(folder, "server.key", &key)?,
        client_ca: write(folder, "ca.crt", &authority.pem())?,
    };
    let (certificate, key) = sign(SanType::URI(REGISTRY.try_into()?))?;
    Ok((
        files,
        Arc::new(client(&authority.pem(), &certificate, &key)?),
    ))
}

fn client(authority: &str, certificate: &str, key: &str) -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}
