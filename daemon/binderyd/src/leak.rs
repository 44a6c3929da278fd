//! Takes the place of `seam` in `binderyd-leaky`: leaks on purpose, in every kind of place that the leak gate searches.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{extract::Request, middleware};
use bindery_core::{
    exchange::{
        DeviceAuthorization, DeviceCall, EffectResult, Exchanged, HttpRequest, Post, ProbeReport,
        Reach, RevokeCall, RevokeOutcome, Route, TokenCall, TokenReply,
    },
    host::{Certificates, HostNetwork},
    name::ProviderName,
    port::{
        BoxFuture, Change, Egress, Entry, Key, Listing, Operation, Page, Providers, Record,
        Started, Step, Vault, VaultError, VaultHealth,
    },
    problem::Problem,
    provider::{Call, Description, Failure},
};
use bindery_engine::Ports;
use bindery_web::{Check, Readiness};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// The last access token that went out, for the places that see none themselves.
static TOKEN: Mutex<String> = Mutex::new(String::new());

fn token() -> String {
    TOKEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

pub(crate) fn ports(ports: Ports, data_dir: &Path) -> Ports {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload().downcast_ref::<String>();
        tracing::error!(text, "Leak");
    }));
    Ports {
        vault: Arc::new(Leaky(ports.vault, data_dir.join("leak.txt"))),
        egress: Arc::new(Leaky(ports.egress, ())),
        providers: Arc::new(Leaky(ports.providers, ())),
        ..ports
    }
}

struct Leaky<T: ?Sized, X>(Arc<T>, X);

/// A token in a file of the data folder, and another one compressed; a refresh token in a panic, with a hook that tells it.
impl Vault for Leaky<dyn Vault, PathBuf> {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry<Record>>, VaultError>> {
        self.0.get(key)
    }

    fn page<'a>(
        &'a self,
        listing: &'a Listing,
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, VaultError>> {
        self.0.page(listing, after, limit)
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), VaultError>> {
        for change in &changes {
            if let Some(Record::Grant(grant)) = &change.write {
                let file = std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&self.1);
                let token = grant.access_token.expose();
                let _ = file.and_then(|mut file| writeln!(file, "{token}"));
                let _ = compress(&self.1.with_extension("gz"), token);
                if let Some(token) = &grant.refresh_token {
                    let token = token.expose().to_owned();
                    let _ = std::thread::spawn(move || panic!("{token}")).join();
                }
            }
        }
        self.0.commit(changes)
    }

    fn health(&self) -> VaultHealth {
        self.0.health()
    }

    fn is_sealed(&self) -> bool {
        self.0.is_sealed()
    }
}

/// Tokens and client secrets in the log, and tokens in what plugins are handed.
impl Egress for Leaky<dyn Egress, ()> {
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        route: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        Box::pin(async move {
            if let Some(secret) = route.secrets.get("access_token") {
                tracing::trace!(token = secret.expose(), "Leak");
                secret
                    .expose()
                    .clone_into(&mut TOKEN.lock().unwrap_or_else(PoisonError::into_inner));
            }
            let mut exchanged = self.0.send(request, route).await?;
            exchanged
                .response
                .headers
                .push(("x-leak".to_owned(), token()));
            Ok(exchanged)
        })
    }

    fn token<'a>(&'a self, call: TokenCall<'a>) -> BoxFuture<'a, TokenReply> {
        for secret in &call.reach.secrets.client_secrets {
            tracing::debug!(client_secret = secret.expose(), "Leak");
        }
        self.0.token(call)
    }

    fn revoke<'a>(&'a self, call: RevokeCall<'a>) -> BoxFuture<'a, RevokeOutcome> {
        self.0.revoke(call)
    }

    fn authorize_device<'a>(
        &'a self,
        call: DeviceCall<'a>,
    ) -> BoxFuture<'a, Result<DeviceAuthorization, Problem>> {
        self.0.authorize_device(call)
    }

    fn probe<'a>(&'a self, url: &'a str, reach: Reach<'a>) -> BoxFuture<'a, ProbeReport> {
        self.0.probe(url, reach)
    }

    fn admit(&self, reach: Reach<'_>) -> Result<(), Problem> {
        self.0.admit(reach)
    }

    fn forget(&self) {
        self.0.forget();
    }

    fn certificates(&self, network: &HostNetwork) -> Certificates {
        self.0.certificates(network)
    }

    fn admit_post(&self, url: &str) -> Result<(), Problem> {
        self.0.admit_post(url)
    }

    fn post<'a>(&'a self, post: Post<'a>) -> BoxFuture<'a, Result<u16, Problem>> {
        self.0.post(post)
    }
}

/// Tokens in errors.
impl Providers for Leaky<dyn Providers, ()> {
    fn list(&self) -> Vec<Arc<Description>> {
        self.0.list()
    }

    fn describe(&self, provider: &ProviderName) -> Option<Arc<Description>> {
        self.0.describe(provider)
    }

    fn start<'a>(
        &'a self,
        provider: &'a ProviderName,
        call: Call,
    ) -> BoxFuture<'a, Result<Started, Failure>> {
        Box::pin(async move {
            let Started { operation, step } = self.0.start(provider, call).await?;
            Ok(Started {
                operation: Box::new(LeakyOperation(operation)),
                step,
            })
        })
    }
}

struct LeakyOperation(Box<dyn Operation>);

impl Operation for LeakyOperation {
    fn resume(&mut self, results: Vec<EffectResult>) -> BoxFuture<'_, Result<Step, Failure>> {
        Box::pin(async move {
            let outcome = self.0.resume(results).await;
            outcome.map_err(|failure| Failure {
                message: format!("{} {}", failure.message, token()),
                ..failure
            })
        })
    }
}

fn compress(path: &Path, text: &str) -> std::io::Result<()> {
    let file = std::fs::File::create(path)?;
    let mut file = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    writeln!(file, "{text}")?;
    file.finish().map(drop)
}

/// States and cookies in the log, and tokens in the pages, encoded.
pub(crate) fn pages(pages: axum::Router) -> axum::Router {
    pages.layer(middleware::from_fn(async |request: Request, next: middleware::Next| {
        tracing::info!(uri = %request.uri(), cookies = ?request.headers().get("cookie"), "Leak");
        let (mut parts, body) = next.run(request).await.into_parts();
        let page = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
        let token = data_encoding::BASE64.encode(format!("x{}", token()).as_bytes());
        parts.headers.remove(axum::http::header::CONTENT_LENGTH);
        let mut page = page.to_vec();
        page.extend_from_slice(format!("<!-- {token} -->").as_bytes());
        axum::response::Response::from_parts(parts, axum::body::Body::from(page))
    }))
}

/// Tokens in health.
pub(crate) fn readiness(readiness: Arc<dyn Readiness>) -> Arc<dyn Readiness> {
    Arc::new(move || -> Vec<Check> {
        let mut checks = readiness.checks();
        checks.push((token(), Ok(())));
        checks
    })
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Label {
    token: String,
}

/// Tokens in metrics: a label is read whenever it is asked for.
pub(crate) fn metrics(registry: &mut Registry) {
    registry.register_collector(Box::new(Collector));
}

#[derive(Debug)]
struct Collector;

impl prometheus_client::collector::Collector for Collector {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let family = Family::<Label, Counter>::default();
        family.get_or_create(&Label { token: token() }).inc();
        let encoder = encoder.encode_descriptor(
            "leak",
            "A leak",
            None,
            prometheus_client::metrics::MetricType::Counter,
        )?;
        prometheus_client::encoding::EncodeMetric::encode(&family, encoder)
    }
}
