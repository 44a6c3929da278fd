//! The one HTTP client, and the only place where a secret meets the bytes of a request.
//!
//! [`HttpEgress`] implements the [`Egress`] port. A request passes these stations:
//!
//! | Module | What it does |
//! |---|---|
//! | `policy` | scheme, port, user info and literal addresses of a URL; what `admit` says |
//! | `address`, [`resolve`] | one look-up, every address checked, and only what passed is connected to |
//! | `clients`, [`tls`] | the one client constructor, a client per set of network rules |
//! | `assemble` | segments become headers and a body; the only place that writes a secret |
//! | `exchange`, `body` | sends, and reads under limits of time, size and compression |
//! | `capture`, `scrub` | takes secrets out of the answer before anybody sees it |
//! | `token` | token endpoints, by the `oauth2` crate over the same client, and device authorization |
//! | `post` | posts events to registries, under rules of their own |
//! | `probe` | looks step by step how far one gets; sends no secret |
//! | `failure` | what went wrong, with what to do |
#![forbid(unsafe_code)]

use std::{sync::Arc, time::Duration};

use bindery_core::{
    exchange::{
        DeviceAuthorization, DeviceCall, Exchanged, HttpRequest, Post, ProbeReport, Reach,
        RevokeCall, RevokeOutcome, Route, TokenCall, TokenReply,
    },
    host::{Certificates, HostNetwork},
    origin::{Origin, OriginSet},
    port::{BoxFuture, Egress},
    problem::{Problem, Reason},
};
use ipnet::IpNet;
use url::Url;

use crate::{
    clients::Clients,
    failure::Failure,
    resolve::{Lookup, SystemLookup},
};

mod address;
mod assemble;
mod body;
mod capture;
mod clients;
mod exchange;
mod failure;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod policy;
mod post;
mod probe;
pub mod resolve;
mod scrub;
pub mod tls;
mod token;

/// Settings of [`HttpEgress`].
#[derive(Clone, Debug)]
pub struct EgressConfig {
    /// Goes into `User-Agent: bindery/<version>`.
    pub version: String,
    /// Bounds of every exchange.
    pub limits: Limits,
    /// What events may be posted to.
    pub registries: Registries,
}

/// What events may be posted to beyond public addresses and the ports of the default policy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Registries {
    /// Private, loopback or link-local ranges.
    pub allow_networks: Vec<IpNet>,
    /// Ports, for `http` and `https`.
    pub allow_ports: Vec<u16>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            limits: Limits::default(),
            registries: Registries::default(),
        }
    }
}

/// Bounds of an exchange. The defaults are those of THREATS S6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Name resolution, connection and TLS handshake together. Short, because a packet filter drops silently.
    pub connect: Duration,
    /// From the start to the head of the response.
    pub first_byte: Duration,
    /// From the start to the last byte.
    pub whole: Duration,
    /// Bytes of a response body after decompression; a request may lower it.
    pub body: usize,
    /// Bytes of a token endpoint's answer.
    pub token_body: usize,
    /// How many times larger a decompressed body may be than what came in. The first 64 KiB are free, because short JSON
    /// lists compress better than this without harm.
    pub ratio: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(15),
            whole: Duration::from_secs(30),
            body: 4 << 20,
            token_body: 256 << 10,
            ratio: 20,
        }
    }
}

/// The adapter of the [`Egress`] port over HTTP.
#[derive(Debug)]
pub struct HttpEgress {
    clients: Clients,
    limits: Limits,
    registries: HostNetwork,
}

impl HttpEgress {
    /// With the system's name resolution.
    #[must_use]
    pub fn new(config: EgressConfig) -> Self {
        Self::with_lookup(config, Arc::new(SystemLookup))
    }

    /// With another name resolution. What it answers is checked all the same.
    #[must_use]
    pub fn with_lookup(config: EgressConfig, lookup: Arc<dyn Lookup>) -> Self {
        // Without a process-wide provider rustls panics when the first client is built.
        tls::install();
        Self {
            limits: config.limits,
            registries: post::network(&config.registries),
            clients: Clients::new(config, lookup),
        }
    }

    async fn send_checked(
        &self,
        request: &HttpRequest,
        route: Route<'_>,
    ) -> Result<Exchanged, Problem> {
        let url = allowed(&request.url, &route.reach.host.network, route.origins)?;
        let outgoing = assemble::request(request, url, route.secrets)?;
        let client = self.clients.pooled(route.reach)?;
        let asked = usize::try_from(request.max_response_bytes).unwrap_or(usize::MAX);
        let cap = match asked {
            0 => self.limits.body,
            lower => lower.min(self.limits.body),
        };
        let answer = exchange::run(&client, outgoing, &self.limits, cap)
            .await
            .map_err(|Failure { problem, .. }| problem)?;
        capture::exchanged(answer, &request.capture, route.secrets)
    }
}

impl Egress for HttpEgress {
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        route: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        Box::pin(self.send_checked(request, route))
    }

    fn token<'a>(&'a self, call: TokenCall<'a>) -> BoxFuture<'a, TokenReply> {
        Box::pin(token::call(&self.clients, self.limits, call))
    }

    fn revoke<'a>(&'a self, call: RevokeCall<'a>) -> BoxFuture<'a, RevokeOutcome> {
        Box::pin(token::revoke::call(&self.clients, self.limits, call))
    }

    fn authorize_device<'a>(
        &'a self,
        call: DeviceCall<'a>,
    ) -> BoxFuture<'a, Result<DeviceAuthorization, Problem>> {
        Box::pin(token::authorize_device(&self.clients, self.limits, call))
    }

    fn probe<'a>(&'a self, url: &'a str, reach: Reach<'a>) -> BoxFuture<'a, ProbeReport> {
        Box::pin(probe::run(&self.clients, self.limits, url, reach))
    }

    fn admit(&self, reach: Reach<'_>) -> Result<(), Problem> {
        policy::admit(reach)
    }

    fn forget(&self) {
        self.clients.forget();
    }

    fn certificates(&self, network: &HostNetwork) -> Certificates {
        tls::facts::of(network)
    }

    fn admit_post(&self, url: &str) -> Result<(), Problem> {
        post::url(url, &self.registries).map(drop)
    }

    fn post<'a>(&'a self, post: Post<'a>) -> BoxFuture<'a, Result<u16, Problem>> {
        Box::pin(post::send(
            &self.clients,
            self.limits,
            &self.registries,
            post,
        ))
    }
}

/// The URL in `text`, if its origin is one of `origins` and the network rules let it pass.
fn allowed(text: &str, network: &HostNetwork, origins: &OriginSet) -> Result<Url, Problem> {
    let url = policy::url(text, network)?;
    match Origin::of(&url) {
        Ok(origin) if origins.contains(&origin) => Ok(url),
        _ => {
            let host = url.host_str().unwrap_or_default();
            let message = format!(
                "a request to {host} was refused, because it is no address of this host entry; correct the entry's URLs \
                 if it should be"
            );
            Err(Problem::new(Reason::OriginNotAllowed, message).with("host", host))
        }
    }
}
