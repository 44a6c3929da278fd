//! Use cases over ports: linking, refresh, credentials, repositories, unlinking.
//!
//! [`Engine`] is the whole of Bindery without its edges. It talks to the ports of `bindery-core` only: it never sees a
//! socket, a file or a plugin, and it puts no secret into a request itself.
//!
//! | Module | Use cases |
//! |---|---|
//! | [`hosts`], [`namespaces`] | what the operator configures |
//! | [`links`] | create, read, enable, disable, check |
//! | [`flows`] | start page, callback, confirmation |
//! | [`audience`] | who may be told of whom |
//! | [`credentials`], [`leases`] | hand-out of tokens, and taking them back |
//! | [`deeds`] | what is done by itself, for the audit log |
//! | [`expiring`] | what ends soon |
//! | [`intake`], [`deliveries`] | what hooks deliver, and what becomes of it |
//! | [`reconcile`] | what deliveries left out |
//! | [`events`] | what happened, and who follows it |
//! | `pause` | stopping before the vault is sealed |
//! | [`repositories`] | repositories, refs, organizations |
//! | [`sources`], [`hooks`] | repositories that are built, and their webhooks |
//! | [`subscriptions`] | events that are posted to registries |
//! | [`triggers`] | what people and scripts fire |
//! | [`unlink`] | the saga that ends in a receipt |
//! | [`sweep`] | what runs by itself: flows that end, sagas that go on |
#![forbid(unsafe_code)]

pub mod audience;
mod budget;
pub mod credentials;
pub mod deeds;
pub mod deliveries;
mod digest;
pub mod events;
pub mod expiring;
mod flight;
pub mod flows;
pub mod hooks;
pub mod hosts;
pub mod intake;
mod jwt;
pub mod leases;
pub mod links;
mod memory;
mod mint;
pub mod namespaces;
mod operation;
mod pause;
pub mod reconcile;
mod records;
mod refresh;
pub mod repositories;
pub mod sources;
pub mod subscriptions;
pub mod sweep;
pub mod triggers;
pub mod unlink;

use std::{collections::BTreeMap, sync::Arc};

use bindery_core::{
    name::{LinkId, NamespaceName},
    port::{Clock, Egress, Entropy, Providers, Vault, VaultHealth},
    provider::Description,
    time::Timestamp,
};
use tokio::sync::{broadcast, watch};

use crate::{
    budget::Budgeted,
    deeds::Log,
    deliveries::Deliveries,
    events::{Followers, Heads, Kept},
    flight::Flights,
    hooks::Hooks,
    hosts::Verdicts,
    intake::Intake,
    leases::Shared,
    links::{Checks, LinkCounts},
    memory::Requests,
    reconcile::Comparisons,
    refresh::{Doubts, HostGates, Schedule, Unsaved},
    subscriptions::Subscriptions,
    unlink::Unfinished,
};
pub use crate::{
    digest::sha256,
    memory::RequestKey,
    records::{LinkFilter, Listed, Versioned},
};

/// The adapters that the engine stands on.
#[derive(Clone)]
pub struct Ports {
    /// Sealed records.
    pub vault: Arc<dyn Vault>,
    /// The way out.
    pub egress: Arc<dyn Egress>,
    /// The plugins.
    pub providers: Arc<dyn Providers>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}

/// What the operator decides about linking.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Base URL under which browsers reach the web listener, without a trailing slash.
    pub public_url: String,
    /// Registered return addresses: id to URL. A flow may name an id, never a URL (THREATS O5).
    pub return_addresses: BTreeMap<String, String>,
}

/// A link was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkChanged {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its id.
    pub link: LinkId,
}

/// All use cases. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    ports: Ports,
    config: EngineConfig,
    refreshes: Flights,
    unsaved: Unsaved,
    doubts: Doubts,
    sagas: Flights,
    unfinished: Unfinished,
    gates: Gates,
    shared: Shared,
    host_gates: HostGates,
    schedule: Schedule,
    checks: Checks,
    link_counts: LinkCounts,
    requests: Requests,
    verdicts: Verdicts,
    heads: Heads,
    followers: Followers,
    kept: Kept,
    hooks: Hooks,
    intake: Intake,
    deliveries: Deliveries,
    comparisons: Comparisons,
    subscriptions: Subscriptions,
    deeds: Log,
    paused: watch::Sender<bool>,
    changes: broadcast::Sender<LinkChanged>,
}

