//! [`Delivery`], [`DeliveryMark`] and [`DeliveryHead`].

use bindery_core::{
    delivery::{Delivery, DeliveryHead, DeliveryMark, DeliveryState},
    name::{HookId, NamespaceName},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, digest, each, name};

impl Stored for Delivery {
    type Message = disk::Delivery;

    fn write(&self) -> disk::Delivery {
        disk::Delivery {
            number: self.number,
            hook: self.hook.to_string(),
            stable_id: self.stable_id.clone(),
            event: self.event.clone(),
            headers: self.headers.iter().map(write_header).collect(),
            body: self.body.clone(),
            received_ms: self.received.unix_ms(),
            redelivered: self.redelivered,
            state: write_state(self.state).into(),
            message: self.message.clone(),
            events: self.events.iter().map(write_event).collect(),
            marks: self.marks.iter().map(|mark| mark.to_vec()).collect(),
            about: self
                .about
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }

    fn read(message: disk::Delivery) -> Result<Self, Unreadable> {
        let header = |header: disk::Header| (header.name, header.value);
        Ok(Self {
            hook: name(HookId::parse, &message.hook, "hook id")?,
            state: read_state(message.state)?,
            number: message.number,
            stable_id: message.stable_id,
            event: message.event,
            headers: message.headers.into_iter().map(header).collect(),
            body: message.body,
            received: Timestamp::from_unix_ms(message.received_ms),
            redelivered: message.redelivered,
            message: message.message,
            events: each(message.events, read_event)?,
            marks: each(message.marks, |mark| digest(&mark, "mark"))?,
            about: match message.about.as_str() {
                "" => None,
                id => Some(name(HookId::parse, id, "hook id")?),
            },
        })
    }
}

impl Stored for DeliveryMark {
    type Message = disk::DeliveryMark;

    fn write(&self) -> disk::DeliveryMark {
        disk::DeliveryMark {
            hook: self.hook.to_string(),
            digest: self.digest.to_vec(),
            number: self.number,
        }
    }

    fn read(message: disk::DeliveryMark) -> Result<Self, Unreadable> {
        Ok(Self {
            hook: name(HookId::parse, &message.hook, "hook id")?,
            digest: digest(&message.digest, "mark")?,
            number: message.number,
        })
    }
}

impl Stored for DeliveryHead {
    type Message = disk::DeliveryHead;

    fn write(&self) -> disk::DeliveryHead {
        disk::DeliveryHead {
            reserved: self.reserved,
            processed: self.processed,
            first: self.first,
        }
    }

    fn read(message: disk::DeliveryHead) -> Result<Self, Unreadable> {
        Ok(Self {
            reserved: message.reserved,
            processed: message.processed,
            first: message.first,
        })
    }
}

fn write_header((name, value): &(String, String)) -> disk::Header {
    disk::Header {
        name: name.clone(),
        value: value.clone(),
    }
}

fn write_event((namespace, sequence): &(NamespaceName, u64)) -> disk::EventNumber {
    disk::EventNumber {
        namespace: namespace.to_string(),
        sequence: *sequence,
    }
}

fn read_event(message: disk::EventNumber) -> Result<(NamespaceName, u64), Unreadable> {
    let namespace = name(NamespaceName::parse, &message.namespace, "namespace")?;
    Ok((namespace, message.sequence))
}

const fn write_state(state: DeliveryState) -> disk::DeliveryState {
    match state {
        DeliveryState::Stored => disk::DeliveryState::Stored,
        DeliveryState::Processed => disk::DeliveryState::Processed,
        DeliveryState::Ignored => disk::DeliveryState::Ignored,
        DeliveryState::Duplicate => disk::DeliveryState::Duplicate,
        DeliveryState::Unparsed => disk::DeliveryState::Unparsed,
    }
}

fn read_state(number: i32) -> Result<DeliveryState, Unreadable> {
    Ok(match disk::DeliveryState::try_from(number) {
        Ok(disk::DeliveryState::Stored) => DeliveryState::Stored,
        Ok(disk::DeliveryState::Processed) => DeliveryState::Processed,
        Ok(disk::DeliveryState::Ignored) => DeliveryState::Ignored,
        Ok(disk::DeliveryState::Duplicate) => DeliveryState::Duplicate,
        Ok(disk::DeliveryState::Unparsed) => DeliveryState::Unparsed,
        Ok(disk::DeliveryState::Unspecified) | Err(_) => {
            return Err(Unreadable("state of a delivery"));
        }
    })
}
