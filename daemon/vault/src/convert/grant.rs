//! [`Grant`].

use bindery_core::{link::Grant, secret::Secret, time::Timestamp};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, ms, time, wipe_all};

impl Stored for Grant {
    type Message = disk::Grant;

    fn write(&self) -> disk::Grant {
        let refresh_token = self.refresh_token.as_ref();
        disk::Grant {
            access_token: self.access_token.expose().to_owned(),
            refresh_token: refresh_token.map(|token| token.expose().to_owned()),
            expires_ms: ms(self.expires),
            obtained_ms: self.obtained.unix_ms(),
            generation: self.generation,
        }
    }

    fn read(message: disk::Grant) -> Result<Self, Unreadable> {
        Ok(Self {
            access_token: Secret::new(message.access_token),
            refresh_token: message.refresh_token.map(Secret::new),
            expires: time(message.expires_ms),
            obtained: Timestamp::from_unix_ms(message.obtained_ms),
            generation: message.generation,
        })
    }

    fn wipe(message: &mut disk::Grant) {
        wipe_all([&mut message.access_token]);
        wipe_all(&mut message.refresh_token);
    }
}
