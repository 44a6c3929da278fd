//! [`HookSecrets`] and [`OverlappingSecret`].

use bindery_core::{
    hook::HookSecrets, secret::Secret, time::Timestamp, trigger::OverlappingSecret,
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, wipe_all};

impl Stored for HookSecrets {
    type Message = disk::HookSecrets;

    fn write(&self) -> disk::HookSecrets {
        let (previous, previous_until_ms) = write_previous(self.previous.as_ref());
        disk::HookSecrets {
            current: self.current.expose().to_owned(),
            previous,
            previous_until_ms,
            next: self.next.as_ref().map(|next| next.expose().to_owned()),
        }
    }

    fn read(message: disk::HookSecrets) -> Result<Self, Unreadable> {
        // Secrets first: whatever is wrong afterwards, they are wiped.
        let (current, previous) = (
            Secret::new(message.current),
            message.previous.map(Secret::new),
        );
        let next = message.next.map(Secret::new);
        Ok(Self {
            current,
            previous: read_previous(previous, message.previous_until_ms)?,
            next,
        })
    }

    fn wipe(message: &mut disk::HookSecrets) {
        wipe_all([&mut message.current]);
        wipe_all(message.previous.iter_mut().chain(&mut message.next));
    }
}

impl Stored for OverlappingSecret {
    type Message = disk::OverlappingSecret;

    fn write(&self) -> disk::OverlappingSecret {
        let (previous, previous_until_ms) = write_previous(self.previous.first());
        let older = self.previous.iter().skip(1);
        disk::OverlappingSecret {
            current: self.current.expose().to_owned(),
            previous,
            previous_until_ms,
            older: older.map(write_old).collect(),
        }
    }

    fn read(message: disk::OverlappingSecret) -> Result<Self, Unreadable> {
        let (current, previous) = (
            Secret::new(message.current),
            message.previous.map(Secret::new),
        );
        let older: Vec<_> = message.older.into_iter().map(read_old).collect();
        let newest = read_previous(previous, message.previous_until_ms)?;
        Ok(Self {
            current,
            previous: newest.into_iter().chain(older).collect(),
        })
    }

    fn wipe(message: &mut disk::OverlappingSecret) {
        wipe_all([&mut message.current]);
        wipe_all(&mut message.previous);
        wipe_all(message.older.iter_mut().map(|old| &mut old.secret));
    }
}

fn write_old((secret, until): &(Secret, Timestamp)) -> disk::OldSecret {
    disk::OldSecret {
        secret: secret.expose().to_owned(),
        until_ms: until.unix_ms(),
    }
}

fn read_old(old: disk::OldSecret) -> (Secret, Timestamp) {
    let until = Timestamp::from_unix_ms(old.until_ms);
    (Secret::new(old.secret), until)
}

fn write_previous(previous: Option<&(Secret, Timestamp)>) -> (Option<String>, Option<u64>) {
    previous
        .map(|(secret, until)| (secret.expose().to_owned(), until.unix_ms()))
        .unzip()
}

fn read_previous(
    secret: Option<Secret>,
    until_ms: Option<u64>,
) -> Result<Option<(Secret, Timestamp)>, Unreadable> {
    match (secret, until_ms) {
        (Some(secret), Some(until)) => Ok(Some((secret, Timestamp::from_unix_ms(until)))),
        (None, None) => Ok(None),
        // A secret without an end would be good for ever.
        _ => Err(Unreadable("end of a secret")),
    }
}
