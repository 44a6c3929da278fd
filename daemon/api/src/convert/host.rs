//! Hosts. Their secrets come in and never go out.

use std::collections::{BTreeMap, BTreeSet};

use bindery_core::{
    host::{Host, HostNetwork},
    name::{HostName, ProviderName},
    secret::Secret,
};
use bindery_engine::{
    Engine, Versioned,
    hosts::{HostUpdate, NewHost},
};
use bindery_proto::v1::{self as wire, host as part};
use ipnet::IpNet;
use prost_types::FieldMask;

use super::common::time;
use crate::{
    fields::Fields,
    mask::{Mask, Shape},
    status::Failure,
};

/// Largest CA bundle.
const BUNDLE: usize = 256 << 10;

/// Ports of `http` below 1025 that need no entry; from there on all are open.
const HTTP_PORTS: [u16; 9] = [80, 21, 443, 70, 210, 280, 488, 591, 777];

/// First port from which on `http` needs no entry.
const HTTP_FROM: u16 = 1025;

/// Port of `https` that needs no entry.
const HTTPS_PORT: u16 = 443;

/// Settings for the plugin that a host may have.
const MOST_SETTINGS: usize = 32;

/// Additional ports that a host may have.
const MOST_PORTS: usize = 256;

/// What an update can name.
pub(crate) const SHAPE: Shape = Shape {
    mutable: &[
        "display_name",
        "public_urls.web",
        "public_urls.api",
        "internal_urls.web",
        "ca_bundle_pem",
        "proxy.uri",
        "port_policy",
        "allowed_private_cidrs",
        "oauth_client.client_id",
        "settings",
    ],
    secret: &["oauth_client.client_secrets"],
    immutable: &[
        "name",
        "provider",
        "create_time",
        "oauth_client.redirect_path",
    ],
};

/// `links` is how many links there are to it.
pub(crate) fn host(entry: &Versioned<Host>, engine: &Engine, links: usize) -> wire::Host {
    let host = &entry.record;
    let network = &host.network;
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    wire::Host {
        name: format!("hosts/{}", host.name),
        provider: format!("providers/{}", host.provider),
        display_name: host.display_name.clone(),
        public_urls: Some(part::Urls {
            web: host.web_url.clone(),
            api: host.api_url.clone(),
            git: String::new(),
        }),
        internal_urls: some(&host.internal_web_url).map(|web| part::Urls {
            web,
            ..Default::default()
        }),
        ca_bundle_pem: network.ca_bundle_pem.clone(),
        proxy: some(&network.proxy_url).map(|uri| part::Proxy {
            uri,
            ..Default::default()
        }),
        oauth_client: oauth_client(host, engine),
        port_policy: port_policy(network),
        allowed_private_cidrs: network
            .allowed_networks
            .iter()
            .map(IpNet::to_string)
            .collect(),
        probed: some(&host.probed.version).map(|version| part::ProbedServer {
            version,
            ..Default::default()
        }),
        link_count: i32::try_from(links).unwrap_or(i32::MAX),
        create_time: Some(time(host.created)),
        update_time: Some(time(host.updated)),
        etag: entry.version.to_string(),
        settings: host.settings.clone(),
        ..wire::Host::default()
    }
}

fn oauth_client(host: &Host, engine: &Engine) -> Option<part::OAuthClient> {
    let client_id = host.oauth_client_id.clone()?;
    Some(part::OAuthClient {
        client_id,
        client_secret_count: i32::try_from(host.client_secret_count).unwrap_or(i32::MAX),
        redirect_path: format!("/oauth/{}/callback", host.redirect_id),
        redirect_uri: engine.redirect_uri(host),
        ..part::OAuthClient::default()
    })
}

