//! A new slot before anybody has decided about the store.

use crate::{
    error::ChangeError,
    header, keys,
    slot::{self, NewSlot, PreparedSlot, Unlock},
};

use super::{MOST_SLOTS, SealedVault, open::unlock_header};

impl SealedVault {
    /// Adds a slot by what opens another one. The vault stays sealed, and nothing but its header is read or written: so a
    /// key file that was lost is replaced also where the store was rolled back, which somebody accepts later.
    ///
    /// # Errors
    ///
    /// Nothing fits, the two copies of the header differ (an exchange of the root key was cut off, which only opening the
    /// store settles), the slot can't be made, there are too many, or the header can't be written.
    pub async fn recover_slot(&self, unlock: Vec<Unlock>, new: NewSlot) -> Result<(), ChangeError> {
        let mut writer = self.inner.writer.lock().await;
        let folder = self.inner.folder.clone();
        let adding = tokio::task::spawn_blocking(move || {
            let unlocked = unlock_header(&folder, &unlock)?;
            if unlocked.uneven {
                return Err(ChangeError::NotDurable);
            }
            let mut header = unlocked.header;
            if header.slots.len() >= MOST_SLOTS {
                return Err(ChangeError::TooManySlots);
            }
            let id = slot::next_number(&header).ok_or(ChangeError::NumbersUsedUp)?;
            let slot = PreparedSlot::new(new, id, &unlocked.store_id, &unlocked.root)?;
            if !slot.is_confirmed() {
                return Err(ChangeError::SharesNotConfirmed);
            }
            slot.settle()?;
            header.last_slot = slot.record.id;
            header.slots.push(slot.record);
            header.generation += 1;
            header::write(&folder, &header, &keys::header_mac(&unlocked.root)?)?;
            Ok(header)
        });
        writer.header = adding.await.map_err(|_| ChangeError::Crypto)??;
        Ok(())
    }
}
