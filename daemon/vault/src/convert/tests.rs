//! Every record goes to its message and back, and mangled bytes never become one by accident.

use bindery_core::{
    flow::{Device, FlowStage, Pending, Way},
    host::{App, HostNetwork, Probed, RateBudget, SecretFact, SecretKind},
    lease::{Access, LeaseToken},
    link::{
        Cause, Desired, Note, Observed, OpenFlow, Seen, SeenOrganization, SeenRepository, Stage,
        Upkeep, Wish,
    },
    name::{FlowId, HostName, LeaseId, LinkId, NamespaceName, ProviderName},
    namespace::NamespaceKind,
    problem::Who,
    provider::{AccountKind, AuthKind, Identity, OrganizationAccess, Permission},
    receipt::{Outcome, StepKind},
    secret::Secret,
};
use bindery_store_proto::v1 as disk;
use proptest::prelude::*;

use super::*;

/// Every record comes back as it was, with every field set and with every field at its least.
#[test]
fn records_come_back() {
    for record in samples() {
        let encoded = encode(&record);
        let back = decode(Kind::of(&record), &encoded).unwrap();
        // `Debug` shows all fields but the secrets; the encoding shows those.
        assert_eq!(format!("{back:?}"), format!("{record:?}"));
        assert_eq!(encode(&back).as_slice(), encoded.as_slice());
    }
}

/// All values of the enums come back.
#[test]
fn all_stages_come_back() {
    let stages = [
        Stage::PendingAuthorization,
        Stage::PendingConfirmation,
        Stage::Bound,
        Stage::Unlinking,
        Stage::Unlinked,
    ];
    let all = stages
        .into_iter()
        .chain(Cause::ALL.map(Stage::NeedsReauthorization));
    let kinds = [
        AuthKind::OAuthCode,
        AuthKind::Device,
        AuthKind::AccessToken,
        AuthKind::AppInstallation,
    ];
    let actors = [
        None,
        Some(Who::User),
        Some(Who::OrganizationOwner),
        Some(Who::HostOperator),
    ];
    for ((stage, auth_kind), who) in all
        .zip(kinds.into_iter().cycle())
        .zip(actors.into_iter().cycle())
    {
        let mut link = full_link();
        link.observed.stage = stage;
        link.observed.who = who;
        link.observed.trouble = match stage {
            Stage::NeedsReauthorization(cause) => Some(cause),
            _ => None,
        };
        link.auth_kind = auth_kind;
        assert_eq!(record::<Link>(&bytes(&link)), Ok(link));
    }
}

/// Unknown and unset enum values are errors, also where unset has a meaning.
#[test]
fn unknown_values_are_errors() {
    let broken: [fn(&mut disk::Link); 13] = [
        |link| link.auth_kind = 0,
        |link| link.auth_kind = 99,
        |link| link.observed.as_mut().unwrap().stage = 0,
        |link| link.observed.as_mut().unwrap().stage = 99,
        |link| link.observed.as_mut().unwrap().cause = 0,
        |link| link.observed.as_mut().unwrap().who = 99,
        |link| link.identity.as_mut().unwrap().kind = 99,
        |link| link.observed.as_mut().unwrap().trouble = 99,
        |link| link.permissions = vec![0],
        |link| link.flow.as_mut().unwrap().method = 0,
        |link| link.seen.as_mut().unwrap().organizations[0].access = 0,
        |link| link.observed = None,
        |link| link.id = "../root".to_owned(),
    ];
    for (at, spoil) in broken.into_iter().enumerate() {
        let mut message = full_link().write();
        spoil(&mut message);
        assert!(Link::read(message).is_err(), "spoiled {at}");
    }
    let mut receipt = full_receipt().write();
    receipt.steps[0].outcome = 99;
    assert!(Receipt::read(receipt).is_err());
    let mut flow = full_flow().write();
    flow.state_digest = Some(vec![1; 31]);
    assert!(Flow::read(flow).is_err());
}

/// L1: no message that holds a secret prints it.
#[test]
fn l1_messages_print_no_secret() {
    let printed = format!(
        "{:?} {:?} {:?} {:?}",
        full_grant().write(),
        full_flow().write(),
        full_host_secrets().write(),
        lease_token().write()
    );
    assert!(!printed.contains("CANARY"), "{printed}");
    assert!(printed.contains("redacted"));
}

