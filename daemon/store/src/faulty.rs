//! A store that breaks on purpose, so that the layers above can show what they do then.

use std::future::ready;
use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::{Batch, BoxFuture, Health, Page, Store, StoreError, Tree};

/// Wraps another store and injects the faults that a test plans. Without a plan it only passes calls on.
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    plan: Mutex<Plan>,
}

/// A kind of call, each counted for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`Store::get`].
    Get,
    /// [`Store::page`].
    Page,
    /// [`Store::commit`].
    Commit,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An I/O error, and nothing happened.
    Fail,
    /// An I/O error, although the commit is applied and durable. A read fails as with [`Fault::Fail`].
    ApplyThenFail,
    /// Success is reported, although nothing is stored. A read finds nothing.
    Lose,
}

/// Holds one call until the test lets go; dropping it lets go as well.
#[derive(Debug)]
pub struct Stall {
    reached: watch::Receiver<bool>,
    release: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Plan {
    calls: [usize; 3],
    faults: Vec<(Call, usize, Planned)>,
    health: Option<Health>,
}

#[derive(Debug)]
enum Planned {
    Fault(Fault),
    Stall {
        reached: watch::Sender<bool>,
        release: watch::Receiver<bool>,
    },
}

impl<S> FaultyStore<S> {
    /// Wraps a store, with no fault planned.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            plan: Mutex::new(Plan::default()),
        }
    }

    /// The store behind, which never fails on purpose.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// How many calls of a kind were made so far.
    pub fn calls(&self, call: Call) -> usize {
        self.plan().calls[call as usize]
    }

    /// Breaks the `nth` call from now on, counted from 1.
    pub fn inject(&self, call: Call, nth: usize, fault: Fault) {
        self.plan().add(call, nth, Planned::Fault(fault));
    }

    /// Holds the `nth` call from now on, counted from 1, before it has any effect.
    pub fn stall(&self, call: Call, nth: usize) -> Stall {
        let (reached, was_reached) = watch::channel(false);
        let (release, is_released) = watch::channel(false);
        self.plan().add(
            call,
            nth,
            Planned::Stall {
                reached,
                release: is_released,
            },
        );
        Stall {
            reached: was_reached,
            release,
        }
    }

    /// Reports this health instead of the store's own; `None` goes back to the truth.
    pub fn set_health(&self, health: Option<Health>) {
        self.plan().health = health;
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stall {
    /// Waits until the call is held.
    pub async fn reached(&mut self) {
        // The sender goes away only with the store or with the call: then there is nothing to wait for.
        _ = self.reached.wait_for(|reached| *reached).await;
    }

    /// Lets the call go on.
    pub fn release(self) {
        self.release.send_replace(true);
    }
}

impl Plan {
    fn add(&mut self, call: Call, nth: usize, planned: Planned) {
        let at = self.calls[call as usize] + nth;
        self.faults.push((call, at, planned));
    }

    fn count(&mut self, call: Call) -> Option<Planned> {
        self.calls[call as usize] += 1;
        let now = self.calls[call as usize];
        let found = self
            .faults
            .iter()
            .position(|(kind, at, _)| *kind == call && *at == now)?;
        Some(self.faults.swap_remove(found).2)
    }
}

impl Planned {
    /// The fault to show, after a stall is over.
    async fn meet(self) -> Option<Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::Stall {
                reached,
                mut release,
            } => {
                reached.send_replace(true);
                _ = release.wait_for(|released| *released).await;
                None
            }
        }
    }
}

