//! The header of a store: two copies of slots and key ring, each checked by itself.

use std::{io, path::Path};

use prost::Message;
use ring::{digest, hmac};
use thiserror::Error;

use bindery_store_proto::v1 as disk;

use crate::files;

/// Why no copy of the header can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// There is none.
    #[error("there is no vault in this folder; make one with `binderyd init`")]
    Absent,
    /// Both copies are damaged.
    #[error("both copies of the header are damaged; restore seal.hdr.a from a backup")]
    Damaged,
    /// It was written by a newer version.
    #[error(
        "the vault needs a reader of version {needed} and this one has {own}; install the newer release again"
    )]
    TooNew {
        /// What it needs.
        needed: u16,
        /// What this one is.
        own: u16,
    },
    /// It can't be read.
    #[error("the header can't be read; check the folder's owner and permissions")]
    Io(#[from] io::Error),
}

/// A copy of the header whose digest is right. It is believed once its MAC was checked.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) header: disk::SealHeader,
    pub(crate) store_id: [u8; 16],
    authenticated: Vec<u8>,
    mac: Vec<u8>,
}

impl Candidate {
    /// Whether it was written by someone with the root key.
    pub(crate) fn is_authentic(&self, key: &hmac::Key) -> bool {
        hmac::verify(key, &self.authenticated, &self.mac).is_ok()
    }
}

/// What was found of the header.
#[derive(Debug)]
pub(crate) struct Found {
    /// The good copies, newest first; at least one.
    pub(crate) candidates: Vec<Candidate>,
    /// A copy is missing, damaged or older, and should be written again.
    pub(crate) uneven: bool,
}

/// Reads both copies.
pub(crate) fn read(folder: &Path) -> Result<Found, HeaderError> {
    let mut candidates = Vec::new();
    let mut failures = Vec::new();
    for name in COPIES {
        match read_copy(&folder.join(name)) {
            Ok(candidate) => candidates.push(candidate),
            Err(failure) => failures.push(failure),
        }
    }
    failures.sort_by_key(rank);
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.header.generation));
    let Some(newest) = candidates.first() else {
        return Err(failures.swap_remove(0));
    };
    // A copy that only a newer version understands is the newest: an old one beside it must not win.
    if matches!(failures.first(), Some(HeaderError::TooNew { .. })) {
        return Err(failures.swap_remove(0));
    }
    let generation = newest.header.generation;
    let uneven = candidates.len() < COPIES.len()
        || candidates
            .iter()
            .any(|candidate| candidate.header.generation != generation);
    Ok(Found { candidates, uneven })
}

/// The newest copy as it is, for people to look at; empty where there is none. Nobody has authenticated it.
pub(crate) fn shown(folder: &Path) -> disk::SealHeader {
    let newest = read(folder).map(|found| found.candidates.into_iter().next());
    newest
        .ok()
        .flatten()
        .map(|candidate| candidate.header)
        .unwrap_or_default()
}

/// One of the two copies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Copy {
    /// `seal.hdr.a`.
    First,
    /// `seal.hdr.b`.
    Second,
}

/// Reads one copy.
pub(crate) fn read_one(folder: &Path, copy: Copy) -> Result<Candidate, HeaderError> {
    read_copy(&folder.join(COPIES[copy as usize]))
}

/// Writes one copy; the other one stays as it is.
pub(crate) fn write_one(
    folder: &Path,
    copy: Copy,
    header: &disk::SealHeader,
    key: &hmac::Key,
) -> Result<(), HeaderError> {
    files::replace(folder, COPIES[copy as usize], &encode(header, key))?;
    Ok(())
}

/// Whether any copy is there, good or not.
pub(crate) fn exists(folder: &Path) -> bool {
    COPIES.iter().any(|name| folder.join(name).exists())
}

/// Writes both copies, one after the other: at any moment one of them is good.
pub(crate) fn write(
    folder: &Path,
    header: &disk::SealHeader,
    key: &hmac::Key,
) -> Result<(), HeaderError> {
    write_file(folder, &encode(header, key))
}

/// Writes bytes of [`encode`] as both copies.
pub(crate) fn write_file(folder: &Path, bytes: &[u8]) -> Result<(), HeaderError> {
    for name in COPIES {
        files::replace(folder, name, bytes)?;
    }
    Ok(())
}

/// Which of two failures says more.
const fn rank(failure: &HeaderError) -> u8 {
    match failure {
        HeaderError::TooNew { .. } => 0,
        HeaderError::Io(_) => 1,
        HeaderError::Damaged => 2,
        HeaderError::Absent => 3,
    }
}

