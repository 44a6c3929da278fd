//! [`KnownRefs`].

use bindery_core::hook::{KnownRef, KnownRefs};
use bindery_store_proto::v1 as disk;

use super::{
    Stored, Unreadable,
    change::{read_repository, write_repository},
};

impl Stored for KnownRefs {
    type Message = disk::KnownRefs;

    fn write(&self) -> disk::KnownRefs {
        let known = |known: &KnownRef| disk::KnownRef {
            commit: known.commit.clone(),
            before: known.before.clone(),
            found: known.found.clone(),
        };
        disk::KnownRefs {
            refs: self
                .refs
                .iter()
                .map(|(name, one)| (name.clone(), known(one)))
                .collect(),
            complete: self.complete,
            changed: self.changed.as_ref().map(write_repository),
        }
    }

    fn read(message: disk::KnownRefs) -> Result<Self, Unreadable> {
        let known = |known: disk::KnownRef| KnownRef {
            commit: known.commit,
            before: known.before,
            found: known.found,
        };
        let refs = message.refs.into_iter();
        Ok(Self {
            refs: refs.map(|(name, one)| (name, known(one))).collect(),
            complete: message.complete,
            changed: message.changed.map(read_repository).transpose()?,
        })
    }
}
