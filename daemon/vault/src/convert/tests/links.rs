//! Links and their grants.

use bindery_core::{
    link::{
        Cause, Desired, Note, Observed, OpenFlow, Seen, SeenOrganization, SeenRepository, Severity,
        Stage, Upkeep, Wish,
    },
    name::FlowId,
    problem::Who,
    provider::{AccountKind, AuthKind, Identity, OrganizationAccess, Permission},
};
use bindery_store_proto::v1 as disk;

use super::{
    flows::{full_flow, full_receipt},
    hooks::full_hook,
    *,
};

pub(super) fn samples() -> Vec<Record> {
    vec![
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
        Record::PendingGrant(full_grant()),
        Record::Grant(Grant {
            access_token: Secret::new(String::new()),
            refresh_token: None,
            expires: None,
            obtained: at(0),
            generation: 0,
        }),
    ]
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

pub(super) fn full_link() -> Link {
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
        left_hooks: vec![full_hook()],
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

pub(super) fn least_link() -> Link {
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

pub(super) fn open_flow() -> OpenFlow {
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

pub(super) fn note() -> Note {
    Note {
        severity: Severity::Error,
        reason: "R".to_owned(),
        message: "text".to_owned(),
        action_uri: "https://forge.example".to_owned(),
        who: Some(Who::User),
        until: Some(at(2)),
    }
}

pub(super) fn seen() -> Seen {
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

pub(super) fn identity() -> Identity {
    Identity {
        stable_id: "1".to_owned(),
        login: "octo".to_owned(),
        display_name: "Octo".to_owned(),
        kind: AccountKind::App,
        web_uri: "https://forge.example/octo".to_owned(),
    }
}

pub(super) fn full_grant() -> Grant {
    Grant {
        access_token: canary(),
        refresh_token: Some(canary()),
        expires: Some(at(1)),
        obtained: at(2),
        generation: 3,
    }
}
