//! One place for each namespace where its appenders take turns and its followers wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bindery_core::{name::NamespaceName, time::Timestamp};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};

use crate::flight::lock;

/// The namespaces that events were appended to, or followed in, since the start.
#[derive(Default)]
pub(crate) struct Heads(Mutex<HashMap<NamespaceName, Arc<Head>>>);

/// Where the events of one namespace are appended and awaited. Holds no event.
pub(crate) struct Head {
    turn: Arc<AsyncMutex<Latest>>,
    stirred: watch::Sender<()>,
}

impl Heads {
    /// The place of `namespace`.
    pub(crate) fn of(&self, namespace: &NamespaceName) -> Arc<Head> {
        let mut heads = lock(&self.0);
        let head = heads.entry(namespace.clone());
        Arc::clone(head.or_default())
    }
}

/// When the newest event was received; `None` while nobody has looked since the start. Later events are never received before
/// it, whatever the clock does, so that a time is found by halving.
pub(crate) type Latest = Option<Timestamp>;

impl Default for Head {
    fn default() -> Self {
        Self {
            turn: Arc::default(),
            stirred: watch::Sender::new(()),
        }
    }
}

impl Head {
    /// Waits until nobody else appends. Whoever holds the turns of several namespaces takes them in the order of their
    /// names, so that no two wait for each other.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<Latest> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Wakes all who wait for a change of the namespace's events.
    pub(crate) fn stir(&self) {
        self.stirred.send_replace(());
    }

    /// Tells of every change from now on; many that follow each other are told once.
    pub(crate) fn stirred(&self) -> watch::Receiver<()> {
        self.stirred.subscribe()
    }
}
