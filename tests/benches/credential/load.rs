//! The load client: HTTP/2 frames and nothing else, since a gRPC channel costs more than the server that is measured.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use hdrhistogram::Histogram;
use http::{HeaderMap, Request};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

/// Connections that callers share, as a registry with many builders would.
const CONNECTIONS: usize = 8;

/// Where a server listens.
#[derive(Clone)]
pub(crate) enum Address {
    /// On a Unix socket.
    Unix(PathBuf),
    /// On a port of the loopback, with mutual TLS.
    Tls(u16, Arc<rustls::ClientConfig>),
}

/// One call, again and again, over connections that stay.
pub(crate) struct Load {
    connections: Vec<SendRequest<Bytes>>,
    path: String,
    body: Bytes,
}

/// What callers saw.
pub(crate) struct Seen {
    /// Calls that were answered.
    pub(crate) calls: u64,
    /// Time that it took.
    pub(crate) took: Duration,
    /// Latencies in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Load {
    /// Connects. `message` is the protobuf message that each call sends.
    pub(crate) async fn open(address: &Address, path: &str, message: &[u8]) -> Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(connect(address).await?);
        }
        Ok(Self {
            connections,
            path: path.to_owned(),
            body: framed(message)?,
        })
    }

    /// Lets `callers` call, each of them one call after the other, until `length` has passed.
    pub(crate) async fn run(&self, callers: usize, length: Duration) -> Result<Seen> {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for connection in self.connections.iter().cycle().take(callers) {
            let caller = Caller {
                connection: connection.clone(),
                request: request(&self.path)?,
                body: self.body.clone(),
            };
            tasks.spawn(caller.call_until(began + length));
        }
        let mut latencies = histogram()?;
        while let Some(done) = tasks.join_next().await {
            latencies.add(done??)?;
        }
        Ok(Seen {
            calls: latencies.len(),
            took: began.elapsed(),
            latencies,
        })
    }
}

struct Caller {
    connection: SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
}

impl Caller {
    async fn call_until(mut self, end: Instant) -> Result<Histogram<u64>> {
        let mut latencies = histogram()?;
        loop {
            let began = Instant::now();
            if began >= end {
                return Ok(latencies);
            }
            self.call().await?;
            latencies.record(u64::try_from(began.elapsed().as_nanos())?)?;
        }
    }

    async fn call(&mut self) -> Result<()> {
        self.connection = self.connection.clone().ready().await?;
        let (response, mut sending) = self.connection.send_request(self.request.clone(), false)?;
        sending.send_data(self.body.clone(), true)?;
        let response = response.await?;
        let headers = response.headers().clone();
        let mut body = response.into_body();
        while let Some(part) = body.data().await {
            body.flow_control().release_capacity(part?.len())?;
        }
        let trailers = body.trailers().await?;
        succeeded(trailers.as_ref().unwrap_or(&headers))
    }
}

fn succeeded(headers: &HeaderMap) -> Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let status = text("grpc-status").context("an answer without a status")?;
    ensure!(
        status == "0",
        "status {status}: {}",
        text("grpc-message").unwrap_or_default()
    );
    Ok(())
}

async fn connect(address: &Address) -> Result<SendRequest<Bytes>> {
    match address {
        Address::Unix(path) => handshake(UnixStream::connect(path).await?).await,
        Address::Tls(port, config) => {
            let stream = TcpStream::connect(("127.0.0.1", *port)).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from("localhost")?;
            let connector = TlsConnector::from(Arc::clone(config));
            handshake(connector.connect(name, stream).await?).await
        }
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Bytes>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = h2::client::handshake(stream).await?;
    // A connection that breaks shows in the calls on it.
    tokio::spawn(connection);
    Ok(sender)
}

fn request(path: &str) -> Result<Request<()>> {
    Ok(Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?)
}

/// A message as gRPC sends it: not compressed, its length, itself.
fn framed(message: &[u8]) -> Result<Bytes> {
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
    body.extend_from_slice(message);
    Ok(body.into())
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}
