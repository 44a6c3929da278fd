//! The links of a run, bound from the start.

use bindery_core::{
    host::{Host, HostSecrets},
    link::{Grant, Link, Observed, Stage},
    name::{HostName, LinkId, NamespaceName, ProviderName},
    namespace::{Namespace, NamespaceKind},
    port::{Key, Record},
    provider::AuthKind,
    secret::Secret,
    time::Timestamp,
};

use crate::{disk::Disk, forge::Forges, plugin::octo, rules::Kind};

/// A link, and what only the run knows about it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: LinkId,
    /// The forge that it is on.
    pub(crate) forge: &'static str,
    /// A person has taken the authorization back there.
    pub(crate) revoked: bool,
}

pub(crate) fn namespace() -> NamespaceName {
    NamespaceName::parse("acme").expect("a name")
}

fn host_name(kind: &Kind) -> HostName {
    HostName::parse(kind.name).expect("a name")
}

/// Writes hosts, a namespace, and a bound link on each host.
pub(crate) fn bind(disk: &Disk, forges: &Forges, kinds: &[Kind]) -> Vec<Known> {
    let now = Timestamp::from_unix_ms(forges.now_ms());
    let acme = Namespace::new(namespace(), NamespaceKind::Organization, now);
    disk.put(&Key::Namespace(namespace()), Record::Namespace(acme));
    kinds
        .iter()
        .map(|kind| bind_one(disk, forges, kind, now))
        .collect()
}

fn bind_one(disk: &Disk, forges: &Forges, kind: &Kind, now: Timestamp) -> Known {
    let (tokens, client) = forges.with(kind.name, |forge, now| {
        (forge.first_pair(now), forge.client().clone())
    });
    let host = host(kind, client.id, now);
    let origins = host.allowed_origins().expect("URLs");
    let secrets = HostSecrets {
        client_secrets: client.secrets.into_iter().map(Secret::new).collect(),
        ..HostSecrets::default()
    };
    let id = LinkId::parse(kind.name).expect("a name");
    let grant = Grant {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        expires: tokens.expires_in.map(|lifetime| now.after(lifetime)),
        obtained: now,
        generation: 1,
    };
    let link = link(&id, &host, &grant, now);
    let grant_key = Key::Grant(namespace(), id.clone(), host.name.clone(), origins.clone());
    let secrets_key = Key::HostSecrets(host.name.clone(), origins);
    disk.put(&secrets_key, Record::HostSecrets(secrets));
    disk.put(&Key::Host(host.name.clone()), Record::Host(host));
    disk.put(&grant_key, Record::Grant(grant));
    disk.put(&Key::Link(namespace(), id.clone()), Record::Link(link));
    Known {
        id,
        forge: kind.name,
        revoked: false,
    }
}

fn host(kind: &Kind, client_id: String, now: Timestamp) -> Host {
    let provider = ProviderName::parse(kind.name).expect("a name");
    let web_url = format!("https://{}.example", kind.name);
    Host {
        api_url: format!("{web_url}/api"),
        oauth_client_id: Some(client_id),
        client_secret_count: 1,
        redirect_id: kind.name.to_owned(),
        ..Host::new(host_name(kind), provider, web_url, now)
    }
}

fn link(id: &LinkId, host: &Host, grant: &Grant, now: Timestamp) -> Link {
    Link {
        token_kind: "oauth".to_owned(),
        observed: Observed::new(Stage::Bound, "", now),
        identity: Some(octo()),
        token_expires: grant.expires,
        refreshable: grant.refresh_token.is_some(),
        generation: grant.generation,
        ..Link::new(
            namespace(),
            id.clone(),
            host.name.clone(),
            AuthKind::OAuthCode,
            now,
        )
    }
}

/// The tokens of a link, as the disk has them.
pub(crate) struct Stored {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
}

/// What the disk holds of a link: the record and, unless it is unlinked, its tokens.
pub(crate) fn stored(disk: &Disk, known: &Known) -> (Link, Option<Stored>) {
    let Some(Record::Link(link)) = disk
        .read(&Key::Link(namespace(), known.id.clone()))
        .map(|entry| entry.record)
    else {
        panic!("{known:?} is gone")
    };
    let Some(Record::Host(host)) = disk
        .read(&Key::Host(link.host.clone()))
        .map(|entry| entry.record)
    else {
        panic!("the host of {known:?} is gone")
    };
    let origins = host.allowed_origins().expect("URLs");
    let key = Key::Grant(namespace(), known.id.clone(), host.name, origins);
    let grant = match disk.read(&key).map(|entry| entry.record) {
        Some(Record::Grant(grant)) => Some(grant),
        _ => None,
    };
    let tokens = grant.map(|grant| Stored {
        access: grant.access_token.expose().to_owned(),
        refresh: grant.refresh_token.map(|token| token.expose().to_owned()),
    });
    (link, tokens)
}
