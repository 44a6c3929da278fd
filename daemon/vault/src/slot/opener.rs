//! Opening slots with what somebody brought, and putting another root key into them.

use blahaj::Share;
use prost::Message;
use zeroize::Zeroizing;

use bindery_core::secret::Secret;
use bindery_store_proto::v1 as disk;

use super::{KeyBytes, SlotError, Unlock, aad, file, key_from, passphrase, shares};
use crate::{
    crypto::{self, Key},
    keys::Keys,
};

/// Something that opens slots, read once and tried on each of them.
pub(crate) enum Opener {
    Material(Zeroizing<Vec<u8>>),
    Passphrase(Secret),
    Shares(Vec<Share>),
}

impl Opener {
    /// Reads what somebody brought.
    pub(crate) fn read(unlock: &Unlock, store_id: &[u8; 16]) -> Result<Self, SlotError> {
        Ok(match unlock {
            Unlock::KeyFile(path) => Self::Material(file::read_key_file(path)?),
            Unlock::Credential(path) => Self::Material(file::read_credential(path)?),
            Unlock::Passphrase(text) => Self::Passphrase(text.duplicate()),
            Unlock::Shares(given) => {
                let given: Vec<&Secret> = given.iter().collect();
                Self::Shares(shares::collect(&given, Some(store_id))?)
            }
            Unlock::Key(KeyBytes(bytes)) => Self::Material(bytes.clone()),
        })
    }

    /// The root key, if this slot is opened by it.
    pub(crate) fn open(
        &self,
        slot: &disk::Slot,
        store_id: &[u8; 16],
    ) -> Result<Option<Key>, SlotError> {
        let Some(key) = self.key(slot)? else {
            return Ok(None);
        };
        let Ok(nonce) = slot.nonce.as_slice().try_into() else {
            return Ok(None);
        };
        let opened = key.unwrap(nonce, &aad(slot, store_id), &slot.wrapped);
        Ok(opened.and_then(|root| Key::from_slice(&root)).ok())
    }

    /// The slot with another root key in it.
    fn wrap(&self, slot: &disk::Slot, keys: &Keys) -> Result<disk::Slot, SlotError> {
        let mut slot = slot.clone();
        let parameters = disk::SlotParameters::decode(slot.parameters.as_slice());
        let mut parameters = parameters.map_err(|_| SlotError::Crypto)?;
        parameters.salt = crypto::random::<32>()?.to_vec();
        slot.parameters = parameters.encode_to_vec();
        let key = self.key(&slot)?.ok_or(SlotError::Crypto)?;
        let nonce = crypto::random()?;
        slot.nonce = nonce.to_vec();
        slot.wrapped = key.wrap(nonce, &aad(&slot, &keys.store_id), keys.root.expose())?;
        Ok(slot)
    }

    /// The key that this makes for a slot; `None` where the slot is of another kind.
    fn key(&self, slot: &disk::Slot) -> Result<Option<Key>, SlotError> {
        let Ok(parameters) = disk::SlotParameters::decode(slot.parameters.as_slice()) else {
            return Ok(None);
        };
        Ok(Some(match (self, slot.kind()) {
            // The same bytes may come as a file today and as a credential tomorrow.
            (Self::Material(bytes), disk::SlotKind::KeyFile | disk::SlotKind::Credential) => {
                key_from(&parameters, bytes)?
            }
            (Self::Passphrase(text), disk::SlotKind::Passphrase) => {
                passphrase::key(text, &parameters)?
            }
            (Self::Shares(given), disk::SlotKind::Recovery) => {
                let needed = u8::try_from(parameters.threshold).unwrap_or(shares::MOST);
                let secret = shares::join(given, needed.max(shares::THRESHOLD))?;
                key_from(&parameters, secret.expose())?
            }
            _ => return Ok(None),
        }))
    }
}

/// The root key, if anything that was brought opens any of these slots.
pub(crate) fn open_any(
    slots: &[disk::Slot],
    store_id: &[u8; 16],
    unlock: &[Unlock],
) -> Result<Option<Key>, SlotError> {
    let mut unusable = None;
    for given in unlock {
        let opener = match Opener::read(given, store_id) {
            Ok(opener) => opener,
            Err(error) => {
                unusable = unusable.or(Some(error));
                continue;
            }
        };
        for slot in slots {
            if let Some(root) = opener.open(slot, store_id)? {
                return Ok(Some(root));
            }
        }
    }
    unusable.map_or(Ok(None), Err)
}

/// The slot with another root key in it, if one of `openers` opens it; its salt is new as well.
pub(crate) fn rewrap(
    slot: &disk::Slot,
    openers: &[Opener],
    old: &Keys,
    new: &Keys,
) -> Result<Option<disk::Slot>, SlotError> {
    for opener in openers {
        if opener
            .open(slot, &old.store_id)
            .is_ok_and(|root| root.as_ref() == Some(&old.root))
        {
            return opener.wrap(slot, new).map(Some);
        }
    }
    Ok(None)
}
