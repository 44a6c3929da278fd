//! The way to an answer, and everything that goes wrong on purpose

use std::sync::Arc;

use anyhow::Context;
use axum::body::Body;
use axum::response::Response;
use axum::{Extension, Router};
use bindery_twins::hooks::Lost;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rustls::{RootCertStore, server::WebPkiClientVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use url::form_urlencoded;

use super::knobs::{Fault, Logged};
use super::oauth::TOKEN_PATH;
use super::reply::Reply;
use super::{Clients, Inner, Tls};
use crate::serve::{Answer, Closed};

/// One listener's way to answer
#[derive(Clone)]
pub(super) struct Server {
    inner: Arc<Inner>,
    routes: Router,
}

/// Reads the certificate chain and the key, and who is let in
pub(super) fn acceptor(tls: &Tls, clients: Option<&Clients>) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_slice_iter(tls.cert_pem.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>();
    let chain = chain.context("the certificate isn't PEM")?;
    let key = PrivateKeyDer::from_pem_slice(tls.key_pem.as_bytes());
    let key = key.context("the key isn't PEM")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(clients.root_pem.as_bytes())?)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Answer for Server {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response, Closed> {
        self.reply(request).await
    }
}

impl Server {
    pub(super) const fn new(inner: Arc<Inner>, routes: Router) -> Self {
        Self { inner, routes }
    }

    async fn reply(&self, request: Request<Incoming>) -> Result<Response, Closed> {
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
        let lost = self.inner.world().hooks.take_lost();
        match lost {
            None => {}
            Some(Lost::Closed) => return Err(Closed),
            Some(Lost::Status(status)) => return self.fail(&Fault::Status(status)).await,
        }
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
