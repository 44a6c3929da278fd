//! Typed access to the vault, and what its errors mean to a caller.

use bindery_core::{
    delivery::{Delivery, DeliveryHead, DeliveryMark},
    event::{Consumer, Event, EventHead},
    flow::Flow,
    hook::{Hook, HookPlace, HookSecrets, KnownRefs},
    host::{Host, HostSecrets},
    lease::{Lease, LeaseToken},
    link::{Grant, Link, Stage},
    name::{
        ConsumerId, FlowId, HookId, HostName, LeaseId, LinkId, NamespaceName, RotationId,
        SubscriptionId,
    },
    namespace::Namespace,
    origin::OriginSet,
    port::{Change, Entry, Expect, Key, Listing, Record, RequestMemory, VaultError},
    problem::{Problem, Reason},
    receipt::Receipt,
    refresh::Intent,
    rotation::HookRotation,
    source::{Source, SourceName},
    trigger::{OverlappingSecret, Subscription, Trigger, TriggerName, TriggerPlace},
};

use crate::{Engine, events::Draft, hosts::as_namespace_name, namespaces::check_etag};

/// A record and the version that makes its etag.
pub type Versioned<T> = Entry<T>;

/// A page of records.
#[derive(Debug)]
pub struct Listed<T> {
    /// The records.
    pub items: Vec<Versioned<T>>,
    /// Opaque place to go on; `None` at the end.
    pub next: Option<Vec<u8>>,
}

/// Which links to list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkFilter {
    /// Only on this host.
    pub host: Option<HostName>,
    /// Unlinked ones as well.
    pub include_unlinked: bool,
}

impl LinkFilter {
    fn admits(&self, link: &Link) -> bool {
        let host = self.host.as_ref().is_none_or(|host| *host == link.host);
        host && (self.include_unlinked || link.observed.stage != Stage::Unlinked)
    }
}

