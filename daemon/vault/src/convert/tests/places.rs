//! A record lies where it is asked for and where it is listed.

use bindery_core::port::{Key as Asked, Listing};

use super::*;
use crate::{crypto, keys::Keys, ring::KeyRing};

/// K2: what a record says of itself leads to the place of the key that it is asked for under.
#[test]
fn k2_records_lie_where_they_are_asked_for() {
    let keys = keys();
    for record in samples() {
        let own = keys.own_place(&record);
        let asked = key_of(&record).map(|key| keys.address(&key));
        assert_eq!(own, asked.map(|address| address.place), "{record:?}");
        assert!(asked.is_none_or(|address| address.binding == [0; 16]));
    }
}

/// A listing reads the range in which its records lie, and no other namespace's.
#[test]
fn listings_read_where_records_lie() {
    let keys = keys();
    let other = NamespaceName::parse("other").unwrap();
    for record in samples() {
        let Some(listing) = listing_of(&record, namespace_name()) else {
            continue;
        };
        let place = keys.own_place(&record).unwrap();
        let (kind, prefix) = keys.range(&listing);
        assert_eq!(kind, place.kind);
        assert!(place.key.starts_with(&prefix), "{record:?}");
        let (_, others) = keys.range(&listing_of(&record, other.clone()).unwrap());
        assert_eq!(place.key.starts_with(&others), prefix.is_empty());
    }
}

/// What asks for a record that tells its own name; none for those that are found by what is asked for alone.
fn key_of(record: &Record) -> Option<Asked> {
    Some(match record {
        Record::Host(one) => Asked::Host(one.name.clone()),
        Record::Namespace(one) => Asked::Namespace(one.name.clone()),
        Record::Link(one) => Asked::Link(one.namespace.clone(), one.id.clone()),
        Record::Flow(one) => Asked::Flow(one.id.clone()),
        Record::Intent(one) => Asked::Intent(one.namespace.clone(), one.link.clone()),
        Record::Receipt(one) => Asked::Receipt(one.namespace.clone(), one.link.clone()),
        Record::Request(one) => Asked::Request(one.key.clone()),
        Record::Lease(one) => Asked::Lease(one.namespace.clone(), one.id.clone()),
        Record::Source(one) => {
            Asked::Source(one.namespace.clone(), one.link.clone(), one.id.clone())
        }
        Record::Hook(one) => Asked::Hook(one.id.clone()),
        Record::HookPlace(one) => Asked::HookPlace(one.host.clone(), one.repository.clone()),
        Record::Delivery(one) => Asked::Delivery(one.number),
        Record::DeliveryMark(one) => Asked::DeliveryMark(one.hook.clone(), one.digest),
        Record::DeliveryHead(_) => Asked::DeliveryHead,
        Record::AuditHead(_) => Asked::AuditHead,
        Record::Event(one) => Asked::Event(one.namespace.clone(), one.sequence),
        Record::Consumer(one) => Asked::Consumer(one.namespace.clone(), one.id.clone()),
        Record::Trigger(one) => Asked::Trigger(source_name(), one.id.clone()),
        Record::TriggerPlace(one) => Asked::TriggerPlace(one.place.clone()),
        Record::Subscription(one) => Asked::Subscription(one.namespace.clone(), one.id.clone()),
        Record::Outgoing(one) => Asked::Outgoing(
            one.namespace.clone(),
            one.subscription.clone(),
            one.sequence,
        ),
        Record::HookRotation(one) => Asked::HookRotation(one.namespace.clone(), one.id.clone()),
        _ => return None,
    })
}

fn listing_of(record: &Record, namespace: NamespaceName) -> Option<Listing> {
    Some(match record {
        Record::Host(_) => Listing::Hosts,
        Record::Namespace(_) => Listing::Namespaces,
        Record::Link(_) => Listing::Links(namespace),
        Record::Receipt(_) => Listing::Receipts(namespace),
        Record::Lease(_) => Listing::Leases(namespace),
        Record::Flow(_) => Listing::Flows,
        Record::Intent(_) => Listing::Intents,
        Record::Request(_) => Listing::Requests,
        Record::Source(_) => Listing::Sources(namespace),
        Record::Hook(_) => Listing::Hooks,
        Record::Consumer(_) => Listing::Consumers(namespace),
        Record::Trigger(_) => Listing::Triggers(namespace),
        Record::Subscription(_) => Listing::Subscriptions(namespace),
        Record::Outgoing(_) => Listing::Outgoing(namespace),
        Record::HookRotation(_) => Listing::HookRotations(namespace),
        _ => return None,
    })
}

fn keys() -> Keys {
    let ring = KeyRing::new(Timestamp::default()).unwrap();
    let root = crypto::Key::random().unwrap();
    Keys::new(crypto::random().unwrap(), root.clone(), root, ring).unwrap()
}
