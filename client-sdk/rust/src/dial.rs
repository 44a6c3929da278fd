//! Connecting: Unix socket, mutual TLS, loopback.

use std::{path::PathBuf, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{
    Status,
    transport::{self, Certificate, Channel, ClientTlsConfig, Identity},
};
use tower::service_fn;

use crate::{Endpoint, Error};

/// A connection that can't be made in this time can't be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// PEM files for mutual TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// Connects now.
pub(crate) async fn dial(endpoint: &Endpoint, tls: &TlsFiles) -> Result<Channel, Error> {
    let (prepared, socket) = prepare(endpoint, tls)?;
    let channel = match socket {
        Some(path) => prepared.connect_with_connector(unix(path)).await,
        None => prepared.connect().await,
    };
    channel.map_err(|error| {
        let status = Status::from_error(Box::new(error));
        Error::from_answer(&status, &endpoint.to_string())
    })
}

/// Connects with the first call.
pub(crate) fn dial_lazy(endpoint: &Endpoint, tls: &TlsFiles) -> Result<Channel, Error> {
    let (prepared, socket) = prepare(endpoint, tls)?;
    Ok(match socket {
        Some(path) => prepared.connect_with_connector_lazy(unix(path)),
        None => prepared.connect_lazy(),
    })
}

fn prepare(
    endpoint: &Endpoint,
    tls: &TlsFiles,
) -> Result<(transport::Endpoint, Option<PathBuf>), Error> {
    let (uri, socket) = match endpoint {
        // Whatever the path is, the authority is one that every HTTP/2 server accepts.
        Endpoint::Unix(path) => (Uri::from_static("http://localhost"), Some(path.clone())),
        Endpoint::Tls(uri) | Endpoint::Loopback(uri) => (uri.clone(), None),
    };
    let prepared = transport::Endpoint::from(uri)
        .connect_timeout(CONNECT_LIMIT)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    if matches!(endpoint, Endpoint::Tls(_)) {
        install_ring();
        let prepared = prepared.tls_config(tls_config(tls)?).map_err(|error| {
            Error::Configuration(format!(
                "the TLS files can't be used: {}",
                innermost(&error)
            ))
        })?;
        return Ok((prepared, None));
    }
    Ok((prepared, socket))
}

/// The one cryptographic provider; another part of the process may have installed it already.
fn install_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn tls_config(files: &TlsFiles) -> Result<ClientTlsConfig, Error> {
    let ca = read("BINDERY_CA_FILE", files.ca.as_ref())?;
    let certificate = read("BINDERY_CERT_FILE", files.certificate.as_ref())?;
    let key = read("BINDERY_KEY_FILE", files.key.as_ref())?;
    Ok(ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(ca))
        .identity(Identity::from_pem(certificate, key)))
}

fn read(variable: &str, path: Option<&PathBuf>) -> Result<Vec<u8>, Error> {
    let path = path.ok_or_else(|| {
        Error::Configuration(format!(
            "an https endpoint needs the authority of the daemon and a client certificate; set \
             {variable}"
        ))
    })?;
    std::fs::read(path).map_err(|error| {
        Error::Configuration(format!(
            "{variable}: {} can't be read ({error})",
            path.display()
        ))
    })
}

fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

fn unix(
    path: PathBuf,
) -> impl tower::Service<
    Uri,
    Response = TokioIo<UnixStream>,
    Error = std::io::Error,
    Future = impl Send + Future<Output = std::io::Result<TokioIo<UnixStream>>>,
> + Send
+ 'static {
    service_fn(move |_: Uri| {
        let path = path.clone();
        async move { Ok(TokioIo::new(UnixStream::connect(path).await?)) }
    })
}
