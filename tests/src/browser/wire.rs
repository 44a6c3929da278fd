//! One HTTP/1.1 exchange on a connection of its own, in the clear or over TLS

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// A server that says nothing for so long has failed its test
const PATIENCE: Duration = Duration::from_secs(60);

/// How requests reach servers
pub struct Wire {
    tls: TlsConnector,
}

impl Wire {
    /// Plain HTTP: no certificate authority is trusted
    pub fn plain() -> anyhow::Result<Self> {
        Self::with_roots(&[])
    }

    /// HTTPS to servers that the certificate authorities in `roots` (PEM) vouch for
    pub fn with_roots(roots: &[&str]) -> anyhow::Result<Self> {
        Self::new(roots, None)
    }

    /// As [`Wire::with_roots`], to servers that ask for a certificate: chain and key, PEM
    pub fn with_identity(roots: &[&str], identity: (&str, &str)) -> anyhow::Result<Self> {
        Self::new(roots, Some(identity))
    }

    fn new(roots: &[&str], identity: Option<(&str, &str)>) -> anyhow::Result<Self> {
        let mut store = RootCertStore::empty();
        for root in roots {
            for certificate in CertificateDer::pem_slice_iter(root.as_bytes()) {
                store.add(certificate.context("a root isn't PEM")?)?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
                builder.with_client_auth_cert(chain.collect::<Result<_, _>>()?, key)?
            }
        };
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Send one request and read the whole answer
    pub async fn send(
        &self,
        url: &Url,
        request: Request<String>,
    ) -> anyhow::Result<Response<Bytes>> {
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(url, request));
        let answer = exchange.await.context("no answer in time");
        let answer = answer.and_then(|answer| answer);
        answer.with_context(|| format!("the request to {url} failed"))
    }

    async fn exchange(
        &self,
        url: &Url,
        request: Request<String>,
    ) -> anyhow::Result<Response<Bytes>> {
        let request = addressed(url, request)?;
        let stream = connect(url).await?;
        match url.scheme() {
            "http" => talk(stream, request).await,
            "https" => talk(self.tls.connect(server_name(url)?, stream).await?, request).await,
            other => bail!("the scheme {other} isn't spoken here"),
        }
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Wire").finish_non_exhaustive()
    }
}

fn addressed(url: &Url, request: Request<String>) -> anyhow::Result<Request<Full<Bytes>>> {
    let (mut parts, body) = request.into_parts();
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    parts.uri = target.parse::<Uri>()?;
    parts
        .headers
        .insert(HOST, HeaderValue::from_str(authority)?);
    parts
        .headers
        .insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(Request::from_parts(parts, Full::new(Bytes::from(body))))
}

async fn connect(url: &Url) -> anyhow::Result<TcpStream> {
    let port = url.port_or_known_default().context("no port")?;
    let stream = match url.host().context("no host")? {
        Host::Domain(name) => TcpStream::connect((name, port)).await?,
        Host::Ipv4(address) => TcpStream::connect((address, port)).await?,
        Host::Ipv6(address) => TcpStream::connect((address, port)).await?,
    };
    Ok(stream)
}

fn server_name(url: &Url) -> anyhow::Result<ServerName<'static>> {
    let name = match url.host().context("no host")? {
        Host::Domain(name) => ServerName::try_from(name.to_owned())?,
        Host::Ipv4(address) => ServerName::from(std::net::IpAddr::from(address)),
        Host::Ipv6(address) => ServerName::from(std::net::IpAddr::from(address)),
    };
    Ok(name)
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Response<Bytes>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // The connection ends by itself once the answer is read.
    tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}
