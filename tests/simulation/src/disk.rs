//! Records that outlive the daemon: what was acknowledged is there, what was not may be.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bindery_core::{
    hook::HookSecrets,
    host::HostSecrets,
    lease::LeaseToken,
    port::{
        BoxFuture, Change, Entry, Expect, Key, Listing, Page, Record, Vault, VaultError,
        VaultHealth,
    },
    secret::Secret,
    time::Timestamp,
    trigger::OverlappingSecret,
};

use crate::fate::{Fate, lock};

/// All records, under the names of their keys.
#[derive(Default)]
pub(crate) struct Disk(Mutex<BTreeMap<String, (u64, Record)>>);

impl Disk {
    pub(crate) fn put(&self, key: &Key, record: Record) {
        lock(&self.0).insert(name(key), (1, record));
    }

    pub(crate) fn read(&self, key: &Key) -> Option<Entry<Record>> {
        let all = lock(&self.0);
        let (version, record) = all.get(&name(key))?;
        Some(Entry {
            record: copy(record),
            version: *version,
        })
    }

    fn apply(&self, changes: Vec<Change>) -> Result<(), VaultError> {
        let mut all = lock(&self.0);
        let holds = |change: &Change| {
            let version = all.get(&name(&change.key)).map(|(version, _)| *version);
            match change.expect {
                Expect::Any => true,
                Expect::Absent => version.is_none(),
                Expect::Version(wanted) => version == Some(wanted),
            }
        };
        if !changes.iter().all(holds) {
            return Err(VaultError::Conflict);
        }
        for change in changes {
            let name = name(&change.key);
            let version = all.get(&name).map_or(0, |(version, _)| *version);
            match change.write {
                Some(record) => drop(all.insert(name, (version + 1, record))),
                None => drop(all.remove(&name)),
            }
        }
        Ok(())
    }
}

/// The disk as one life of the daemon sees it.
pub(crate) struct Mounted(pub(crate) Arc<Disk>, pub(crate) Arc<Fate>);

impl Vault for Mounted {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry<Record>>, VaultError>> {
        Box::pin(std::future::ready(Ok(self.0.read(key))))
    }

    fn page<'a>(
        &'a self,
        listing: &'a Listing,
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, VaultError>> {
        let all = lock(&self.0.0);
        let after = after.map(|after| String::from_utf8_lossy(after).into_owned());
        let rest = all
            .iter()
            .filter(|(name, (_, record))| listed(listing, name, record))
            .filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after));
        let mut entries = Vec::new();
        let mut next = None;
        for (name, (version, record)) in rest.take(limit) {
            let (record, version) = (copy(record), *version);
            entries.push(Entry { record, version });
            next = Some(name.clone().into_bytes());
        }
        let next = next.filter(|_| entries.len() == limit);
        Box::pin(std::future::ready(Ok(Page { entries, next })))
    }

    /// A death before it leaves nothing; one after it leaves everything, and nobody who knows.
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), VaultError>> {
        Box::pin(async move {
            self.1.step().await;
            let outcome = self.0.apply(changes);
            self.1.step().await;
            outcome
        })
    }

    fn health(&self) -> VaultHealth {
        VaultHealth::Serving
    }
}

fn name(key: &Key) -> String {
    format!("{key:?}")
}

