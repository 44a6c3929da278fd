//! All keys of an open vault, derived from the root key.

use ring::{error::Unspecified, hmac};

use crate::{crypto::Key, ring::KeyRing};

/// Keys of an open vault. Dropping them seals it.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) store_id: [u8; 16],
    pub(crate) root: Key,
    /// What does not change with the root key is derived from this one.
    pub(crate) base: Key,
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
    pub(crate) fn new(
        store_id: [u8; 16],
        root: Key,
        base: Key,
        ring: KeyRing,
    ) -> Result<Self, Unspecified> {
        Ok(Self {
            store_id,
            kek: kek(&root)?,
            manifest: base.derive("bindery/manifest/v1")?,
            marks: base.derive_mac("bindery/marks/v1")?,
            index: base.derive_mac("bindery/index/v1")?,
            highwater: base.derive_mac("bindery/highwater/v1")?,
            root,
            base,
            ring,
        })
    }

    /// The same keys with another ring.
    pub(crate) fn with_ring(&self, ring: KeyRing) -> Result<Self, Unspecified> {
        Self::new(self.store_id, self.root.clone(), self.base.clone(), ring)
    }
}

/// The key that seals the key ring.
pub(crate) fn kek(root: &Key) -> Result<Key, Unspecified> {
    root.derive("bindery/kek/v1")
}

/// Seals the base key for the header.
pub(crate) fn seal_base(
    root: &Key,
    store_id: &[u8; 16],
    base: &Key,
) -> Result<Vec<u8>, Unspecified> {
    let key = root.derive("bindery/base/v1")?;
    key.seal(BASE, store_id, base.expose())
}

/// The base key of a header. Older vaults have none beside their root key.
pub(crate) fn open_base(
    root: &Key,
    store_id: &[u8; 16],
    sealed: &[u8],
) -> Result<Key, Unspecified> {
    if sealed.is_empty() {
        return Ok(root.clone());
    }
    let key = root.derive("bindery/base/v1")?;
    Key::from_slice(&key.open(BASE, store_id, sealed)?)
}

const BASE: &[u8] = b"bindery/base/v1";

/// The key that authenticates the header.
pub(crate) fn header_mac(root: &Key) -> Result<hmac::Key, Unspecified> {
    root.derive_mac("bindery/header/v1")
}
