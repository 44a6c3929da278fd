//! The traits that the engine stands on. Adapters implement them; the engine knows nothing else of the world.

use std::{pin::Pin, sync::Arc};

use thiserror::Error;

use crate::{
    audit::AuditHead,
    delivery::{Delivery, DeliveryHead, DeliveryMark},
    event::{Consumer, Event, EventHead},
    exchange::{
        DeviceAuthorization, DeviceCall, Effect, EffectResult, Exchanged, HttpRequest, Post,
        ProbeReport, Reach, RevokeCall, RevokeOutcome, Route, TokenCall, TokenReply,
    },
    flow::Flow,
    hook::{Hook, HookPlace, HookSecrets, KnownRefs},
    host::{Certificates, Host, HostNetwork, HostSecrets},
    lease::{Lease, LeaseToken},
    link::{Grant, Link},
    name::{
        ConsumerId, FlowId, HookId, HostName, LeaseId, LinkId, NamespaceName, ProviderName,
        RotationId, SourceId, SubscriptionId, TriggerId,
    },
    namespace::Namespace,
    origin::OriginSet,
    problem::{Problem, Reason},
    provider::{Call, Description, Failure, Output},
    receipt::Receipt,
    refresh::Intent,
    rotation::HookRotation,
    source::{Source, SourceName},
    time::Timestamp,
    trigger::{Outgoing, OverlappingSecret, Subscription, Trigger, TriggerPlace},
};

/// A future that can be kept in a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Resolves at `when`, at once when it has passed.
    fn sleep_until(&self, when: Timestamp) -> BoxFuture<'_, ()>;
}

/// Randomness from the operating system.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `buffer`.
    fn fill(&self, buffer: &mut [u8]);
}

/// What the policy says of people who are not there at the moment.
pub trait Rights: Send + Sync + 'static {
    /// Whether one of these names may see what providers delivered to a namespace. Asked anew each time: policies change.
    fn may_see_payloads(&self, names: &[String], namespace: &NamespaceName) -> bool;
}

// ---- vault ----------------------------------------------------------------------------------------------------------

/// Names one record by what the reader asks for. All of it goes into the associated data of the sealed record, so a
/// ciphertext that was moved, swapped or pointed at another origin does not open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Key {
    /// A host.
    Host(HostName),
    /// The secrets of a host, bound to its allowed origins.
    HostSecrets(HostName, OriginSet),
    /// A namespace.
    Namespace(NamespaceName),
    /// A link.
    Link(NamespaceName, LinkId),
    /// The credentials of a link, bound to its host and its allowed origins.
    Grant(NamespaceName, LinkId, HostName, OriginSet),
    /// A flow.
    Flow(FlowId),
    /// The journal entry of a refresh.
    Intent(NamespaceName, LinkId),
    /// A receipt.
    Receipt(NamespaceName, LinkId),
    /// The credentials that a flow holds beside those of its link, bound to its host and its allowed origins.
    PendingGrant(NamespaceName, FlowId, HostName, OriginSet),
    /// A lease.
    Lease(NamespaceName, LeaseId),
    /// The token of a lease, bound to its host and its allowed origins.
    LeaseToken(NamespaceName, LeaseId, HostName, OriginSet),
    /// What a request id led to: principal, method and request id, joined by the engine.
    Request(String),
    /// A source.
    Source(NamespaceName, LinkId, SourceId),
    /// A hook.
    Hook(HookId),
    /// The secrets of a hook.
    HookSecrets(HookId),
    /// The hook of a repository: host and the provider's id of the repository.
    HookPlace(HostName, String),
    /// The refs of a hook's repository, as far as events told of them.
    KnownRefs(HookId),
    /// A delivery, by its number.
    Delivery(u64),
    /// That a delivery of a hook came in before, by a digest of its id or body.
    DeliveryMark(HookId, [u8; 32]),
    /// How far deliveries are numbered.
    DeliveryHead,
    /// An event, by its number in the namespace.
    Event(NamespaceName, u64),
    /// How far the events of a namespace are numbered.
    EventHead(NamespaceName),
    /// A consumer of events.
    Consumer(NamespaceName, ConsumerId),
    /// A trigger.
    Trigger(SourceName, TriggerId),
    /// The tokens of a trigger.
    TriggerSecret(SourceName, TriggerId),
    /// Where a trigger's URL leads to.
    TriggerPlace(String),
    /// A subscription.
    Subscription(NamespaceName, SubscriptionId),
    /// What a subscription signs with.
    SubscriptionSecret(NamespaceName, SubscriptionId),
    /// An event on its way to a subscription.
    Outgoing(NamespaceName, SubscriptionId, u64),
    /// A rotation of hook secrets.
    HookRotation(NamespaceName, RotationId),
    /// How far the audit log goes.
    AuditHead,
}

