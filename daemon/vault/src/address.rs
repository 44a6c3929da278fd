//! Where a record is kept, computed from what the reader asks for.
//!
//! A store key is 32 bytes: 16 of the namespace, so that one namespace is one range of keys, and 16 of the record. Both
//! are MACs, so that names don't show on disk. What else a reader must know to open a record is its *binding*.

use std::{borrow::Cow, fmt::Display};

use data_encoding::HEXLOWER;
use ring::digest;

use bindery_core::{
    name::{HostName, LinkId, NamespaceName, SourceId, TriggerId},
    origin::OriginSet,
    port::{Key, Listing, Record},
    source::SourceName,
};

use crate::{crypto::mac_parts, keys::Keys, kind::Kind};

/// Where a record is kept, and what it is bound to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Address {
    pub(crate) place: Place,
    /// MAC of the host and the allowed origins; zeros for a record that is not bound to any.
    pub(crate) binding: [u8; 16],
}

/// Where a record is kept.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) key: [u8; 32],
}

impl Keys {
    /// Where the record is that is asked for.
    pub(crate) fn address(&self, key: &Key) -> Address {
        let (kind, scope, id) = spot(key);
        Address {
            place: self.place(kind, scope, &id),
            binding: bound_to(key).map_or([0; 16], |(host, origins)| self.binding(host, origins)),
        }
    }

    /// Where a record belongs by what it says of itself; `None` for kinds that don't say it.
    pub(crate) fn own_place(&self, record: &Record) -> Option<Place> {
        let (scope, id) = own_spot(record)?;
        Some(self.place(Kind::of(record), scope, &id))
    }

    /// The kind of a listing and what its store keys start with.
    pub(crate) fn range(&self, listing: &Listing) -> (Kind, Vec<u8>) {
        let within =
            |kind, namespace: &NamespaceName| (kind, self.scope(kind, namespace.as_str()).to_vec());
        match listing {
            Listing::Hosts => (Kind::Host, Vec::new()),
            Listing::Namespaces => (Kind::Namespace, Vec::new()),
            Listing::Links(namespace) => within(Kind::Link, namespace),
            Listing::Receipts(namespace) => within(Kind::Receipt, namespace),
            Listing::Leases(namespace) => within(Kind::Lease, namespace),
            Listing::Flows => (Kind::Flow, Vec::new()),
            Listing::Intents => (Kind::Intent, Vec::new()),
            Listing::Requests => (Kind::Request, Vec::new()),
            Listing::Sources(namespace) => within(Kind::Source, namespace),
            Listing::Hooks => (Kind::Hook, Vec::new()),
            Listing::Consumers(namespace) => within(Kind::Consumer, namespace),
            Listing::Triggers(namespace) => within(Kind::Trigger, namespace),
            Listing::Subscriptions(namespace) => within(Kind::Subscription, namespace),
            Listing::Outgoing(namespace) => within(Kind::Outgoing, namespace),
            Listing::HookRotations(namespace) => within(Kind::HookRotation, namespace),
        }
    }

    fn place(&self, kind: Kind, scope: &str, id: &str) -> Place {
        let tree = kind.tree().name().as_bytes();
        let parts: [&[u8]; 4] = [b"record", tree, scope.as_bytes(), id.as_bytes()];
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.scope(kind, scope));
        key[16..].copy_from_slice(&mac_parts(&self.index, &parts)[..16]);
        Place { kind, key }
    }

    fn scope(&self, kind: Kind, namespace: &str) -> [u8; 16] {
        let tree = kind.tree().name().as_bytes();
        first_half(mac_parts(
            &self.index,
            &[b"scope", tree, namespace.as_bytes()],
        ))
    }

    fn binding(&self, host: &HostName, origins: &OriginSet) -> [u8; 16] {
        let mut sorted = digest::Context::new(&digest::SHA256);
        for origin in origins.iter() {
            sorted.update(&(origin.as_str().len() as u64).to_be_bytes());
            sorted.update(origin.as_str().as_bytes());
        }
        let sorted = sorted.finish();
        let parts: [&[u8]; 3] = [b"binding", host.as_str().as_bytes(), sorted.as_ref()];
        first_half(mac_parts(&self.index, &parts))
    }
}

