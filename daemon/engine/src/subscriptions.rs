//! Subscriptions: events that are posted to a URL of a registry, signed as Standard Webhooks.
//!
//! | Module | What it does |
//! |---|---|
//! | `create` | makes a subscription and its secret |
//! | `change` | changes, rotates and deletes |
//! | `read` | reads subscriptions and dead letters |
//! | `deliver` | what is due, and who delivers it |
//! | `attempt` | one event to one endpoint, and what came of it |
//! | `body`, `sign` | the bytes that are posted, and their signatures |
//! | `replay` | events that are delivered again |
//!
//! A first attempt is made in the order of the events. What fails goes aside as an [`Outgoing`] and comes again at the times
//! of [`SCHEDULE`], so that it holds no later event back; after the last attempt it is a dead letter.

mod attempt;
mod body;
mod change;
mod create;
mod deliver;
mod read;
mod replay;
mod sign;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_core::{
    name::{NamespaceName, SubscriptionId},
    port::{Key, Record, Rights},
    problem::Problem,
    secret::Secret,
    time::Timestamp,
    trigger::{Outgoing, Subscription},
};
use tokio::sync::{Mutex as AsyncMutex, Notify};

pub use self::{
    change::SubscriptionChange,
    create::NewSubscription,
    replay::{Replay, Replayed},
    sign::signature,
};
use crate::{Engine, flight::lock};

/// Time before each attempt, from the one before on. A failure of the last makes a dead letter.
pub const SCHEDULE: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(6 * 3600),
    Duration::from_secs(24 * 3600),
];

/// Who is asked whether somebody may still see what providers delivered. Without one nobody may.
#[derive(Default)]
pub(crate) struct Judge(Mutex<Option<Arc<dyn Rights>>>);

impl Engine {
    /// Sets who is asked, before each delivery of a subscription, whether those who asked for providers' bodies may see them.
    pub fn set_rights(&self, rights: Arc<dyn Rights>) {
        *lock(&self.subscriptions().judge.0) = Some(rights);
    }

    pub(crate) fn may_see_payloads(&self, names: &[String], namespace: &NamespaceName) -> bool {
        let judge = lock(&self.subscriptions().judge.0).clone();
        judge.is_some_and(|judge| judge.may_see_payloads(names, namespace))
    }
}

/// How long a replaced secret signs too, where nobody says otherwise.
pub const OVERLAP: Duration = Duration::from_secs(3600);

/// How long a replaced secret may sign too at most.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 86_400);

/// A subscription, and what it signs with: for the one who made or rotated it.
#[derive(Debug)]
pub struct Signing {
    /// The subscription.
    pub subscription: Subscription,
    /// `whsec_` and 32 bytes in base64; empty where nothing was made.
    pub secret: Secret,
}

/// A subscription by name.
type Name = (NamespaceName, SubscriptionId);

/// Where there are subscriptions, and what wakes whoever delivers when one changes.
#[derive(Default)]
pub(crate) struct Subscriptions {
    stirred: Notify,
    /// Namespaces that may have some, so that an event costs nothing in those that have none; `None` until somebody looked.
    places: AsyncMutex<Option<BTreeSet<NamespaceName>>>,
    judge: Judge,
}

impl Subscriptions {
    /// A subscription was stored.
    async fn lives_in(&self, namespace: &NamespaceName) {
        if let Some(places) = self.places.lock().await.as_mut() {
            places.insert(namespace.clone());
        }
    }

    /// A namespace has none any more.
    pub(crate) async fn left(&self, namespace: &NamespaceName) {
        if let Some(places) = self.places.lock().await.as_mut() {
            places.remove(namespace);
        }
    }
}

/// What an etag of a subscription says. Deliveries don't change it: it tells what people said.
#[must_use]
pub fn etag(subscription: &Subscription) -> u64 {
    subscription.updated.unix_ms()
}

/// The next moment of a change, so that no two have the same etag.
fn later(now: Timestamp, before: Timestamp) -> Timestamp {
    now.max(before.after(Duration::from_millis(1)))
}

fn key(name: &Name) -> Key {
    Key::Subscription(name.0.clone(), name.1.clone())
}

fn secret_key(name: &Name) -> Key {
    Key::SubscriptionSecret(name.0.clone(), name.1.clone())
}

fn outgoing_key(name: &Name, sequence: u64) -> Key {
    Key::Outgoing(name.0.clone(), name.1.clone(), sequence)
}

fn resource((namespace, id): &Name) -> String {
    format!("namespaces/{namespace}/subscriptions/{id}")
}

/// Parses `namespaces/{namespace}/subscriptions/{subscription}`.
fn parse_name(text: &str) -> Option<Name> {
    let rest = text.strip_prefix("namespaces/")?;
    let (namespace, id) = rest.split_once("/subscriptions/")?;
    let namespace = NamespaceName::parse(namespace).ok()?;
    Some((namespace, SubscriptionId::parse(id).ok()?))
}

fn absent(name: &Name) -> Problem {
    Problem::not_found(resource(name))
}

fn as_subscription(record: Record) -> Option<Subscription> {
    match record {
        Record::Subscription(subscription) => Some(subscription),
        _ => None,
    }
}

fn as_outgoing(record: Record) -> Option<Outgoing> {
    match record {
        Record::Outgoing(outgoing) => Some(outgoing),
        _ => None,
    }
}
