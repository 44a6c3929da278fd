//! Name resolution: one look-up per connection, every address checked, and only what passed is connected to.

use std::{io, net::IpAddr, net::SocketAddr, sync::Arc};

use bindery_core::port::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use crate::address::AddressRule;

/// Turns a host name into addresses.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of `host`.
    fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why a name leads nowhere.
#[derive(Debug, Error)]
pub(crate) enum ResolveError {
    /// It has no address.
    #[error("the name has no address")]
    Unresolved,
    /// None of its addresses may be connected to.
    #[error("the name leads to {0}, which may not be connected to")]
    Forbidden(IpAddr),
}

/// A look-up behind an address rule.
#[derive(Clone)]
pub(crate) struct Filtered {
    lookup: Arc<dyn Lookup>,
    rule: AddressRule,
}

impl Filtered {
    pub(crate) fn new(lookup: Arc<dyn Lookup>, rule: AddressRule) -> Self {
        Self { lookup, rule }
    }

    /// The addresses of `host` that may be connected to; at least one.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        self.permitted(self.found(host).await?)
    }

    /// All addresses of `host`, also those that may not be connected to.
    pub(crate) async fn found(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let found = self.lookup.lookup(host).await;
        found.map_err(|_| ResolveError::Unresolved)
    }

    /// Those that may be connected to; at least one.
    pub(crate) fn permitted(&self, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, ResolveError> {
        let first = *found.first().ok_or(ResolveError::Unresolved)?;
        let permitted: Vec<_> = found
            .into_iter()
            .filter(|address| self.rule.permits(*address))
            .collect();
        if permitted.is_empty() {
            return Err(ResolveError::Forbidden(first));
        }
        Ok(permitted)
    }
}

impl Resolve for Filtered {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let addresses = this.addresses(name.as_str()).await?;
            // Port 0 stands for the port of the URL.
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