/// The bytes of one copy.
pub(crate) fn encode(header: &disk::SealHeader, key: &hmac::Key) -> Vec<u8> {
    let body = header.encode_to_vec();
    let length = u32::try_from(body.len()).expect("a header is far shorter than 4 GiB");
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&READER.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&body);
    let check = digest::digest(&digest::SHA256, &bytes);
    bytes.extend_from_slice(check.as_ref());
    let mac = hmac::sign(key, &bytes);
    bytes.extend_from_slice(mac.as_ref());
    bytes
}

fn read_copy(path: &Path) -> Result<Candidate, HeaderError> {
    let bytes = match files::read(path, LONGEST) {
        Ok(bytes) => bytes.ok_or(HeaderError::Absent)?,
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Err(HeaderError::Damaged);
        }
        Err(error) => return Err(error.into()),
    };
    parse(&bytes)
}

/// Reads the bytes of one copy.
pub(crate) fn parse(bytes: &[u8]) -> Result<Candidate, HeaderError> {
    let candidate = decode(bytes).ok_or(HeaderError::Damaged)?;
    // The digest was right, so the version is no damage.
    match candidate {
        Ok(candidate) => Ok(candidate),
        Err(needed) => Err(HeaderError::TooNew {
            needed,
            own: READER,
        }),
    }
}

/// `None` when it is damaged, the needed version when it is too new.
pub(crate) fn decode(bytes: &[u8]) -> Option<Result<Candidate, u16>> {
    let (authenticated, mac) = bytes.split_last_chunk::<32>()?;
    let (content, check) = authenticated.split_last_chunk::<32>()?;
    let intact = digest::digest(&digest::SHA256, content).as_ref() == check;
    let rest = content.strip_prefix(MAGIC)?;
    let (_format, rest) = rest.split_first_chunk::<2>()?;
    let (needed, rest) = rest.split_first_chunk::<2>()?;
    let (length, body) = rest.split_first_chunk::<4>()?;
    if !intact || usize::try_from(u32::from_be_bytes(*length)).ok()? != body.len() {
        return None;
    }
    let needed = u16::from_be_bytes(*needed);
    if needed > READER {
        return Some(Err(needed));
    }
    let header = disk::SealHeader::decode(body).ok()?;
    Some(Ok(Candidate {
        store_id: header.store_id.as_slice().try_into().ok()?,
        header,
        authenticated: authenticated.to_vec(),
        mac: mac.to_vec(),
    }))
}

/// Version of the layout.
const FORMAT: u16 = 1;
/// Least version of a program that can read what this one writes, and the version of this one.
const READER: u16 = 1;
const COPIES: [&str; 2] = ["seal.hdr.a", "seal.hdr.b"];
const MAGIC: &[u8] = b"BDYS";
const LONGEST: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Key;

    /// A header that asks for a newer reader is refused by name, also when the other copy is old.
    #[test]
    fn b4_newer_headers_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::random().unwrap().derive_mac("m").unwrap();
        let header = disk::SealHeader {
            store_id: vec![1; 16],
            ..Default::default()
        };
        write(folder.path(), &header, &key).unwrap();
        let mut newer = encode(&header, &key);
        newer.truncate(newer.len() - 64);
        newer[7] = 9;
        let check = digest::digest(&digest::SHA256, &newer);
        newer.extend_from_slice(check.as_ref());
        newer.extend_from_slice(&[0; 32]);
        files::replace(folder.path(), COPIES[1], &newer).unwrap();
        let refused = read(folder.path()).unwrap_err();
        assert!(matches!(refused, HeaderError::TooNew { needed: 9, own: 1 }));
    }

    /// Whatever happens to one copy, cut at any byte or changed in any byte, the other one is read.
    #[test]
    fn torn_copies_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::random().unwrap().derive_mac("m").unwrap();
        let header = disk::SealHeader {
            store_id: vec![1; 16],
            generation: 7,
            sealed_ring: vec![2; 200],
            ..Default::default()
        };
        write(folder.path(), &header, &key).unwrap();
        let good = encode(&header, &key);
        for copy in COPIES {
            let path = folder.path().join(copy);
            for at in 0..good.len() {
                let mut changed = good.clone();
                changed[at] ^= 0x10;
                for spoiled in [&good[..at], &changed] {
                    std::fs::write(&path, spoiled).unwrap();
                    let found = read(folder.path()).unwrap();
                    let believed = found.candidates.iter().filter(|c| c.is_authentic(&key));
                    assert!(believed.clone().all(|found| found.header == header));
                    assert_eq!(believed.count(), 1, "{copy} spoiled at {at}");
                }
            }
            std::fs::write(&path, &good).unwrap();
        }
        assert!(!read(folder.path()).unwrap().uneven);
    }
}