/// Kinds of records that can be listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Listing {
    /// All hosts.
    Hosts,
    /// All namespaces.
    Namespaces,
    /// Links of a namespace.
    Links(NamespaceName),
    /// Receipts of a namespace.
    Receipts(NamespaceName),
    /// Leases of a namespace.
    Leases(NamespaceName),
    /// All flows.
    Flows,
    /// All refresh journal entries.
    Intents,
    /// All remembered requests.
    Requests,
    /// Sources of a namespace.
    Sources(NamespaceName),
    /// All hooks.
    Hooks,
    /// Consumers of a namespace.
    Consumers(NamespaceName),
    /// Triggers of a namespace.
    Triggers(NamespaceName),
    /// Subscriptions of a namespace.
    Subscriptions(NamespaceName),
    /// Events on their way to subscriptions of a namespace.
    Outgoing(NamespaceName),
    /// Rotations of a namespace.
    HookRotations(NamespaceName),
}

/// A record.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "records pass one at a time, and the two large ones are what is read most"
)]
pub enum Record {
    /// A host.
    Host(Host),
    /// The secrets of a host.
    HostSecrets(HostSecrets),
    /// A namespace.
    Namespace(Namespace),
    /// A link.
    Link(Link),
    /// The credentials of a link.
    Grant(Grant),
    /// A flow.
    Flow(Flow),
    /// The journal entry of a refresh.
    Intent(Intent),
    /// A receipt.
    Receipt(Receipt),
    /// What a request id led to.
    Request(RequestMemory),
    /// A grant that waits to be bound in the place of a link's.
    PendingGrant(Grant),
    /// A lease.
    Lease(Lease),
    /// The token of a lease.
    LeaseToken(LeaseToken),
    /// A source.
    Source(Source),
    /// A hook.
    Hook(Hook),
    /// The secrets of a hook.
    HookSecrets(HookSecrets),
    /// The hook of a repository.
    HookPlace(HookPlace),
    /// The refs of a repository.
    KnownRefs(KnownRefs),
    /// A delivery.
    Delivery(Delivery),
    /// That a delivery came in before.
    DeliveryMark(DeliveryMark),
    /// How far deliveries are numbered.
    DeliveryHead(DeliveryHead),
    /// An event.
    Event(Event),
    /// How far events are numbered.
    EventHead(EventHead),
    /// A consumer.
    Consumer(Consumer),
    /// A trigger.
    Trigger(Trigger),
    /// The tokens of a trigger.
    TriggerSecret(OverlappingSecret),
    /// Where a trigger's URL leads to.
    TriggerPlace(TriggerPlace),
    /// A subscription.
    Subscription(Subscription),
    /// What a subscription signs with.
    SubscriptionSecret(OverlappingSecret),
    /// An event on its way to a subscription.
    Outgoing(Outgoing),
    /// A rotation of hook secrets.
    HookRotation(HookRotation),
    /// How far the audit log goes, and its key.
    AuditHead(AuditHead),
}

/// What a request id led to, remembered for an hour.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestMemory {
    /// The key that it is found under.
    pub key: String,
    /// SHA-256 of the request, so that another request with the same id is noticed.
    pub request_digest: [u8; 32],
    /// Resource name that it made or changed.
    pub resource: String,
    /// When it may be forgotten.
    pub expires: Timestamp,
}

/// A record and its version.
#[derive(Debug)]
pub struct Entry<T> {
    /// The record.
    pub record: T,
    /// Its version; 1 at first, raised by every write.
    pub version: u64,
}

/// One page of a listing.
#[derive(Debug)]
pub struct Page {
    /// The records.
    pub entries: Vec<Entry<Record>>,
    /// Opaque place to go on; `None` at the end.
    pub next: Option<Vec<u8>>,
}

/// One change of a transaction.
#[derive(Debug)]
pub struct Change {
    /// Which record.
    pub key: Key,
    /// What must be so beforehand.
    pub expect: Expect,
    /// The new record, or `None` to delete.
    pub write: Option<Record>,
}

/// What must be so before a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expect {
    /// Anything.
    Any,
    /// No such record.
    Absent,
    /// Exactly this version.
    Version(u64),
}

/// Why the vault did not do it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum VaultError {
    /// An expectation of a change did not hold; nothing was written.
    #[error("another writer was faster")]
    Conflict,
    /// No root key.
    #[error("the vault is sealed; unseal it first")]
    Sealed,
    /// A record was changed, moved or rolled back.
    #[error("a record does not open: it was changed, moved or rolled back; restore a backup")]
    Tampered,
    /// The store takes no writes after an I/O error.
    #[error("the store is read-only after an I/O error; check the disk and restart")]
    ReadOnly,
    /// The store gave up.
    #[error("the store failed: {0}")]
    Store(String),
}