proptest! {
    /// Whatever the bytes, decoding answers and never panics.
    #[test]
    fn mangled_bytes_never_panic(
        which in 0usize..22,
        at in any::<prop::sample::Index>(),
        change in 1u8..,
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let all = samples();
        let record = &all[which % all.len()];
        let kind = Kind::of(record);
        let mut bytes = encode(record).to_vec();
        if !bytes.is_empty() {
            _ = decode(kind, &bytes[..cut.index(bytes.len())]);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        _ = decode(kind, &bytes);
        for kind in Kind::ALL.iter().copied() {
            _ = decode(kind, &noise);
            _ = decode(kind, &bytes);
        }
    }
}

fn samples() -> Vec<Record> {
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
        Record::Link(Link {
            desired: Desired::Enabled(Some(Wish {
                reason: "why".to_owned(),
                actor: "who".to_owned(),
                since: at(4),
            })),
            ..full_link()
        }),
        Record::Link(full_link()),
        Record::Link(least_link()),
        Record::Grant(full_grant()),
        Record::Grant(Grant {
            access_token: Secret::new(String::new()),
            refresh_token: None,
            expires: None,
            obtained: at(0),
            generation: 0,
        }),
        Record::Flow(full_flow()),
        Record::Flow(least_flow()),
        Record::Intent(Intent::new(namespace_name(), link_id(), 0, at(0))),
        Record::Intent(full_intent()),
        Record::Receipt(full_receipt()),
        Record::Receipt(Receipt::open(
            namespace_name(),
            link_id(),
            host_name(),
            String::new(),
            at(0),
        )),
        Record::Request(RequestMemory {
            key: "principal|Create|1".to_owned(),
            request_digest: [7; 32],
            resource: "namespaces/acme".to_owned(),
            expires: at(5),
        }),
        Record::PendingGrant(full_grant()),
        Record::Lease(full_lease()),
        Record::Lease(Lease {
            repository: String::new(),
            access: Access::Read,
            narrowed: false,
            minted: false,
            expires: None,
            revoked: None,
            ..full_lease()
        }),
        Record::LeaseToken(lease_token()),
    ]
}

fn full_lease() -> Lease {
    Lease {
        namespace: namespace_name(),
        id: LeaseId::parse("e1").unwrap(),
        link: link_id(),
        repository: "7".to_owned(),
        access: Access::ReadWrite,
        narrowed: true,
        minted: true,
        holder: "someone".to_owned(),
        created: at(1),
        expires: Some(at(2)),
        revoked: Some(at(3)),
    }
}

fn lease_token() -> LeaseToken {
    LeaseToken {
        token: canary(),
        expires: at(1),
    }
}

