//! What all handlers share.

use std::sync::{Arc, Mutex};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use bindery_engine::Engine;
use ipnet::IpNet;
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use ring::rand::SystemRandom;

use crate::{
    audit::Log,
    hooks::Room,
    limit::{Limiter, Rates},
    ops::Readiness,
    public_url::{InvalidPublicUrl, PublicUrl},
};

type Requests = Family<[(&'static str, String); 3], Counter>;

/// Everything that the listener needs. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    pub(crate) engine: Engine,
    pub(crate) audit: Log,
    pub(crate) public_url: PublicUrl,
    pub(crate) metrics: Arc<Mutex<Registry>>,
    pub(crate) readiness: Arc<dyn Readiness>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) trusted_proxies: Arc<[IpNet]>,
    pub(crate) random: SystemRandom,
    pub(crate) room: Room,
    requests: Requests,
}

impl std::fmt::Debug for WebState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebState")
            .field("public_url", &self.public_url)
            .finish_non_exhaustive()
    }
}

impl WebState {
    /// State over `engine`, whose configuration names the public URL. What is done here is written to `audit`. Registers its own metrics in `metrics`.
    ///
    /// # Errors
    ///
    /// [`InvalidPublicUrl`] when browsers could not keep the cookie that a flow needs at that URL.
    pub fn new(
        engine: Engine,
        audit: Arc<dyn bindery_core::audit::Audit>,
        metrics: Arc<Mutex<Registry>>,
        readiness: Arc<dyn Readiness>,
    ) -> Result<Self, InvalidPublicUrl> {
        let public_url = PublicUrl::parse(&engine.config().public_url)?;
        let requests = Requests::default();
        metrics
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .register(
                "bindery_web_requests",
                "Requests to the web listener by method, route and status",
                requests.clone(),
            );
        Ok(Self {
            engine,
            audit,
            public_url,
            metrics,
            readiness,
            limiter: Arc::new(Limiter::new(Rates::default())),
            trusted_proxies: Arc::from([]),
            random: SystemRandom::new(),
            room: Room::default(),
            requests,
        })
    }

    /// Other rates than the default ones.
    #[must_use]
    pub fn with_rates(mut self, rates: Rates) -> Self {
        self.limiter = Arc::new(Limiter::new(rates));
        self
    }

    /// Reverse proxies whose `X-Forwarded-For` is believed.
    #[must_use]
    pub fn with_trusted_proxies(mut self, proxies: &[IpNet]) -> Self {
        self.trusted_proxies = Arc::from(proxies);
        self
    }
}

/// Counts every answer by its route's pattern: a path has no bound, and may hold what is nobody's business.
pub(crate) async fn count(State(state): State<WebState>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let method = method_label(request.method()).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    let labels = [("method", method), ("route", route), ("status", status)];
    state.requests.get_or_create(&labels).inc();
    response
}

/// A closed set: a client may send any word as a method.
fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        _ => "other",
    }
}
