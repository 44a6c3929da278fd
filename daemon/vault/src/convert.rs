//! Between the records of the domain and their messages on disk: one file per message, both directions.
//!
//! What comes from disk was authenticated before, but it may be from another version: an unknown enum value, a name that
//! doesn't parse or a field that is missing is an error, never a guess.

use std::time::Duration;

use prost::Message;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use bindery_core::{
    audit::AuditHead,
    delivery::{Delivery, DeliveryHead, DeliveryMark},
    event::{Consumer, Event, EventHead},
    flow::Flow,
    hook::{Hook, HookPlace, HookSecrets, KnownRefs},
    host::{Host, HostSecrets},
    lease::{Lease, LeaseToken},
    link::{Grant, Link},
    name::InvalidName,
    namespace::Namespace,
    port::{Record, RequestMemory},
    receipt::Receipt,
    refresh::Intent,
    rotation::HookRotation,
    source::Source,
    time::Timestamp,
    trigger::{Outgoing, OverlappingSecret, Subscription, Trigger, TriggerPlace},
};

use crate::kind::Kind;

mod audit;
mod change;
mod delivery;
mod event;
mod flow;
mod grant;
mod hook;
mod hook_secrets;
mod host;
mod host_secrets;
mod intent;
mod lease;
mod link;
mod namespace;
mod receipt;
mod refs;
mod request;
mod rotation;
mod seen;
mod source;
mod subscription;
mod trigger;

