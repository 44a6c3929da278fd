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
            app_private_key: text(self.app_private_key.as_ref()),
            client_key: text(self.client_key.as_ref()),
            proxy_password: text(self.proxy_password.as_ref()),
        }
    }

    fn read(message: disk::HostSecrets) -> Result<Self, Unreadable> {
        let secrets = message.client_secrets.into_iter();
        Ok(Self {
            client_secrets: secrets.map(Secret::new).collect(),
            app_private_key: message.app_private_key.map(Secret::new),
            client_key: message.client_key.map(Secret::new),
            proxy_password: message.proxy_password.map(Secret::new),
        })
    }

    fn wipe(message: &mut disk::HostSecrets) {
        wipe_all(&mut message.client_secrets);
        wipe_all(&mut message.app_private_key);
        wipe_all(&mut message.client_key);
        wipe_all(&mut message.proxy_password);
    }
}

fn text(secret: Option<&Secret>) -> Option<String> {
    secret.map(|secret| secret.expose().to_owned())
}
