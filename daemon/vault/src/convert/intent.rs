//! [`Intent`].

use bindery_core::{
    name::{LinkId, NamespaceName},
    refresh::Intent,
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, ms, name, time};

impl Stored for Intent {
    type Message = disk::Intent;

    fn write(&self) -> disk::Intent {
        disk::Intent {
            namespace: self.namespace.to_string(),
            link: self.link.to_string(),
            generation: self.generation,
            started_ms: self.started.unix_ms(),
            in_flight: self.in_flight,
            lost: self.lost,
            suspect_ms: ms(self.suspect),
            failures: self.failures,
            not_before_ms: self.not_before.unix_ms(),
            restored: self.restored,
        }
    }

    fn read(message: disk::Intent) -> Result<Self, Unreadable> {
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            link: name(LinkId::parse, &message.link, "link id")?,
            generation: message.generation,
            started: Timestamp::from_unix_ms(message.started_ms),
            in_flight: message.in_flight,
            lost: message.lost,
            suspect: time(message.suspect_ms),
            failures: message.failures,
            not_before: Timestamp::from_unix_ms(message.not_before_ms),
            restored: message.restored,
        })
    }
}