/// How the vault is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VaultHealth {
    /// In order.
    Serving,
    /// In order; too little space for new links.
    LowSpace,
    /// Reads only.
    ReadOnly,
    /// The disk takes what is written, and has not answered for some seconds.
    Stalled,
    /// No root key.
    Sealed,
}

/// Sealed records. The only way to the store.
pub trait Vault: Send + Sync + 'static {
    /// One record.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry<Record>>, VaultError>>;
    /// A page of records in a stable order.
    fn page<'a>(
        &'a self,
        listing: &'a Listing,
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, VaultError>>;
    /// All of the changes or none; durable when it resolves. Goes on when the future is dropped.
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), VaultError>>;
    /// How it is.
    fn health(&self) -> VaultHealth;
    /// Whether there is no root key. Asked with each call, so a vault that has to look at its disk for its health answers
    /// this from memory.
    fn is_sealed(&self) -> bool {
        self.health() == VaultHealth::Sealed
    }
}

// ---- egress ---------------------------------------------------------------------------------------------------------

/// The one way out. Puts secrets into requests and takes them out of responses.
pub trait Egress: Send + Sync + 'static {
    /// Sends a request to one of the route's origins.
    ///
    /// Fails with [`Problem`] when it was refused before it was sent, or got no usable answer.
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        route: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>>;
    /// Calls a token endpoint and reads the answer itself.
    fn token<'a>(&'a self, call: TokenCall<'a>) -> BoxFuture<'a, TokenReply>;
    /// Ends a token at a revocation endpoint.
    fn revoke<'a>(&'a self, call: RevokeCall<'a>) -> BoxFuture<'a, RevokeOutcome>;
    /// Asks a device authorization endpoint for a pair of codes.
    ///
    /// Fails with [`Problem`] when there are none.
    fn authorize_device<'a>(
        &'a self,
        call: DeviceCall<'a>,
    ) -> BoxFuture<'a, Result<DeviceAuthorization, Problem>>;
    /// Looks step by step how far one gets to `url`. Sends no secret but the proxy's password, to the proxy.
    fn probe<'a>(&'a self, url: &'a str, reach: Reach<'a>) -> BoxFuture<'a, ProbeReport>;
    /// Checks a host's URLs, CA bundle, client certificate and proxy against the rules without sending anything.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, with what to do.
    fn admit(&self, reach: Reach<'_>) -> Result<(), Problem>;
    /// Closes kept connections that are not in use, and forgets the keys and passwords that they were made with.
    fn forget(&self) {}
    /// What the certificates among network rules say of themselves.
    fn certificates(&self, network: &HostNetwork) -> Certificates;
    /// Checks the URL of a registry against the rules for what events are posted to, without sending anything. A way out
    /// that posts nothing refuses all.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, with what to do.
    fn admit_post(&self, _url: &str) -> Result<(), Problem> {
        Err(Problem::new(Reason::Internal, "this way out posts nothing"))
    }
    /// Posts bytes to a registry and answers with the status. Follows no redirect, and reads no body.
    ///
    /// Fails with [`Problem`] when it was refused before it was sent, or got no answer.
    fn post<'a>(&'a self, post: Post<'a>) -> BoxFuture<'a, Result<u16, Problem>> {
        let refused = self.admit_post(post.url);
        let nothing = || Problem::new(Reason::Internal, "this way out posts nothing");
        Box::pin(async move { refused.and_then(|()| Err(nothing())) })
    }
}

// ---- providers ------------------------------------------------------------------------------------------------------

/// The loaded plugins.
pub trait Providers: Send + Sync + 'static {
    /// All of them, in order of their names.
    fn list(&self) -> Vec<Arc<Description>>;
    /// One of them.
    fn describe(&self, provider: &ProviderName) -> Option<Arc<Description>>;
    /// Starts an operation. The step's requests are allowed by the plugin's manifest.
    fn start<'a>(
        &'a self,
        provider: &'a ProviderName,
        call: Call,
    ) -> BoxFuture<'a, Result<Started, Failure>>;
}

/// An operation and its first step.
pub struct Started {
    /// The operation.
    pub operation: Box<dyn Operation>,
    /// Its first step.
    pub step: Step,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Started")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// A running operation. Dropping it abandons it.
pub trait Operation: Send {
    /// Hands in results and runs to the next step.
    fn resume(&mut self, results: Vec<EffectResult>) -> BoxFuture<'_, Result<Step, Failure>>;
}

/// What a plugin wants next, and what it has found.
#[derive(Debug)]
pub struct Step {
    /// Results so far, a page each.
    pub partial: Vec<Output>,
    /// Effects whose answer is no longer wanted.
    pub cancelled: Vec<u32>,
    /// What comes next.
    pub next: Next,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// New effects (may be empty while others are under way).
    Effects(Vec<Effect>),
    /// The end.
    Done(Output),
}
