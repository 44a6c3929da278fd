//! Flows, refreshes and receipts.

use bindery_core::{
    flow::{Device, FlowStage, Pending, Way},
    name::FlowId,
    provider::{AuthKind, Permission},
    receipt::{Outcome, StepKind},
};

use super::{links::identity, *};

pub(super) fn samples() -> Vec<Record> {
    vec![
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
    ]
}

pub(super) fn full_flow() -> Flow {
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
        offered: vec![namespace_name()],
        created: at(1),
        expires: at(2),
    }
}

pub(super) fn least_flow() -> Flow {
    Flow::new(
        FlowId::parse("f").unwrap(),
        namespace_name(),
        link_id(),
        host_name(),
        at(1),
    )
}

pub(super) fn full_intent() -> Intent {
    Intent {
        lost: true,
        suspect: Some(at(4)),
        failures: 5,
        not_before: at(6),
        ..Intent::new(namespace_name(), link_id(), 7, at(8))
    }
}

pub(super) fn full_receipt() -> Receipt {
    let mut receipt = Receipt::open(
        namespace_name(),
        link_id(),
        host_name(),
        "octo".to_owned(),
        at(1),
    );
    receipt.finished = Some(at(2));
    receipt.actor = "someone".to_owned();
    receipt.keep_hooks = true;
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
