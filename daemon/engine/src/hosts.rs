//! Hosts: the forges that the operator configured.

use std::{collections::BTreeMap, sync::Arc};

use bindery_core::{
    exchange::ProbeReport,
    host::{Host, HostNetwork, HostSecrets, Probed},
    link::{Link, Stage},
    name::{HostName, ProviderName},
    port::{Change, Expect, Key, Listing, Record},
    problem::{Problem, Reason},
    provider::{AuthKind, Description, Input, Output, ServerFacts},
    secret::Secret,
    time::Timestamp,
};

use crate::{
    Engine, Listed, RequestKey, Versioned,
    namespaces::{check_etag, taken},
    records::{as_link, change, origins},
};

/// What the operator says about a host.
#[derive(Debug)]
pub struct NewHost {
    /// Its name.
    pub name: HostName,
    /// Which provider.
    pub provider: ProviderName,
    /// Name for people; may be empty.
    pub display_name: String,
    /// Web base URL.
    pub web_url: String,
    /// API base URL; empty to derive it from the web base URL.
    pub api_url: String,
    /// Base URL for the daemon's own calls to the OAuth endpoints; may be empty.
    pub internal_web_url: String,
    /// Network rules.
    pub network: HostNetwork,
    /// OAuth client id.
    pub oauth_client_id: Option<String>,
    /// OAuth client secrets in the order in which they are tried.
    pub client_secrets: Vec<Secret>,
    /// Free settings for the plugin.
    pub settings: BTreeMap<String, String>,
}

/// What the operator changes about a host; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct HostUpdate {
    /// Name for people.
    pub display_name: Option<String>,
    /// Web base URL.
    pub web_url: Option<String>,
    /// API base URL.
    pub api_url: Option<String>,
    /// Base URL for the daemon's own calls to the OAuth endpoints.
    pub internal_web_url: Option<String>,
    /// Network rules.
    pub network: Option<HostNetwork>,
    /// OAuth client id; empty removes it.
    pub oauth_client_id: Option<String>,
    /// All client secrets, in order.
    pub client_secrets: Option<Vec<Secret>>,
    /// All settings.
    pub settings: Option<BTreeMap<String, String>>,
}

/// How far one gets to a host.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Steps to the web base URL.
    pub web: ProbeReport,
    /// Steps to the API base URL.
    pub api: ProbeReport,
    /// What the API says, as the plugin reads it.
    pub server: Result<ServerFacts, Problem>,
    /// When it was done.
    pub at: Timestamp,
}

impl Engine {
    /// Makes a host. Nothing is sent to it.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS`, `PROVIDER_NOT_LOADED`, the first network rule that is broken, and what the vault says.
    pub async fn create_host(
        &self,
        new: NewHost,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Host>, Problem> {
        if self.recall(request).await?.is_some() {
            return self.host(&new.name).await;
        }
        let (record, secrets) = self.admit_host(new)?;
        let resource = format!("hosts/{}", record.name);
        let mut changes = vec![
            change(
                Key::Host(record.name.clone()),
                Expect::Absent,
                Some(Record::Host(record.clone())),
            ),
            secrets_change(&record, secrets)?,
        ];
        changes.extend(self.remember(request, &resource).await?);
        match self.commit(changes).await {
            // The same request, asked twice at the same time: the other one was faster.
            Err(_) if self.recall(request).await?.is_some() => self.host(&record.name).await,
            Err(problem) => Err(taken(problem, &resource)),
            Ok(()) => Ok(Versioned { record, version: 1 }),
        }
    }

    /// Checks what the operator said about a host, without making it.
    ///
    /// # Errors
    ///
    /// As for [`Engine::create_host`].
    pub fn admit_host(&self, new: NewHost) -> Result<(Host, HostSecrets), Problem> {
        let web_url = trimmed(&new.web_url);
        let description = self.edition(&new.provider, &web_url, &new.settings)?;
        let api_url = match trimmed(&new.api_url) {
            empty if empty.is_empty() => description.endpoints.api_base(&web_url),
            given => given,
        };
        let now = self.now();
        let host = Host {
            display_name: new.display_name,
            api_url,
            internal_web_url: trimmed(&new.internal_web_url),
            network: new.network,
            oauth_client_id: new.oauth_client_id.filter(|id| !id.is_empty()),
            client_secret_count: u32::try_from(new.client_secrets.len()).unwrap_or(u32::MAX),
            redirect_id: self.new_id(),
            settings: new.settings,
            fingerprint_key: self.random(),
            ..Host::new(new.name, new.provider, web_url, now)
        };
        self.ports().egress.admit(&host)?;
        origins(&host)?;
        Ok((
            host,
            HostSecrets {
                client_secrets: new.client_secrets,
                ..HostSecrets::default()
            },
        ))
    }

    /// A host.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn host(&self, name: &HostName) -> Result<Versioned<Host>, Problem> {
        let found = self.find_host(name).await?;
        found.ok_or_else(|| Problem::not_found(format!("hosts/{name}")))
    }