impl<S: Store> FaultyStore<S> {
    fn read<'a, T: Default + Send + 'a>(
        &self,
        call: Call,
        pass: impl FnOnce() -> BoxFuture<'a, Result<T, StoreError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let Some(planned) = self.plan().count(call) else {
            return pass();
        };
        Box::pin(async move {
            match planned.meet().await {
                None => pass().await,
                Some(Fault::Lose) => Ok(T::default()),
                Some(Fault::Fail | Fault::ApplyThenFail) => Err(injected()),
            }
        })
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn get<'a>(
        &'a self,
        tree: Tree,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        self.read(Call::Get, move || self.inner.get(tree, key))
    }

    fn page<'a>(
        &'a self,
        tree: Tree,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        self.read(Call::Page, move || {
            self.inner.page(tree, prefix, after, limit)
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        let Some(planned) = self.plan().count(Call::Commit) else {
            return self.inner.commit(batch);
        };
        // An applied fault takes the batch in at once, as a real store does.
        if let Planned::Fault(Fault::ApplyThenFail) = planned {
            let applied = self.inner.commit(batch);
            return Box::pin(async move { applied.await.and_then(|()| Err(injected())) });
        }
        if let Err(invalid) = batch.check() {
            return Box::pin(ready(Err(invalid)));
        }
        Box::pin(async move {
            match planned.meet().await {
                None => self.inner.commit(batch).await,
                Some(Fault::Lose) => Ok(()),
                Some(Fault::Fail | Fault::ApplyThenFail) => Err(injected()),
            }
        })
    }

    fn health(&self) -> Health {
        self.plan()
            .health
            .clone()
            .unwrap_or_else(|| self.inner.health())
    }
}

fn injected() -> StoreError {
    io::Error::other("injected fault").into()
}

#[cfg(test)]
mod tests {
    use super::{Call, Fault, FaultyStore};
    use crate::{Batch, Health, MemoryStore, Store, StoreError, Tree, conformance};

    /// Without a plan the wrapper keeps the contract.
    #[tokio::test]
    async fn faulty_store_conforms() {
        conformance::all(|| FaultyStore::new(MemoryStore::new())).await;
    }

    /// Exactly the planned call fails, counted from when it was planned, for each kind of call.
    #[tokio::test]
    async fn only_the_planned_call_fails() {
        let store = FaultyStore::new(MemoryStore::new());
        _ = store.get(TREE, b"key").await;
        store.inject(Call::Get, 2, Fault::Fail);
        store.inject(Call::Page, 1, Fault::Fail);
        assert!(store.get(TREE, b"key").await.is_ok());
        assert!(matches!(
            store.get(TREE, b"key").await,
            Err(StoreError::Io(_))
        ));
        assert!(store.get(TREE, b"key").await.is_ok());
        assert!(store.page(TREE, b"", None, 1).await.is_err());
        assert!(store.page(TREE, b"", None, 1).await.is_ok());
        assert_eq!((store.calls(Call::Get), store.calls(Call::Page)), (4, 2));
    }

    /// What each fault of a commit reports, and what it leaves behind.
    #[tokio::test]
    async fn faults_of_a_commit_differ() {
        let faults = [
            (Fault::Fail, false, false),
            (Fault::ApplyThenFail, false, true),
            (Fault::Lose, true, false),
        ];
        for (fault, reported, stored) in faults {
            let store = FaultyStore::new(MemoryStore::new());
            store.inject(Call::Commit, 1, fault);
            assert_eq!(store.commit(put()).await.is_ok(), reported, "{fault:?}");
            assert_eq!(
                store.get(TREE, b"key").await.unwrap().is_some(),
                stored,
                "{fault:?}"
            );
            assert!(store.commit(put()).await.is_ok());
        }
    }

    /// A stalled commit has no effect until it is released, and is whole then.
    #[tokio::test]
    async fn a_stall_holds_one_commit() {
        let store = FaultyStore::new(MemoryStore::new());
        let mut stall = store.stall(Call::Commit, 1);
        let held = store.commit(put());
        let test = async {
            stall.reached().await;
            assert_eq!(store.get(TREE, b"key").await.unwrap(), None);
            stall.release();
        };
        let (outcome, ()) = tokio::join!(held, test);
        outcome.unwrap();
        assert!(store.get(TREE, b"key").await.unwrap().is_some());
    }

    /// A planned health is reported until it is taken back.
    #[test]
    fn health_can_be_planned() {
        let store = FaultyStore::new(MemoryStore::new());
        store.set_health(Some(Health::LowSpace { free: 1 }));
        assert_eq!(store.health(), Health::LowSpace { free: 1 });
        store.set_health(None);
        assert_eq!(store.health(), Health::Writable);
    }

    fn put() -> Batch {
        Batch::new().put(TREE, b"key", b"value")
    }

    const TREE: Tree = Tree::new("tree");
}
