//! The bytes of a backup.
//!
//! ```text
//! backup = "BDYB" | format u8 | length u32 | lead | chunk*
//! chunk  = last u8 | length u32 | envelope
//! AAD    = SHA-256 of everything before the first chunk | index u64 | last u8
//! ```
//!
//! Index and end are in the AAD, so that no chunk can be left out, repeated, moved or taken from another backup.

use prost::Message;
use ring::{digest, error::Unspecified};

use bindery_store_proto::v1 as disk;

use super::BackupError;
use crate::crypto::{Key, OVERHEAD};

/// A lead, and what its bytes are bound to.
pub(super) struct Lead {
    pub(super) message: disk::BackupLead,
    pub(super) store_id: [u8; 16],
    pub(super) digest: [u8; 32],
}

impl Lead {
    /// The bytes of a lead.
    pub(super) fn write(message: &disk::BackupLead) -> Vec<u8> {
        let body = message.encode_to_vec();
        let length = u32::try_from(body.len()).expect("a lead is far shorter than 4 GiB");
        [MAGIC, &length.to_be_bytes(), &body].concat()
    }

    /// The lead at the beginning of `bytes`, and its length; `None` while it is not whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, BackupError> {
        let known = bytes.len().min(MAGIC.len());
        if bytes[..known] != MAGIC[..known] {
            return Err(BackupError::Invalid("it does not begin like one"));
        }
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Ok(None);
        };
        let Some((length, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST_LEAD {
            return Err(BackupError::Invalid("its lead is damaged"));
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let whole = &bytes[..MAGIC.len() + 4 + length];
        let damaged = BackupError::Invalid("its lead is damaged");
        let Ok(message) = disk::BackupLead::decode(body) else {
            return Err(damaged);
        };
        let Ok(store_id) = message.store_id.as_slice().try_into() else {
            return Err(damaged);
        };
        let lead = Self {
            message,
            store_id,
            digest: digest_of(whole),
        };
        Ok(Some((lead, whole.len())))
    }
}

/// Seals a stream.
pub(super) struct Sealer {
    key: Key,
    lead: [u8; 32],
    index: u64,
    waiting: Vec<u8>,
}

impl Sealer {
    pub(super) const fn new(key: Key, lead: [u8; 32]) -> Self {
        Self {
            key,
            lead,
            index: 0,
            waiting: Vec::new(),
        }
    }

    /// Takes plaintext in, and appends the chunks that are full to `out`.
    pub(super) fn write(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Unspecified> {
        self.waiting.extend_from_slice(plaintext);
        let full = self.waiting.len() / CHUNK * CHUNK;
        // The last chunk is not known yet, so one that is just full waits as well.
        let waiting = self.waiting.split_off(full.saturating_sub(CHUNK));
        let ready = std::mem::replace(&mut self.waiting, waiting);
        ready
            .chunks(CHUNK)
            .try_for_each(|chunk| self.seal(chunk, false, out))
    }

    /// Ends the stream.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Unspecified> {
        let waiting = std::mem::take(&mut self.waiting);
        let (rest, last) = waiting.split_at(waiting.len().saturating_sub(1) / CHUNK * CHUNK);
        rest.chunks(CHUNK)
            .try_for_each(|chunk| self.seal(chunk, false, out))?;
        self.seal(last, true, out)
    }

    fn seal(&mut self, chunk: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), Unspecified> {
        let envelope = self
            .key
            .seal(LABEL, &aad(&self.lead, self.index, last), chunk)?;
        let length = u32::try_from(envelope.len()).map_err(|_| Unspecified)?;
        out.push(last.into());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&envelope);
        self.index += 1;
        Ok(())
    }
}

/// Opens a stream.
pub(super) struct Opener {
    key: Key,
    lead: [u8; 32],
    index: u64,
    waiting: Vec<u8>,
    done: bool,
}

impl Opener {
    pub(super) const fn new(key: Key, lead: [u8; 32]) -> Self {
        Self {
            key,
            lead,
            index: 0,
            waiting: Vec::new(),
            done: false,
        }
    }

    /// Whether the end was there.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Takes bytes in, and appends what opens to `out`.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BackupError> {
        self.waiting.extend_from_slice(bytes);
        let mut at = 0;
        while !self.done {
            let Some((last, envelope)) = next_chunk(&self.waiting[at..])? else {
                break;
            };
            let aad = aad(&self.lead, self.index, last);
            let chunk = self.key.open(LABEL, &aad, envelope).map_err(|_| {
                if self.index == 0 {
                    BackupError::Key("another key made it, or its beginning was changed")
                } else {
                    BackupError::Invalid("a part was changed, moved or left out")
                }
            })?;
            out.extend_from_slice(&chunk);
            at += HEAD + envelope.len();
            self.index += 1;
            self.done = last;
        }
        self.waiting.drain(..at);
        if self.done && !self.waiting.is_empty() {
            return Err(BackupError::Invalid("something follows its end"));
        }
        Ok(())
    }
}

/// Whether the next chunk is the last one, and its envelope; `None` while it is not whole.
fn next_chunk(bytes: &[u8]) -> Result<Option<(bool, &[u8])>, BackupError> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let [last, length @ ..] = *head;
    let length = u32::from_be_bytes(length) as usize;
    if last > 1 || length > CHUNK + OVERHEAD {
        return Err(BackupError::Invalid(
            "a part was changed, moved or left out",
        ));
    }
    Ok(rest.get(..length).map(|envelope| (last == 1, envelope)))
}

fn aad(lead: &[u8; 32], index: u64, last: bool) -> [u8; 41] {
    let mut aad = [0; 41];
    aad[..32].copy_from_slice(lead);
    aad[32..40].copy_from_slice(&index.to_be_bytes());
    aad[40] = last.into();
    aad
}

fn digest_of(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Bytes of plaintext in a full chunk.
pub(super) const CHUNK: usize = 256 << 10;
const HEAD: usize = 5;
/// Sixteen slots with their labels.
const LONGEST_LEAD: usize = 256 << 10;
/// Magic and format 1.
const MAGIC: &[u8] = b"BDYB\x01";
const LABEL: &[u8] = b"bindery/backup/chunk/v1";