    /// Hosts in a stable order.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn list_hosts(
        &self,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Listed<Host>, Problem> {
        self.list(&Listing::Hosts, after, limit, as_host).await
    }

    /// Changes a host. Where its origins change no link may be on it: a token is never pointed at another place. Where its
    /// OAuth client changes no link by OAuth may be: a refresh token is good for the client that it was given to, only.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `HAS_CHILDREN`, the first network rule that is broken, and what the vault says.
    pub async fn update_host(
        &self,
        name: &HostName,
        update: HostUpdate,
        expect: Option<u64>,
    ) -> Result<Versioned<Host>, Problem> {
        let Versioned {
            record: old,
            version,
        } = self.host(name).await?;
        check_etag(expect, version)?;
        let (before, kept) = (origins(&old)?, self.host_secrets(&old).await?);
        let (mut host, secrets) = apply(old.clone(), update, kept, self.now());
        self.ports().egress.admit(&host)?;
        let moved = origins(&host)? != before;
        if moved {
            // Another place may answer under another name.
            host.issuer = None;
        }
        let put = Some(Record::Host(host.clone()));
        let mut changes = vec![
            change(Key::Host(name.clone()), Expect::Version(version), put),
            secrets_change(&host, secrets)?,
        ];
        if moved {
            let secrets = Key::HostSecrets(name.clone(), before);
            changes.push(change(secrets, Expect::Any, None));
        }
        // No link may come in between.
        let _alone = self.gates().ground.write().await;
        if moved {
            self.no_links_on(name, |_| true).await?;
        } else if host.oauth_client_id != old.oauth_client_id {
            let by_oauth = |link: &Link| link.auth_kind == AuthKind::OAuthCode;
            self.no_links_on(name, by_oauth).await?;
        }
        self.commit(changes).await?;
        Ok(Versioned {
            record: host,
            version: version + 1,
        })
    }

    /// Removes a host without links.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `HAS_CHILDREN`, and what the vault says.
    pub async fn delete_host(&self, name: &HostName, expect: Option<u64>) -> Result<(), Problem> {
        let Versioned { record, version } = self.host(name).await?;
        check_etag(expect, version)?;
        let _alone = self.gates().ground.write().await;
        self.no_links_on(name, |_| true).await?;
        let secrets = Key::HostSecrets(name.clone(), origins(&record)?);
        self.commit(vec![
            change(Key::Host(name.clone()), Expect::Version(version), None),
            change(secrets, Expect::Any, None),
        ])
        .await
    }

    /// Looks how far one gets to a host, and notes the version that it tells.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says. What the probe finds is no error.
    pub async fn probe_host(&self, name: &HostName) -> Result<Probe, Problem> {
        let Versioned {
            record: host,
            version,
        } = self.host(name).await?;
        let egress = &self.ports().egress;
        let web = egress.probe(&host.web_url, &host.network).await;
        let api = egress.probe(&host.api_url, &host.network).await;
        let server = self.ask_version(&host).await;
        if let Ok(facts) = &server
            && facts.version != host.probed.version
        {
            let probed = Host {
                probed: Probed {
                    version: facts.version.clone(),
                    ..host.probed
                },
                ..host
            };
            let put = change(
                Key::Host(name.clone()),
                Expect::Version(version),
                Some(Record::Host(probed)),
            );
            // Somebody who changes the host at the same time wins; the next probe notes the version.
            let _ = self.commit(vec![put]).await;
        }
        Ok(Probe {
            web,
            api,
            server,
            at: self.now(),
        })
    }

    async fn ask_version(&self, host: &Host) -> Result<ServerFacts, Problem> {
        let context = self.app_context(host).await?;
        match self.run(context, Input::Probe).await?.last {
            Output::Server(facts) => Ok(facts),
            _ => Err(crate::operation::off_topic(host)),
        }
    }

