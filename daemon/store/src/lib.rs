//! Opaque bytes, kept: the store behind Bindery.
//!
//! What is stored here is sealed by the vault before it arrives, so nothing in this crate knows a record, a name or a
//! key. It promises three things only: pages in key order, batches that happen whole or not at all, and that an
//! acknowledged batch is still there after a crash or a power cut.
//!
//! | Module | What it holds |
//! |---|---|
//! | `batch` | [`Tree`], [`Batch`] and what may be in one |
//! | `error` | [`StoreError`] and [`OpenError`] |
//! | `memory` | [`MemoryStore`], for tests and throw-away daemons |
//! | `faulty` | [`FaultyStore`], which breaks another store on purpose |
//! | `embedded` | [`SledStore`], the store on disk |
//! | `swap` | [`SwapStore`], which is exchanged for a copy of itself |
//! | `conformance` | the contract as functions, behind the feature of that name |
//!
//! The trait stays at what sled and etcd have in common: ordered pages and compare-and-swap batches.

#![forbid(unsafe_code)]

use std::pin::Pin;

pub use crate::batch::{Batch, Expect, Operation, Tree, Write};
pub use crate::embedded::{SledConfig, SledStore, Statistics};
pub use crate::error::{OpenError, StoreError};
pub use crate::faulty::{Call, Fault, FaultyStore, Stall};
pub use crate::memory::MemoryStore;
pub use crate::swap::{Exchanged, SwapStore};

mod batch;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod embedded;
mod error;
mod faulty;
mod memory;
mod swap;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keys and values, one after the other.
pub type Page = Vec<(Vec<u8>, Vec<u8>)>;

/// Where sealed bytes are kept.
///
/// A read sees every batch that was acknowledged before it began. It may also see a batch that is applied and still on
/// its way to the disk: whoever must act on durable state only waits for the commit itself.
pub trait Store: Send + Sync + 'static {
    /// Reads one value.
    ///
    /// # Errors
    /// When the store can't be read; an absent key is `None`, not an error.
    fn get<'a>(
        &'a self,
        tree: Tree,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>>;

    /// Reads up to `limit` entries whose keys start with `prefix`, in key order, strictly after `after`.
    ///
    /// One page shows every batch whole or not at all; two pages may have a batch between them.
    ///
    /// # Errors
    /// When the store can't be read.
    fn page<'a>(
        &'a self,
        tree: Tree,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, StoreError>>;

    /// Applies a batch whole or not at all, and resolves once it is durable.
    ///
    /// Batches take effect in the order of the calls. A batch that the store took in is committed even if the future
    /// is dropped; only a future dropped while the store's queue is full was not taken in.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::InvalidBatch`] and [`StoreError::ReadOnly`] say that nothing was
    /// written. After any other error the outcome is unknown: read before you decide.
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Says whether the store takes writes, without waiting for anything.
    fn health(&self) -> Health;
}

/// Whether a store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// All is well.
    Writable,
    /// Reads go on, every commit is refused until the store is opened again.
    ReadOnly {
        /// What happened, for the operator.
        reason: String,
    },
    /// Writes still work, but there is little room: take on nothing new.
    LowSpace {
        /// Bytes that are left on the file system.
        free: u64,
    },
}
