//! One deployment of a provider that the operator configured.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::{
    link::{Desired, Wish},
    name::{HostName, ProviderName},
    origin::{NoOrigin, Origin, OriginSet},
    problem::{Problem, Reason, Who},
    provider::AuthKind,
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
    /// API base URL as other machines use it, without a trailing slash.
    pub api_url: String,
    /// Base URL for git over HTTPS; empty where it is `web_url`.
    pub git_url: String,
    /// Base URL for git as the daemon reaches it, when it differs from `git_url`; may be empty.
    pub internal_git_url: String,
    /// API base URL that the daemon uses, when it differs from `api_url`; may be empty.
    pub internal_api_url: String,
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
    /// What it calls itself in the `iss` of its callbacks (RFC 9207), as the operator says; may be empty.
    pub issuer: String,
    /// Free settings for the plugin.
    pub settings: BTreeMap<String, String>,
    /// What the last probe learned.
    pub probed: Probed,
    /// The app of Bindery at the host; `None` where links are made in other ways only.
    pub app: Option<App>,
    /// How hard the host may be used.
    pub rate_budget: RateBudget,
    /// Ways of authorization that people may use; empty for all that are configured but the device flow.
    pub allowed_methods: Vec<AuthKind>,
    /// Whether the operator wants it used.
    pub desired: Desired,
    /// Key-value pairs for selection.
    pub labels: BTreeMap<String, String>,
    /// Key-value pairs for other programs.
    pub annotations: BTreeMap<String, String>,
    /// What can be told about each of its secrets.
    pub secret_facts: Vec<SecretFact>,
    /// Random key under which fingerprints of its secrets are made.
    pub fingerprint_key: [u8; 16],
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// Ports for `http` below [`HTTP_FROM`] that need no entry, as the reference registry allows them.
pub const HTTP_PORTS: [u16; 9] = [80, 21, 443, 70, 210, 280, 488, 591, 777];

/// First port from which on `http` needs no entry.
pub const HTTP_FROM: u16 = 1025;

/// Port of `https` that needs no entry.
pub const HTTPS_PORT: u16 = 443;

/// What applies on every leg to a host: token endpoint, API, git, hooks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostNetwork {
    /// Additional CA certificates, PEM; empty for the public ones alone.
    pub ca_bundle_pem: String,
    /// Proxy URL; empty for none. Environment variables are never read.
    pub proxy_url: String,
    /// User name at the proxy; may be empty.
    pub proxy_username: String,
    /// Certificate chain that the daemon shows to the host, PEM, the own one first; empty for none.
    pub client_certificate_pem: String,
    /// Ports beyond the default policy.
    pub extra_ports: Vec<u16>,
    /// Private, loopback or link-local ranges that the operator allows for this host.
    pub allowed_networks: Vec<IpNet>,
    /// `http` is allowed; credentials then travel in clear.
    pub allow_plaintext: bool,
}

/// What can be told about the certificates among a host's network rules.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Certificates {
    /// When the first certificate of the CA bundle ends; `None` where there is none.
    pub bundle_expires: Option<Timestamp>,
    /// When the client certificate ends; `None` where there is none.
    pub client_expires: Option<Timestamp>,
    /// SHA-256 of the client certificate, hexadecimal; empty where there is none.
    pub client_sha256: String,
}

/// The secrets of a host. Write-only: no call returns them.
#[derive(Debug, Default)]
pub struct HostSecrets {
    /// OAuth client secrets in the order in which they are tried.
    pub client_secrets: Vec<Secret>,
    /// Private key of the app, PEM.
    pub app_private_key: Option<Secret>,
    /// Private key of the client certificate, PEM.
    pub client_key: Option<Secret>,
    /// Password at the proxy.
    pub proxy_password: Option<Secret>,
}

impl HostSecrets {
    /// A second copy, for a write that may have to be repeated.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let copy = |secret: &Option<Secret>| secret.as_ref().map(Secret::duplicate);
        Self {
            client_secrets: self.client_secrets.iter().map(Secret::duplicate).collect(),
            app_private_key: copy(&self.app_private_key),
            client_key: copy(&self.client_key),
            proxy_password: copy(&self.proxy_password),
        }
    }
}

/// An app that is installed at a host, such as a GitHub App.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct App {
    /// Its id, as the host shows it.
    pub app_id: String,
    /// Short name in the host's URLs; empty while not known.
    pub slug: String,
}

/// How hard a host may be used by this daemon.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RateBudget {
    /// Requests in an hour; 0 for what the host's own headers allow.
    pub requests_per_hour: u32,
    /// Requests at the same time; 0 for [`RateBudget::AT_ONCE`].
    pub at_once: u32,
}

impl RateBudget {
    /// Requests at the same time where the operator says nothing.
    pub const AT_ONCE: u32 = 8;
}

/// What a probe learned about a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Probed {
    /// Version; empty where the server does not tell, or was not probed.
    pub version: String,
    /// How many milliseconds the server's clock is ahead of the daemon's.
    pub clock_skew_ms: Option<i64>,
    /// When; `None` before the first probe.
    pub at: Option<Timestamp>,
}

