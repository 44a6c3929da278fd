//! [`Event`], [`EventHead`] and [`Consumer`].

use bindery_core::{
    event::{Consumer, Event, EventHead, EventOrigin, Verdict},
    name::{ConsumerId, HostName, LinkId, NamespaceName, SourceId},
    provider::Person,
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{
    Stored, Unreadable,
    change::{read_change, write_change},
    ms, name,
    source::{read_build, write_build},
    time,
};

impl Stored for Event {
    type Message = disk::Event;

    fn write(&self) -> disk::Event {
        disk::Event {
            namespace: self.namespace.to_string(),
            sequence: self.sequence,
            link: self.link.to_string(),
            source: self.source.as_ref().map(ToString::to_string),
            host: self.host.to_string(),
            repository: self.repository.clone(),
            full_name: self.full_name.clone(),
            happened_ms: ms(self.happened),
            received_ms: self.received.unix_ms(),
            origin: write_origin(self.origin).into(),
            delivery: self.delivery,
            actor: self.actor.as_ref().map(write_person),
            change: Some(write_change(&self.change)),
            verdict: write_verdict(self.verdict).into(),
            rule: self.rule.clone(),
            build: self.build.as_ref().map(write_build),
        }
    }

    fn read(message: disk::Event) -> Result<Self, Unreadable> {
        let source = |source: &str| name(SourceId::parse, source, "source id");
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            link: name(LinkId::parse, &message.link, "link id")?,
            source: message.source.as_deref().map(source).transpose()?,
            host: name(HostName::parse, &message.host, "host")?,
            origin: read_origin(message.origin)?,
            verdict: read_verdict(message.verdict)?,
            change: read_change(message.change.ok_or(Unreadable("change"))?)?,
            sequence: message.sequence,
            repository: message.repository,
            full_name: message.full_name,
            happened: time(message.happened_ms),
            received: Timestamp::from_unix_ms(message.received_ms),
            delivery: message.delivery,
            actor: message.actor.map(read_person),
            rule: message.rule,
            build: message.build.map(read_build),
        })
    }
}

impl Stored for EventHead {
    type Message = disk::EventHead;

    fn write(&self) -> disk::EventHead {
        disk::EventHead {
            first: self.first,
            last: self.last,
            bytes: self.bytes,
            sized_from: self.sized_from,
        }
    }

    fn read(message: disk::EventHead) -> Result<Self, Unreadable> {
        // One from before it was noted says nothing about sizes that can be relied on.
        let sized = message.sized_from > 0;
        Ok(Self {
            first: message.first,
            last: message.last,
            bytes: if sized { message.bytes } else { 0 },
            sized_from: if sized {
                message.sized_from
            } else {
                message.last + 1
            },
        })
    }
}

impl Stored for Consumer {
    type Message = disk::Consumer;

    fn write(&self) -> disk::Consumer {
        disk::Consumer {
            namespace: self.namespace.to_string(),
            id: self.id.to_string(),
            acknowledged: self.acknowledged,
            started: self.started,
            sent: self.sent,
            principal: self.principal.clone(),
            active_ms: self.active.unix_ms(),
        }
    }

    fn read(message: disk::Consumer) -> Result<Self, Unreadable> {
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            id: name(ConsumerId::parse, &message.id, "consumer id")?,
            acknowledged: message.acknowledged,
            started: message.started,
            sent: message.sent,
            principal: message.principal,
            active: Timestamp::from_unix_ms(message.active_ms),
        })
    }
}

fn write_person(person: &Person) -> disk::Person {
    disk::Person {
        stable_id: person.stable_id.clone(),
        login: person.login.clone(),
        display_name: person.display_name.clone(),
    }
}

fn read_person(message: disk::Person) -> Person {
    Person {
        stable_id: message.stable_id,
        login: message.login,
        display_name: message.display_name,
    }
}

const fn write_origin(origin: EventOrigin) -> disk::EventOrigin {
    match origin {
        EventOrigin::Delivery => disk::EventOrigin::Delivery,
        EventOrigin::Redelivery => disk::EventOrigin::Redelivery,
        EventOrigin::Reconciliation => disk::EventOrigin::Reconciliation,
        EventOrigin::Trigger => disk::EventOrigin::Trigger,
        EventOrigin::Daemon => disk::EventOrigin::Daemon,
    }
}

fn read_origin(number: i32) -> Result<EventOrigin, Unreadable> {
    Ok(match disk::EventOrigin::try_from(number) {
        Ok(disk::EventOrigin::Delivery) => EventOrigin::Delivery,
        Ok(disk::EventOrigin::Redelivery) => EventOrigin::Redelivery,
        Ok(disk::EventOrigin::Reconciliation) => EventOrigin::Reconciliation,
        Ok(disk::EventOrigin::Trigger) => EventOrigin::Trigger,
        Ok(disk::EventOrigin::Daemon) => EventOrigin::Daemon,
        Ok(disk::EventOrigin::Unspecified) | Err(_) => {
            return Err(Unreadable("origin of an event"));
        }
    })
}

const fn write_verdict(verdict: Option<Verdict>) -> disk::Verdict {
    match verdict {
        None => disk::Verdict::Unspecified,
        Some(Verdict::Trigger) => disk::Verdict::Trigger,
        Some(Verdict::Excluded) => disk::Verdict::Excluded,
        Some(Verdict::Skipped) => disk::Verdict::Skipped,
        Some(Verdict::HeldBack) => disk::Verdict::HeldBack,
        Some(Verdict::Paused) => disk::Verdict::Paused,
    }
}

fn read_verdict(number: i32) -> Result<Option<Verdict>, Unreadable> {
    // None is a value here, so an unknown number must not read as that.
    Ok(match disk::Verdict::try_from(number) {
        Ok(disk::Verdict::Unspecified) => None,
        Ok(disk::Verdict::Trigger) => Some(Verdict::Trigger),
        Ok(disk::Verdict::Excluded) => Some(Verdict::Excluded),
        Ok(disk::Verdict::Skipped) => Some(Verdict::Skipped),
        Ok(disk::Verdict::HeldBack) => Some(Verdict::HeldBack),
        Ok(disk::Verdict::Paused) => Some(Verdict::Paused),
        Err(_) => return Err(Unreadable("verdict")),
    })
}
