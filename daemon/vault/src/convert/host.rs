//! [`Host`].

use bindery_core::{
    host::{Host, HostNetwork},
    name::{HostName, ProviderName},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, name};

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
            probed_version: self.probed_version.clone(),
            created_ms: self.created.unix_ms(),
            updated_ms: self.updated.unix_ms(),
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
            probed_version: message.probed_version,
            created: Timestamp::from_unix_ms(message.created_ms),
            updated: Timestamp::from_unix_ms(message.updated_ms),
        })
    }
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
    })
}
