//! The one client constructor, and a client per set of network rules.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bindery_core::{
    exchange::Reach,
    host::HostNetwork,
    problem::{Problem, Reason},
    secret::Secret,
};
use reqwest::{Client, ClientBuilder, Proxy, redirect, retry};
use rustls::ClientConfig;

use crate::{
    EgressConfig,
    address::AddressRule,
    policy,
    resolve::{Filtered, Lookup},
    tls,
};

/// Clients that are kept. Beyond this the least recently made one is dropped with its connections.
const KEPT: usize = 64;

/// Builds clients when they are first needed, and keeps them.
pub(crate) struct Clients {
    config: EgressConfig,
    lookup: Arc<dyn Lookup>,
    kept: Mutex<VecDeque<(Rules, Client)>>,
    posting: OnceLock<Result<Client, Problem>>,
}

/// All that a client is made of. The copies of secrets are wiped when the client is dropped.
struct Rules {
    network: HostNetwork,
    client_key: Option<Secret>,
    proxy_password: Option<Secret>,
}

impl Rules {
    fn of(reach: Reach<'_>) -> Self {
        Self {
            network: reach.host.network.clone(),
            client_key: reach.secrets.client_key.as_ref().map(Secret::duplicate),
            proxy_password: reach.secrets.proxy_password.as_ref().map(Secret::duplicate),
        }
    }

    fn fit(&self, reach: Reach<'_>) -> bool {
        let same = |one: &Option<Secret>, other: &Option<Secret>| {
            one.as_ref().map(Secret::expose) == other.as_ref().map(Secret::expose)
        };
        self.network == reach.host.network
            && same(&self.client_key, &reach.secrets.client_key)
            && same(&self.proxy_password, &reach.secrets.proxy_password)
    }
}

impl Clients {
    pub(crate) fn new(config: EgressConfig, lookup: Arc<dyn Lookup>) -> Self {
        Self {
            config,
            lookup,
            kept: Mutex::default(),
            posting: OnceLock::new(),
        }
    }

    /// A client that keeps connections, shared by all requests under the same rules with the same keys.
    pub(crate) fn pooled(&self, reach: Reach<'_>) -> Result<Client, Problem> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = kept.iter().find(|(rules, _)| rules.fit(reach)) {
            return Ok(client.clone());
        }
        let client = self.build(reach)?;
        kept.truncate(KEPT - 1);
        kept.push_front((Rules::of(reach), client.clone()));
        Ok(client)
    }

    /// Drops the clients that are kept, with their idle connections and what they were made of.
    pub(crate) fn forget(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clear();
    }

    /// A client for one request. A kept connection that the server closes at the wrong moment would make an answer count
    /// as lost, and a lost answer of a token endpoint is expensive.
    pub(crate) fn fresh(&self, reach: Reach<'_>) -> Result<Client, Problem> {
        self.build(reach)
    }

    /// Name resolution for one host: of the proxy's name if there is a proxy, since the proxy then looks up the host's.
    pub(crate) fn resolver(&self, network: &HostNetwork) -> Filtered {
        let rule = if network.proxy_url.is_empty() {
            AddressRule::Target(network.allowed_networks.clone())
        } else {
            AddressRule::Proxy
        };
        Filtered::new(Arc::clone(&self.lookup), rule)
    }

    /// The client for registries that events are posted to: with the CAs of this machine, no certificate and no proxy.
    pub(crate) fn posting(&self, network: &HostNetwork) -> Result<Client, Problem> {
        let build = || {
            let builder = self.builder(network, tls::plain_config()?);
            builder.build().map_err(|_| unbuildable())
        };
        self.posting.get_or_init(build).clone()
    }

    fn build(&self, reach: Reach<'_>) -> Result<Client, Problem> {
        let network = &reach.host.network;
        let mut builder = self.builder(network, tls::client_config(reach)?);
        if !network.proxy_url.is_empty() {
            builder = builder.proxy(proxy(reach)?);
        }
        builder.build().map_err(|_| unbuildable())
    }

    fn builder(&self, network: &HostNetwork, config: ClientConfig) -> ClientBuilder {
        Client::builder()
            .tls_backend_preconfigured(config)
            .dns_resolver(self.resolver(network))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .https_only(!network.allow_plaintext)
            .connect_timeout(self.config.limits.connect)
            .user_agent(format!("bindery/{}", self.config.version))
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The proxy, with the user name and password that it asks for. They go into `Proxy-Authorization`, which only the proxy sees.
fn proxy(reach: Reach<'_>) -> Result<Proxy, Problem> {
    let network = &reach.host.network;
    let url = policy::proxy(&network.proxy_url)?;
    let proxy = Proxy::all(url).map_err(|_| unbuildable())?;
    if network.proxy_username.is_empty() {
        return Ok(proxy);
    }
    let password = reach.secrets.proxy_password.as_ref();
    Ok(proxy.basic_auth(&network.proxy_username, password.map_or("", Secret::expose)))
}

fn unbuildable() -> Problem {
    Problem::new(
        Reason::Internal,
        "the HTTP client can't be set up with the network rules of this host entry; check its proxy URL",
    )
}
