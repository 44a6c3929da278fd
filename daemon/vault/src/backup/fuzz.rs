//! The reader of backups as a target of the fuzzer.

use std::sync::LazyLock;

use bindery_core::{
    name::NamespaceName,
    namespace::{Namespace, NamespaceKind},
    port::{Key as Asked, Record},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;
use disk::backup_frame::Frame;
use prost::Message;

use super::{
    BackupError, BackupFacts, key,
    key::Opening,
    read::Reader,
    stream::{Lead, Sealer},
};
use crate::{
    convert,
    crypto::Key,
    fuzz::change,
    header,
    keys::{self, Keys},
    manifest::Manifest,
    ring::KeyRing,
};

/// A backup that was changed in any way is refused, and so are bytes that never were one, whatever its reader is given
/// (THREATS K5). What it says does not hang on the pieces that it comes in.
///
/// The first byte is the length of the pieces. The others are taken as a backup, as the frames of one that is sealed under
/// the right key, and as changes to a good one and to the frames of a good one.
pub(crate) fn backup_stream(data: &[u8]) {
    let Some((at_once, data)) = data.split_first() else {
        return;
    };
    let (good, at_once) = (&*GOOD, usize::from(*at_once) + 1);
    assert!(good.read(data, at_once).is_err());
    assert!(good.read(&good.sealed(data), at_once).is_err());
    let changed = change(&good.whole, data);
    let read = good.read(&changed, at_once);
    assert_eq!(read.is_ok(), changed == good.whole);
    assert_eq!(said(&read), said(&good.read(&changed, changed.len())));
    // What a damaged writer may have sealed: it is read without a panic, and holds what its manifest says.
    if let Ok(facts) = good.read(&good.sealed(&change(&good.frames, data)), at_once) {
        assert_eq!((facts.records, facts.generation), (2, 3));
    }
}

fn said(read: &Result<BackupFacts, BackupError>) -> Result<&BackupFacts, String> {
    read.as_ref().map_err(ToString::to_string)
}

/// A backup that is whole.
struct Good {
    root: Key,
    store_id: [u8; 16],
    lead: Vec<u8>,
    /// The key of its chunks.
    key: Key,
    frames: Vec<u8>,
    whole: Vec<u8>,
}

impl Good {
    /// Frames as a backup.
    fn sealed(&self, frames: &[u8]) -> Vec<u8> {
        let (lead, _) = Lead::parse(&self.lead).expect("good").expect("whole");
        let mut sealer = Sealer::new(self.key.clone(), lead.digest);
        let mut out = self.lead.clone();
        sealer.write(frames, &mut out).expect("sealed");
        sealer.finish(&mut out).expect("sealed");
        out
    }

    /// Reads bytes that come in pieces.
    fn read(&self, bytes: &[u8], at_once: usize) -> Result<BackupFacts, BackupError> {
        let short = || BackupError::Invalid("its end is missing");
        let (lead, length) = Lead::parse(bytes)?.ok_or_else(short)?;
        let mut opening = Opening::root(self.root.clone(), self.store_id);
        let key = key::find(&lead, &mut opening, None)?;
        let (first, rest) = bytes.split_at(length);
        let mut reader = Reader::new(&lead, first, key, opening);
        for piece in rest.chunks(at_once) {
            reader.push(piece)?;
        }
        reader.finish().map(|(_, facts)| facts)
    }
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let (root, store_id) = (Key::from_slice(&[9; 32]).expect("32 bytes"), [1; 16]);
    let ring = KeyRing::new(Timestamp::default()).expect("ring");
    let (kek, mac) = (keys::kek(&root), keys::header_mac(&root));
    let sealed_ring = ring.seal(&kek.expect("derived"), &store_id);
    let header = disk::SealHeader {
        store_id: store_id.to_vec(),
        generation: 7,
        sealed_ring: sealed_ring.expect("sealed"),
        ..Default::default()
    };
    let keys = Keys::new(store_id, root.clone(), root.clone(), ring).expect("keys");
    let (records, manifest) = records(&keys);
    let end = disk::BackupEnd {
        manifest: keys.seal_manifest(&manifest).expect("sealed"),
        records: manifest.count,
        generation: manifest.generation,
    };
    let frames = [
        Frame::Header(header::encode(&header, &mac.expect("derived"))),
        Frame::Records(disk::BackupRecords { records }),
        Frame::End(end),
    ];
    let (lead, key) = key::make(&root, &header, None, 1).expect("lead");
    let mut good = Good {
        root,
        store_id,
        lead: Lead::write(&lead),
        key,
        frames: frames.into_iter().flat_map(framed).collect(),
        whole: Vec::new(),
    };
    good.whole = good.sealed(&good.frames);
    good
});

/// Two records, and what a manifest says of them.
fn records(keys: &Keys) -> (Vec<disk::BackupRecord>, Manifest) {
    let mut manifest = Manifest {
        generation: 3,
        ..Manifest::default()
    };
    let records = ["acme", "umbrella"].map(|name| {
        let name = NamespaceName::parse(name).expect("name");
        let address = keys.address(&Asked::Namespace(name.clone()));
        let kind = NamespaceKind::Organization;
        let record = Record::Namespace(Namespace::new(name, kind, Timestamp::default()));
        let value = keys.seal_record(&address, 1, &convert::encode(&record));
        let (place, value) = (address.place, value.expect("sealed"));
        manifest.add(keys.mark(place.kind, &place.key, &value));
        disk::BackupRecord {
            kind: place.kind.code().into(),
            key: place.key.to_vec(),
            value: Some(value),
            replaces: None,
        }
    });
    (records.into(), manifest)
}

/// A frame behind its length.
fn framed(frame: Frame) -> Vec<u8> {
    let body = disk::BackupFrame { frame: Some(frame) }.encode_to_vec();
    let length = u32::try_from(body.len()).expect("short");
    [&length.to_be_bytes(), body.as_slice()].concat()
}
