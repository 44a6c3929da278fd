//! The key of a backup.

use bindery_core::secret::Secret;
use bindery_store_proto::v1 as disk;

use super::{BackupError, stream::Lead};
use crate::{
    crypto::{self, Key},
    slot::{self, PassphraseCost, Unlock},
};

/// What gives the root key that a backup's records are sealed under.
#[derive(Debug)]
pub struct Opening(pub(super) Source);

#[derive(Debug)]
pub(super) enum Source {
    /// The root key itself, and the store that it belongs to.
    Root(Key, [u8; 16]),
    /// Whatever opens one of the slots that were there when the backup was made.
    Unlock(Vec<Unlock>),
}

impl Opening {
    /// Something for the slots that the vault had when the backup was made.
    #[must_use]
    pub const fn slots(unlock: Vec<Unlock>) -> Self {
        Self(Source::Unlock(unlock))
    }

    pub(crate) const fn root(root: Key, store_id: [u8; 16]) -> Self {
        Self(Source::Root(root, store_id))
    }

    /// The root key, from slots if need be. Blocks for a second where that takes a passphrase.
    pub(super) fn root_of(
        &mut self,
        slots: &[disk::Slot],
        store_id: &[u8; 16],
    ) -> Result<Key, BackupError> {
        let root = match &self.0 {
            Source::Root(root, own) if own == store_id => return Ok(root.clone()),
            Source::Root(..) => return Err(BackupError::Key(FOREIGN)),
            Source::Unlock(unlock) => slot::open_any(slots, store_id, unlock)?,
        };
        let root = root.ok_or(BackupError::Key("nothing that was given opens its slots"))?;
        // The next header of the same backup has the same root key.
        self.0 = Source::Root(root.clone(), *store_id);
        Ok(root)
    }
}

/// A new lead, and the key that goes with it.
pub(super) fn make(
    root: &Key,
    header: &disk::SealHeader,
    passphrase: Option<(&Secret, PassphraseCost)>,
    created_ms: u64,
) -> Result<(disk::BackupLead, Key), BackupError> {
    let salt = crypto::random::<32>()?.to_vec();
    let mut lead = disk::BackupLead {
        store_id: header.store_id.clone(),
        created_ms,
        salt: salt.clone(),
        ..Default::default()
    };
    if let Some((text, cost)) = passphrase {
        let parameters = slot::passphrase_parameters(text, salt, cost)?;
        lead.passphrase = Some(parameters);
    } else {
        lead.slots.clone_from(&header.slots);
    }
    let key = derive(&lead, Some(root), passphrase.map(|(text, _)| text))?;
    Ok((lead, key))
}

/// The key of a backup with this lead. Blocks for a second where that takes a passphrase.
pub(super) fn find(
    lead: &Lead,
    opening: &mut Opening,
    passphrase: Option<&Secret>,
) -> Result<Key, BackupError> {
    let message = &lead.message;
    match (&message.passphrase, passphrase) {
        (Some(_), None) => Err(BackupError::Key("it was sealed with a passphrase; give it")),
        (None, Some(_)) => Err(BackupError::Key(
            "it was sealed without a passphrase; give none",
        )),
        (Some(_), Some(_)) => derive(message, None, passphrase),
        (None, None) => {
            let root = opening.root_of(&message.slots, &lead.store_id)?;
            derive(message, Some(&root), None)
        }
    }
}

fn derive(
    lead: &disk::BackupLead,
    root: Option<&Key>,
    passphrase: Option<&Secret>,
) -> Result<Key, BackupError> {
    let material = match (&lead.passphrase, passphrase, root) {
        (Some(parameters), Some(text), _) => slot::passphrase_key(text, parameters)?,
        (None, _, Some(root)) => root.clone(),
        _ => return Err(BackupError::Crypto),
    };
    Ok(Key::from_material(&lead.salt, material.expose(), LABEL)?)
}

const FOREIGN: &str =
    "it is of another store; restore it with binderyd restore, where its slots are";
const LABEL: &[u8] = b"bindery/backup/v1";