/// Absent for the default policy, which has no `http` at all.
fn port_policy(network: &HostNetwork) -> Option<part::PortPolicy> {
    let one = |port: &u16| part::PortRange {
        first: (*port).into(),
        last: 0,
    };
    let extra = network.extra_ports.iter();
    let mut policy = part::PortPolicy::default();
    if network.allow_plaintext {
        policy.http_ports = HTTP_PORTS.iter().chain(extra.clone()).map(one).collect();
        policy.http_ports.push(part::PortRange {
            first: HTTP_FROM.into(),
            last: u16::MAX.into(),
        });
    }
    if !network.extra_ports.is_empty() {
        policy.https_ports = std::iter::once(&HTTPS_PORT).chain(extra).map(one).collect();
    }
    (policy != part::PortPolicy::default()).then_some(policy)
}

/// Checks a new host, all fields at once. Its secrets become secrets here.
pub(crate) fn new_host(id: &str, wire: Option<wire::Host>) -> Result<NewHost, Failure> {
    let mut fields = Fields::default();
    let mut wire = wire.unwrap_or_default();
    let name = fields.take("host_id", HostName::parse(id));
    let provider = wire.provider.strip_prefix("providers/").unwrap_or_default();
    let provider = fields.take("host.provider", ProviderName::parse(provider));
    let urls = wire.public_urls.clone().unwrap_or_default();
    fields.check(!urls.web.is_empty(), "host.public_urls.web", "is missing");
    let network = network(&mut fields, &wire);
    let client_secrets = secrets(&mut fields, &mut wire);
    check(&mut fields, &wire);
    fields.finish()?;
    let (Some(name), Some(provider)) = (name, provider) else {
        // The fields are in order, so both are there.
        return Err(crate::fields::wrong("host", "is incomplete"));
    };
    Ok(NewHost {
        name,
        provider,
        display_name: wire.display_name,
        web_url: urls.web,
        api_url: urls.api,
        internal_web_url: wire.internal_urls.unwrap_or_default().web,
        network,
        oauth_client_id: wire.oauth_client.map(|client| client.client_id),
        client_secrets,
        settings: wire.settings,
    })
}

/// Checks a change of the host `old`, all fields at once.
pub(crate) fn update(
    mut wire: wire::Host,
    mask: Option<FieldMask>,
    old: &Host,
) -> Result<HostUpdate, Failure> {
    let mask = Mask::read(mask, &SHAPE, |path| is_set(&wire, path))?;
    let mut fields = Fields::default();
    let provider =
        wire.provider.is_empty() || wire.provider == format!("providers/{}", old.provider);
    fields.check(provider, "host.provider", "never changes; leave it out");
    let given = network(&mut fields, &wire);
    let client_secrets = secrets(&mut fields, &mut wire);
    check(&mut fields, &wire);
    fields.finish()?;
    let (urls, internal) = (
        wire.public_urls.unwrap_or_default(),
        wire.internal_urls.unwrap_or_default(),
    );
    Ok(HostUpdate {
        display_name: mask.pick("display_name", wire.display_name),
        web_url: mask.pick("public_urls.web", urls.web),
        api_url: mask.pick("public_urls.api", urls.api),
        internal_web_url: mask.pick("internal_urls.web", internal.web),
        network: overlay(&mask, &old.network, given),
        oauth_client_id: mask.pick(
            "oauth_client.client_id",
            wire.oauth_client.unwrap_or_default().client_id,
        ),
        client_secrets: mask.pick("oauth_client.client_secrets", client_secrets),
        settings: mask.pick("settings", wire.settings),
    })
}

/// The network rules with what the mask names; `None` where it names none of them.
fn overlay(mask: &Mask, old: &HostNetwork, given: HostNetwork) -> Option<HostNetwork> {
    let any = mask.has_any(&[
        "ca_bundle_pem",
        "proxy.uri",
        "port_policy",
        "allowed_private_cidrs",
    ]);
    let mut network = any.then(|| old.clone())?;
    if mask.has("ca_bundle_pem") {
        network.ca_bundle_pem = given.ca_bundle_pem;
    }
    if mask.has("proxy.uri") {
        network.proxy_url = given.proxy_url;
    }
    if mask.has("port_policy") {
        network.extra_ports = given.extra_ports;
        network.allow_plaintext = given.allow_plaintext;
    }
    if mask.has("allowed_private_cidrs") {
        network.allowed_networks = given.allowed_networks;
    }
    Some(network)
}

