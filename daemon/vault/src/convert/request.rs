//! [`RequestMemory`].

use bindery_core::{port::RequestMemory, time::Timestamp};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, digest};

impl Stored for RequestMemory {
    type Message = disk::RequestMemory;

    fn write(&self) -> disk::RequestMemory {
        disk::RequestMemory {
            key: self.key.clone(),
            request_digest: self.request_digest.to_vec(),
            resource: self.resource.clone(),
            expires_ms: self.expires.unix_ms(),
        }
    }

    fn read(message: disk::RequestMemory) -> Result<Self, Unreadable> {
        Ok(Self {
            request_digest: digest(&message.request_digest, "request digest")?,
            key: message.key,
            resource: message.resource,
            expires: Timestamp::from_unix_ms(message.expires_ms),
        })
    }
}