fn first_half(mac: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&mac[..16]);
    half
}

/// Kind, scope and id of what is asked for. The scope is the namespace, and empty for what belongs to none.
fn spot(key: &Key) -> (Kind, &str, Cow<'_, str>) {
    match key {
        Key::Host(name) => (Kind::Host, "", name.as_str().into()),
        Key::HostSecrets(host, _) => (Kind::HostSecrets, "", host.as_str().into()),
        Key::Namespace(name) => (Kind::Namespace, "", name.as_str().into()),
        Key::Link(namespace, id) => (Kind::Link, namespace.as_str(), id.as_str().into()),
        Key::Grant(namespace, id, ..) => (Kind::Grant, namespace.as_str(), id.as_str().into()),
        Key::Flow(id) => (Kind::Flow, "", id.as_str().into()),
        Key::Intent(namespace, id) => (Kind::Intent, namespace.as_str(), id.as_str().into()),
        Key::Receipt(namespace, id) => (Kind::Receipt, namespace.as_str(), id.as_str().into()),
        Key::Request(key) => (Kind::Request, "", key.into()),
        Key::PendingGrant(namespace, flow, ..) => {
            (Kind::PendingGrant, namespace.as_str(), flow.as_str().into())
        }
        Key::Lease(namespace, id) => (Kind::Lease, namespace.as_str(), id.as_str().into()),
        Key::LeaseToken(namespace, id, ..) => {
            (Kind::LeaseToken, namespace.as_str(), id.as_str().into())
        }
        Key::Source(namespace, link, id) => {
            (Kind::Source, namespace.as_str(), of_link(link, id).into())
        }
        Key::Hook(id) => (Kind::Hook, "", id.as_str().into()),
        Key::HookSecrets(id) => (Kind::HookSecrets, "", id.as_str().into()),
        Key::HookPlace(host, repository) => (Kind::HookPlace, "", at_host(host, repository).into()),
        Key::KnownRefs(id) => (Kind::KnownRefs, "", id.as_str().into()),
        Key::Delivery(number) => (Kind::Delivery, "", number.to_string().into()),
        Key::DeliveryMark(hook, digest) => (
            Kind::DeliveryMark,
            "",
            joined(hook, HEXLOWER.encode(digest)).into(),
        ),
        Key::DeliveryHead => (Kind::DeliveryHead, "", "".into()),
        Key::Event(namespace, number) => {
            (Kind::Event, namespace.as_str(), number.to_string().into())
        }
        Key::EventHead(namespace) => (Kind::EventHead, namespace.as_str(), "".into()),
        Key::Consumer(namespace, id) => (Kind::Consumer, namespace.as_str(), id.as_str().into()),
        Key::Trigger(source, id) => of_source(Kind::Trigger, source, id),
        Key::TriggerSecret(source, id) => of_source(Kind::TriggerSecret, source, id),
        Key::TriggerPlace(place) => (Kind::TriggerPlace, "", place.into()),
        Key::Subscription(namespace, id) => {
            (Kind::Subscription, namespace.as_str(), id.as_str().into())
        }
        Key::SubscriptionSecret(namespace, id) => (
            Kind::SubscriptionSecret,
            namespace.as_str(),
            id.as_str().into(),
        ),
        Key::Outgoing(namespace, subscription, number) => (
            Kind::Outgoing,
            namespace.as_str(),
            joined(subscription, number).into(),
        ),
        Key::HookRotation(namespace, id) => {
            (Kind::HookRotation, namespace.as_str(), id.as_str().into())
        }
        Key::AuditHead => (Kind::AuditHead, "", "".into()),
    }
}

