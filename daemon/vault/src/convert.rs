//! Between the records of the domain and their messages on disk: one file per message, both directions.
//!
//! What comes from disk was authenticated before, but it may be from another version: an unknown enum value, a name that
//! doesn't parse or a field that is missing is an error, never a guess.

use prost::Message;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use bindery_core::{
    flow::Flow,
    host::{Host, HostSecrets},
    lease::{Lease, LeaseToken},
    link::{Grant, Link},
    name::InvalidName,
    namespace::Namespace,
    port::{Record, RequestMemory},
    receipt::Receipt,
    refresh::Intent,
    time::Timestamp,
};

use crate::address::Kind;

mod flow;
mod grant;
mod host;
mod host_secrets;
mod intent;
mod lease;
mod link;
mod namespace;
mod receipt;
mod request;
mod seen;

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
