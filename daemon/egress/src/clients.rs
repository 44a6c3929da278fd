//! The one client constructor, and a client per set of network rules.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bindery_core::{
    host::HostNetwork,
    problem::{Problem, Reason},
};
use reqwest::{Client, Proxy, redirect, retry};

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
    kept: Mutex<VecDeque<(HostNetwork, Client)>>,
}

impl Clients {
    pub(crate) fn new(config: EgressConfig, lookup: Arc<dyn Lookup>) -> Self {
        Self {
            config,
            lookup,
            kept: Mutex::default(),
        }
    }

    /// A client that keeps connections, shared by all requests under the same rules.
    pub(crate) fn pooled(&self, network: &HostNetwork) -> Result<Client, Problem> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = kept.iter().find(|(known, _)| known == network) {
            return Ok(client.clone());
        }
        let client = self.build(network)?;
        kept.truncate(KEPT - 1);
        kept.push_front((network.clone(), client.clone()));
        Ok(client)
    }

    /// A client for one request. A kept connection that the server closes at the wrong moment would make an answer count
    /// as lost, and a lost answer of a token endpoint is expensive.
    pub(crate) fn fresh(&self, network: &HostNetwork) -> Result<Client, Problem> {
        self.build(network)
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

    fn build(&self, network: &HostNetwork) -> Result<Client, Problem> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls::client_config(&network.ca_bundle_pem)?)
            .dns_resolver(self.resolver(network))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .https_only(!network.allow_plaintext)
            .connect_timeout(self.config.limits.connect)
            .user_agent(format!("bindery/{}", self.config.version));
        if !network.proxy_url.is_empty() {
            let url = policy::proxy(&network.proxy_url)?;
            builder = builder.proxy(Proxy::all(url).map_err(|_| unbuildable())?);
        }
        builder.build().map_err(|_| unbuildable())
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn unbuildable() -> Problem {
    Problem::new(
        Reason::Internal,
        "the HTTP client can't be set up with the network rules of this host entry; check its proxy URL",
    )
}