/// Scope and id of a record, by what it says of itself.
fn own_spot(record: &Record) -> Option<(&str, Cow<'_, str>)> {
    Some(match record {
        Record::Host(host) => ("", host.name.as_str().into()),
        Record::Namespace(namespace) => ("", namespace.name.as_str().into()),
        Record::Link(link) => (link.namespace.as_str(), link.id.as_str().into()),
        Record::Flow(flow) => ("", flow.id.as_str().into()),
        Record::Intent(intent) => (intent.namespace.as_str(), intent.link.as_str().into()),
        Record::Receipt(receipt) => (receipt.namespace.as_str(), receipt.link.as_str().into()),
        Record::Request(request) => ("", request.key.as_str().into()),
        Record::Lease(lease) => (lease.namespace.as_str(), lease.id.as_str().into()),
        Record::Source(source) => (
            source.namespace.as_str(),
            of_link(&source.link, &source.id).into(),
        ),
        Record::Hook(hook) => ("", hook.id.as_str().into()),
        Record::HookPlace(place) => ("", at_host(&place.host, &place.repository).into()),
        Record::Delivery(delivery) => ("", delivery.number.to_string().into()),
        Record::DeliveryMark(mark) => {
            ("", joined(&mark.hook, HEXLOWER.encode(&mark.digest)).into())
        }
        Record::DeliveryHead(_) | Record::AuditHead(_) => ("", "".into()),
        Record::Event(event) => (event.namespace.as_str(), event.sequence.to_string().into()),
        Record::Consumer(consumer) => (consumer.namespace.as_str(), consumer.id.as_str().into()),
        Record::Trigger(trigger) => (
            trigger.namespace.as_str(),
            joined(of_link(&trigger.link, &trigger.source), &trigger.id).into(),
        ),
        Record::TriggerPlace(place) => ("", place.place.as_str().into()),
        Record::Subscription(one) => (one.namespace.as_str(), one.id.as_str().into()),
        Record::Outgoing(one) => (
            one.namespace.as_str(),
            joined(&one.subscription, one.sequence).into(),
        ),
        Record::HookRotation(rotation) => {
            (rotation.namespace.as_str(), rotation.id.as_str().into())
        }
        Record::HostSecrets(_)
        | Record::Grant(_)
        | Record::PendingGrant(_)
        | Record::LeaseToken(_)
        | Record::HookSecrets(_)
        | Record::KnownRefs(_)
        | Record::EventHead(_)
        | Record::TriggerSecret(_)
        | Record::SubscriptionSecret(_) => return None,
    })
}

/// Host and origins that a record is bound to: those whose credentials are sent there.
const fn bound_to(key: &Key) -> Option<(&HostName, &OriginSet)> {
    match key {
        Key::HostSecrets(host, origins)
        | Key::Grant(_, _, host, origins)
        | Key::PendingGrant(_, _, host, origins)
        | Key::LeaseToken(_, _, host, origins) => Some((host, origins)),
        Key::Host(_)
        | Key::Namespace(_)
        | Key::Link(..)
        | Key::Flow(_)
        | Key::Intent(..)
        | Key::Receipt(..)
        | Key::Lease(..)
        | Key::Request(_)
        | Key::Source(..)
        | Key::Hook(_)
        | Key::HookSecrets(_)
        | Key::HookPlace(..)
        | Key::KnownRefs(_)
        | Key::Delivery(_)
        | Key::DeliveryMark(..)
        | Key::DeliveryHead
        | Key::Event(..)
        | Key::EventHead(_)
        | Key::Consumer(..)
        | Key::Trigger(..)
        | Key::TriggerSecret(..)
        | Key::TriggerPlace(_)
        | Key::Subscription(..)
        | Key::SubscriptionSecret(..)
        | Key::Outgoing(..)
        | Key::HookRotation(..)
        | Key::AuditHead => None,
    }
}

fn of_source<'a>(
    kind: Kind,
    source: &'a SourceName,
    id: &TriggerId,
) -> (Kind, &'a str, Cow<'a, str>) {
    let id = joined(of_link(&source.link, &source.source), id);
    (kind, source.namespace.as_str(), id.into())
}

fn of_link(link: &LinkId, source: &SourceId) -> String {
    joined(link, source)
}

fn at_host(host: &HostName, repository: &str) -> String {
    joined(host, repository)
}

/// Two parts of an id. No name has a slash, so that the parts can be told apart as long as all but the last are names.
fn joined(first: impl Display, second: impl Display) -> String {
    format!("{first}/{second}")
}
