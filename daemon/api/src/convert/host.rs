//! Hosts. Their secrets come in and never go out.

use bindery_core::{
    host::{Certificates, Host, HostNetwork, SecretFact, SecretKind},
    link::{Desired, Wish},
    time::Timestamp,
};
use bindery_engine::{Engine, Versioned};
use bindery_proto::v1::{self as wire, host as part};
use ipnet::IpNet;

pub(crate) use self::{
    app_hook::app_hook,
    input::{new_host, update},
};
use super::common::{method, time};

mod app_hook;
mod input;
mod ports;
mod probe;

pub(crate) use self::probe::response as probed;

/// `links` is how many links there are to it.
pub(crate) fn host(entry: &Versioned<Host>, engine: &Engine, links: usize) -> wire::Host {
    let host = &entry.record;
    let network = &host.network;
    let certificates = engine.certificates(host);
    let (disabled, disabled_reason) = switch(&host.desired);
    wire::Host {
        name: format!("hosts/{}", host.name),
        provider: format!("providers/{}", host.provider),
        display_name: host.display_name.clone(),
        public_urls: Some(part::Urls {
            web: host.web_url.clone(),
            api: host.api_url.clone(),
            git: host.git_url.clone(),
        }),
        internal_urls: internal_urls(host),
        ca_bundle_pem: network.ca_bundle_pem.clone(),
        ca_bundle_expire_time: certificates.bundle_expires.map(time),
        proxy: proxy(host),
        client_certificate: client_certificate(host, certificates),
        oauth_client: oauth_client(host, engine),
        app: app(host, engine),
        port_policy: ports::policy(network),
        allowed_private_cidrs: cidrs(network),
        rate_budget: rate_budget(host),
        allowed_methods: host
            .allowed_methods
            .iter()
            .map(|kind| method(*kind).into())
            .collect(),
        disabled,
        disabled_reason,
        probed: probed_server(host),
        link_count: i32::try_from(links).unwrap_or(i32::MAX),
        labels: host.labels.clone(),
        annotations: host.annotations.clone(),
        create_time: Some(time(host.created)),
        update_time: Some(time(host.updated)),
        etag: entry.version.to_string(),
        settings: host.settings.clone(),
        issuer: host.issuer.clone(),
    }
}

fn switch(desired: &Desired) -> (bool, String) {
    match desired {
        Desired::Enabled(_) => (false, String::new()),
        Desired::Disabled(Wish { reason, .. }) => (true, reason.clone()),
    }
}

/// Absent where all are the public ones.
fn internal_urls(host: &Host) -> Option<part::Urls> {
    let urls = part::Urls {
        web: host.internal_web_url.clone(),
        api: host.internal_api_url.clone(),
        git: host.internal_git_url.clone(),
    };
    (urls != part::Urls::default()).then_some(urls)
}

fn proxy(host: &Host) -> Option<part::Proxy> {
    let network = &host.network;
    (!network.proxy_url.is_empty()).then(|| part::Proxy {
        uri: network.proxy_url.clone(),
        username: network.proxy_username.clone(),
        password: String::new(),
        password_facts: one_fact(host, SecretKind::ProxyPassword),
    })
}

fn client_certificate(host: &Host, known: Certificates) -> Option<part::ClientCertificate> {
    let pem = &host.network.client_certificate_pem;
    (!pem.is_empty()).then(|| part::ClientCertificate {
        certificate_pem: pem.clone(),
        private_key_pem: String::new(),
        certificate_sha256: known.client_sha256,
        expire_time: known.client_expires.map(time),
        private_key_facts: one_fact(host, SecretKind::ClientKey),
    })
}

fn oauth_client(host: &Host, engine: &Engine) -> Option<part::OAuthClient> {
    let client_id = host.oauth_client_id.clone()?;
    let facts = host.secret_facts.iter();
    let facts: Vec<_> = facts
        .filter(|fact| matches!(fact.kind, SecretKind::ClientSecret(_)))
        .collect();
    let ends = facts.iter().any(|fact| fact.expires.is_some());
    let end = |fact: &&SecretFact| time(fact.expires.unwrap_or_default());
    Some(part::OAuthClient {
        client_id,
        client_secrets: Vec::new(),
        client_secret_count: i32::try_from(host.client_secret_count).unwrap_or(i32::MAX),
        client_secret_expire_times: if ends {
            facts.iter().map(end).collect()
        } else {
            Vec::new()
        },
        client_secret_facts: facts.into_iter().map(fact).collect(),
        redirect_path: redirect_path(host),
        redirect_uri: engine.redirect_uri(host),
    })
}

fn redirect_path(host: &Host) -> String {
    format!("/oauth/{}/callback", host.redirect_id)
}

fn app(host: &Host, engine: &Engine) -> Option<part::App> {
    let app = host.app.as_ref()?;
    let facts = one_fact(host, SecretKind::AppKey);
    Some(part::App {
        app_id: app.app_id.clone(),
        private_key_pem: String::new(),
        private_key_expire_time: facts.as_ref().and_then(|facts| facts.expire_time),
        private_key_facts: facts,
        slug: app.slug.clone(),
        install_uri: engine.app_install_uri(host).unwrap_or_default(),
        hook: None,
    })
}

fn one_fact(host: &Host, kind: SecretKind) -> Option<wire::SecretFacts> {
    let found = host.secret_facts.iter().find(|fact| fact.kind == kind);
    found.map(fact)
}

fn fact(fact: &SecretFact) -> wire::SecretFacts {
    let some = |when: Option<Timestamp>| when.map(time);
    wire::SecretFacts {
        fingerprint: fact.fingerprint.clone(),
        create_time: Some(time(fact.created)),
        expire_time: some(fact.expires),
        last_success_time: some(fact.taken),
        last_failure_time: some(fact.refused),
    }
}

fn cidrs(network: &HostNetwork) -> Vec<String> {
    let networks = network.allowed_networks.iter();
    networks.map(IpNet::to_string).collect()
}

/// Absent for the default.
fn rate_budget(host: &Host) -> Option<part::RateBudget> {
    let budget = part::RateBudget {
        requests_per_hour: host.rate_budget.requests_per_hour,
        max_concurrent_requests: host.rate_budget.at_once,
    };
    (budget != part::RateBudget::default()).then_some(budget)
}

/// Absent before the first probe.
fn probed_server(host: &Host) -> Option<part::ProbedServer> {
    let at = host.probed.at?;
    Some(part::ProbedServer {
        version: host.probed.version.clone(),
        clock_skew: host.probed.clock_skew_ms.map(probe::skew),
        probe_time: Some(time(at)),
    })
}

#[cfg(test)]
mod tests;