macro_rules! reader {
    ($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $record:ident, $key:expr) => {
        reader!($(#[$doc])* $name($($arg: $type),*) -> $record as $record, $key);
    };
    ($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $record:ident as $variant:ident, $key:expr) => {
        $(#[$doc])*
        pub(crate) async fn $name(&self, $($arg: $type),*) -> Result<Option<Versioned<$record>>, Problem> {
            let key = $key;
            match self.ports().vault.get(&key).await.map_err(problem)? {
                Some(Entry { record: Record::$variant(record), version }) => Ok(Some(Entry { record, version })),
                Some(_) => Err(problem(VaultError::Tampered)),
                None => Ok(None),
            }
        }
    };
}

impl Engine {
    reader!(
        /// A host, if there is one.
        find_host(name: &HostName) -> Host, Key::Host(name.clone())
    );
    reader!(
        /// The secrets of a host.
        find_host_secrets(name: &HostName, origins: &OriginSet) -> HostSecrets,
        Key::HostSecrets(name.clone(), origins.clone())
    );
    reader!(
        /// A namespace, if there is one.
        find_namespace(name: &NamespaceName) -> Namespace, Key::Namespace(name.clone())
    );
    reader!(
        /// A link, if there is one.
        find_link(namespace: &NamespaceName, id: &LinkId) -> Link, Key::Link(namespace.clone(), id.clone())
    );
    reader!(
        /// The journal entry of a link's refresh.
        find_intent(namespace: &NamespaceName, id: &LinkId) -> Intent, Key::Intent(namespace.clone(), id.clone())
    );
    reader!(
        /// A flow, if there is one.
        find_flow(id: &FlowId) -> Flow, Key::Flow(id.clone())
    );
    reader!(
        /// A lease, if there is one in the store.
        find_lease(namespace: &NamespaceName, id: &LeaseId) -> Lease, Key::Lease(namespace.clone(), id.clone())
    );
    reader!(
        /// The token of a lease.
        find_lease_token_at(namespace: &NamespaceName, id: &LeaseId, host: &HostName, origins: &OriginSet) -> LeaseToken,
        Key::LeaseToken(namespace.clone(), id.clone(), host.clone(), origins.clone())
    );
    reader!(
        /// A receipt, if there is one.
        find_receipt(namespace: &NamespaceName, id: &LinkId) -> Receipt, Key::Receipt(namespace.clone(), id.clone())
    );
    reader!(
        /// How far the events of a namespace are numbered; `None` before the first.
        find_event_head(namespace: &NamespaceName) -> EventHead, Key::EventHead(namespace.clone())
    );
    reader!(
        /// A consumer of events, if there is one.
        find_consumer(namespace: &NamespaceName, id: &ConsumerId) -> Consumer,
        Key::Consumer(namespace.clone(), id.clone())
    );
    reader!(
        /// An event, if it is kept.
        find_event(namespace: &NamespaceName, sequence: u64) -> Event, Key::Event(namespace.clone(), sequence)
    );
    reader!(
        /// A source, if there is one, or the trace of one that was disconnected.
        find_source_or_trace(name: &SourceName) -> Source,
        Key::Source(name.namespace.clone(), name.link.clone(), name.source.clone())
    );
    reader!(
        /// A hook, if there is one.
        find_hook(id: &HookId) -> Hook, Key::Hook(id.clone())
    );
    reader!(
        /// The secrets of a hook.
        find_hook_secrets(id: &HookId) -> HookSecrets, Key::HookSecrets(id.clone())
    );
    reader!(
        /// Which hook a repository has.
        find_hook_place(host: &HostName, repository: &str) -> HookPlace,
        Key::HookPlace(host.clone(), repository.to_owned())
    );
    reader!(
        /// The refs of a hook's repository, as far as events told of them.
        find_known_refs(hook: &HookId) -> KnownRefs, Key::KnownRefs(hook.clone())
    );
    reader!(
        /// A trigger, if there is one.
        find_trigger(name: &TriggerName) -> Trigger, Key::Trigger(name.source.clone(), name.trigger.clone())
    );
    reader!(
        /// The tokens of a trigger.
        find_trigger_secret(name: &TriggerName) -> OverlappingSecret as TriggerSecret,
        Key::TriggerSecret(name.source.clone(), name.trigger.clone())
    );
    reader!(
        /// Where a trigger's URL leads to.
        find_trigger_place(place: &str) -> TriggerPlace, Key::TriggerPlace(place.to_owned())
    );
    reader!(
        /// A rotation of hook secrets, if there is one.
        find_rotation(namespace: &NamespaceName, id: &RotationId) -> HookRotation,
        Key::HookRotation(namespace.clone(), id.clone())
    );
    reader!(
        /// A subscription, if there is one.
        find_subscription(namespace: &NamespaceName, id: &SubscriptionId) -> Subscription,
        Key::Subscription(namespace.clone(), id.clone())
    );
    reader!(
        /// What a subscription signs with.
        find_subscription_secret(namespace: &NamespaceName, id: &SubscriptionId) -> OverlappingSecret as SubscriptionSecret,
        Key::SubscriptionSecret(namespace.clone(), id.clone())
    );
    reader!(
        /// What a request id led to.
        request(key: &str) -> RequestMemory as Request, Key::Request(key.to_owned())
    );
    reader!(
        /// The credentials of a link.
        find_grant_at(namespace: &NamespaceName, id: &LinkId, host: &HostName, origins: &OriginSet) -> Grant,
        Key::Grant(namespace.clone(), id.clone(), host.clone(), origins.clone())
    );

    reader!(
        /// The credentials that a flow holds beside those of its link.
        find_pending_at(namespace: &NamespaceName, flow: &FlowId, host: &HostName, origins: &OriginSet) -> Grant as PendingGrant,
        Key::PendingGrant(namespace.clone(), flow.clone(), host.clone(), origins.clone())
    );

    reader!(
        /// A delivery, if it is kept.
        find_delivery(number: u64) -> Delivery, Key::Delivery(number)
    );
    reader!(
        /// That a delivery of a hook came in before.
        find_delivery_mark(hook: &HookId, digest: &[u8; 32]) -> DeliveryMark,
        Key::DeliveryMark(hook.clone(), *digest)
    );
    reader!(
        /// How far deliveries are numbered; `None` before the first.
        find_delivery_head() -> DeliveryHead, Key::DeliveryHead
    );

    /// The credentials that `flow` holds beside those of its link.
    pub(crate) async fn find_pending_grant(
        &self,
        flow: &Flow,
        host: &Host,
    ) -> Result<Option<Versioned<Grant>>, Problem> {
        self.find_pending_at(&flow.namespace, &flow.id, &flow.host, &origins(host)?)
            .await
    }

    /// The credentials of `link` on `host`.
    pub(crate) async fn find_grant(
        &self,
        link: &Link,
        host: &Host,
    ) -> Result<Option<Versioned<Grant>>, Problem> {
        self.find_grant_at(&link.namespace, &link.id, &link.host, &origins(host)?)
            .await
    }

    /// A link.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
    ) -> Result<Versioned<Link>, Problem> {
        let found = self.find_link(namespace, id).await?;
        found.ok_or_else(|| Problem::not_found(format!("namespaces/{namespace}/links/{id}")))
    }

    /// Writes one link and tells those who watch it. That it lost access, or got it back, becomes an event with it.
    pub(crate) async fn put_link(
        &self,
        mut link: Link,
        expect: Expect,
        mut others: Vec<Change>,
    ) -> Result<(), Problem> {
        self.plan_upkeep(&mut link).await;
        let (namespace, id) = (link.namespace.clone(), link.id.clone());
        let before = self.find_link(&namespace, &id).await?;
        let drafts = self.drafts_of(before.as_ref(), &link, expect).await?;
        others.push(Change {
            key: Key::Link(namespace.clone(), id.clone()),
            expect,
            write: Some(Record::Link(link.clone())),
        });
        if drafts.is_empty() {
            self.commit(others).await?;
        } else {
            self.append_events(drafts, |_| others).await?;
        }
        self.schedule_link(&link);
        self.announce(&namespace, &id);
        if let Some(before) = before {
            self.moved(&before.record, &link).await;
        }
        Ok(())
    }

    /// The events of a link over the version that the writer read.
    async fn drafts_of(
        &self,
        before: Option<&Versioned<Link>>,
        link: &Link,
        expect: Expect,
    ) -> Result<Vec<Draft>, Problem> {
        match before {
            Some(before) if expect == Expect::Version(before.version) => {
                self.access_events(&before.record, link).await
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Changes a link, again and again until no other writer is in between.
    pub(crate) async fn change_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        change: impl FnMut(&mut Link) -> Result<(), Problem>,
    ) -> Result<Versioned<Link>, Problem> {
        self.change_link_at(namespace, id, None, change).await
    }

    /// As [`Engine::change_link`], but only the version that the caller saw, if it names one.
    pub(crate) async fn change_link_at(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        expect: Option<u64>,
        mut change: impl FnMut(&mut Link) -> Result<(), Problem>,
    ) -> Result<Versioned<Link>, Problem> {
        loop {
            let Entry {
                record: mut link,
                version,
            } = self.link(namespace, id).await?;
            check_etag(expect, version)?;
            let before = link.clone();
            change(&mut link)?;
            if link == before {
                return Ok(Entry {
                    record: link,
                    version,
                });
            }
            match self
                .put_link(link.clone(), Expect::Version(version), Vec::new())
                .await
            {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                Err(problem) => return Err(problem),
                Ok(()) => {
                    return Ok(Entry {
                        record: link,
                        version: version + 1,
                    });
                }
            }
        }
    }

    /// All of the changes or none.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), Problem> {
        if changes.iter().any(|one| matches!(one.key, Key::Link(..))) {
            return Box::pin(self.commit_links(changes)).await;
        }
        self.ports().vault.commit(changes).await.map_err(problem)
    }

    /// Links of a namespace.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn list_links(
        &self,
        namespace: &NamespaceName,
        filter: &LinkFilter,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Listed<Link>, Problem> {
        let mut listed = self
            .list(&Listing::Links(namespace.clone()), after, limit, as_link)
            .await?;
        listed.items.retain(|entry| filter.admits(&entry.record));
        Ok(listed)
    }

    /// One page of records of one type.
    pub(crate) async fn list<T>(
        &self,
        listing: &Listing,
        after: Option<&[u8]>,
        limit: usize,
        pick: fn(Record) -> Option<T>,
    ) -> Result<Listed<T>, Problem> {
        let page = self
            .ports()
            .vault
            .page(listing, after, limit)
            .await
            .map_err(problem)?;
        let picked = |entry: Entry<Record>| {
            let version = entry.version;
            pick(entry.record).map(|record| Entry { record, version })
        };
        Ok(Listed {
            items: page.entries.into_iter().filter_map(picked).collect(),
            next: page.next,
        })
    }

    /// Names of all namespaces.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn namespace_names(&self) -> Result<Vec<NamespaceName>, Problem> {
        let all = self
            .list_all(&Listing::Namespaces, as_namespace_name)
            .await?;
        Ok(all.into_iter().map(|entry| entry.record).collect())
    }

    /// All records of a listing. Only for what is few, or for the sweep.
    pub(crate) async fn list_all<T>(
        &self,
        listing: &Listing,
        pick: fn(Record) -> Option<T>,
    ) -> Result<Vec<Versioned<T>>, Problem> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.list(listing, after.as_deref(), 256, pick).await?;
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }
}

pub(crate) fn as_link(record: Record) -> Option<Link> {
    if let Record::Link(link) = record {
        Some(link)
    } else {
        None
    }
}

pub(crate) fn as_flow(record: Record) -> Option<Flow> {
    if let Record::Flow(flow) = record {
        Some(flow)
    } else {
        None
    }
}

/// The allowed origins of a host.
pub(crate) fn origins(host: &Host) -> Result<OriginSet, Problem> {
    host.allowed_origins()
        .map_err(|error| Problem::new(Reason::Internal, error.to_string()))
}

/// What a vault error means to a caller.
pub(crate) fn problem(error: VaultError) -> Problem {
    if let VaultError::Store(detail) = &error {
        // G7: what the store says may name paths; it is for the log.
        tracing::error!(detail, "The store failed");
        let message = "the store failed; the log says why; check the disk";
        return Problem::new(Reason::StoreFailed, message);
    }
    let reason = match &error {
        VaultError::Conflict => Reason::StoreConflict,
        VaultError::Sealed => Reason::Sealed,
        VaultError::Tampered => Reason::RecordTampered,
        VaultError::ReadOnly => Reason::StoreReadOnly,
        _ => Reason::StoreFailed,
    };
    Problem::new(reason, error.to_string())
}

/// A change of one record.
pub(crate) fn change(key: Key, expect: Expect, write: Option<Record>) -> Change {
    Change { key, expect, write }
}

/// Where the credentials are that `flow` holds beside those of its link.
pub(crate) fn pending_key(flow: &Flow, host: &Host) -> Result<Key, Problem> {
    let (namespace, host_name) = (flow.namespace.clone(), flow.host.clone());
    let (id, at) = (flow.id.clone(), origins(host)?);
    Ok(Key::PendingGrant(namespace, id, host_name, at))
}
