//! A stand-in for GitHub: its documented behaviour on real sockets, for tests and the quickstart
//!
//! One [`GitHub`] is one forge with its own people, organizations, repositories and clock. Its
//! pages work in a browser, its API answers as GitHub's does, and its repositories are real ones
//! behind git's own HTTP server. Where GitHub documents nothing, the code says what was chosen.
//!
//! - [`seed`]: people, organizations, repositories, OAuth apps, personal access tokens
//! - [`apps`]: GitHub Apps and their installations
//! - [`knobs`]: the clock, faults, the gate before the token endpoint, what was asked and minted
//! - `world` is what it knows, `scopes` and `access` who may do what
//! - `hooks`: webhooks and their deliveries
//! - `server` speaks HTTP and TLS, `routes` leads to `oauth`, `consent`, `settings`, `api`, `git`

mod access;
mod api;
mod app_api;
mod app_json;
mod app_person;
mod applications;
pub mod apps;
mod consent;
mod device;
mod git;
mod hooks;
mod install_page;
mod issue;
mod json;
mod jwt;
pub mod knobs;
mod lists;
mod mint;
mod oauth;
mod pages;
mod person;
mod redirect;
mod reply;
mod repository;
mod routes;
mod scopes;
pub mod seed;
mod server;
mod settings;
mod single_sign_on;
mod web;
mod world;

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, Weak};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::Url;

use crate::browser::Wire;
use crate::courier::Courier;
use crate::repositories::Repositories;
use crate::serve::serve;

pub use crate::gitea::Decision;
pub use apps::RegisteredApp;
pub use knobs::{Fault, LiveToken, Logged};
pub use seed::{OAuthApp, OrgOptions, Pat, PatKind, Permission, Person, Role, Sso};

use knobs::Gate;
use world::World;

/// How a stand-in differs from the usual one
#[derive(Clone, Debug)]
pub struct Options {
    /// Serve HTTPS with this certificate
    pub tls: Option<Tls>,
    /// Over HTTPS, let only these clients in
    pub clients: Option<Clients>,
    /// The name in its URLs; it listens on 127.0.0.1 whatever this is
    pub host: String,
    /// Where it listens; 0 takes any free port
    pub port: u16,
    /// Where the API is
    pub api: ApiPlace,
    /// Which tokens its OAuth apps get, unless an app says otherwise
    pub token_shape: TokenShape,
    /// Every minted secret contains this, so that leaks can be searched for
    pub canary: Option<String>,
    /// Count requests and say so in headers; Enterprise Server does not by default
    pub rate_limits: bool,
    /// Serve `POST /credentials/revoke`, which Enterprise Server 3.17 to 3.19 lacks
    pub credential_revocation: bool,
    /// After so many bad credentials everyone is refused with 403 until the clock has moved on
    pub lockout_after: Option<u32>,
}

/// A server's certificate chain and key
#[derive(Clone)]
pub struct Tls {
    /// The certificate chain, PEM
    pub cert_pem: String,
    /// Its private key, PEM
    pub key_pem: String,
    /// The certificate authority that clients trust, PEM
    pub root_pem: String,
}

/// Who is let in by certificate
#[derive(Clone)]
pub struct Clients {
    /// The certificate authority of those who are, PEM
    pub root_pem: String,
    /// The certificate that people's browsers show, PEM
    pub cert_pem: String,
    /// Its private key, PEM
    pub key_pem: String,
}

/// Where the API answers
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiPlace {
    /// Below `/api/v3` of the web host, as on GitHub Enterprise Server
    Enterprise,
    /// At the root of an origin of its own, as `api.github.com`
    OwnHost,
}

/// What an OAuth app's tokens are like
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenShape {
    /// They die after so many seconds, and come with a refresh token
    Expiring {
        /// GitHub's are good for 28,800
        access_seconds: i64,
    },
    /// They live until somebody revokes them
    NonExpiring,
}

/// A running stand-in; it ends when this is dropped
pub struct GitHub {
    inner: Arc<Inner>,
    _stop: watch::Sender<()>,
}

/// What all requests share
struct Inner {
    options: Options,
    web: String,
    api: String,
    world: Mutex<World>,
    clock_offset: AtomicI64,
    gate: Gate,
    wire: Arc<Wire>,
    repositories: Repositories,
    courier: Arc<Courier>,
    /// Itself, for deliveries that outlive a request
    me: Weak<Self>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: None,
            clients: None,
            host: "127.0.0.1".to_owned(),
            port: 0,
            api: ApiPlace::Enterprise,
            token_shape: TokenShape::NonExpiring,
            canary: None,
            rate_limits: true,
            credential_revocation: true,
            lockout_after: None,
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("GitHub");
        shown
            .field("web", &self.inner.web)
            .field("api", &self.inner.api);
        shown.finish_non_exhaustive()
    }
}

impl GitHub {
    /// Start an empty one
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let web = listen(options.port).await?;
        let api = match options.api {
            ApiPlace::Enterprise => None,
            ApiPlace::OwnHost => Some(listen(0).await?),
        };
        let inner = Inner::new(options, &web, api.as_ref())?;
        let inner = Arc::new_cyclic(|me| Inner {
            me: Weak::clone(me),
            ..inner
        });
        let (stop, stopped) = watch::channel(());
        let (tls, clients) = (&inner.options.tls, inner.options.clients.as_ref());
        let tls = tls.as_ref().map(|tls| server::acceptor(tls, clients));
        let tls = tls.transpose()?;
        let listening = |listener, routes| {
            let server = server::Server::new(Arc::clone(&inner), routes);
            tokio::spawn(serve(listener, tls.clone(), stopped.clone(), server));
        };
        listening(web, routes::web(&inner));
        if let Some(api) = api {
            listening(api, routes::api(&inner));
        }
        Ok(Self { inner, _stop: stop })
    }

    /// Where people go, with a slash at the end
    #[must_use]
    pub fn web_url(&self) -> Url {
        parse(&format!("{}/", self.inner.web))
    }

    /// The API's base, without a slash at the end of its path
    #[must_use]
    pub fn api_url(&self) -> Url {
        parse(&self.inner.api)
    }
}

impl Inner {
    fn new(options: Options, web: &TcpListener, api: Option<&TcpListener>) -> anyhow::Result<Self> {
        let base = |listener: &TcpListener| base(&options, listener);
        let web = base(web)?;
        let api = match api {
            Some(listener) => base(listener)?,
            None => format!("{web}/api/v3"),
        };
        let roots: Vec<_> = options
            .tls
            .iter()
            .map(|tls| tls.root_pem.as_str())
            .collect();
        let wire = Arc::new(match &options.clients {
            None => Wire::with_roots(&roots)?,
            Some(clients) => Wire::with_identity(&roots, (&clients.cert_pem, &clients.key_pem))?,
        });
        Ok(Self {
            courier: Arc::new(Courier::new(Arc::clone(&wire))),
            me: Weak::new(),
            wire,
            world: Mutex::new(World::new(options.canary.clone())),
            clock_offset: AtomicI64::new(0),
            gate: Gate::default(),
            repositories: Repositories::new()?,
            options,
            web,
            api,
        })
    }
}

async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    listener.with_context(|| format!("port {port} of 127.0.0.1 can't be listened on"))
}

fn base(options: &Options, listener: &TcpListener) -> anyhow::Result<String> {
    let scheme = if options.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let port = listener.local_addr()?.port();
    Ok(format!("{scheme}://{}:{port}", options.host))
}

fn parse(url: &str) -> Url {
    Url::parse(url).expect("the host in the options makes a URL")
}
