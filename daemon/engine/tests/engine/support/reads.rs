//! What is read of a vault, noted.

use std::sync::{Arc, Mutex};

use bindery_core::port::{
    BoxFuture, Change, Entry, Key, Listing, Page, Record, Vault, VaultError, VaultHealth,
};
use bindery_vault::SealedVault;

/// A vault that notes what is read of it.
pub(crate) struct Reads {
    vault: Arc<SealedVault>,
    noted: Mutex<Vec<String>>,
}

impl Reads {
    pub(crate) fn over(vault: &Arc<SealedVault>) -> Arc<Self> {
        Arc::new(Self {
            vault: Arc::clone(vault),
            noted: Mutex::default(),
        })
    }

    /// How much was read since this was last asked.
    pub(crate) fn count(&self) -> usize {
        std::mem::take(&mut *self.noted.lock().expect("lock")).len()
    }

    /// As [`Self::count`], of records and pages whose kinds begin so.
    pub(crate) fn count_of(&self, kind: &str) -> usize {
        let noted = std::mem::take(&mut *self.noted.lock().expect("lock"));
        noted.iter().filter(|one| one.starts_with(kind)).count()
    }

    fn note(&self, what: String) {
        self.noted.lock().expect("lock").push(what);
    }
}

impl Vault for Reads {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry<Record>>, VaultError>> {
        self.note(format!("get {key:?}"));
        self.vault.get(key)
    }

    fn page<'a>(
        &'a self,
        listing: &'a Listing,
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, VaultError>> {
        self.note(format!("page {listing:?}"));
        self.vault.page(listing, after, limit)
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), VaultError>> {
        self.vault.commit(changes)
    }

    fn health(&self) -> VaultHealth {
        self.vault.health()
    }
}