fn full_host() -> Host {
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
        issuer: Some("https://forge.example".to_owned()),
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

fn least_host() -> Host {
    Host {
        display_name: String::new(),
        internal_web_url: String::new(),
        network: HostNetwork::default(),
        oauth_client_id: None,
        client_secret_count: 0,
        issuer: None,
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

fn secret_fact(kind: SecretKind) -> SecretFact {
    SecretFact {
        kind,
        fingerprint: "0123456789abcdef".to_owned(),
        created: at(1),
        expires: Some(at(2)),
        taken: Some(at(3)),
        refused: Some(at(4)),
    }
}

fn full_host_secrets() -> HostSecrets {
    HostSecrets {
        client_secrets: vec![canary(), canary()],
        app_private_key: Some(canary()),
        client_key: Some(canary()),
        proxy_password: Some(canary()),
    }
}

fn namespace(kind: NamespaceKind) -> Namespace {
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

fn full_link() -> Link {
    Link {
        namespace: namespace_name(),
        id: link_id(),
        host: host_name(),
        display_name: "Mine".to_owned(),
        auth_kind: AuthKind::Device,
        token_kind: "oauth".to_owned(),
        desired: Desired::Disabled(Wish {
            reason: "why".to_owned(),
            actor: "who".to_owned(),
            since: at(4),
        }),
        observed: Observed {
            stage: Stage::NeedsReauthorization(Cause::RotationLost),
            trouble: Some(Cause::HostUnreachable),
            message: "message".to_owned(),
            action_uri: "https://forge.example/x".to_owned(),
            who: Some(Who::User),
            until: Some(at(5)),
            since: at(6),
        },
        identity: Some(Identity {
            stable_id: "1".to_owned(),
            login: "octo".to_owned(),
            display_name: "Octo".to_owned(),
            kind: AccountKind::Bot,
            web_uri: "https://forge.example/octo".to_owned(),
        }),
        permissions: vec![
            Permission::Identity,
            Permission::Organizations,
            Permission::ReadCode,
            Permission::WriteCode,
            Permission::Webhooks,
        ],
        username: "me@example.org".to_owned(),
        installation_id: "9".to_owned(),
        service_account: true,
        labels: [("a".to_owned(), "b".to_owned())].into(),
        annotations: [("c".to_owned(), "d".to_owned())].into(),
        flow: Some(open_flow()),
        upkeep: Upkeep {
            refresh_expires: Some(at(1)),
            failures: 2,
            failure_reason: "R".to_owned(),
            next_refresh: Some(at(3)),
            handed_out: Some(at(4)),
            rotate_token: true,
        },
        seen: seen(),
        requested_scopes: vec!["repo".to_owned()],
        granted_scopes: Some(Vec::new()),
        token_expires: Some(at(0)),
        refreshable: true,
        refreshed: Some(at(8)),
        refresh_failed: Some(at(9)),
        generation: 10,
        created_by: "someone".to_owned(),
        created: at(11),
        updated: at(12),
    }
}

fn least_link() -> Link {
    Link {
        observed: Observed::new(Stage::Bound, "", at(0)),
        ..Link::new(
            namespace_name(),
            link_id(),
            host_name(),
            AuthKind::OAuthCode,
            at(0),
        )
    }
}

fn open_flow() -> OpenFlow {
    OpenFlow {
        id: FlowId::parse("f").unwrap(),
        method: AuthKind::Device,
        started_by: "someone".to_owned(),
        started: at(1),
        expires: at(2),
        requested_scopes: vec!["repo".to_owned()],
        identity: Some(identity()),
        reauthorization: true,
        notes: vec![note()],
    }
}

fn note() -> Note {
    Note {
        reason: "R".to_owned(),
        message: "text".to_owned(),
        action_uri: "https://forge.example".to_owned(),
        who: Some(Who::User),
        until: Some(at(2)),
    }
}

fn seen() -> Seen {
    let organization = |access| SeenOrganization {
        stable_id: "3".to_owned(),
        login: "acme".to_owned(),
        access,
    };
    Seen {
        at: Some(at(1)),
        organizations: [
            OrganizationAccess::Unknown,
            OrganizationAccess::Granted,
            OrganizationAccess::RestrictedByPolicy,
            OrganizationAccess::RequestPending,
            OrganizationAccess::SsoRequired,
            OrganizationAccess::NotInstalled,
            OrganizationAccess::ScopeTooSmall,
            OrganizationAccess::NoMembership,
        ]
        .map(organization)
        .into(),
        repositories: vec![SeenRepository {
            stable_id: "7".to_owned(),
            full_name: "acme/api".to_owned(),
        }],
        notes: vec![note()],
    }
}

fn identity() -> Identity {
    Identity {
        stable_id: "1".to_owned(),
        login: "octo".to_owned(),
        display_name: "Octo".to_owned(),
        kind: AccountKind::App,
        web_uri: "https://forge.example/octo".to_owned(),
    }
}

fn full_grant() -> Grant {
    Grant {
        access_token: canary(),
        refresh_token: Some(canary()),
        expires: Some(at(1)),
        obtained: at(2),
        generation: 3,
    }
}

fn full_flow() -> Flow {
    Flow {
        id: FlowId::parse("f").unwrap(),
        namespace: namespace_name(),
        link: link_id(),
        host: host_name(),
        principal: "someone".to_owned(),
        return_to: Some("console".to_owned()),
        state_digest: Some([1; 32]),
        browser_digest: Some([2; 32]),
        confirm_digest: Some([3; 32]),
        pkce_verifier: Some(canary()),
        stage: FlowStage::Exchanging,
        way: Way::Device(Device {
            device_code: canary(),
            user_code: canary(),
            verification_uri: "https://forge.example/device".to_owned(),
            interval: Duration::from_secs(5),
            next_poll: at(3),
        }),
        reauthorization: true,
        allow_identity_change: true,
        allow_personal_account: true,
        expected_identity: "octo".to_owned(),
        permissions: vec![Permission::ReadCode],
        requested_scopes: vec!["repo".to_owned()],
        pending: Some(Pending {
            auth_kind: AuthKind::Device,
            token_kind: "oauth".to_owned(),
            granted_scopes: Some(vec!["repo".to_owned()]),
            identity: Some(identity()),
            installation_id: "9".to_owned(),
            username: "octo".to_owned(),
        }),
        created: at(1),
        expires: at(2),
    }
}

fn least_flow() -> Flow {
    Flow::new(
        FlowId::parse("f").unwrap(),
        namespace_name(),
        link_id(),
        host_name(),
        at(1),
    )
}

fn full_intent() -> Intent {
    Intent {
        lost: true,
        suspect: Some(at(4)),
        failures: 5,
        not_before: at(6),
        ..Intent::new(namespace_name(), link_id(), 7, at(8))
    }
}

fn full_receipt() -> Receipt {
    let mut receipt = Receipt::open(
        namespace_name(),
        link_id(),
        host_name(),
        "octo".to_owned(),
        at(1),
    );
    receipt.finished = Some(at(2));
    receipt.actor = "someone".to_owned();
    receipt.affected = vec!["namespaces/acme/links/l2".to_owned()];
    let outcomes = [
        Outcome::Done,
        Outcome::AlreadyAbsent,
        Outcome::Failed {
            reason: "R".to_owned(),
        },
        Outcome::Impossible {
            action_uri: "https://forge.example".to_owned(),
        },
    ];
    for (kind, outcome) in StepKind::ALL.into_iter().zip(outcomes) {
        receipt.record(kind, outcome, "text".to_owned(), Timestamp::from_unix_ms(7));
    }
    receipt.steps[0].subject = "acme/api".to_owned();
    receipt.steps[0].finished = Some(at(3));
    receipt.steps[2].retry = Some(at(4));
    receipt
}

fn canary() -> Secret {
    Secret::new("CANARY-5ecret".to_owned())
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn host_name() -> HostName {
    HostName::parse("forge.example").unwrap()
}

fn namespace_name() -> NamespaceName {
    NamespaceName::parse("acme").unwrap()
}

fn link_id() -> LinkId {
    LinkId::parse("l1").unwrap()
}