fn is_set(wire: &wire::Host, path: &str) -> bool {
    let (urls, internal) = (wire.public_urls.as_ref(), wire.internal_urls.as_ref());
    let client = wire.oauth_client.as_ref();
    match path {
        "display_name" => !wire.display_name.is_empty(),
        "public_urls.web" => urls.is_some_and(|urls| !urls.web.is_empty()),
        "public_urls.api" => urls.is_some_and(|urls| !urls.api.is_empty()),
        "internal_urls.web" => internal.is_some_and(|urls| !urls.web.is_empty()),
        "ca_bundle_pem" => !wire.ca_bundle_pem.is_empty(),
        "proxy.uri" => wire.proxy.is_some(),
        "port_policy" => wire.port_policy.is_some(),
        "allowed_private_cidrs" => !wire.allowed_private_cidrs.is_empty(),
        "oauth_client.client_id" => client.is_some_and(|client| !client.client_id.is_empty()),
        "settings" => !wire.settings.is_empty(),
        "oauth_client.client_secrets" => {
            client.is_some_and(|client| !client.client_secrets.is_empty())
        }
        _ => false,
    }
}

/// Checks what does not become network rules, and refuses what this release would not keep.
fn check(fields: &mut Fields, wire: &wire::Host) {
    fields.text("host.display_name", &wire.display_name, 200);
    let (urls, internal) = (wire.public_urls.as_ref(), wire.internal_urls.as_ref());
    fields.later(
        urls.is_none_or(|urls| urls.git.is_empty()),
        "host.public_urls.git",
    );
    fields.later(
        internal.is_none_or(|urls| urls.git.is_empty()),
        "host.internal_urls.git",
    );
    let api = "sets the API as the daemon reaches it; put that into public_urls.api instead";
    fields.check(
        internal.is_none_or(|urls| urls.api.is_empty()),
        "host.internal_urls.api",
        api,
    );
    let proxy = wire.proxy.as_ref();
    fields.later(
        proxy.is_none_or(|proxy| proxy.username.is_empty()),
        "host.proxy.username",
    );
    fields.later(
        proxy.is_none_or(|proxy| proxy.password.is_empty()),
        "host.proxy.password",
    );
    fields.later(wire.client_certificate.is_none(), "host.client_certificate");
    fields.later(wire.app.is_none(), "host.app");
    fields.later(wire.rate_budget.is_none(), "host.rate_budget");
    fields.later(wire.allowed_methods.is_empty(), "host.allowed_methods");
    fields.later(
        !wire.disabled && wire.disabled_reason.is_empty(),
        "host.disabled",
    );
    fields.later(wire.labels.is_empty(), "host.labels");
    fields.later(wire.annotations.is_empty(), "host.annotations");
    settings(fields, &wire.settings);
    if let Some(client) = &wire.oauth_client {
        fields.text("host.oauth_client.client_id", &client.client_id, 1000);
    }
}

/// Settings go to the plugin as they are, so they stay small and printable.
fn settings(fields: &mut Fields, settings: &BTreeMap<String, String>) {
    let field = "host.settings";
    fields.check(
        settings.len() <= MOST_SETTINGS,
        field,
        "has more than 32 entries",
    );
    let named = |name: &String| (1..=63).contains(&name.len());
    fields.check(
        settings.keys().all(named),
        field,
        "has a name that is not between 1 and 63 bytes long",
    );
    for text in settings.iter().flat_map(|(name, value)| [name, value]) {
        fields.text(field, text, 1000);
    }
}

