//! How many bytes of providers' bodies are in memory for answers (THREATS D7).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::status::Failure;

/// Bytes for answers to all callers: a quarter of what the unit allows the daemon.
const IN_ALL: usize = 128 << 20;

/// Bytes for answers to one caller: four of the longest bodies at a time.
const PER_IDENTITY: usize = 32 << 20;

/// How long a call waits for its portion.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is in memory, for each caller.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    used: Arc<Used>,
    in_all: usize,
    per_identity: usize,
    /// How long a call waits for its portion.
    patience: Duration,
}

#[derive(Debug, Default)]
struct Used {
    bytes: Mutex<HashMap<String, usize>>,
    freed: Notify,
}

/// Bytes that one caller holds; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Portion {
    used: Arc<Used>,
    identity: String,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(IN_ALL, PER_IDENTITY)
    }
}

impl Budget {
    fn new(in_all: usize, per_identity: usize) -> Self {
        Self {
            used: Arc::default(),
            in_all,
            per_identity,
            patience: PATIENCE,
        }
    }

    /// Waits until the caller may have so many bytes more.
    ///
    /// # Errors
    ///
    /// `OVERLOADED` where nobody gives any back in time.
    pub(crate) async fn take(&self, identity: &str, bytes: usize) -> Result<Portion, Failure> {
        let taken = tokio::time::timeout(self.patience, self.turn(identity, bytes)).await;
        taken.map_err(|_| Failure::overloaded("payload_bytes", PATIENCE))
    }

    async fn turn(&self, identity: &str, bytes: usize) -> Portion {
        loop {
            // Made before the look, so that nothing given back in between is missed.
            let freed = self.used.freed.notified();
            if let Some(portion) = self.try_take(identity, bytes) {
                return portion;
            }
            freed.await;
        }
    }

    fn try_take(&self, identity: &str, bytes: usize) -> Option<Portion> {
        let mut used = self.used.bytes();
        let (all, own) = (
            used.values().sum::<usize>(),
            used.get(identity).copied().unwrap_or_default(),
        );
        if all + bytes > self.in_all || own + bytes > self.per_identity {
            return None;
        }
        used.insert(identity.to_owned(), own + bytes);
        Some(Portion {
            used: Arc::clone(&self.used),
            identity: identity.to_owned(),
            bytes,
        })
    }
}

impl Used {
    fn bytes(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, identity: &str, bytes: usize) {
        let mut used = self.bytes();
        if let Some(own) = used.get_mut(identity) {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                used.remove(identity);
            }
        }
        drop(used);
        self.freed.notify_waiters();
    }
}

impl Portion {
    /// Keeps so many bytes, and gives the rest back.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let rest = self.bytes.saturating_sub(bytes);
        self.bytes -= rest;
        self.used.give_back(&self.identity, rest);
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        self.used.give_back(&self.identity, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D7: bodies in memory have a limit for each caller and one in all, and what is given back is there for who waits.
    #[tokio::test]
    async fn d7_bodies_in_memory_are_limited() {
        let budget = Budget::new(6, 4);
        let mut first = budget.try_take("one", 4).expect("its share");
        assert!(budget.try_take("one", 1).is_none());
        let second = budget.try_take("two", 2).expect("the rest");
        assert!(budget.try_take("three", 1).is_none());
        let waits = budget.take("three", 3);
        let gives = async {
            tokio::task::yield_now().await;
            first.shrink(1);
        };
        let (third, ()) = tokio::join!(waits, gives);
        let third = third.expect("given back");
        assert!(budget.try_take("one", 1).is_none(), "all are taken");
        drop((first, second, third));
        assert!(budget.used.bytes().is_empty());
    }

    /// D7: who gets no portion in time is told so.
    #[tokio::test]
    async fn d7_nobody_waits_for_bytes_without_end() {
        let mut budget = Budget::new(1, 1);
        budget.patience = Duration::from_millis(1);
        let _held = budget.try_take("one", 1).expect("free");
        let refused = budget.take("two", 1).await.expect_err("none is left");
        assert_eq!(refused.reason().as_str_name(), "OVERLOADED");
    }
}
