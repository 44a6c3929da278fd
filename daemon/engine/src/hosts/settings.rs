//! What an operator says about a host, and what comes of it.

use std::collections::BTreeMap;

use bindery_core::{
    host::{App, Host, HostSecrets, RateBudget},
    link::{Desired, Wish},
    name::{HostName, ProviderName},
    problem::Problem,
    provider::AuthKind,
    secret::Secret,
    time::Timestamp,
};
use ipnet::IpNet;

use super::facts;
use crate::jwt;

/// What the operator says about a new host.
#[derive(Debug)]
pub struct NewHost {
    /// Its name.
    pub name: HostName,
    /// Which provider.
    pub provider: ProviderName,
    /// All else; what is absent keeps its default.
    pub settings: HostUpdate,
}

impl NewHost {
    /// A host of which only the place is known.
    #[must_use]
    pub fn new(name: HostName, provider: ProviderName, web_url: impl Into<String>) -> Self {
        let settings = HostUpdate {
            urls: UrlUpdate {
                web: Some(web_url.into()),
                ..UrlUpdate::default()
            },
            ..HostUpdate::default()
        };
        Self {
            name,
            provider,
            settings,
        }
    }
}

/// What the operator changes about a host; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct HostUpdate {
    /// Name for people.
    pub display_name: Option<String>,
    /// Base URLs.
    pub urls: UrlUpdate,
    /// What the host calls itself in `iss`; empty for not told.
    pub issuer: Option<String>,
    /// Network rules.
    pub network: NetworkUpdate,
    /// OAuth client.
    pub client: ClientUpdate,
    /// App.
    pub app: AppUpdate,
    /// How hard the host may be used.
    pub rate_budget: RateBudgetUpdate,
    /// All ways of authorization that people may use.
    pub allowed_methods: Option<Vec<AuthKind>>,
    /// Whether the host is switched off.
    pub disabled: Option<bool>,
    /// Why it is switched off.
    pub disabled_reason: Option<String>,
    /// Who switches it.
    pub actor: String,
    /// All labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// All annotations.
    pub annotations: Option<BTreeMap<String, String>>,
    /// All settings for the plugin.
    pub settings: Option<BTreeMap<String, String>>,
}

/// Changed base URLs; an empty one means what stands for it.
#[derive(Debug, Default)]
pub struct UrlUpdate {
    /// Web base URL.
    pub web: Option<String>,
    /// API base URL; empty to derive it from the web base URL.
    pub api: Option<String>,
    /// Base URL for git.
    pub git: Option<String>,
    /// Base URL for the daemon's own calls to the OAuth endpoints.
    pub internal_web: Option<String>,
    /// API base URL for the daemon's own calls.
    pub internal_api: Option<String>,
    /// Base URL for git as the daemon reaches it.
    pub internal_git: Option<String>,
}

/// Changed network rules, with the secrets that belong to them; an empty secret takes the stored one away.
#[derive(Debug, Default)]
pub struct NetworkUpdate {
    /// CA certificates.
    pub ca_bundle_pem: Option<String>,
    /// Proxy URL; an empty one takes the proxy away, with its user name and password.
    pub proxy_url: Option<String>,
    /// User name at the proxy.
    pub proxy_username: Option<String>,
    /// Password at the proxy.
    pub proxy_password: Option<Secret>,
    /// Certificate chain for the host; an empty one takes the key away as well.
    pub client_certificate_pem: Option<String>,
    /// Key of the client certificate.
    pub client_key: Option<Secret>,
    /// Ports beyond the default policy, and whether `http` is allowed.
    pub ports: Option<(Vec<u16>, bool)>,
    /// Private ranges that are allowed.
    pub allowed_networks: Option<Vec<IpNet>>,
}

/// A changed OAuth client. Secrets are taken away, then added before the others, so that one replaces another without a gap.
#[derive(Debug, Default)]
pub struct ClientUpdate {
    /// Its id; an empty one takes the client away, with its secrets.
    pub id: Option<String>,
    /// All of its secrets, in the order in which they are tried.
    pub secrets: Option<Vec<Secret>>,
    /// Fingerprints of secrets to take away.
    pub remove: Vec<String>,
    /// Secrets to be tried before the others.
    pub add: Vec<Secret>,
    /// When each secret ends, in their order; what is missing is not known.
    pub expires: Option<Vec<Option<Timestamp>>>,
}

/// A changed app.
#[derive(Debug, Default)]
pub struct AppUpdate {
    /// Its id; an empty one takes the app away, with its key.
    pub id: Option<String>,
    /// Its short name.
    pub slug: Option<String>,
    /// Its private key.
    pub private_key: Option<Secret>,
    /// When its key ends.
    pub key_expires: Option<Option<Timestamp>>,
}

/// A changed rate budget.
#[derive(Debug, Default)]
pub struct RateBudgetUpdate {
    /// Requests in an hour.
    pub requests_per_hour: Option<u32>,
    /// Requests at the same time.
    pub at_once: Option<u32>,
}

/// A host and its secrets while they are changed.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) host: Host,
    pub(super) secrets: HostSecrets,
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn set_url(field: &mut String, value: Option<&String>) {
    set(field, value.map(|url| trimmed(url)));
}

fn set_secret(field: &mut Option<Secret>, value: Option<Secret>) {
    if let Some(secret) = value {
        *field = Some(secret).filter(|secret| !secret.is_empty());
    }
}

/// Base URLs are kept without a trailing slash.
fn trimmed(url: &str) -> String {
    url.trim().trim_end_matches('/').to_owned()
}