/// A message that is no record of this version.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a record's {0} can't be read; it was written by another version: install that one")]
pub(crate) struct Unreadable(&'static str);

/// A record that can be written to disk.
trait Stored: Sized {
    /// Its message.
    type Message: Message + Default;

    fn write(&self) -> Self::Message;

    fn read(message: Self::Message) -> Result<Self, Unreadable>;

    /// Wipes the secrets of a message.
    fn wipe(_message: &mut Self::Message) {}
}

/// The bytes of a record, to be sealed.
pub(crate) fn encode(record: &Record) -> Zeroizing<Vec<u8>> {
    match record {
        Record::Host(record) => bytes(record),
        Record::HostSecrets(record) => bytes(record),
        Record::Namespace(record) => bytes(record),
        Record::Link(record) => bytes(record),
        Record::Grant(record) => bytes(record),
        Record::Flow(record) => bytes(record),
        Record::Intent(record) => bytes(record),
        Record::Receipt(record) => bytes(record),
        Record::Request(record) => bytes(record),
        Record::PendingGrant(record) => bytes(record),
        Record::Lease(record) => bytes(record),
        Record::LeaseToken(record) => bytes(record),
        Record::Source(record) => bytes(record),
        Record::Hook(record) => bytes(record),
        Record::HookSecrets(record) => bytes(record),
        Record::HookPlace(record) => bytes(record),
        Record::KnownRefs(record) => bytes(record),
        Record::Delivery(record) => bytes(record),
        Record::DeliveryMark(record) => bytes(record),
        Record::DeliveryHead(record) => bytes(record),
        Record::Event(record) => bytes(record),
        Record::EventHead(record) => bytes(record),
        Record::Consumer(record) => bytes(record),
        Record::Trigger(record) => bytes(record),
        Record::TriggerSecret(record) => bytes(record),
        Record::TriggerPlace(record) => bytes(record),
        Record::Subscription(record) => bytes(record),
        Record::SubscriptionSecret(record) => bytes(record),
        Record::Outgoing(record) => bytes(record),
        Record::HookRotation(record) => bytes(record),
        Record::AuditHead(record) => bytes(record),
    }
}

/// The record in opened bytes.
pub(crate) fn decode(kind: Kind, bytes: &[u8]) -> Result<Record, Unreadable> {
    Ok(match kind {
        Kind::Host => Record::Host(record::<Host>(bytes)?),
        Kind::HostSecrets => Record::HostSecrets(record::<HostSecrets>(bytes)?),
        Kind::Namespace => Record::Namespace(record::<Namespace>(bytes)?),
        Kind::Link => Record::Link(record::<Link>(bytes)?),
        Kind::Grant => Record::Grant(record::<Grant>(bytes)?),
        Kind::Flow => Record::Flow(record::<Flow>(bytes)?),
        Kind::Intent => Record::Intent(record::<Intent>(bytes)?),
        Kind::Receipt => Record::Receipt(record::<Receipt>(bytes)?),
        Kind::Request => Record::Request(record::<RequestMemory>(bytes)?),
        Kind::PendingGrant => Record::PendingGrant(record::<Grant>(bytes)?),
        Kind::Lease => Record::Lease(record::<Lease>(bytes)?),
        Kind::LeaseToken => Record::LeaseToken(record::<LeaseToken>(bytes)?),
        Kind::Source => Record::Source(record::<Source>(bytes)?),
        Kind::Hook => Record::Hook(record::<Hook>(bytes)?),
        Kind::HookSecrets => Record::HookSecrets(record::<HookSecrets>(bytes)?),
        Kind::HookPlace => Record::HookPlace(record::<HookPlace>(bytes)?),
        Kind::KnownRefs => Record::KnownRefs(record::<KnownRefs>(bytes)?),
        Kind::Delivery => Record::Delivery(record::<Delivery>(bytes)?),
        Kind::DeliveryMark => Record::DeliveryMark(record::<DeliveryMark>(bytes)?),
        Kind::DeliveryHead => Record::DeliveryHead(record::<DeliveryHead>(bytes)?),
        Kind::Event => Record::Event(record::<Event>(bytes)?),
        Kind::EventHead => Record::EventHead(record::<EventHead>(bytes)?),
        Kind::Consumer => Record::Consumer(record::<Consumer>(bytes)?),
        Kind::Trigger => Record::Trigger(record::<Trigger>(bytes)?),
        Kind::TriggerSecret => Record::TriggerSecret(record::<OverlappingSecret>(bytes)?),
        Kind::TriggerPlace => Record::TriggerPlace(record::<TriggerPlace>(bytes)?),
        Kind::Subscription => Record::Subscription(record::<Subscription>(bytes)?),
        Kind::SubscriptionSecret => Record::SubscriptionSecret(record::<OverlappingSecret>(bytes)?),
        Kind::Outgoing => Record::Outgoing(record::<Outgoing>(bytes)?),
        Kind::HookRotation => Record::HookRotation(record::<HookRotation>(bytes)?),
        Kind::AuditHead => Record::AuditHead(record::<AuditHead>(bytes)?),
    })
}

fn bytes<T: Stored>(record: &T) -> Zeroizing<Vec<u8>> {
    let mut message = record.write();
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(message.encoded_len()));
    message.encode_raw(&mut *bytes);
    T::wipe(&mut message);
    bytes
}

fn record<T: Stored>(bytes: &[u8]) -> Result<T, Unreadable> {
    let message = T::Message::decode(bytes).map_err(|_| Unreadable("encoding"))?;
    T::read(message)
}

/// Parses a name.
fn name<T>(
    parse: impl FnOnce(&str) -> Result<T, InvalidName>,
    text: &str,
    what: &'static str,
) -> Result<T, Unreadable> {
    parse(text).map_err(|_| Unreadable(what))
}

/// A digest of 32 bytes.
fn digest(bytes: &[u8], what: &'static str) -> Result<[u8; 32], Unreadable> {
    bytes.try_into().map_err(|_| Unreadable(what))
}

/// Each of many.
fn each<T, U>(
    messages: impl IntoIterator<Item = T>,
    read: impl FnMut(T) -> Result<U, Unreadable>,
) -> Result<Vec<U>, Unreadable> {
    messages.into_iter().map(read).collect()
}

fn duration(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn time(ms: Option<u64>) -> Option<Timestamp> {
    ms.map(Timestamp::from_unix_ms)
}

fn ms(time: Option<Timestamp>) -> Option<u64> {
    time.map(Timestamp::unix_ms)
}

fn wipe_all<'a>(texts: impl IntoIterator<Item = &'a mut String>) {
    texts.into_iter().for_each(Zeroize::zeroize);
}

#[cfg(test)]
mod tests;
