//! The stream: what is cut, moved, repeated or changed does not open.

use super::{
    BackupError,
    stream::{CHUNK, Lead, Opener, Sealer},
};
use crate::crypto::Key;
use bindery_store_proto::v1 as disk;

fn lead() -> Lead {
    let bytes = Lead::write(&disk::BackupLead {
        store_id: vec![7; 16],
        created_ms: 1,
        ..Default::default()
    });
    Lead::parse(&bytes).unwrap().unwrap().0
}

fn seal(key: &Key, lead: &Lead, plaintext: &[u8], at_once: usize) -> Vec<u8> {
    let mut sealer = Sealer::new(key.clone(), lead.digest);
    let mut out = Vec::new();
    for piece in plaintext.chunks(at_once) {
        sealer.write(piece, &mut out).unwrap();
    }
    sealer.finish(&mut out).unwrap();
    out
}

/// What opens of a stream that comes in pieces, if its end is there.
fn open(key: &Key, lead: &Lead, sealed: &[u8], at_once: usize) -> Result<Vec<u8>, BackupError> {
    let mut opener = Opener::new(key.clone(), lead.digest);
    let mut out = Vec::new();
    for piece in sealed.chunks(at_once) {
        opener.push(piece, &mut out)?;
    }
    if opener.is_done() {
        Ok(out)
    } else {
        Err(BackupError::Invalid("its end is missing"))
    }
}

/// The chunks of a sealed stream.
fn chunks(mut sealed: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while !sealed.is_empty() {
        let length = u32::from_be_bytes(sealed[1..5].try_into().unwrap()) as usize;
        let (chunk, rest) = sealed.split_at(5 + length);
        all.push(chunk.to_vec());
        sealed = rest;
    }
    all
}

/// Every length comes back, however it is cut on the way in and out.
#[test]
fn streams_of_every_length_come_back() {
    let (key, lead) = (Key::random().unwrap(), lead());
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7] {
        let plaintext: Vec<u8> = (0..=250).cycle().take(length).collect();
        for at_once in [CHUNK / 3, CHUNK, 4 * CHUNK] {
            let sealed = seal(&key, &lead, &plaintext, at_once);
            let found = open(&key, &lead, &sealed, at_once + 11).unwrap();
            assert!(found == plaintext, "{length} bytes, {at_once} at once");
        }
    }
}

/// K5: chunks that are left out, repeated, exchanged, cut, or taken from another backup are refused.
#[test]
fn k5_moved_chunks_do_not_open() {
    let (key, lead) = (Key::random().unwrap(), lead());
    let plaintext = vec![5; 3 * CHUNK + 100];
    let sealed = seal(&key, &lead, &plaintext, CHUNK);
    let good = chunks(&sealed);
    assert_eq!(good.len(), 4);
    let refused = |chunks: &[Vec<u8>], what: &str| {
        assert!(
            open(&key, &lead, &chunks.concat(), CHUNK).is_err(),
            "{what}"
        );
    };
    for at in 0..good.len() {
        let mut without = good.clone();
        without.remove(at);
        refused(&without, "left out");
        let mut twice = good.clone();
        twice.insert(at, good[at].clone());
        refused(&twice, "repeated");
        for other in 0..at {
            let mut exchanged = good.clone();
            exchanged.swap(at, other);
            refused(&exchanged, "exchanged");
        }
        let mut early = good[..=at].to_vec();
        early[at][0] = 1;
        if at < 3 {
            refused(&early, "ended early");
        }
        let mut cut = good.clone();
        cut[at].pop();
        refused(&cut, "cut");
    }
    let foreign = chunks(&seal(&Key::random().unwrap(), &lead, &plaintext, CHUNK));
    let mut mixed = good.clone();
    mixed[1].clone_from(&foreign[1]);
    refused(&mixed, "of another backup");
    let other_lead = Lead::write(&disk::BackupLead {
        store_id: vec![7; 16],
        created_ms: 2,
        ..Default::default()
    });
    let other_lead = Lead::parse(&other_lead).unwrap().unwrap().0;
    assert!(
        open(&key, &other_lead, &sealed, CHUNK).is_err(),
        "another lead"
    );
    let mut longer = sealed.clone();
    longer.push(0);
    assert!(open(&key, &lead, &longer, CHUNK).is_err(), "more");
}

/// Whatever the first bytes are, reading a lead is an error or waits for more; it never panics and never takes much.
#[test]
fn leads_of_any_bytes_are_errors() {
    let good = Lead::write(&disk::BackupLead {
        store_id: vec![7; 16],
        ..Default::default()
    });
    for length in 0..good.len() {
        assert!(Lead::parse(&good[..length]).unwrap().is_none());
    }
    let mut long = good.clone();
    long[5..9].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(Lead::parse(&long).is_err());
    let mut other = good.clone();
    other[4] = 2;
    assert!(Lead::parse(&other).is_err(), "a format of the future");
    assert!(Lead::parse(b"age-encryption.org/v1").is_err());
}
