//! One deployment of a provider that the operator configured.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::{
    name::{HostName, ProviderName},
    origin::{NoOrigin, Origin, OriginSet},
    secret::Secret,
    time::Timestamp,
};

/// A host: where a forge is and how Bindery may talk to it. Its secrets are in [`HostSecrets`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// Which plugin speaks to it.
    pub provider: ProviderName,
    /// Name for people; may be empty.
    pub display_name: String,
    /// Web base URL that people's browsers use, without a trailing slash.
    pub web_url: String,
    /// API base URL that the daemon uses, without a trailing slash.
    pub api_url: String,
    /// Base URL that the daemon uses for the OAuth endpoints, when it differs from `web_url`; may be empty.
    pub internal_web_url: String,
    /// Network rules for every leg.
    pub network: HostNetwork,
    /// OAuth client; `None` when only tokens are used.
    pub oauth_client_id: Option<String>,
    /// How many client secrets are kept, for display.
    pub client_secret_count: u32,
    /// Random part of the redirect path, so that each host has its own: `/oauth/{redirect_id}/callback`.
    pub redirect_id: String,
    /// `iss` was seen from this host once, and is required from then on (RFC 9207).
    pub issuer: Option<String>,
    /// Free settings for the plugin.
    pub settings: BTreeMap<String, String>,
    /// Version that the server told at the last probe; may be empty.
    pub probed_version: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// What applies on every leg to a host: token endpoint, API, git, hooks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostNetwork {
    /// Additional CA certificates, PEM; empty for the public ones alone.
    pub ca_bundle_pem: String,
    /// Proxy URL; empty for none. Environment variables are never read.
    pub proxy_url: String,
    /// Ports beyond the default policy.
    pub extra_ports: Vec<u16>,
    /// Private, loopback or link-local ranges that the operator allows for this host.
    pub allowed_networks: Vec<IpNet>,
    /// `http` is allowed; credentials then travel in clear.
    pub allow_plaintext: bool,
}

/// The secrets of a host. Write-only: no call returns them.
#[derive(Debug, Default)]
pub struct HostSecrets {
    /// OAuth client secrets in the order in which they are tried.
    pub client_secrets: Vec<Secret>,
}

impl Host {
    /// Base URL for the OAuth endpoints that the daemon itself calls.
    #[must_use]
    pub fn token_base(&self) -> &str {
        if self.internal_web_url.is_empty() {
            &self.web_url
        } else {
            &self.internal_web_url
        }
    }

    /// The origins that a secret of this host may be sent to.
    ///
    /// # Errors
    ///
    /// [`NoOrigin`] when one of the URLs names none.
    pub fn allowed_origins(&self) -> Result<OriginSet, NoOrigin> {
        [self.web_url.as_str(), &self.api_url, self.token_base()]
            .into_iter()
            .map(Origin::parse)
            .collect::<Result<Vec<_>, _>>()
            .map(OriginSet::new)
    }
}
