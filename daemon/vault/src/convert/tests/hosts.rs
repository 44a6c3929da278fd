//! Hosts, their secrets, and namespaces.

use bindery_core::{
    host::{App, HostNetwork, Probed, RateBudget, SecretFact, SecretKind},
    link::{Desired, Wish},
    name::ProviderName,
    namespace::NamespaceKind,
    provider::AuthKind,
};

use super::*;

pub(super) fn samples() -> Vec<Record> {
    vec![
        Record::Host(full_host()),
        Record::Host(least_host()),
        Record::HostSecrets(full_host_secrets()),
        Record::HostSecrets(HostSecrets::default()),
        Record::Namespace(namespace(NamespaceKind::User)),
        Record::Namespace(namespace(NamespaceKind::Organization)),
        Record::Namespace(namespace(NamespaceKind::Instance {
            instance_type: "enterprise".to_owned(),
            region: "eu".to_owned(),
        })),
    ]
}

pub(super) fn full_host() -> Host {
    Host {
        name: host_name(),
        provider: ProviderName::parse("gitea").unwrap(),
        display_name: "Forge".to_owned(),
        web_url: "https://forge.example".to_owned(),
        api_url: "https://forge.example/api".to_owned(),
        internal_web_url: "https://forge.internal".to_owned(),
        network: HostNetwork {
            ca_bundle_pem: "-----BEGIN".to_owned(),
            proxy_url: "http://proxy:3128".to_owned(),
            extra_ports: vec![1, 65535],
            allowed_networks: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            allow_plaintext: true,
            proxy_username: "me".to_owned(),
            client_certificate_pem: "-----BEGIN".to_owned(),
        },
        git_url: "https://git.example".to_owned(),
        internal_git_url: "https://git.internal".to_owned(),
        internal_api_url: "https://api.internal".to_owned(),
        app: Some(App {
            app_id: "12".to_owned(),
            slug: "bindery".to_owned(),
        }),
        rate_budget: RateBudget {
            requests_per_hour: 5000,
            at_once: 4,
        },
        allowed_methods: vec![AuthKind::Device, AuthKind::AppInstallation],
        desired: Desired::Disabled(Wish {
            reason: "why".to_owned(),
            actor: "who".to_owned(),
            since: at(4),
        }),
        labels: [("c".to_owned(), "d".to_owned())].into(),
        annotations: [("e".to_owned(), "f".to_owned())].into(),
        secret_facts: [
            SecretKind::ClientSecret(1),
            SecretKind::AppKey,
            SecretKind::ClientKey,
            SecretKind::ProxyPassword,
        ]
        .map(secret_fact)
        .into(),
        fingerprint_key: [9; 16],
        oauth_client_id: Some("client".to_owned()),
        client_secret_count: 2,
        redirect_id: "r".to_owned(),
        issuer: "https://forge.example".to_owned(),
        settings: [("a".to_owned(), "b".to_owned())].into(),
        probed: Probed {
            version: "1.2".to_owned(),
            clock_skew_ms: Some(-3),
            at: Some(at(5)),
        },
        created: at(1),
        updated: at(2),
    }
}

pub(super) fn least_host() -> Host {
    Host {
        display_name: String::new(),
        internal_web_url: String::new(),
        network: HostNetwork::default(),
        oauth_client_id: None,
        client_secret_count: 0,
        issuer: String::new(),
        settings: [].into(),
        probed: Probed::default(),
        git_url: String::new(),
        internal_git_url: String::new(),
        internal_api_url: String::new(),
        app: None,
        rate_budget: RateBudget::default(),
        allowed_methods: Vec::new(),
        desired: Desired::ENABLED,
        labels: [].into(),
        annotations: [].into(),
        secret_facts: Vec::new(),
        created: at(0),
        updated: at(0),
        ..full_host()
    }
}

pub(super) fn secret_fact(kind: SecretKind) -> SecretFact {
    SecretFact {
        kind,
        fingerprint: "0123456789abcdef".to_owned(),
        created: at(1),
        expires: Some(at(2)),
        taken: Some(at(3)),
        refused: Some(at(4)),
    }
}

pub(super) fn full_host_secrets() -> HostSecrets {
    HostSecrets {
        client_secrets: vec![canary(), canary()],
        app_private_key: Some(canary()),
        client_key: Some(canary()),
        proxy_password: Some(canary()),
    }
}

pub(super) fn namespace(kind: NamespaceKind) -> Namespace {
    Namespace {
        name: namespace_name(),
        kind,
        display_name: "Acme".to_owned(),
        require_service_account: true,
        labels: [("a".to_owned(), "b".to_owned())].into(),
        annotations: [("c".to_owned(), "d".to_owned())].into(),
        created: at(3),
        updated: at(4),
    }
}
