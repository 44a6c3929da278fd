//! Hosts: the forges that the operator configured.
//!
//! | Module | What it does |
//! |---|---|
//! | `settings` | what an operator says, and what comes of it |
//! | `facts`, `verdicts` | what can be told about secrets, and what providers say about them |
//! | `probe` | how far one gets to a host |

use std::{collections::BTreeMap, sync::Arc};

use bindery_core::{
    exchange::Reach,
    host::{Certificates, Host, HostSecrets},
    link::{Link, Stage},
    name::{HostName, ProviderName},
    origin::Origin,
    port::{Change, Expect, Key, Listing, Record},
    problem::{Problem, Reason},
    provider::{AuthKind, Description},
};

use self::settings::Draft;
pub(crate) use self::{facts::fingerprint, verdicts::Verdicts};
pub use self::{
    probe::{Leg, Probe, ProbedLeg},
    settings::{
        AppUpdate, ClientUpdate, HostUpdate, NetworkUpdate, NewHost, RateBudgetUpdate, UrlUpdate,
    },
};
use crate::{
    Engine, Listed, RequestKey, Versioned,
    hooks::forgotten,
    namespaces::{check_etag, taken},
    records::{as_link, change, origins},
};

mod facts;
mod probe;
mod settings;
mod verdicts;

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
            Ok(()) => {
                self.keep_app_hook(&record).await?;
                Ok(Versioned { record, version: 1 })
            }
        }
    }

    /// Checks what the operator said about a host, without making it.
    ///
    /// # Errors
    ///
    /// As for [`Engine::create_host`].
    pub fn admit_host(&self, new: NewHost) -> Result<(Host, HostSecrets), Problem> {
        let now = self.now();
        let mut host = Host::new(new.name, new.provider, String::new(), now);
        host.redirect_id = self.new_id();
        host.fingerprint_key = self.random();
        let mut draft = Draft {
            host,
            secrets: HostSecrets::default(),
        };
        draft.apply(new.settings, now)?;
        self.admit(draft)
    }

    /// Checks a host as it would be.
    fn admit(&self, draft: Draft) -> Result<(Host, HostSecrets), Problem> {
        let Draft { mut host, secrets } = draft;
        let description = self.description(&host)?;
        if host.api_url.is_empty() {
            host.api_url = description.endpoints.api_base(&host.web_url);
        }
        let offered = |kind: &&AuthKind| description.method(**kind).is_none();
        if let Some(kind) = host.allowed_methods.iter().find(offered) {
            let message = format!(
                "provider {} does not offer {kind:?}; take it out of the allowed methods",
                host.provider
            );
            return Err(Problem::invalid("allowed_methods", message));
        }
        self.ports().egress.admit(Reach {
            host: &host,
            secrets: &secrets,
        })?;
        origins(&host)?;
        check_issuer(&host.issuer)?;
        Ok((host, secrets))
    }

    /// A host.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn host(&self, name: &HostName) -> Result<Versioned<Host>, Problem> {
        let found = self.find_host(name).await?;
        let mut found = found.ok_or_else(|| Problem::not_found(format!("hosts/{name}")))?;
        self.verdicts().show(&mut found.record);
        Ok(found)
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
        let mut listed = self.list(&Listing::Hosts, after, limit, as_host).await?;
        for entry in &mut listed.items {
            self.verdicts().show(&mut entry.record);
        }
        Ok(listed)
    }

    /// What the certificates among a host's network rules say of themselves.
    #[must_use]
    pub fn certificates(&self, host: &Host) -> Certificates {
        self.ports().egress.certificates(&host.network)
    }

    /// The page where the app of a host is installed; `None` where there is no app, or its short name is not known.
    #[must_use]
    pub fn app_install_uri(&self, host: &Host) -> Option<String> {
        host.app.as_ref().filter(|app| !app.slug.is_empty())?;
        let page = host.fill_page(&self.description(host).ok()?.app_install_uri);
        (!page.is_empty()).then_some(page)
    }

    /// Changes a host. Where its origins change no link may be on it: a token is never pointed at another place. Where its
    /// OAuth client or its app changes no link that stands on it may be: a refresh token is good for the client that it was
    /// given to, only, and an installation for its app.
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
        let (entry, old, secrets) = self.updated_host(name, update, expect).await?;
        let Versioned {
            record: host,
            version,
        } = entry;
        let put = Some(Record::Host(host.clone()));
        // Where the origins change, the secrets that were bound to the old ones are replaced: a host has one place for them.
        let changes = vec![
            change(Key::Host(name.clone()), Expect::Version(version), put),
            secrets_change(&host, secrets)?,
        ];
        // No link may come in between.
        let alone = self.gates().ground.write().await;
        self.no_links_in_the_way(&old, &host).await?;
        self.commit(changes).await?;
        drop(alone);
        self.keep_app_hook(&host).await?;
        Ok(Versioned {
            record: host,
            version: version + 1,
        })
    }

    /// Checks a change of a host without making it.
    ///
    /// # Errors
    ///
    /// As for [`Engine::update_host`].
    pub async fn try_update_host(
        &self,
        name: &HostName,
        update: HostUpdate,
        expect: Option<u64>,
    ) -> Result<Versioned<Host>, Problem> {
        let (entry, old, _) = self.updated_host(name, update, expect).await?;
        self.no_links_in_the_way(&old, &entry.record).await?;
        Ok(entry)
    }

    /// A host as it would be after a change, as it is, and its secrets as they would be.
    async fn updated_host(
        &self,
        name: &HostName,
        update: HostUpdate,
        expect: Option<u64>,
    ) -> Result<(Versioned<Host>, Host, HostSecrets), Problem> {
        let Versioned {
            record: old,
            version,
        } = self.host(name).await?;
        check_etag(expect, version)?;
        let mut draft = Draft {
            host: old.clone(),
            secrets: self.host_secrets(&old).await?,
        };
        draft.apply(update, self.now())?;
        let (record, secrets) = self.admit(draft)?;
        Ok((Versioned { record, version }, old, secrets))
    }

    async fn no_links_in_the_way(&self, old: &Host, new: &Host) -> Result<(), Problem> {
        let app_id = |host: &Host| host.app.as_ref().map(|app| app.app_id.clone());
        if origins(old)? != origins(new)? {
            return self.no_links_on(&old.name, |_| true).await;
        }
        if old.oauth_client_id != new.oauth_client_id {
            let by_oauth =
                |link: &Link| matches!(link.auth_kind, AuthKind::OAuthCode | AuthKind::Device);
            self.no_links_on(&old.name, by_oauth).await?;
        }
        if app_id(old) != app_id(new) {
            let by_app = |link: &Link| link.auth_kind == AuthKind::AppInstallation;
            self.no_links_on(&old.name, by_app).await?;
        }
        Ok(())
    }

    /// Removes a host without links.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `HAS_CHILDREN`, and what the vault says.
    pub async fn delete_host(&self, name: &HostName, expect: Option<u64>) -> Result<(), Problem> {
        let _alone = self.gates().ground.write().await;
        let Versioned { record, version } = self.removable(name, expect).await?;
        let secrets = Key::HostSecrets(name.clone(), origins(&record)?);
        let mut changes = vec![
            change(Key::Host(name.clone()), Expect::Version(version), None),
            change(secrets, Expect::Any, None),
        ];
        let hook = self.app_hook(name).await?;
        changes.extend(hook.iter().flat_map(forgotten));
        self.commit(changes).await?;
        if let Some(hook) = &hook {
            self.hook_forgotten(hook);
        }
        Ok(())
    }

    /// Checks the removal of a host without removing it.
    ///
    /// # Errors
    ///
    /// As for [`Engine::delete_host`].
    pub async fn try_delete_host(
        &self,
        name: &HostName,
        expect: Option<u64>,
    ) -> Result<(), Problem> {
        self.removable(name, expect).await.map(drop)
    }

    async fn removable(
        &self,
        name: &HostName,
        expect: Option<u64>,
    ) -> Result<Versioned<Host>, Problem> {
        let entry = self.host(name).await?;
        check_etag(expect, entry.version)?;
        self.no_links_on(name, |_| true).await?;
        Ok(entry)
    }

    /// The secrets of a host; none when there are none.
    pub(crate) async fn host_secrets(&self, host: &Host) -> Result<HostSecrets, Problem> {
        let found = self.find_host_secrets(&host.name, &origins(host)?).await?;
        Ok(found.map(|entry| entry.record).unwrap_or_default())
    }

    /// What is data about a host's provider, which must be loaded, in the edition that the host has.
    ///
    /// # Errors
    ///
    /// `PROVIDER_NOT_LOADED`, and `INVALID_ARGUMENT` for an edition that the provider does not have.
    pub fn description(&self, host: &Host) -> Result<Arc<Description>, Problem> {
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

/// RFC 8414, section 2: an issuer is a URL without query and fragment.
fn check_issuer(issuer: &str) -> Result<(), Problem> {
    if issuer.is_empty() || (Origin::parse(issuer).is_ok() && !issuer.contains(['?', '#'])) {
        return Ok(());
    }
    let message = "must be a URL without query and fragment, as the host sends it in iss";
    Err(Problem::invalid("issuer", message))
}
