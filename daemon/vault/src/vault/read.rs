//! Reading: the store keeps it, the asker says what it must be.

use std::sync::Arc;

use bindery_core::port::{Entry, Key, Listing, Page, Record, VaultError};

use crate::{
    address::{Address, Place},
    convert,
    error::of_store,
    keys::Keys,
    kind::Kind,
    recent::Value,
};

use super::Inner;

impl Inner {
    pub(super) async fn get(&self, key: &Key) -> Result<Option<Entry<Record>>, VaultError> {
        let address = self.keys()?.address(key);
        let Some(mut value) = self.value(&address.place).await? else {
            return Ok(None);
        };
        // Asked for only now: an epoch may have begun since, and this value may be sealed under it.
        let mut keys = self.keys()?;
        if !keys.know(&value) {
            // It was sealed again since it was read, and the key of its epoch destroyed.
            let Some(again) = self.value(&address.place).await? else {
                return Ok(None);
            };
            (value, keys) = (again, self.keys()?);
        }
        open(&keys, &address, &value).map(Some)
    }

    pub(super) async fn page(
        &self,
        listing: &Listing,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, VaultError> {
        let (kind, prefix) = self.keys()?.range(listing);
        let limit = limit.clamp(1, kind.at_once());
        let (mut found, mut keys) = self.found(kind, &prefix, after, limit + 1).await?;
        if !found.iter().all(|(_, value)| keys.know(value)) {
            // As in `get`.
            (found, keys) = self.found(kind, &prefix, after, limit + 1).await?;
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(key, _)| key.clone());
        let entries = found
            .iter()
            .map(|(key, value)| listed(&keys, kind, key, value));
        Ok(Page {
            entries: entries.collect::<Result<_, _>>()?,
            next,
        })
    }

    /// Entries of the store, and keys that are at least as new.
    async fn found(
        &self,
        kind: Kind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(bindery_store::Page, Arc<Keys>), VaultError> {
        let found = self.store.page(kind.tree(), prefix, after, limit).await;
        Ok((found.map_err(|error| of_store(&error))?, self.keys()?))
    }

    /// The durable sealed value.
    async fn value(&self, place: &Place) -> Result<Value, VaultError> {
        let stamp = match self.recent.look(place) {
            Ok(value) => return Ok(value),
            Err(stamp) => stamp,
        };
        let found = self.store.get(place.kind.tree(), &place.key).await;
        let value: Value = found.map_err(|error| of_store(&error))?.map(Arc::from);
        self.recent.keep(place, stamp, value.clone());
        Ok(value)
    }
}

/// Opens a record at a place that the store named. What it says of itself must lead back to that place.
pub(super) fn listed(
    keys: &Keys,
    kind: Kind,
    key: &[u8],
    value: &[u8],
) -> Result<Entry<Record>, VaultError> {
    let key = key.try_into().map_err(|_| VaultError::Tampered)?;
    let place = Place { kind, key };
    let address = Address {
        place,
        binding: [0; 16],
    };
    let entry = open(keys, &address, value)?;
    if keys.own_place(&entry.record) != Some(place) {
        return Err(VaultError::Tampered);
    }
    Ok(entry)
}

fn open(keys: &Keys, address: &Address, value: &[u8]) -> Result<Entry<Record>, VaultError> {
    let (version, plaintext) = keys.open_record(address, value)?;
    let record = convert::decode(address.place.kind, &plaintext)?;
    Ok(Entry { record, version })
}