fn listed(listing: &Listing, name: &str, record: &Record) -> bool {
    match (listing, record) {
        (Listing::Hosts, Record::Host(_))
        | (Listing::Namespaces, Record::Namespace(_))
        | (Listing::Flows, Record::Flow(_))
        | (Listing::Intents, Record::Intent(_))
        | (Listing::Requests, Record::Request(_))
        | (Listing::Hooks, Record::Hook(_)) => true,
        (Listing::Links(namespace), Record::Link(link)) => *namespace == link.namespace,
        (Listing::Receipts(namespace), Record::Receipt(receipt)) => *namespace == receipt.namespace,
        (Listing::Leases(namespace), Record::Lease(lease)) => {
            name.starts_with("Lease(") && *namespace == lease.namespace
        }
        (Listing::Sources(namespace), Record::Source(source)) => *namespace == source.namespace,
        (Listing::Consumers(namespace), Record::Consumer(consumer)) => {
            *namespace == consumer.namespace
        }
        (Listing::Triggers(namespace), Record::Trigger(trigger)) => *namespace == trigger.namespace,
        (Listing::Subscriptions(namespace), Record::Subscription(one)) => {
            *namespace == one.namespace
        }
        (Listing::Outgoing(namespace), Record::Outgoing(one)) => *namespace == one.namespace,
        (Listing::HookRotations(namespace), Record::HookRotation(one)) => {
            *namespace == one.namespace
        }
        _ => false,
    }
}

fn copy(record: &Record) -> Record {
    match record {
        Record::Host(host) => Record::Host(host.clone()),
        Record::HostSecrets(secrets) => Record::HostSecrets(HostSecrets::duplicate(secrets)),
        Record::Namespace(namespace) => Record::Namespace(namespace.clone()),
        Record::Link(link) => Record::Link(link.clone()),
        Record::Grant(grant) => Record::Grant(grant.duplicate()),
        Record::PendingGrant(grant) => Record::PendingGrant(grant.duplicate()),
        Record::Flow(flow) => Record::Flow(flow.duplicate()),
        Record::Intent(intent) => Record::Intent(intent.clone()),
        Record::Receipt(receipt) => Record::Receipt(receipt.clone()),
        Record::Request(memory) => Record::Request(memory.clone()),
        Record::Lease(lease) => Record::Lease(lease.clone()),
        Record::LeaseToken(token) => Record::LeaseToken(LeaseToken {
            token: token.token.duplicate(),
            expires: token.expires,
        }),
        Record::Source(source) => Record::Source(source.clone()),
        Record::Hook(hook) => Record::Hook(hook.clone()),
        Record::HookSecrets(secrets) => Record::HookSecrets(HookSecrets {
            current: secrets.current.duplicate(),
            previous: previous(secrets.previous.as_ref()),
            next: secrets.next.as_ref().map(Secret::duplicate),
        }),
        Record::HookPlace(place) => Record::HookPlace(place.clone()),
        Record::KnownRefs(refs) => Record::KnownRefs(refs.clone()),
        Record::Delivery(delivery) => Record::Delivery(delivery.clone()),
        Record::DeliveryMark(mark) => Record::DeliveryMark(mark.clone()),
        Record::DeliveryHead(head) => Record::DeliveryHead(*head),
        Record::Event(event) => Record::Event(event.clone()),
        Record::EventHead(head) => Record::EventHead(*head),
        Record::Consumer(consumer) => Record::Consumer(consumer.clone()),
        Record::Trigger(trigger) => Record::Trigger(trigger.clone()),
        Record::TriggerSecret(secret) => Record::TriggerSecret(overlapping(secret)),
        Record::TriggerPlace(place) => Record::TriggerPlace(place.clone()),
        Record::Subscription(subscription) => Record::Subscription(subscription.clone()),
        Record::SubscriptionSecret(secret) => Record::SubscriptionSecret(overlapping(secret)),
        Record::Outgoing(outgoing) => Record::Outgoing(outgoing.clone()),
        Record::HookRotation(rotation) => Record::HookRotation(rotation.clone()),
        Record::AuditHead(head) => Record::AuditHead(head.duplicate()),
    }
}

fn overlapping(secret: &OverlappingSecret) -> OverlappingSecret {
    OverlappingSecret {
        current: secret.current.duplicate(),
        previous: secret
            .previous
            .iter()
            .map(|(secret, until)| (secret.duplicate(), *until))
            .collect(),
    }
}

fn previous(previous: Option<&(Secret, Timestamp)>) -> Option<(Secret, Timestamp)> {
    previous.map(|(secret, until)| (secret.duplicate(), *until))
}