    /// The secrets of a host; none when there are none.
    pub(crate) async fn host_secrets(&self, host: &Host) -> Result<HostSecrets, Problem> {
        let found = self.find_host_secrets(&host.name, &origins(host)?).await?;
        Ok(found.map(|entry| entry.record).unwrap_or_default())
    }

    /// The description of a provider that must be loaded.
    /// What is data about a host's provider, in the edition that the host has.
    pub(crate) fn description(&self, host: &Host) -> Result<Arc<Description>, Problem> {
        self.edition(&host.provider, &host.web_url, &host.settings)
    }

    /// Name of the edition that a host has; empty for the one that is none of the named.
    pub(crate) fn edition_name(&self, host: &Host) -> String {
        let description = self.description(host);
        description.map_or_else(|_| String::new(), |known| known.edition.clone())
    }

    fn edition(
        &self,
        provider: &ProviderName,
        web_url: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Arc<Description>, Problem> {
        let description = self.plugin(provider)?;
        let setting = settings.get("edition").map(String::as_str);
        let known = |name: &str| description.editions.iter().any(|one| one.edition == name);
        if let Some(other) = setting.filter(|name| !name.is_empty() && !known(name)) {
            let message = format!("provider {provider} has no edition {other:?}");
            return Err(Problem::invalid("settings", message));
        }
        Ok(description.edition_at(web_url, setting))
    }

    fn plugin(&self, provider: &ProviderName) -> Result<Arc<Description>, Problem> {
        self.ports().providers.describe(provider).ok_or_else(|| {
            let message = format!(
                "no plugin for provider {provider} is loaded; enable it and reload the plugins"
            );
            Problem::new(Reason::ProviderNotLoaded, message).with("provider", provider.as_str())
        })
    }

    /// Refuses while there are links on `host` that `count`.
    async fn no_links_on(&self, host: &HostName, count: fn(&Link) -> bool) -> Result<(), Problem> {
        for namespace in self
            .list_all(&Listing::Namespaces, as_namespace_name)
            .await?
        {
            let links = self
                .list_all(&Listing::Links(namespace.record), as_link)
                .await?;
            let lives = |link: &Link| {
                link.host == *host && link.observed.stage != Stage::Unlinked && count(link)
            };
            if let Some(entry) = links.iter().find(|entry| lives(&entry.record)) {
                let message = format!(
                    "hosts/{host} still has links ({}); unlink them first",
                    entry.record.resource()
                );
                return Err(Problem::new(Reason::HasChildren, message));
            }
        }
        Ok(())
    }
}

/// Base URLs are kept without a trailing slash.
fn trimmed(url: &str) -> String {
    url.trim().trim_end_matches('/').to_owned()
}

fn apply(
    mut host: Host,
    update: HostUpdate,
    kept: HostSecrets,
    now: Timestamp,
) -> (Host, HostSecrets) {
    fn set<T>(field: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *field = value;
        }
    }
    set(&mut host.display_name, update.display_name);
    set(&mut host.web_url, update.web_url.as_deref().map(trimmed));
    set(&mut host.api_url, update.api_url.as_deref().map(trimmed));
    set(
        &mut host.internal_web_url,
        update.internal_web_url.as_deref().map(trimmed),
    );
    set(&mut host.network, update.network);
    set(&mut host.settings, update.settings);
    if let Some(id) = update.oauth_client_id {
        host.oauth_client_id = (!id.is_empty()).then_some(id);
    }
    let mut secrets = kept;
    set(&mut secrets.client_secrets, update.client_secrets);
    host.client_secret_count = u32::try_from(secrets.client_secrets.len()).unwrap_or(u32::MAX);
    host.updated = now;
    (host, secrets)
}

fn secrets_change(host: &Host, secrets: HostSecrets) -> Result<Change, Problem> {
    let key = Key::HostSecrets(host.name.clone(), origins(host)?);
    Ok(change(key, Expect::Any, Some(Record::HostSecrets(secrets))))
}

pub(crate) fn as_host(record: Record) -> Option<Host> {
    if let Record::Host(host) = record {
        Some(host)
    } else {
        None
    }
}

pub(crate) fn as_namespace_name(record: Record) -> Option<bindery_core::name::NamespaceName> {
    if let Record::Namespace(namespace) = record {
        Some(namespace.name)
    } else {
        None
    }
}