fn network(fields: &mut Fields, wire: &wire::Host) -> HostNetwork {
    let bundle = &wire.ca_bundle_pem;
    fields.check(
        bundle.len() <= BUNDLE,
        "host.ca_bundle_pem",
        "is larger than 256 KiB",
    );
    let (extra_ports, allow_plaintext) = ports(fields, wire.port_policy.as_ref());
    HostNetwork {
        ca_bundle_pem: bundle.clone(),
        proxy_url: wire
            .proxy
            .as_ref()
            .map(|proxy| proxy.uri.clone())
            .unwrap_or_default(),
        extra_ports,
        allowed_networks: networks(fields, &wire.allowed_private_cidrs),
        allow_plaintext,
        ..HostNetwork::default()
    }
}

fn networks(fields: &mut Fields, texts: &[String]) -> Vec<IpNet> {
    let field = "host.allowed_private_cidrs";
    fields.check(texts.len() <= 64, field, "has more than 64 entries");
    let parse = |text: &String| {
        let parsed = text.parse::<IpNet>().ok().filter(|net| net.trunc() == *net);
        parsed.ok_or_else(|| {
            format!("holds {text:?}, which is no address range; write it like 10.1.0.0/16")
        })
    };
    texts
        .iter()
        .filter_map(|text| fields.take(field, parse(text)))
        .collect()
}

/// Ports beyond the default ones, and whether `http` is allowed: it is where the policy has ports for it.
fn ports(fields: &mut Fields, policy: Option<&part::PortPolicy>) -> (Vec<u16>, bool) {
    let Some(policy) = policy else {
        return (Vec::new(), false);
    };
    let mut extra = BTreeSet::new();
    let default = |port: u16| port >= HTTP_FROM || HTTP_PORTS.contains(&port);
    for range in &policy.http_ports {
        let ports = range_of(fields, "host.port_policy.http_ports", range);
        extra.extend(ports.filter(|port| !default(*port)).take(MOST_PORTS + 1));
    }
    for range in &policy.https_ports {
        let ports = range_of(fields, "host.port_policy.https_ports", range);
        extra.extend(
            ports
                .filter(|port| *port != HTTPS_PORT)
                .take(MOST_PORTS + 1),
        );
    }
    let few = extra.len() <= MOST_PORTS;
    fields.check(
        few,
        "host.port_policy",
        "names more than 256 ports beyond the default ones; name fewer",
    );
    (extra.into_iter().collect(), !policy.http_ports.is_empty())
}

/// Nothing at all where the range is none.
fn range_of(
    fields: &mut Fields,
    field: &str,
    range: &part::PortRange,
) -> impl Iterator<Item = u16> {
    let last = if range.last == 0 {
        range.first
    } else {
        range.last
    };
    match (u16::try_from(range.first), u16::try_from(last)) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Some(first..=last),
        _ => {
            fields.refuse(field, "holds a range that is not between 1 and 65535");
            None
        }
    }
    .into_iter()
    .flatten()
}

/// Takes the client secrets out of a message.
fn secrets(fields: &mut Fields, wire: &mut wire::Host) -> Vec<Secret> {
    let Some(client) = &mut wire.oauth_client else {
        return Vec::new();
    };
    let texts = std::mem::take(&mut client.client_secrets);
    let field = "host.oauth_client.client_secrets";
    let path = client.redirect_path.is_empty();
    fields.later(path, "host.oauth_client.redirect_path");
    fields.check(texts.len() <= 5, field, "has more than 5 entries");
    let secrets: Vec<_> = texts.into_iter().map(Secret::new).collect();
    let usable = |secret: &Secret| {
        !secret.is_empty() && secret.expose().bytes().all(|c| c.is_ascii_graphic())
    };
    fields.check(
        secrets.iter().all(usable),
        field,
        "holds an empty one, or one with blanks; copy it again",
    );
    secrets
}

#[cfg(test)]
mod tests;
