//! What the store should hold, sealed and written with every change.
//!
//! The set of all records is one number: the XOR of each record's *mark*, a MAC of tree, key and value. It is encrypted
//! and not only authenticated: whoever saw it change could find records whose roll-backs cancel each other out.

use ring::digest;

use bindery_store::{Store, StoreError, Tree};

use crate::{crypto::mac_parts, keys::Keys, kind::Kind};

/// Which records there are, and how often that changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Manifest {
    /// Raised by every commit.
    pub(crate) generation: u64,
    /// How many records there are.
    pub(crate) count: u64,
    /// XOR of the marks of all records.
    pub(crate) set: [u8; 32],
}

impl Manifest {
    pub(crate) fn add(&mut self, mark: [u8; 32]) {
        self.count = self.count.wrapping_add(1);
        self.toggle(mark);
    }

    pub(crate) fn remove(&mut self, mark: [u8; 32]) {
        self.count = self.count.wrapping_sub(1);
        self.toggle(mark);
    }

    fn toggle(&mut self, mark: [u8; 32]) {
        for (byte, other) in self.set.iter_mut().zip(mark) {
            *byte ^= other;
        }
    }

    /// Computes count and set from the records themselves.
    pub(crate) async fn recompute(store: &dyn Store, keys: &Keys) -> Result<Self, StoreError> {
        let mut found = Self::default();
        for kind in Kind::ALL.iter().copied() {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let page = store
                    .page(kind.tree(), b"", after.as_deref(), kind.at_once())
                    .await?;
                for (key, value) in &page {
                    found.add(keys.mark(kind, key, value));
                }
                match page.into_iter().last() {
                    Some((last, _)) => after = Some(last),
                    None => break,
                }
            }
        }
        Ok(found)
    }
}

impl Keys {
    /// What a record adds to the set.
    pub(crate) fn mark(&self, kind: Kind, key: &[u8], value: &[u8]) -> [u8; 32] {
        let value = digest::digest(&digest::SHA256, value);
        let tree = kind.tree().name().as_bytes();
        mac_parts(&self.marks, &[tree, key, value.as_ref()])
    }

    /// The value to store.
    pub(crate) fn seal_manifest(&self, manifest: &Manifest) -> Option<Vec<u8>> {
        let mut plaintext = Vec::with_capacity(48);
        plaintext.extend_from_slice(&manifest.generation.to_be_bytes());
        plaintext.extend_from_slice(&manifest.count.to_be_bytes());
        plaintext.extend_from_slice(&manifest.set);
        let sealed = self.manifest.seal(LABEL, &self.store_id, &plaintext).ok()?;
        Some([LEAD, &sealed].concat())
    }

    /// The manifest in a stored value; `None` when it was changed or belongs to another vault.
    pub(crate) fn open_manifest(&self, value: &[u8]) -> Option<Manifest> {
        let sealed = value.strip_prefix(LEAD)?;
        let plaintext = self.manifest.open(LABEL, &self.store_id, sealed).ok()?;
        let (generation, rest) = plaintext.split_first_chunk()?;
        let (count, set) = rest.split_first_chunk()?;
        Some(Manifest {
            generation: u64::from_be_bytes(*generation),
            count: u64::from_be_bytes(*count),
            set: set.try_into().ok()?,
        })
    }
}

/// Where the manifest is kept.
pub(crate) const TREE: Tree = Tree::new("manifest");
/// Its key.
pub(crate) const KEY: &[u8] = b"manifest";
const LABEL: &[u8] = b"bindery/manifest/v1";
const LEAD: &[u8] = b"BDYM\x01";
