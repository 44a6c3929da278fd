//! Slots and checking: what is done to a vault, not with it.

use bindery_core::time::Timestamp;
use bindery_store_proto::v1 as disk;

use crate::{
    error::{ChangeError, OpenError},
    header::{self, HeaderError},
    keys,
    slot::{self, NewSlot, PreparedSlot, SlotInfo},
};

use super::{Inner, MOST_SLOTS, Opened, SealedVault, Writer};

impl SealedVault {
    /// The slots.
    pub async fn list_slots(&self) -> Vec<SlotInfo> {
        slot::list(&self.inner.writer.lock().await.header)
    }

    /// Makes a slot, to be handed to [`Self::add_slot`]; its shares must be confirmed before.
    ///
    /// # Errors
    ///
    /// The vault is sealed, or the slot can't be made.
    pub async fn prepare_slot(&self, new: NewSlot) -> Result<PreparedSlot, ChangeError> {
        let writer = self.inner.writer.lock().await;
        let keys = self.inner.keys().map_err(|_| ChangeError::Sealed)?;
        let id = slot::next_number(&writer.header).ok_or(ChangeError::NumbersUsedUp)?;
        drop(writer);
        // A passphrase takes a second of computing.
        let making = tokio::task::spawn_blocking(move || {
            PreparedSlot::new(new, id, &keys.store_id, &keys.root)
        });
        Ok(making.await.map_err(|_| ChangeError::Crypto)??)
    }

    /// Adds a slot: from then on it opens the vault.
    ///
    /// # Errors
    ///
    /// Its shares are not confirmed, there are too many, or the header can't be written.
    pub async fn add_slot(&self, slot: PreparedSlot) -> Result<(), ChangeError> {
        let mut writer = self.inner.writer.lock().await;
        let opened = self.inner.opened().map_err(|_| ChangeError::Sealed)?;
        if !slot.is_confirmed() {
            return Err(ChangeError::SharesNotConfirmed);
        }
        if writer.header.slots.len() >= MOST_SLOTS {
            return Err(ChangeError::TooManySlots);
        }
        // A slot that came in between may be gone again, and its number is not given twice.
        if slot.record.id <= slot::last_number(&writer.header) {
            return Err(ChangeError::Overtaken);
        }
        slot.settle()?;
        let mut header = writer.header.clone();
        header.last_slot = slot.record.id;
        header.slots.push(slot.record);
        let kinds = slot::list(&header).into_iter().map(|slot| slot.kind);
        header.development &= !slot::suffice(kinds);
        self.inner.write_header(&mut writer, &opened, header).await
    }

    /// Notes that a slot opened the vault by hand, or was verified.
    ///
    /// # Errors
    ///
    /// The vault is sealed, there is no such slot, or the header can't be written.
    pub async fn note_verified(&self, id: u8, now: Timestamp) -> Result<(), ChangeError> {
        let mut writer = self.inner.writer.lock().await;
        let opened = self.inner.opened().map_err(|_| ChangeError::Sealed)?;
        let mut header = writer.header.clone();
        let mut slots = header.slots.iter_mut();
        let slot = slots.find(|slot| slot.id == u32::from(id));
        slot.ok_or(ChangeError::NoSlot(id))?.verified_ms = now.unix_ms();
        self.inner.write_header(&mut writer, &opened, header).await
    }

    /// Removes a slot: from then on it opens nothing. Its key file, if any, stays where it is.
    ///
    /// # Errors
    ///
    /// There is no such slot, too few would be left, or the header can't be written.
    pub async fn remove_slot(&self, id: u8) -> Result<(), ChangeError> {
        let mut writer = self.inner.writer.lock().await;
        let opened = self.inner.opened().map_err(|_| ChangeError::Sealed)?;
        let mut header = writer.header.clone();
        header.last_slot = slot::last_number(&header);
        header.slots.retain(|slot| slot.id != u32::from(id));
        if header.slots.len() == writer.header.slots.len() {
            return Err(ChangeError::NoSlot(id));
        }
        let kinds = slot::list(&header).into_iter().map(|slot| slot.kind);
        let sufficient = slot::suffice(kinds) || header.development && !header.slots.is_empty();
        if !sufficient {
            return Err(ChangeError::TooFewSlots);
        }
        self.inner.write_header(&mut writer, &opened, header).await
    }

    /// Compares the whole store with its manifest, as opening does. Commits wait meanwhile.
    ///
    /// # Errors
    ///
    /// The store is not what it should be, or can't be read.
    pub async fn verify(&self) -> Result<(), OpenError> {
        let mut writer = self.inner.writer.lock().await;
        self.inner.drain().await;
        let keys = self.inner.keys().map_err(|_| OpenError::Sealed)?;
        let refreshed = self.inner.refresh(&mut writer).await;
        refreshed.map_err(|_| OpenError::Tampered)?;
        let (found, _) = self.inner.check(&keys).await?;
        let known = writer.manifest.generation;
        if found.generation < known {
            let found = found.generation;
            return Err(OpenError::RolledBack { found, known });
        }
        if found == writer.manifest {
            Ok(())
        } else {
            Err(OpenError::Tampered)
        }
    }
}

impl Inner {
    /// Writes both copies, reads them back, and only then believes them.
    pub(super) async fn write_header(
        &self,
        writer: &mut Writer,
        opened: &Opened,
        mut header: disk::SealHeader,
    ) -> Result<(), ChangeError> {
        header.generation += 1;
        // A failure may leave one copy with this number, so the next attempt takes a higher one.
        writer.header.generation = header.generation;
        let mac = keys::header_mac(&opened.keys.root)?;
        let (folder, written) = (self.folder.clone(), header.clone());
        let task = tokio::task::spawn_blocking(move || {
            header::write(&folder, &written, &mac)?;
            let found = header::read(&folder)?;
            let same = !found.uneven
                && found
                    .candidates
                    .iter()
                    .all(|candidate| candidate.header == written && candidate.is_authentic(&mac));
            Ok::<_, HeaderError>(same)
        });
        if !task.await.map_err(|_| ChangeError::Crypto)?? {
            return Err(ChangeError::NotDurable);
        }
        writer.header = header;
        Ok(())
    }
}
