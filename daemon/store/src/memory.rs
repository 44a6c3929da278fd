//! A store that lives as long as its process: for tests and throw-away daemons.

use std::collections::BTreeMap;
use std::future::ready;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use crate::{Batch, BoxFuture, Health, Operation, Page, Store, StoreError, Tree, Write};

/// Keeps everything in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: RwLock<Entries>,
}

type Entries = BTreeMap<(Tree, Vec<u8>), Vec<u8>>;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self, tree: Tree, key: &[u8]) -> Option<Vec<u8>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(&(tree, key.to_vec())).cloned()
    }

    fn list(&self, tree: Tree, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Page {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded((tree, after.to_vec())),
            _ => Bound::Included((tree, prefix.to_vec())),
        };
        entries
            .range((from, Bound::Unbounded))
            .take_while(|((at, key), _)| *at == tree && key.starts_with(prefix))
            .take(limit)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        batch.check()?;
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for (index, operation) in batch.operations.iter().enumerate() {
            let current = entries.get(&(operation.tree, operation.key.clone()));
            if !operation.expect.holds(current.map(Vec::as_slice)) {
                return Err(StoreError::Conflict { index });
            }
        }
        for Operation {
            tree, key, write, ..
        } in batch.operations
        {
            match write {
                Write::Put(value) => _ = entries.insert((tree, key), value),
                Write::Delete => _ = entries.remove(&(tree, key)),
                Write::Keep => {}
            }
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn get<'a>(
        &'a self,
        tree: Tree,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(ready(Ok(self.read(tree, key))))
    }

    fn page<'a>(
        &'a self,
        tree: Tree,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(ready(Ok(self.list(tree, prefix, after, limit))))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(ready(self.apply(batch)))
    }

    fn health(&self) -> Health {
        Health::Writable
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryStore;
    use crate::conformance;

    /// The store in memory keeps the contract.
    #[tokio::test]
    async fn memory_store_conforms() {
        conformance::all(MemoryStore::new).await;
    }
}
