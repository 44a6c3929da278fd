//! All keys of an open vault, derived from the root key.

use ring::{error::Unspecified, hmac};

use crate::{crypto::Key, ring::KeyRing};

/// Keys of an open vault. Dropping them seals it.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) store_id: [u8; 16],
    pub(crate) root: Key,
    pub(crate) ring: KeyRing,
    /// Seals the key ring.
    pub(crate) kek: Key,
    /// Seals the manifest.
    pub(crate) manifest: Key,
    /// Makes a record's mark in the manifest.
    pub(crate) marks: hmac::Key,
    /// Makes store keys and bindings.
    pub(crate) index: hmac::Key,
    /// Authenticates the high-water mark.
    pub(crate) highwater: hmac::Key,
}

impl Keys {
    pub(crate) fn new(store_id: [u8; 16], root: Key, ring: KeyRing) -> Result<Self, Unspecified> {
        Ok(Self {
            store_id,
            kek: kek(&root)?,
            manifest: root.derive("bindery/manifest/v1")?,
            marks: root.derive_mac("bindery/marks/v1")?,
            index: root.derive_mac("bindery/index/v1")?,
            highwater: root.derive_mac("bindery/highwater/v1")?,
            root,
            ring,
        })
    }

    /// The same keys with another ring.
    pub(crate) fn with_ring(&self, ring: KeyRing) -> Result<Self, Unspecified> {
        Self::new(self.store_id, self.root.clone(), ring)
    }
}

/// The key that seals the key ring.
pub(crate) fn kek(root: &Key) -> Result<Key, Unspecified> {
    root.derive("bindery/kek/v1")
}

/// The key that authenticates the header.
pub(crate) fn header_mac(root: &Key) -> Result<hmac::Key, Unspecified> {
    root.derive_mac("bindery/header/v1")
}
