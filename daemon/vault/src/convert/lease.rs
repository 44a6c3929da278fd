//! [`Lease`] and [`LeaseToken`].

use bindery_core::{
    lease::{Access, Lease, LeaseToken},
    name::{LeaseId, LinkId, NamespaceName},
    secret::Secret,
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, ms, name, time, wipe_all};

impl Stored for Lease {
    type Message = disk::Lease;

    fn write(&self) -> disk::Lease {
        let access = match self.access {
            Access::Read => disk::Access::Read,
            Access::ReadWrite => disk::Access::ReadWrite,
        };
        disk::Lease {
            namespace: self.namespace.to_string(),
            id: self.id.to_string(),
            link: self.link.to_string(),
            repository: self.repository.clone(),
            access: access.into(),
            narrowed: self.narrowed,
            minted: self.minted,
            holder: self.holder.clone(),
            created_ms: self.created.unix_ms(),
            expires_ms: ms(self.expires),
            revoked_ms: ms(self.revoked),
        }
    }

    fn read(message: disk::Lease) -> Result<Self, Unreadable> {
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            id: name(LeaseId::parse, &message.id, "lease id")?,
            link: name(LinkId::parse, &message.link, "link id")?,
            access: match message.access() {
                disk::Access::Read => Access::Read,
                disk::Access::ReadWrite => Access::ReadWrite,
                disk::Access::Unspecified => return Err(Unreadable("access")),
            },
            repository: message.repository,
            narrowed: message.narrowed,
            minted: message.minted,
            holder: message.holder,
            created: Timestamp::from_unix_ms(message.created_ms),
            expires: time(message.expires_ms),
            revoked: time(message.revoked_ms),
        })
    }
}

impl Stored for LeaseToken {
    type Message = disk::LeaseToken;

    fn write(&self) -> disk::LeaseToken {
        disk::LeaseToken {
            token: self.token.expose().to_owned(),
            expires_ms: self.expires.unix_ms(),
        }
    }

    fn read(message: disk::LeaseToken) -> Result<Self, Unreadable> {
        Ok(Self {
            token: Secret::new(message.token),
            expires: Timestamp::from_unix_ms(message.expires_ms),
        })
    }

    fn wipe(message: &mut disk::LeaseToken) {
        wipe_all([&mut message.token]);
    }
}
