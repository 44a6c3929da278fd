//! [`Subscription`] and [`Outgoing`].

use bindery_core::{
    name::{NamespaceName, SubscriptionId},
    time::Timestamp,
    trigger::{Outgoing, Subscription},
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, ms, name, time};

impl Stored for Subscription {
    type Message = disk::Subscription;

    fn write(&self) -> disk::Subscription {
        disk::Subscription {
            namespace: self.namespace.to_string(),
            id: self.id.to_string(),
            display_name: self.display_name.clone(),
            endpoint_uri: self.endpoint_uri.clone(),
            filter: self.filter.clone(),
            include_payload: self.include_payload,
            payload_for: self.payload_for.clone(),
            paused: self.paused,
            secret_created_ms: self.secret_created.unix_ms(),
            previous_secret_until_ms: ms(self.previous_secret_until),
            taken: self.taken,
            delivered: self.delivered,
            dead_letters: self.dead_letters,
            succeeded_ms: ms(self.succeeded),
            failed_ms: ms(self.failed),
            failure: self.failure.clone(),
            created_ms: self.created.unix_ms(),
            updated_ms: self.updated.unix_ms(),
        }
    }

    fn read(message: disk::Subscription) -> Result<Self, Unreadable> {
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            id: name(SubscriptionId::parse, &message.id, "subscription id")?,
            display_name: message.display_name,
            endpoint_uri: message.endpoint_uri,
            filter: message.filter,
            include_payload: message.include_payload,
            payload_for: message.payload_for,
            paused: message.paused,
            secret_created: Timestamp::from_unix_ms(message.secret_created_ms),
            previous_secret_until: time(message.previous_secret_until_ms),
            taken: message.taken,
            delivered: message.delivered,
            dead_letters: message.dead_letters,
            succeeded: time(message.succeeded_ms),
            failed: time(message.failed_ms),
            failure: message.failure,
            created: Timestamp::from_unix_ms(message.created_ms),
            updated: Timestamp::from_unix_ms(message.updated_ms),
        })
    }
}

impl Stored for Outgoing {
    type Message = disk::Outgoing;

    fn write(&self) -> disk::Outgoing {
        disk::Outgoing {
            namespace: self.namespace.to_string(),
            subscription: self.subscription.to_string(),
            sequence: self.sequence,
            attempts: self.attempts,
            next_ms: ms(self.next),
            tried_ms: self.tried.unix_ms(),
            status: self.status.into(),
            message: self.message.clone(),
        }
    }

    fn read(message: disk::Outgoing) -> Result<Self, Unreadable> {
        let status = u16::try_from(message.status);
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            subscription: name(
                SubscriptionId::parse,
                &message.subscription,
                "subscription id",
            )?,
            status: status.map_err(|_| Unreadable("status"))?,
            sequence: message.sequence,
            attempts: message.attempts,
            next: time(message.next_ms),
            tried: Timestamp::from_unix_ms(message.tried_ms),
            message: message.message,
        })
    }
}
