//! HTTP/1.1 in the clear or over TLS, and everything that goes wrong on purpose

use std::sync::Arc;

use anyhow::Context;
use axum::body::Body;
use axum::response::Response;
use axum::{Extension, Router};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use url::form_urlencoded;

use super::knobs::{Fault, Logged};
use super::oauth::TOKEN_PATH;
use super::reply::Reply;
use super::{Inner, Tls};

/// One listener's way to answer
#[derive(Clone)]
pub(super) struct Server {
    inner: Arc<Inner>,
    routes: Router,
    tls: Option<TlsAcceptor>,
}

/// Makes hyper close the connection instead of answering
#[derive(Debug)]
struct Closed;

impl std::error::Error for Closed {}

impl std::fmt::Display for Closed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the connection is closed on purpose")
    }
}

/// Reads the certificate chain and the key
pub(super) fn acceptor(tls: &Tls) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_slice_iter(tls.cert_pem.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>();
    let chain = chain.context("the certificate isn't PEM")?;
    let key = PrivateKeyDer::from_pem_slice(tls.key_pem.as_bytes());
    let key = key.context("the key isn't PEM")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Server {
    pub(super) const fn new(inner: Arc<Inner>, routes: Router, tls: Option<TlsAcceptor>) -> Self {
        Self { inner, routes, tls }
    }

    /// Accept connections until the stand-in is dropped
    pub(super) async fn run(self, listener: TcpListener, mut stopped: watch::Receiver<()>) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.changed() => return,
            };
            let Ok((stream, _)) = accepted else { continue };
            let (server, mut stopped) = (self.clone(), stopped.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = server.connection(stream) => {}
                    _ = stopped.changed() => {}
                }
            });
        }
    }

    async fn connection(self, stream: TcpStream) {
        // Answers are small; waiting for more to send with them would cost each one 40 ms.
        let _ = stream.set_nodelay(true);
        match self.tls.clone() {
            None => self.http(stream).await,
            // Clients that distrust the certificate go away here.
            Some(tls) => {
                if let Ok(stream) = tls.accept(stream).await {
                    self.http(stream).await;
                }
            }
        }
    }

    async fn http(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| self.answer(request));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        // It ends with an error where a fault closed it, or the client did.
        let _ = served.await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response, Closed> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        let path = parts.uri.path().to_owned();
        let number = self.inner.record(&parts);
        if path == TOKEN_PATH {
            self.inner.gate.pass().await;
        }
        let fault = self.inner.take_fault(&path);
        match &fault {
            None | Some(Fault::CommitThenClose | Fault::GarbageJson) => {}
            Some(fault) => return self.fail(fault).await,
        }
        let request = Request::from_parts(parts, Body::from(body.clone()));
        let routes = self.routes.clone().layer(Extension(body));
        let answer = routes
            .oneshot(request)
            .await
            .map_err(|never| match never {})?;
        match fault {
            Some(Fault::CommitThenClose) => Err(Closed),
            Some(Fault::GarbageJson) => Ok(garbage()),
            _ => {
                self.inner.world().log[number].status = Some(answer.status());
                Ok(answer)
            }
        }
    }

    async fn fail(&self, fault: &Fault) -> Result<Response, Closed> {
        match fault {
            Fault::Status(status) => {
                let status = StatusCode::from_u16(*status);
                let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let words = status.canonical_reason().unwrap_or("Error");
                Ok(Reply::error(status, words, "").plain())
            }
            Fault::RateLimited { retry_after } => {
                Ok(Reply::rate_limited(self.inner.now(), *retry_after).plain())
            }
            Fault::SecondaryLimit => Ok(Reply::secondary_limit().plain()),
            Fault::Hang => std::future::pending().await,
            Fault::CloseAfterReading | Fault::CommitThenClose | Fault::GarbageJson => Err(Closed),
        }
    }
}

impl Inner {
    /// Keep what may be kept of a request, and return its number
    fn record(&self, parts: &http::request::Parts) -> usize {
        let query = parts.uri.query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes());
        let headers = parts.headers.keys();
        let logged = Logged {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query_names: query.map(|(name, _)| name.into_owned()).collect(),
            header_names: headers.map(|name| name.as_str().to_owned()).collect(),
            status: None,
        };
        let mut world = self.world();
        world.log.push(logged);
        world.log.len() - 1
    }
}

fn garbage() -> Response {
    let body = Body::from(r#"{"access_token":"gho_,"id":12,"login":"#);
    let mut answer = Response::new(body);
    let json = http::HeaderValue::from_static("application/json; charset=utf-8");
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    answer
}
