//! [`Host`].

use bindery_core::{
    host::{App, Host, HostNetwork, Probed, RateBudget, SecretFact, SecretKind},
    name::{HostName, ProviderName},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{
    Stored, Unreadable,
    link::{read_auth_kind, read_desired, write_auth_kind, write_disabled, write_enabled},
    ms, name, time,
};

impl Stored for Host {
    type Message = disk::Host;

    fn write(&self) -> disk::Host {
        disk::Host {
            name: self.name.to_string(),
            provider: self.provider.to_string(),
            display_name: self.display_name.clone(),
            web_url: self.web_url.clone(),
            api_url: self.api_url.clone(),
            internal_web_url: self.internal_web_url.clone(),
            network: Some(write_network(&self.network)),
            oauth_client_id: self.oauth_client_id.clone(),
            client_secret_count: self.client_secret_count,
            redirect_id: self.redirect_id.clone(),
            issuer: self.issuer.clone(),
            settings: self.settings.clone(),
            probed_version: self.probed.version.clone(),
            created_ms: self.created.unix_ms(),
            updated_ms: self.updated.unix_ms(),
            git_url: self.git_url.clone(),
            internal_git_url: self.internal_git_url.clone(),
            internal_api_url: self.internal_api_url.clone(),
            clock_skew_ms: self.probed.clock_skew_ms,
            probed_ms: ms(self.probed.at),
            app: self.app.as_ref().map(|app| disk::App {
                app_id: app.app_id.clone(),
                slug: app.slug.clone(),
            }),
            requests_per_hour: self.rate_budget.requests_per_hour,
            requests_at_once: self.rate_budget.at_once,
            allowed_methods: self
                .allowed_methods
                .iter()
                .map(|kind| write_auth_kind(*kind).into())
                .collect(),
            disabled: write_disabled(&self.desired),
            enabled: write_enabled(&self.desired),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            secret_facts: self.secret_facts.iter().map(write_fact).collect(),
            fingerprint_key: self.fingerprint_key.to_vec(),
        }
    }

    fn read(message: disk::Host) -> Result<Self, Unreadable> {
        Ok(Self {
            name: name(HostName::parse, &message.name, "host name")?,
            provider: name(ProviderName::parse, &message.provider, "provider")?,
            display_name: message.display_name,
            web_url: message.web_url,
            api_url: message.api_url,
            internal_web_url: message.internal_web_url,
            network: read_network(message.network.ok_or(Unreadable("network"))?)?,
            oauth_client_id: message.oauth_client_id,
            client_secret_count: message.client_secret_count,
            redirect_id: message.redirect_id,
            issuer: message.issuer,
            settings: message.settings,
            probed: Probed {
                version: message.probed_version,
                clock_skew_ms: message.clock_skew_ms,
                at: time(message.probed_ms),
            },
            git_url: message.git_url,
            internal_git_url: message.internal_git_url,
            internal_api_url: message.internal_api_url,
            app: message.app.map(|app| App {
                app_id: app.app_id,
                slug: app.slug,
            }),
            rate_budget: RateBudget {
                requests_per_hour: message.requests_per_hour,
                at_once: message.requests_at_once,
            },
            allowed_methods: read_methods(&message.allowed_methods)?,
            desired: read_desired(message.disabled, message.enabled),
            labels: message.labels,
            annotations: message.annotations,
            secret_facts: message
                .secret_facts
                .into_iter()
                .map(read_fact)
                .collect::<Result<_, _>>()?,
            fingerprint_key: message
                .fingerprint_key
                .try_into()
                .map_err(|_| Unreadable("fingerprint key"))?,
            created: Timestamp::from_unix_ms(message.created_ms),
            updated: Timestamp::from_unix_ms(message.updated_ms),
        })
    }
}

fn read_methods(numbers: &[i32]) -> Result<Vec<bindery_core::provider::AuthKind>, Unreadable> {
    let read = |number: &i32| read_auth_kind(disk::AuthKind::try_from(*number).unwrap_or_default());
    numbers.iter().map(read).collect()
}

fn write_fact(fact: &SecretFact) -> disk::SecretFact {
    let (kind, place) = match fact.kind {
        SecretKind::ClientSecret(place) => (disk::SecretKind::ClientSecret, place),
        SecretKind::AppKey => (disk::SecretKind::AppKey, 0),
        SecretKind::ClientKey => (disk::SecretKind::ClientKey, 0),
        SecretKind::ProxyPassword => (disk::SecretKind::ProxyPassword, 0),
    };
    disk::SecretFact {
        kind: kind.into(),
        place,
        fingerprint: fact.fingerprint.clone(),
        created_ms: fact.created.unix_ms(),
        expires_ms: ms(fact.expires),
        taken_ms: ms(fact.taken),
        refused_ms: ms(fact.refused),
    }
}

fn read_fact(message: disk::SecretFact) -> Result<SecretFact, Unreadable> {
    let kind = match message.kind() {
        disk::SecretKind::ClientSecret => SecretKind::ClientSecret(message.place),
        disk::SecretKind::AppKey => SecretKind::AppKey,
        disk::SecretKind::ClientKey => SecretKind::ClientKey,
        disk::SecretKind::ProxyPassword => SecretKind::ProxyPassword,
        disk::SecretKind::Unspecified => return Err(Unreadable("kind of a secret")),
    };
    Ok(SecretFact {
        kind,
        fingerprint: message.fingerprint,
        created: Timestamp::from_unix_ms(message.created_ms),
        expires: time(message.expires_ms),
        taken: time(message.taken_ms),
        refused: time(message.refused_ms),
    })
}

fn write_network(network: &HostNetwork) -> disk::HostNetwork {
    disk::HostNetwork {
        ca_bundle_pem: network.ca_bundle_pem.clone(),
        proxy_url: network.proxy_url.clone(),
        extra_ports: network
            .extra_ports
            .iter()
            .map(|port| (*port).into())
            .collect(),
        allowed_networks: network
            .allowed_networks
            .iter()
            .map(ToString::to_string)
            .collect(),
        allow_plaintext: network.allow_plaintext,
        proxy_username: network.proxy_username.clone(),
        client_certificate_pem: network.client_certificate_pem.clone(),
    }
}

fn read_network(message: disk::HostNetwork) -> Result<HostNetwork, Unreadable> {
    let ports = message.extra_ports.into_iter();
    let ranges = message.allowed_networks.iter();
    Ok(HostNetwork {
        ca_bundle_pem: message.ca_bundle_pem,
        proxy_url: message.proxy_url,
        extra_ports: ports
            .map(|port| port.try_into().map_err(|_| Unreadable("port")))
            .collect::<Result<_, _>>()?,
        allowed_networks: ranges
            .map(|range| range.parse().map_err(|_| Unreadable("allowed network")))
            .collect::<Result<_, _>>()?,
        allow_plaintext: message.allow_plaintext,
        proxy_username: message.proxy_username,
        client_certificate_pem: message.client_certificate_pem,
    })
}
