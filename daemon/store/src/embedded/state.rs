//! What the store remembers about its own health.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use tracing::error;

use crate::embedded::{ballast, folder};
use crate::{Health, StoreError};

/// Shared by the store and its committer.
#[derive(Debug)]
pub(super) struct State {
    pub(super) batches: AtomicU64,
    pub(super) syncs: AtomicU64,
    folder: PathBuf,
    free_floor: u64,
    // Set once, by the first error; only a restart clears it.
    failed: OnceLock<String>,
}

impl State {
    pub(super) fn new(folder: &Path, free_floor: u64) -> Self {
        Self {
            batches: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            folder: folder.to_owned(),
            free_floor,
            failed: OnceLock::new(),
        }
    }

    /// Makes the store read-only. The first reason stays.
    pub(super) fn fail(&self, reason: &str) {
        if self.failed.set(reason.to_owned()).is_ok() {
            error!(
                reason,
                "The store is read-only from now on: repair the cause and restart"
            );
            folder::mark_failed(&self.folder);
        }
    }

    /// Makes the store read-only because of what a write or a sync answered.
    pub(super) fn fail_with(&self, error: &StoreError) {
        let StoreError::Io(source) = error else {
            return self.fail(&error.to_string());
        };
        if is_full(source.kind()) && ballast::release(&self.folder) {
            error!("The disk is full: released the ballast so that the store can be opened again");
        }
        self.fail(&format!("the first i/o error was: {}", source.kind()));
    }

    /// A store that is opened anew after a failure is as read-only as before.
    pub(super) fn stay_failed(&self, reason: &str) {
        _ = self.failed.set(reason.to_owned());
        folder::mark_failed(&self.folder);
    }

    /// Refuses if the store is read-only.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.failed.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::ReadOnly {
                reason: reason.clone(),
            }),
        }
    }

    pub(super) fn health(&self) -> Health {
        if let Some(reason) = self.failed.get() {
            return Health::ReadOnly {
                reason: reason.clone(),
            };
        }
        // A file system that can't say how full it is counts as full: old tokens go on, nothing new is taken on.
        match folder::free_space(&self.folder).unwrap_or(0) {
            free if free < self.free_floor => Health::LowSpace { free },
            _ => Health::Writable,
        }
    }
}

/// Whether an error says that there is no room.
pub(super) fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
