//! Triggers, subscriptions, their secrets, and events on their way.

use bindery_core::name::SubscriptionId;

use super::*;

/// All of it is written whole.
#[test]
fn triggers_are_written_whole() {
    assert_full(&full_trigger(), 12);
    assert_full(&place(), 3);
    assert_full(&full_secret(), 4);
    assert_full(&full_subscription(), 18);
    assert_full(&outgoing(), 8);
}

/// What is not whole is an error.
#[test]
fn spoiled_messages_are_errors() {
    let mut message = outgoing().write();
    message.status = 65_536;
    assert!(Outgoing::read(message).is_err());
    let mut message = outgoing().write();
    message.subscription.clear();
    assert!(Outgoing::read(message).is_err());
    let mut message = place().write();
    message.source = None;
    assert!(TriggerPlace::read(message).is_err());
    let mut message = full_trigger().write();
    message.source = text("a/b");
    assert!(Trigger::read(message).is_err());
    let mut message = full_subscription().write();
    message.id = text("a/b");
    assert!(Subscription::read(message).is_err());
}

/// A secret before never comes back without its end, which would make it good for ever.
#[test]
fn secrets_before_have_an_end() {
    let mut message = full_secret().write();
    message.previous_until_ms = None;
    assert!(OverlappingSecret::read(message).is_err());
}

pub(super) fn samples() -> Vec<Record> {
    vec![
        Record::Trigger(full_trigger()),
        Record::Trigger(Trigger {
            display_name: String::new(),
            default_ref: String::new(),
            disabled: false,
            previous_token_until: None,
            fired: None,
            ..full_trigger()
        }),
        Record::TriggerPlace(place()),
        Record::TriggerSecret(full_secret()),
        Record::SubscriptionSecret(OverlappingSecret {
            current: canary(),
            previous: Vec::new(),
        }),
        Record::Subscription(full_subscription()),
        Record::Subscription(Subscription {
            previous_secret_until: None,
            succeeded: None,
            failed: None,
            failure: String::new(),
            ..full_subscription()
        }),
        Record::Outgoing(outgoing()),
        Record::Outgoing(Outgoing {
            next: None,
            status: u16::MAX,
            ..outgoing()
        }),
    ]
}

fn full_trigger() -> Trigger {
    Trigger {
        namespace: namespace_name(),
        link: link_id(),
        source: source_id(),
        id: trigger_id(),
        place: text("place"),
        display_name: text("Nightly"),
        default_ref: text("refs/heads/main"),
        disabled: true,
        token_created: at(1),
        previous_token_until: Some(at(2)),
        fired: Some(at(3)),
        created: at(4),
    }
}

fn place() -> TriggerPlace {
    TriggerPlace {
        place: text("place"),
        source: source_name(),
        trigger: trigger_id(),
    }
}

pub(super) fn full_secret() -> OverlappingSecret {
    OverlappingSecret {
        current: canary(),
        previous: vec![(canary(), at(1)), (canary(), at(2))],
    }
}

fn full_subscription() -> Subscription {
    Subscription {
        namespace: namespace_name(),
        id: SubscriptionId::parse("u1").unwrap(),
        display_name: text("Registry"),
        endpoint_uri: text("https://registry.example/events"),
        filter: text("type = push"),
        include_payload: true,
        payload_for: vec![text("uid:1000"), text("gid:100")],
        paused: true,
        secret_created: at(1),
        previous_secret_until: Some(at(2)),
        taken: 3,
        delivered: 4,
        dead_letters: 5,
        succeeded: Some(at(6)),
        failed: Some(at(7)),
        failure: text("text"),
        created: at(8),
        updated: at(9),
    }
}

fn outgoing() -> Outgoing {
    Outgoing {
        namespace: namespace_name(),
        subscription: SubscriptionId::parse("u1").unwrap(),
        sequence: 1,
        attempts: 2,
        next: Some(at(3)),
        tried: at(4),
        status: 503,
        message: text("text"),
    }
}
