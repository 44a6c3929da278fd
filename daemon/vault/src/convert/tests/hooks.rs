//! Hooks, their secrets and places, the refs of their repositories, and rotations.

use bindery_core::{
    hook::{HookState, HookStep, KnownRef},
    name::RotationId,
    problem::{Reason, Who},
    provider::{RepositoryChange, RepositoryChanged},
    rotation::{HookRotationReport, RotationOutcome},
};

use super::*;

pub(super) const STATES: [HookState; 8] = [
    HookState::Pending,
    HookState::Verified,
    HookState::Silent,
    HookState::Rejecting,
    HookState::DisabledByProvider,
    HookState::Missing,
    HookState::Forbidden,
    HookState::Changed,
];

/// What belongs to a hook is written whole.
#[test]
fn hooks_are_written_whole() {
    assert_full(&full_hook(), 27);
    assert_full(&full_secrets(), 4);
    assert_full(&place(), 3);
    assert_full(&refs(), 3);
    assert_full(&rotation(), 7);
    let message = full_hook().write();
    assert_eq!(
        fields(&message.sources[0].encode_to_vec()),
        (1..=3).collect()
    );
    let known = &refs().write().refs["refs/heads/main"];
    assert_eq!(fields(&known.encode_to_vec()), (1..=3).collect());
}

/// All values of the enums come back.
#[test]
fn all_states_come_back() {
    let steps = [
        None,
        Some(HookStep::Create),
        Some(HookStep::Update),
        Some(HookStep::Delete),
    ];
    for (state, step) in STATES.into_iter().zip(steps.into_iter().cycle()) {
        let hook = Hook {
            state,
            step,
            ..full_hook()
        };
        assert_eq!(record::<Hook>(&bytes(&hook)), Ok(hook));
    }
}

/// Every reason that a rotation can fail for comes back.
#[test]
fn all_reasons_come_back() {
    let hooks = Reason::ALL.iter().map(|reason| HookRotationReport {
        outcome: Some(RotationOutcome::Failed(*reason)),
        ..report()
    });
    let rotation = HookRotation {
        hooks: hooks.collect(),
        ..rotation()
    };
    assert_eq!(record::<HookRotation>(&bytes(&rotation)), Ok(rotation));
}

/// Unknown and unset enum values are errors, also where unset has a meaning.
#[test]
fn unknown_values_are_errors() {
    let broken: [fn(&mut disk::Hook); 8] = [
        |hook| hook.state = 0,
        |hook| hook.state = 99,
        |hook| hook.step = 99,
        |hook| hook.who = 99,
        |hook| hook.id.clear(),
        |hook| hook.host.clear(),
        |hook| hook.sources[0].source.clear(),
        |hook| hook.sources[0].link = text("a/b"),
    ];
    for (at, spoil) in broken.into_iter().enumerate() {
        let mut message = full_hook().write();
        spoil(&mut message);
        assert!(Hook::read(message).is_err(), "spoiled {at}");
    }
}

/// A report of a rotation that is not understood is no report, and never "not dealt with".
#[test]
fn unknown_outcomes_are_errors() {
    let broken: [fn(&mut disk::HookRotationReport); 5] = [
        |report| report.outcome = 99,
        |report| {
            report.outcome = disk::RotationOutcome::Failed.into();
            report.reason = text("NO_SUCH_REASON");
        },
        |report| report.source = None,
        |report| report.hook.clear(),
        |report| report.outcome = disk::RotationOutcome::Failed.into(),
    ];
    for (at, spoil) in broken.into_iter().enumerate() {
        let mut message = rotation().write();
        spoil(&mut message.hooks[0]);
        assert!(HookRotation::read(message).is_err(), "spoiled {at}");
    }
}

/// A secret before never comes back without its end, which would make it good for ever.
#[test]
fn secrets_before_have_an_end() {
    let mut message = full_secrets().write();
    message.previous_until_ms = None;
    assert!(HookSecrets::read(message).is_err());
    let mut message = full_secrets().write();
    message.previous = None;
    assert!(HookSecrets::read(message).is_err());
}

pub(super) fn samples() -> Vec<Record> {
    vec![
        Record::Hook(full_hook()),
        Record::Hook(least_hook()),
        Record::HookSecrets(full_secrets()),
        Record::HookSecrets(HookSecrets {
            current: canary(),
            previous: None,
            next: None,
        }),
        Record::HookPlace(place()),
        Record::KnownRefs(refs()),
        Record::KnownRefs(KnownRefs::default()),
        Record::HookRotation(rotation()),
    ]
}

pub(super) fn full_hook() -> Hook {
    Hook {
        id: hook_id(),
        host: host_name(),
        repository: text("7"),
        full_name: text("acme/api"),
        provider_id: text("99"),
        scheme: text("hmac-sha256"),
        state: HookState::DisabledByProvider,
        message: text("message"),
        who: Some(Who::OrganizationOwner),
        action_uri: text("https://forge.example/hooks/99"),
        step: Some(HookStep::Update),
        verified: Some(at(1)),
        last_delivery: Some(at(2)),
        last_rejection: Some(at(3)),
        deliveries: (4, 5),
        secret_created: at(6),
        previous_secret_until: Some(at(7)),
        checked: Some(at(8)),
        caught_up: Some(at(9)),
        reconciled: Some(at(10)),
        reconcile_due: true,
        sources: vec![source_name()],
        created: at(11),
        by_app: true,
        secret_fingerprint: text("0123456789abcdef"),
        unknown_since: Some(at(12)),
    }
}

fn least_hook() -> Hook {
    Hook {
        provider_id: String::new(),
        message: String::new(),
        who: None,
        action_uri: String::new(),
        step: None,
        verified: None,
        last_delivery: None,
        last_rejection: None,
        deliveries: (0, 0),
        previous_secret_until: None,
        checked: None,
        caught_up: None,
        reconciled: None,
        reconcile_due: false,
        by_app: false,
        secret_fingerprint: String::new(),
        unknown_since: None,
        sources: Vec::new(),
        ..full_hook()
    }
}

pub(super) fn full_secrets() -> HookSecrets {
    HookSecrets {
        current: canary(),
        previous: Some((canary(), at(1))),
        next: Some(canary()),
    }
}

fn place() -> HookPlace {
    HookPlace {
        host: host_name(),
        repository: text("7"),
        hook: hook_id(),
    }
}

fn refs() -> KnownRefs {
    let known = KnownRef {
        commit: text("ab"),
        before: text("cd"),
        found: vec![text("ef")],
    };
    KnownRefs {
        refs: [(text("refs/heads/main"), known)].into(),
        complete: true,
        changed: Some(RepositoryChanged {
            kind: RepositoryChange::Renamed,
            before: text("acme/api"),
            after: text("acme/web"),
        }),
    }
}

fn rotation() -> HookRotation {
    let outcomes = [
        Some(RotationOutcome::Done(at(4))),
        Some(RotationOutcome::Failed(Reason::ProviderDenied)),
        Some(RotationOutcome::Skipped),
        None,
    ];
    HookRotation {
        namespace: namespace_name(),
        id: RotationId::parse("r1").unwrap(),
        overlap: Duration::from_secs(3600),
        actor: text("someone"),
        created: at(1),
        finished: Some(at(2)),
        hooks: outcomes
            .map(|outcome| HookRotationReport {
                outcome,
                ..report()
            })
            .into(),
    }
}

fn report() -> HookRotationReport {
    HookRotationReport {
        hook: hook_id(),
        source: source_name(),
        outcome: None,
        message: text("text"),
    }
}