impl Draft {
    /// Carries out a change.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for a client secret to take away that is not stored, an app's key that can't sign, a switched-on
    /// host with a reason for being off, and secrets without what they belong to.
    pub(super) fn apply(&mut self, update: HostUpdate, now: Timestamp) -> Result<(), Problem> {
        let host = &mut self.host;
        set(&mut host.display_name, update.display_name);
        set(&mut host.issuer, update.issuer);
        set(&mut host.allowed_methods, update.allowed_methods);
        set(&mut host.labels, update.labels);
        set(&mut host.annotations, update.annotations);
        set(&mut host.settings, update.settings);
        let budget = update.rate_budget;
        let RateBudget {
            requests_per_hour,
            at_once,
        } = &mut host.rate_budget;
        set(requests_per_hour, budget.requests_per_hour);
        set(at_once, budget.at_once);
        switch(
            host,
            update.disabled,
            update.disabled_reason,
            update.actor,
            now,
        )?;
        self.set_urls(&update.urls);
        self.set_network(update.network)?;
        let client_ends = update.client.expires.clone();
        self.set_client(update.client)?;
        let key_ends = update.app.key_expires;
        self.set_app(update.app)?;
        facts::renew(&mut self.host, &self.secrets, now);
        facts::set_ends(&mut self.host, client_ends.as_deref(), key_ends);
        self.host.updated = now;
        Ok(())
    }

    fn set_urls(&mut self, urls: &UrlUpdate) {
        let host = &mut self.host;
        set_url(&mut host.web_url, urls.web.as_ref());
        set_url(&mut host.api_url, urls.api.as_ref());
        set_url(&mut host.git_url, urls.git.as_ref());
        set_url(&mut host.internal_web_url, urls.internal_web.as_ref());
        set_url(&mut host.internal_api_url, urls.internal_api.as_ref());
        set_url(&mut host.internal_git_url, urls.internal_git.as_ref());
    }

    fn set_network(&mut self, update: NetworkUpdate) -> Result<(), Problem> {
        let (network, secrets) = (&mut self.host.network, &mut self.secrets);
        set(&mut network.ca_bundle_pem, update.ca_bundle_pem);
        set(&mut network.proxy_url, update.proxy_url);
        set(&mut network.proxy_username, update.proxy_username);
        set_secret(&mut secrets.proxy_password, update.proxy_password);
        set(
            &mut network.client_certificate_pem,
            update.client_certificate_pem,
        );
        set_secret(&mut secrets.client_key, update.client_key);
        set(&mut network.allowed_networks, update.allowed_networks);
        if let Some((extra, plaintext)) = update.ports {
            network.extra_ports = extra;
            network.allow_plaintext = plaintext;
        }
        if network.proxy_url.is_empty() {
            network.proxy_username.clear();
            secrets.proxy_password = None;
        }
        if network.client_certificate_pem.is_empty() {
            secrets.client_key = None;
        }
        if secrets.proxy_password.is_some() && network.proxy_username.is_empty() {
            let message = "a password at the proxy needs a user name; set proxy.username as well";
            return Err(Problem::invalid("proxy.username", message));
        }
        Ok(())
    }

    fn set_client(&mut self, update: ClientUpdate) -> Result<(), Problem> {
        if let Some(id) = update.id {
            self.host.oauth_client_id = Some(id).filter(|id| !id.is_empty());
        }
        let kept = &mut self.secrets.client_secrets;
        set(kept, update.secrets);
        for print in &update.remove {
            let before = kept.len();
            kept.retain(|secret| facts::fingerprint(&self.host.fingerprint_key, secret) != *print);
            if kept.len() == before {
                let message = format!(
                    "no client secret with the fingerprint {print:?} is stored; read the host again"
                );
                return Err(Problem::invalid("remove_client_secrets", message));
            }
        }
        kept.splice(0..0, update.add);
        if self.host.oauth_client_id.is_none() {
            kept.clear();
        }
        if kept.len() > MOST_CLIENT_SECRETS {
            let message = "a host has at most 5 client secrets; take one away first";
            return Err(Problem::invalid("add_client_secrets", message));
        }
        self.host.client_secret_count = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    fn set_app(&mut self, update: AppUpdate) -> Result<(), Problem> {
        let slug = update.slug.clone();
        if let Some(id) = update.id {
            let slug = self.host.app.take().filter(|app| app.app_id == id);
            let slug = slug.map(|app| app.slug).unwrap_or_default();
            self.host.app = (!id.is_empty()).then_some(App { app_id: id, slug });
        }
        if let Some(key) = &update.private_key
            && !key.is_empty()
        {
            jwt::check_key(key)?;
        }
        set_secret(&mut self.secrets.app_private_key, update.private_key);
        match &mut self.host.app {
            Some(app) => set(&mut app.slug, slug),
            None => self.secrets.app_private_key = None,
        }
        Ok(())
    }
}

/// Client secrets that one host may have.
const MOST_CLIENT_SECRETS: usize = 5;

/// Switches the host on or off. Who is named, and since when, changes with the switch only.
fn switch(
    host: &mut Host,
    disabled: Option<bool>,
    why: Option<String>,
    by: String,
    now: Timestamp,
) -> Result<(), Problem> {
    match (disabled, &mut host.desired) {
        (Some(false), _) => host.desired = Desired::ENABLED,
        (Some(true), Desired::Enabled(_)) => {
            host.desired = Desired::Disabled(Wish {
                reason: why.unwrap_or_default(),
                actor: by,
                since: now,
            });
            return Ok(());
        }
        (_, Desired::Disabled(Wish { reason, .. })) => {
            set(reason, why);
            return Ok(());
        }
        (None, Desired::Enabled(_)) => {}
    }
    if why.is_some_and(|why| !why.is_empty()) {
        let message =
            "a host that is switched on has no reason for being off; set disabled as well";
        return Err(Problem::invalid("disabled_reason", message));
    }
    Ok(())
}
