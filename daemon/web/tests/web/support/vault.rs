//! Records in memory.

use std::{collections::BTreeMap, sync::Mutex};

use bindery_core::{
    hook::HookSecrets,
    port::{
        BoxFuture, Change, Entry, Expect, Key, Listing, Page, Record, Vault, VaultError,
        VaultHealth,
    },
    secret::Secret,
    time::Timestamp,
    trigger::OverlappingSecret,
};
use tokio::sync::watch;

use super::lock;

/// Records in memory, with the versions that the real vault keeps.
#[derive(Default)]
pub struct MemoryVault {
    records: Mutex<BTreeMap<String, (u64, Record)>>,
    stalled: watch::Sender<bool>,
}

impl MemoryVault {
    /// No commit ends, until [`Self::go_on`].
    pub fn stall(&self) {
        self.stalled.send_replace(true);
    }

    /// Those that were held do what they were to do, and those that come.
    pub fn go_on(&self) {
        self.stalled.send_replace(false);
    }

    fn apply(&self, changes: Vec<Change>) -> Result<(), VaultError> {
        let mut records = lock(&self.records);
        let holds = |change: &Change| {
            let version = records
                .get(&name_of(&change.key))
                .map(|(version, _)| *version);
            match change.expect {
                Expect::Any => true,
                Expect::Absent => version.is_none(),
                Expect::Version(expected) => version == Some(expected),
            }
        };
        if !changes.iter().all(holds) {
            return Err(VaultError::Conflict);
        }
        for change in changes {
            let name = name_of(&change.key);
            let version = records.get(&name).map_or(0, |(version, _)| *version);
            match change.write {
                Some(record) => drop(records.insert(name, (version + 1, record))),
                None => drop(records.remove(&name)),
            }
        }
        Ok(())
    }
}

fn name_of(key: &Key) -> String {
    format!("{key:?}")
}

fn copy(record: &Record) -> Record {
    match record {
        Record::Host(host) => Record::Host(host.clone()),
        Record::HostSecrets(secrets) => Record::HostSecrets(secrets.duplicate()),
        Record::Namespace(namespace) => Record::Namespace(namespace.clone()),
        Record::Link(link) => Record::Link(link.clone()),
        Record::Grant(grant) => Record::Grant(grant.duplicate()),
        Record::Flow(flow) => Record::Flow(flow.duplicate()),
        Record::Receipt(receipt) => Record::Receipt(receipt.clone()),
        Record::Request(memory) => Record::Request(memory.clone()),
        Record::PendingGrant(grant) => Record::PendingGrant(grant.duplicate()),
        Record::Lease(lease) => Record::Lease(lease.clone()),
        Record::LeaseToken(_) | Record::Intent(_) => {
            unreachable!("no refresh runs and no token is minted in these tests")
        }
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

fn listed(listing: &Listing, record: &Record) -> bool {
    match (listing, record) {
        (Listing::Hosts, Record::Host(_))
        | (Listing::Namespaces, Record::Namespace(_))
        | (Listing::Flows, Record::Flow(_))
        | (Listing::Intents, Record::Intent(_))
        | (Listing::Requests, Record::Request(_))
        | (Listing::Hooks, Record::Hook(_)) => true,
        (Listing::Links(namespace), Record::Link(link)) => *namespace == link.namespace,
        (Listing::Receipts(namespace), Record::Receipt(receipt)) => *namespace == receipt.namespace,
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

impl Vault for MemoryVault {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry<Record>>, VaultError>> {
        let found = lock(&self.records)
            .get(&name_of(key))
            .map(|(version, record)| Entry {
                record: copy(record),
                version: *version,
            });
        Box::pin(async { Ok(found) })
    }

    fn page<'a>(
        &'a self,
        listing: &'a Listing,
        _after: Option<&'a [u8]>,
        _limit: usize,
    ) -> BoxFuture<'a, Result<Page, VaultError>> {
        let records = lock(&self.records);
        let found = records
            .values()
            .filter(|(_, record)| listed(listing, record));
        let entries = found
            .map(|(version, record)| Entry {
                record: copy(record),
                version: *version,
            })
            .collect();
        Box::pin(async {
            Ok(Page {
                entries,
                next: None,
            })
        })
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), VaultError>> {
        if !*self.stalled.borrow() {
            let done = self.apply(changes);
            return Box::pin(async { done });
        }
        let mut stalled = self.stalled.subscribe();
        Box::pin(async move {
            _ = stalled.wait_for(|stalled| !stalled).await;
            self.apply(changes)
        })
    }

    fn health(&self) -> VaultHealth {
        VaultHealth::Serving
    }
}
