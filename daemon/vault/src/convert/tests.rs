//! Every record goes to its message and back, and mangled bytes never become one by accident.

use std::{any::type_name, collections::BTreeSet};

use bindery_core::{
    name::{HookId, HostName, LinkId, NamespaceName, SourceId, TriggerId},
    secret::Secret,
    source::SourceName,
};
use bindery_store_proto::v1 as disk;
use proptest::prelude::*;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use super::*;

mod audit;
mod deliveries;
mod events;
mod flows;
mod hooks;
mod hosts;
mod leases;
mod links;
mod places;
mod sources;
mod triggers;

/// Every record comes back as it was, with every field set and with every field at its least.
#[test]
fn records_come_back() {
    for record in samples() {
        let encoded = encode(&record);
        let back = decode(Kind::of(&record), &encoded).unwrap();
        // `Debug` shows all fields but the secrets; the encoding shows those.
        assert_eq!(format!("{back:?}"), format!("{record:?}"));
        assert_eq!(encode(&back).as_slice(), encoded.as_slice());
    }
}

/// No kind is left out of these tests.
#[test]
fn every_kind_has_a_sample() {
    let sampled: BTreeSet<_> = samples()
        .iter()
        .map(|record| Kind::of(record).code())
        .collect();
    let all: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
    assert_eq!(sampled, all);
}

/// L1: no message that holds a secret prints it.
#[test]
fn l1_messages_print_no_secret() {
    for printed in [
        format!("{:?}", links::full_grant().write()),
        format!("{:?}", flows::full_flow().write()),
        format!("{:?}", hosts::full_host_secrets().write()),
        format!("{:?}", leases::lease_token().write()),
        format!("{:?}", hooks::full_secrets().write()),
        format!("{:?}", triggers::full_secret().write()),
        format!("{:?}", audit::head().write()),
    ] {
        assert!(!printed.contains("CANARY"), "{printed}");
        assert!(printed.contains("redacted"));
    }
}

/// L1: once a message is encoded, nothing of its secrets is left in it.
#[test]
fn l1_messages_are_wiped() {
    assert_wiped(&links::full_grant());
    assert_wiped(&flows::full_flow());
    assert_wiped(&hosts::full_host_secrets());
    assert_wiped(&leases::lease_token());
    assert_wiped(&hooks::full_secrets());
    assert_wiped(&triggers::full_secret());
    assert_wiped(&audit::head());
}

fn assert_wiped<T: Stored>(record: &T) {
    let mut message = record.write();
    assert!(holds_canary(&message));
    T::wipe(&mut message);
    assert!(!holds_canary(&message), "{}", type_name::<T>());
}

fn holds_canary(message: &impl Message) -> bool {
    message
        .encode_to_vec()
        .windows(6)
        .any(|part| part == b"CANARY")
}

proptest! {
    /// Whatever the bytes, decoding answers and never panics.
    #[test]
    fn mangled_bytes_never_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        change in 1u8..,
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let all = samples();
        let record = &all[which.index(all.len())];
        let kind = Kind::of(record);
        let mut bytes = encode(record).to_vec();
        if !bytes.is_empty() {
            _ = decode(kind, &bytes[..cut.index(bytes.len())]);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        _ = decode(kind, &bytes);
        for kind in Kind::ALL.iter().copied() {
            _ = decode(kind, &noise);
            _ = decode(kind, &bytes);
        }
    }
}

fn samples() -> Vec<Record> {
    [
        hosts::samples(),
        links::samples(),
        flows::samples(),
        leases::samples(),
        sources::samples(),
        hooks::samples(),
        deliveries::samples(),
        events::samples(),
        triggers::samples(),
        audit::samples(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// That `full` has fields 1 to `count` in its message, none of them at its default: those are not encoded.
fn assert_full<T: Stored>(full: &T, count: u32) {
    let bytes = full.write().encode_to_vec();
    assert_eq!(
        fields(&bytes),
        (1..=count).collect(),
        "{}",
        type_name::<T>()
    );
}

/// Numbers of the fields that are encoded.
fn fields(mut bytes: &[u8]) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    while !bytes.is_empty() {
        let (number, wire) = decode_key(&mut bytes).unwrap();
        found.insert(number);
        skip_field(wire, number, &mut bytes, DecodeContext::default()).unwrap();
    }
    found
}

fn canary() -> Secret {
    Secret::new("CANARY-5ecret".to_owned())
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn host_name() -> HostName {
    HostName::parse("forge.example").unwrap()
}

fn namespace_name() -> NamespaceName {
    NamespaceName::parse("acme").unwrap()
}

fn link_id() -> LinkId {
    LinkId::parse("l1").unwrap()
}

fn source_id() -> SourceId {
    SourceId::parse("s1").unwrap()
}

fn hook_id() -> HookId {
    HookId::parse("h1").unwrap()
}

fn trigger_id() -> TriggerId {
    TriggerId::parse("t1").unwrap()
}

fn source_name() -> SourceName {
    SourceName {
        namespace: namespace_name(),
        link: link_id(),
        source: source_id(),
    }
}
