//! [`AuditHead`].

use bindery_core::{
    audit::{AuditHead, AuditMark},
    secret::Secret,
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, digest, wipe_all};

impl Stored for AuditHead {
    type Message = disk::AuditHead;

    fn write(&self) -> disk::AuditHead {
        disk::AuditHead {
            key: self.key.expose().to_owned(),
            last: Some(write_mark(self.last)),
            before: Some(write_mark(self.before)),
        }
    }

    fn read(message: disk::AuditHead) -> Result<Self, Unreadable> {
        let key = Secret::new(message.key);
        Ok(Self {
            key,
            last: read_mark(message.last)?,
            before: read_mark(message.before)?,
        })
    }

    fn wipe(message: &mut disk::AuditHead) {
        wipe_all([&mut message.key]);
    }
}

fn write_mark(mark: AuditMark) -> disk::AuditMark {
    disk::AuditMark {
        sequence: mark.sequence,
        chain: mark.chain.to_vec(),
    }
}

fn read_mark(message: Option<disk::AuditMark>) -> Result<AuditMark, Unreadable> {
    let message = message.ok_or(Unreadable("mark of the audit log"))?;
    Ok(AuditMark {
        sequence: message.sequence,
        chain: digest(&message.chain, "mark of the audit log")?,
    })
}
