//! The other side of the benchmark: a tonic server in a process of its own whose one call takes nothing and gives
//! nothing, over a Unix socket and mutual TLS.
//!
//! `empty-server SOCKET CERTIFICATE KEY CLIENT_CA` prints the address of its TLS listener, and ends with its input.
#![forbid(unsafe_code)]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io::Read,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::{Context as _, Result};
use http::{Request, Response};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::{
    Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};
use tonic_prost::ProstCodec;
use tower::Service;

/// The service; it stands where generated code would.
#[derive(Clone, Copy, Debug)]
struct Empty;

impl NamedService for Empty {
    const NAME: &'static str = "bindery.bench.v1.EmptyService";
}

impl Service<Request<Body>> for Empty {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<(), ()>::default());
            Ok(grpc.unary(Nothing, request).await)
        })
    }
}

/// The call.
struct Nothing;

impl UnaryService<()> for Nothing {
    type Response = ();
    type Future = Ready<Result<tonic::Response<()>, Status>>;

    fn call(&mut self, _: tonic::Request<()>) -> Self::Future {
        ready(Ok(tonic::Response::new(())))
    }
}

/// The same runtime as the daemon's.
#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let mut next = || arguments.next().context("four paths are needed");
    let (socket, certificate, key, client_ca) = (next()?, next()?, next()?, next()?);
    let unix = UnixListenerStream::new(UnixListener::bind(socket)?);
    let incoming = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", incoming.local_addr()?);
    let tls = tls(&certificate, &key, &client_ca)?;
    let unix = server().add_service(Empty).serve_with_incoming(unix);
    let tcp = server().tls_config(tls)?.add_service(Empty);
    let tcp = tcp.serve_with_incoming(TcpListenerStream::new(incoming));
    tokio::select! {
        ended = unix => ended?,
        ended = tcp => ended?,
        ended = tokio::task::spawn_blocking(wait_for_the_end) => ended??,
    }
    Ok(())
}

/// The benchmark is gone when the input ends.
fn wait_for_the_end() -> std::io::Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// What the daemon sets as well.
fn server() -> Server {
    Server::builder()
        .tcp_nodelay(true)
        .max_concurrent_streams(128)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .http2_max_header_list_size(16 << 10)
}

fn tls(certificate: &Path, key: &Path, client_ca: &Path) -> Result<ServerTlsConfig> {
    let read = std::fs::read;
    Ok(ServerTlsConfig::new()
        .identity(Identity::from_pem(read(certificate)?, read(key)?))
        .client_ca_root(Certificate::from_pem(read(client_ca)?)))
}
