//! What ends soon: tokens of links, and secrets of hosts.

use std::time::Duration;

use bindery_core::{
    host::{Certificates, Host, SecretKind},
    link::{Link, Stage},
    name::NamespaceName,
    port::Listing,
    problem::{Problem, Who},
    time::Timestamp,
};

use crate::{Engine, hosts::as_host, records::as_link};

/// Something that ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expiring {
    /// What it is.
    pub kind: ExpiringKind,
    /// Name of the link or host that it belongs to.
    pub resource: String,
    /// When it ends.
    pub expires: Timestamp,
    /// What ends and what to do, in words.
    pub message: String,
    /// Who must act; `None` where the daemon renews it.
    pub who: Option<Who>,
}

/// What can end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExpiringKind {
    /// An access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// The private key of an app.
    AppKey,
    /// An OAuth client secret.
    ClientSecret,
    /// A certificate authority of a host.
    CaBundle,
    /// The certificate that the daemon shows to a host.
    ClientCertificate,
}

/// How far to look, and at what.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// What ends within this time; what has ended is always there.
    pub within: Duration,
    /// What the daemon renews by itself as well.
    pub include_refreshable: bool,
}

impl Engine {
    /// What ends among the links of some namespaces, the soonest first.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn expiring_links(
        &self,
        namespaces: &[NamespaceName],
        horizon: Horizon,
    ) -> Result<Vec<Expiring>, Problem> {
        let mut all = Vec::new();
        for namespace in namespaces {
            let listing = Listing::Links(namespace.clone());
            for entry in self.list_all(&listing, as_link).await? {
                all.extend(of_link(&entry.record, horizon));
            }
        }
        Ok(self.soonest_first(all, horizon))
    }

    /// What ends among the secrets of hosts, the soonest first.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn expiring_hosts(&self, horizon: Horizon) -> Result<Vec<Expiring>, Problem> {
        let hosts = self.list_all(&Listing::Hosts, as_host).await?;
        let all = hosts.iter().flat_map(|entry| {
            let host = &entry.record;
            let mut ends = of_host(host);
            ends.extend(of_certificates(host, &self.certificates(host)));
            ends
        });
        Ok(self.soonest_first(all.collect(), horizon))
    }

    fn soonest_first(&self, mut all: Vec<Expiring>, horizon: Horizon) -> Vec<Expiring> {
        let end = self.now().after(horizon.within);
        all.retain(|one| one.expires <= end);
        all.sort_by(|one, other| {
            let soonest = one.expires.cmp(&other.expires);
            soonest.then_with(|| one.resource.cmp(&other.resource))
        });
        all
    }
}

fn of_link(link: &Link, horizon: Horizon) -> Vec<Expiring> {
    if link.observed.stage != Stage::Bound {
        return Vec::new();
    }
    // What is disabled is not touched, so nothing of it is renewed.
    let kept_up = link.desired.is_enabled();
    let renewed = kept_up && (link.refreshable || link.upkeep.rotate_token);
    let shown = |renewed: bool| horizon.include_refreshable || !renewed;
    let resource = link.resource();
    let access = link
        .token_expires
        .filter(|_| shown(renewed || link.refreshable));
    let access = access.map(|expires| Expiring {
        kind: ExpiringKind::AccessToken,
        resource: resource.clone(),
        expires,
        message: match renewed {
            true => "the access token ends, and the daemon renews it by itself".to_owned(),
            false => {
                "the access token ends; make a new one and authorize the link again".to_owned()
            }
        },
        who: (!renewed).then_some(Who::User),
    });
    let refresh = link.upkeep.refresh_expires.filter(|_| shown(kept_up));
    let refresh = refresh.map(|expires| Expiring {
        kind: ExpiringKind::RefreshToken,
        resource,
        expires,
        message: match kept_up {
            true => "the refresh token ends if it is not used, and the daemon uses it before".to_owned(),
            false => "the refresh token ends while the link is disabled; enable it before, or authorize it again"
                .to_owned(),
        },
        who: (!kept_up).then_some(Who::User),
    });
    access.into_iter().chain(refresh).collect()
}

fn of_certificates(host: &Host, known: &Certificates) -> Vec<Expiring> {
    let bundle = (
        ExpiringKind::CaBundle,
        known.bundle_expires,
        "a certificate authority of the CA bundle",
    );
    let own = (
        ExpiringKind::ClientCertificate,
        known.client_expires,
        "the client certificate",
    );
    let ends = [bundle, own].into_iter();
    let ends = ends.filter_map(|(kind, expires, what)| {
        Some(Expiring {
            kind,
            resource: format!("hosts/{}", host.name),
            expires: expires?,
            message: format!("{what} ends; give the host the one that follows it"),
            who: Some(Who::HostOperator),
        })
    });
    ends.collect()
}

fn of_host(host: &Host) -> Vec<Expiring> {
    let facts = host.secret_facts.iter();
    let of_fact = |fact: &bindery_core::host::SecretFact| {
        let (kind, what) = match fact.kind {
            SecretKind::ClientSecret(_) => (ExpiringKind::ClientSecret, "an OAuth client secret"),
            SecretKind::AppKey => (ExpiringKind::AppKey, "the private key of the app"),
            SecretKind::ClientKey | SecretKind::ProxyPassword => return None,
        };
        Some(Expiring {
            kind,
            resource: format!("hosts/{}", host.name),
            expires: fact.expires?,
            message: format!("{what} ends; make a new one at the provider and add it to the host"),
            who: Some(Who::HostOperator),
        })
    };
    facts.filter_map(of_fact).collect()
}