/// What must not happen at the same time. A transaction of the vault can't say "as long as that record stays".
#[derive(Default)]
pub(crate) struct Gates {
    /// Binding an identity: compared with the others and bound by one at a time, so that none is bound twice.
    pub(crate) binding: tokio::sync::Mutex<()>,
    /// Opening a flow: counted and opened by one at a time, so that limits hold.
    pub(crate) flows: tokio::sync::Mutex<()>,
    /// What links stand on: shared by those who make one, alone for who takes a host or namespace away.
    pub(crate) ground: tokio::sync::RwLock<()>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over `ports`. Call [`Engine::recover`] before the first request.
    #[must_use]
    pub fn new(ports: Ports, config: EngineConfig) -> Self {
        let (changes, _) = broadcast::channel(1024);
        Self {
            inner: Arc::new(Inner {
                ports: Budgeted::over(ports),
                config,
                refreshes: Flights::default(),
                unsaved: Unsaved::default(),
                doubts: Doubts::default(),
                sagas: Flights::default(),
                unfinished: Unfinished::default(),
                gates: Gates::default(),
                shared: Shared::default(),
                host_gates: HostGates::default(),
                schedule: Schedule::default(),
                checks: Checks::default(),
                link_counts: LinkCounts::default(),
                requests: Requests::default(),
                verdicts: Verdicts::default(),
                heads: Heads::default(),
                followers: Followers::default(),
                kept: Kept::default(),
                hooks: Hooks::default(),
                intake: Intake::default(),
                deliveries: Deliveries::default(),
                comparisons: Comparisons::default(),
                subscriptions: Subscriptions::default(),
                deeds: Log::default(),
                paused: watch::Sender::new(false),
                changes,
            }),
        }
    }

    /// Tells of every link that is written from now on. A receiver that falls behind must read its link again.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<LinkChanged> {
        self.inner.changes.subscribe()
    }

    /// How the vault is; sealed as well while the engine is paused.
    #[must_use]
    pub fn health(&self) -> VaultHealth {
        if self.is_paused() {
            return VaultHealth::Sealed;
        }
        self.ports().vault.health()
    }

    /// Whether nothing is served: the vault is sealed, or the engine is paused.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.is_paused() || self.ports().vault.is_sealed()
    }

    /// What is loaded.
    #[must_use]
    pub fn providers(&self) -> Vec<Arc<Description>> {
        self.ports().providers.list()
    }

    /// What the operator decided.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.inner.config
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.inner.ports
    }

    /// The daemon's clock.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.now()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ports().clock.now()
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.ports().entropy.fill(&mut bytes);
        bytes
    }

    pub(crate) fn refreshes(&self) -> &Flights {
        &self.inner.refreshes
    }

    pub(crate) fn unsaved(&self) -> &Unsaved {
        &self.inner.unsaved
    }

    pub(crate) fn doubts(&self) -> &Doubts {
        &self.inner.doubts
    }

    pub(crate) fn sagas(&self) -> &Flights {
        &self.inner.sagas
    }

    pub(crate) fn unfinished(&self) -> &Unfinished {
        &self.inner.unfinished
    }

    pub(crate) fn verdicts(&self) -> &Verdicts {
        &self.inner.verdicts
    }

    pub(crate) fn gates(&self) -> &Gates {
        &self.inner.gates
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn host_gates(&self) -> &HostGates {
        &self.inner.host_gates
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.inner.schedule
    }

    pub(crate) fn checks(&self) -> &Checks {
        &self.inner.checks
    }

    pub(crate) fn link_counts(&self) -> &LinkCounts {
        &self.inner.link_counts
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.inner.requests
    }

    pub(crate) fn heads(&self) -> &Heads {
        &self.inner.heads
    }

    pub(crate) fn followers(&self) -> &Followers {
        &self.inner.followers
    }

    pub(crate) fn event_kept(&self) -> &Kept {
        &self.inner.kept
    }

    pub(crate) fn hooks(&self) -> &Hooks {
        &self.inner.hooks
    }

    pub(crate) fn intake(&self) -> &Intake {
        &self.inner.intake
    }

    pub(crate) fn deliveries(&self) -> &Deliveries {
        &self.inner.deliveries
    }

    pub(crate) fn comparisons(&self) -> &Comparisons {
        &self.inner.comparisons
    }

    pub(crate) fn subscriptions(&self) -> &Subscriptions {
        &self.inner.subscriptions
    }

    pub(crate) fn deeds(&self) -> &Log {
        &self.inner.deeds
    }

    pub(crate) fn announce(&self, namespace: &NamespaceName, link: &LinkId) {
        // Nobody listening is no error.
        let _ = self.inner.changes.send(LinkChanged {
            namespace: namespace.clone(),
            link: link.clone(),
        });
    }
}
