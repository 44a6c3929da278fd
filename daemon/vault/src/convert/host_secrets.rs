//! [`HostSecrets`].

use bindery_core::{host::HostSecrets, secret::Secret};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, wipe_all};

impl Stored for HostSecrets {
    type Message = disk::HostSecrets;

    fn write(&self) -> disk::HostSecrets {
        let secrets = self.client_secrets.iter();
        disk::HostSecrets {
            client_secrets: secrets.map(|secret| secret.expose().to_owned()).collect(),
        }
    }

    fn read(message: disk::HostSecrets) -> Result<Self, Unreadable> {
        let secrets = message.client_secrets.into_iter();
        Ok(Self {
            client_secrets: secrets.map(Secret::new).collect(),
        })
    }

    fn wipe(message: &mut disk::HostSecrets) {
        wipe_all(&mut message.client_secrets);
    }
}