/// What can be told about a stored secret without telling the secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretFact {
    /// Which one.
    pub kind: SecretKind,
    /// Sixteen hexadecimal digits that tell two secrets apart, under the host's fingerprint key.
    pub fingerprint: String,
    /// When it was stored.
    pub created: Timestamp,
    /// When it ends; `None` where it never does, or nobody knows.
    pub expires: Option<Timestamp>,
    /// When the provider last took it.
    pub taken: Option<Timestamp>,
    /// When the provider last refused it.
    pub refused: Option<Timestamp>,
}

/// Which secret of a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SecretKind {
    /// The OAuth client secret at this place of their order.
    ClientSecret(u32),
    /// The app's private key.
    AppKey,
    /// The key of the client certificate.
    ClientKey,
    /// The password at the proxy.
    ProxyPassword,
}

impl Host {
    /// A host with nothing but its place.
    #[must_use]
    pub fn new(name: HostName, provider: ProviderName, web_url: String, now: Timestamp) -> Self {
        Self {
            name,
            provider,
            display_name: String::new(),
            api_url: web_url.clone(),
            web_url,
            git_url: String::new(),
            internal_git_url: String::new(),
            internal_api_url: String::new(),
            internal_web_url: String::new(),
            network: HostNetwork::default(),
            oauth_client_id: None,
            client_secret_count: 0,
            redirect_id: String::new(),
            issuer: String::new(),
            settings: BTreeMap::new(),
            probed: Probed::default(),
            app: None,
            rate_budget: RateBudget::default(),
            allowed_methods: Vec::new(),
            desired: Desired::ENABLED,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            secret_facts: Vec::new(),
            fingerprint_key: [0; 16],
            created: now,
            updated: now,
        }
    }

    /// O3: whether a callback with this `iss` is of this host. Only the operator's word makes it required: a browser that
    /// names one must not decide for others.
    #[must_use]
    pub fn is_issuer(&self, sent: Option<&str>) -> bool {
        match sent {
            None => self.issuer.is_empty(),
            Some(sent) if self.issuer.is_empty() => sent == self.web_url,
            Some(sent) => sent == self.issuer,
        }
    }

    /// Whether both are one forge under two names: an operator may have configured it twice, for example inside and outside.
    /// What is taken from the one is taken from the other.
    #[must_use]
    pub fn is_same_forge(&self, other: &Self) -> bool {
        let places = |host: &Self| {
            [
                host.web_url.clone(),
                host.internal_web_url.clone(),
                host.api_url.clone(),
                host.internal_api_url.clone(),
            ]
        };
        let others = places(other);
        let mut known = places(self).into_iter().filter(|url| !url.is_empty());
        self.provider == other.provider && known.any(|url| others.contains(&url))
    }

    /// A page at this host: `template` with `{web}`, `{client_id}` and `{app_slug}` filled in, each empty where not known.
    #[must_use]
    pub fn fill_page(&self, template: &str) -> String {
        let slug = self.app.as_ref().map_or("", |app| app.slug.as_str());
        template
            .replace("{web}", &self.web_url)
            .replace(
                "{client_id}",
                self.oauth_client_id.as_deref().unwrap_or_default(),
            )
            .replace("{app_slug}", slug)
    }

    /// Whether it may be used at all.
    ///
    /// # Errors
    ///
    /// `HOST_DISABLED` where the operator switched it off, with what the operator wrote.
    pub fn usable(&self) -> Result<(), Problem> {
        let Desired::Disabled(Wish { reason, .. }) = &self.desired else {
            return Ok(());
        };
        let why = if reason.is_empty() {
            String::new()
        } else {
            format!(" ({reason})")
        };
        let message = format!(
            "hosts/{} is switched off{why}; ask its operator to switch it on",
            self.name
        );
        Err(Problem::new(Reason::HostDisabled, message)
            .act(Who::HostOperator, "")
            .with("host", self.name.as_str()))
    }

    /// Whether requests need one of its secrets whatever they ask for.
    #[must_use]
    pub const fn needs_keys(&self) -> bool {
        !self.network.client_certificate_pem.is_empty() || !self.network.proxy_username.is_empty()
    }

    /// Base URL for git over HTTPS.
    #[must_use]
    pub fn git_base(&self) -> &str {
        if self.git_url.is_empty() {
            &self.web_url
        } else {
            &self.git_url
        }
    }

    /// Base URL for git as the daemon reaches it.
    #[must_use]
    pub fn internal_git_base(&self) -> &str {
        if self.internal_git_url.is_empty() {
            self.git_base()
        } else {
            &self.internal_git_url
        }
    }

    /// API base URL that the daemon itself calls.
    #[must_use]
    pub fn api_base(&self) -> &str {
        if self.internal_api_url.is_empty() {
            &self.api_url
        } else {
            &self.internal_api_url
        }
    }

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
        let mut urls = vec![
            self.web_url.as_str(),
            &self.api_url,
            self.api_base(),
            self.token_base(),
        ];
        // Most hosts have two: parsing is what costs where a credential is handed out.
        urls.sort_unstable();
        urls.dedup();
        let origins = urls.into_iter().map(Origin::parse);
        origins.collect::<Result<_, _>>().map(OriginSet::new)
    }
}
