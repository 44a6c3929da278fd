//! From bytes to frames.

use prost::Message;
use ring::digest;
use tokio::sync::mpsc;

use bindery_core::{secret::Secret, time::Timestamp};
use bindery_store_proto::v1 as disk;

use super::{
    BackupError, BackupFacts,
    check::{Check, Whole},
    key::{self, Opening},
    stream::{Lead, Opener},
};
use crate::crypto::Key;

/// Reads a whole backup and checks every record, without writing anything.
///
/// # Errors
///
/// It does not open, or is not whole.
pub async fn verify(
    source: mpsc::Receiver<Vec<u8>>,
    opening: Opening,
    passphrase: Option<Secret>,
) -> Result<BackupFacts, BackupError> {
    let mut input = Input::open(source, opening, passphrase).await?;
    while input.next().await?.is_some() {}
    input.finish().map(|(_, facts)| facts)
}

/// A backup that comes in pieces.
pub(super) struct Input {
    source: mpsc::Receiver<Vec<u8>>,
    reader: Reader,
    /// Bytes that came with the lead.
    first: Option<Vec<u8>>,
}

impl Input {
    /// Reads the lead and finds the key.
    pub(super) async fn open(
        mut source: mpsc::Receiver<Vec<u8>>,
        mut opening: Opening,
        passphrase: Option<Secret>,
    ) -> Result<Self, BackupError> {
        let mut bytes = Vec::new();
        let (lead, length) = loop {
            let piece = source.recv().await;
            bytes.extend(piece.ok_or(BackupError::Invalid("its end is missing"))?);
            if let Some(found) = Lead::parse(&bytes)? {
                break found;
            }
        };
        // A passphrase takes a second of computing.
        let finding = tokio::task::spawn_blocking(move || {
            let key = key::find(&lead, &mut opening, passphrase.as_ref())?;
            Ok::<_, BackupError>((lead, key, opening))
        });
        let (lead, key, opening) = finding.await.map_err(|_| BackupError::Crypto)??;
        let rest = bytes.split_off(length);
        Ok(Self {
            source,
            reader: Reader::new(&lead, &bytes, key, opening),
            first: Some(rest),
        })
    }

    /// The frames of the next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<disk::BackupFrame>>, BackupError> {
        let piece = match self.first.take() {
            Some(first) => Some(first),
            None => self.source.recv().await,
        };
        piece.map(|piece| self.reader.push(&piece)).transpose()
    }

    pub(super) fn finish(self) -> Result<(Whole, BackupFacts), BackupError> {
        self.reader.finish()
    }
}

/// Opens and checks what it is given.
pub(super) struct Reader {
    opener: Opener,
    check: Check,
    plaintext: Vec<u8>,
    store_id: [u8; 16],
    created: Timestamp,
    sha256: digest::Context,
    size: u64,
}

impl Reader {
    /// `bytes` are those of the lead.
    pub(super) fn new(lead: &Lead, bytes: &[u8], key: Key, opening: Opening) -> Self {
        let mut sha256 = digest::Context::new(&digest::SHA256);
        sha256.update(bytes);
        Self {
            opener: Opener::new(key, lead.digest),
            check: Check::new(opening, lead.store_id),
            plaintext: Vec::new(),
            store_id: lead.store_id,
            created: Timestamp::from_unix_ms(lead.message.created_ms),
            sha256,
            size: bytes.len() as u64,
        }
    }

    /// Takes bytes in, and gives the frames that are whole with them, checked.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<disk::BackupFrame>, BackupError> {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
        self.opener.push(bytes, &mut self.plaintext)?;
        let mut frames = Vec::new();
        let mut at = 0;
        while let Some(body) = next_frame(&self.plaintext[at..])? {
            at += 4 + body.len();
            let frame = disk::BackupFrame::decode(body);
            let frame = frame.map_err(|_| BackupError::Invalid("a newer release made it"))?;
            self.check.frame(&frame)?;
            frames.push(frame);
        }
        self.plaintext.drain(..at);
        Ok(frames)
    }

    /// What it was, if it is whole.
    pub(super) fn finish(self) -> Result<(Whole, BackupFacts), BackupError> {
        if !self.opener.is_done() || !self.plaintext.is_empty() {
            return Err(BackupError::Invalid("its end is missing"));
        }
        let whole = self.check.finish()?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.sha256.finish().as_ref());
        let facts = BackupFacts {
            store_id: self.store_id,
            created: self.created,
            records: whole.manifest.count,
            size: self.size,
            sha256,
            generation: whole.manifest.generation,
        };
        Ok((whole, facts))
    }
}

/// The next frame; `None` while it is not whole.
fn next_frame(bytes: &[u8]) -> Result<Option<&[u8]>, BackupError> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > LONGEST_FRAME {
        return Err(BackupError::Invalid("a newer release made it"));
    }
    Ok(rest.get(..length))
}

/// The longest record, and some more in front of it.
const LONGEST_FRAME: usize = 32 << 20;
