//! Targets of the fuzzer: each takes any bytes, and panics when a property does not hold.

use std::sync::LazyLock;

use bindery_core::{
    name::{HostName, LinkId, NamespaceName},
    origin::{Origin, OriginSet},
    port::Key as Asked,
    time::Timestamp,
};

use bindery_store_proto::v1 as disk;

use crate::{
    address::Address, convert, crypto::Key, header, keys::Keys, kind::Kind, ring::KeyRing,
};

/// A record that was changed in any way does not open, and neither do bytes that never were one (THREATS K2).
///
/// The bytes are taken as a value, and as changes to a good one: places and what is written there.
pub fn record_open(data: &[u8]) {
    let (keys, address) = &*SEALED;
    assert!(keys.open_record(address, data).is_err());
    let good = keys.seal_record(address, 3, b"a secret").expect("sealed");
    let changed = change(&good, data);
    let opened = keys.open_record(address, &changed);
    assert_eq!(opened.is_ok(), changed == good);
}

/// A copy of the header is believed only when it is what was written (THREATS K13).
pub fn seal_header(data: &[u8]) {
    let key = mac_key();
    if let Some(Ok(candidate)) = header::decode(data) {
        assert!(!candidate.is_authentic(&key));
    }
    let good = header::encode(&written(), &key);
    let changed = change(&good, data);
    if let Some(Ok(candidate)) = header::decode(&changed) {
        assert_eq!(candidate.is_authentic(&key), changed == good);
    }
}

/// What is read as a record of any kind is written and read again as the same.
pub fn record(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    let kind = Kind::ALL[usize::from(*kind) % Kind::ALL.len()];
    let Ok(record) = convert::decode(kind, bytes) else {
        return;
    };
    let encoded = convert::encode(&record);
    let again = convert::decode(kind, &encoded).expect("what was written is read");
    assert_eq!(convert::encode(&again), encoded);
}

/// A backup that was changed in any way is refused, and so are bytes that never were one (THREATS K5).
pub fn backup_stream(data: &[u8]) {
    crate::backup::fuzz::backup_stream(data);
}

/// `good` with the bytes of `data` written over it, three at a time: place, place, byte. Whatever is left over is put at its end.
pub(crate) fn change(good: &[u8], data: &[u8]) -> Vec<u8> {
    let mut changed = good.to_vec();
    let (triples, rest) = data.as_chunks::<3>();
    for [high, low, byte] in triples {
        let at = usize::from(u16::from_be_bytes([*high, *low])) % good.len();
        changed[at] = *byte;
    }
    changed.extend_from_slice(rest);
    changed
}

fn written() -> disk::SealHeader {
    disk::SealHeader {
        store_id: vec![1; 16],
        generation: 7,
        sealed_ring: vec![2; 200],
        ..Default::default()
    }
}

fn mac_key() -> ring::hmac::Key {
    let key = Key::from_slice(&[7; 32]).expect("32 bytes");
    key.derive_mac("fuzz").expect("derived")
}

static SEALED: LazyLock<(Keys, Address)> = LazyLock::new(|| {
    let root = Key::from_slice(&[9; 32]).expect("32 bytes");
    let ring = KeyRing::new(Timestamp::default()).expect("ring");
    let keys = Keys::new([1; 16], root.clone(), root, ring).expect("keys");
    let asked = Asked::Grant(
        NamespaceName::parse("acme").expect("name"),
        LinkId::parse("main").expect("id"),
        HostName::parse("forge").expect("name"),
        OriginSet::new(vec![
            Origin::parse("https://forge.example").expect("origin"),
        ]),
    );
    let address = keys.address(&asked);
    (keys, address)
});

#[cfg(test)]
mod tests {
    use bindery_replay::replay;

    /// K2: whatever was changed, the record does not open.
    #[test]
    fn k2_no_input_opens_as_a_record() {
        replay("record_open", super::record_open);
    }

    /// K13: no other header than the one that was written is believed.
    #[test]
    fn k13_no_input_is_believed_as_a_header() {
        replay("seal_header", super::seal_header);
    }

    /// K5: no other backup than the one that was made is taken.
    #[test]
    fn k5_no_input_is_taken_as_a_backup() {
        replay("backup_stream", super::backup_stream);
    }

    /// What is read as a record is written as the same.
    #[test]
    fn records_are_written_as_they_were_read() {
        replay("record", super::record);
    }
}
