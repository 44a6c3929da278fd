//! [`Trigger`] and [`TriggerPlace`].

use bindery_core::{
    name::{LinkId, NamespaceName, SourceId, TriggerId},
    time::Timestamp,
    trigger::{Trigger, TriggerPlace},
};
use bindery_store_proto::v1 as disk;

use super::{
    Stored, Unreadable, ms, name,
    source::{read_source_name, write_source_name},
    time,
};

impl Stored for Trigger {
    type Message = disk::Trigger;

    fn write(&self) -> disk::Trigger {
        disk::Trigger {
            namespace: self.namespace.to_string(),
            link: self.link.to_string(),
            source: self.source.to_string(),
            id: self.id.to_string(),
            place: self.place.clone(),
            display_name: self.display_name.clone(),
            default_ref: self.default_ref.clone(),
            disabled: self.disabled,
            token_created_ms: self.token_created.unix_ms(),
            previous_token_until_ms: ms(self.previous_token_until),
            fired_ms: ms(self.fired),
            created_ms: self.created.unix_ms(),
        }
    }

    fn read(message: disk::Trigger) -> Result<Self, Unreadable> {
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            link: name(LinkId::parse, &message.link, "link id")?,
            source: name(SourceId::parse, &message.source, "source id")?,
            id: name(TriggerId::parse, &message.id, "trigger id")?,
            place: message.place,
            display_name: message.display_name,
            default_ref: message.default_ref,
            disabled: message.disabled,
            token_created: Timestamp::from_unix_ms(message.token_created_ms),
            previous_token_until: time(message.previous_token_until_ms),
            fired: time(message.fired_ms),
            created: Timestamp::from_unix_ms(message.created_ms),
        })
    }
}

impl Stored for TriggerPlace {
    type Message = disk::TriggerPlace;

    fn write(&self) -> disk::TriggerPlace {
        disk::TriggerPlace {
            place: self.place.clone(),
            source: Some(write_source_name(&self.source)),
            trigger: self.trigger.to_string(),
        }
    }

    fn read(message: disk::TriggerPlace) -> Result<Self, Unreadable> {
        Ok(Self {
            source: read_source_name(message.source.ok_or(Unreadable("source"))?)?,
            trigger: name(TriggerId::parse, &message.trigger, "trigger id")?,
            place: message.place,
        })
    }
}
