//! Making a backup while the vault is in use.

use std::time::Duration;

use prost::Message;
use tokio::sync::mpsc;

use bindery_core::{secret::Secret, time::Timestamp};
use bindery_store_proto::v1 as disk;

use super::{
    BackupError, BackupFacts, Target, key,
    key::Opening,
    read::Reader,
    stream::{Lead, Sealer},
};
use crate::{
    PassphraseCost, SealedVault, header, keys,
    vault::{Item, Walk},
};

impl SealedVault {
    /// Writes a backup to `out` and reads back what it wrote. It is none before this returns.
    ///
    /// Commits go on meanwhile; the backup holds the store as it is at its end. With a passphrase, the passphrase and the
    /// root key are needed to restore it.
    ///
    /// # Errors
    ///
    /// The vault is sealed, a record does not open, another backup is under way, or whoever reads `out` went away.
    pub async fn backup(
        &self,
        passphrase: Option<(Secret, PassphraseCost)>,
        now: Timestamp,
        out: mpsc::Sender<Vec<u8>>,
    ) -> Result<BackupFacts, BackupError> {
        let mut walk = self.walk().await?;
        let root = walk.keys().root.clone();
        let (header, made_of) = (walk.header().clone(), root.clone());
        // A passphrase takes a second of computing.
        let making = tokio::task::spawn_blocking(move || {
            let passphrase = passphrase.as_ref().map(|(text, cost)| (text, *cost));
            key::make(&made_of, &header, passphrase, now.unix_ms())
        });
        let (lead, key) = making.await.map_err(|_| BackupError::Crypto)??;
        let bytes = Lead::write(&lead);
        let Some((lead, _)) = Lead::parse(&bytes)? else {
            return Err(BackupError::Crypto);
        };
        let opening = Opening::root(root, lead.store_id);
        let mut writer = Writer {
            sealer: Sealer::new(key.clone(), lead.digest),
            reader: Reader::new(&lead, &bytes, key, opening),
            out,
        };
        writer.send(bytes).await?;
        writer.copy(&mut walk).await?;
        writer.finish().await
    }
}

impl SealedVault {
    /// Reads a backup of this vault and checks every record, without writing anything.
    ///
    /// # Errors
    ///
    /// As for [`super::verify`], and the vault is sealed.
    pub async fn verify_backup(
        &self,
        source: mpsc::Receiver<Vec<u8>>,
        passphrase: Option<Secret>,
    ) -> Result<BackupFacts, BackupError> {
        super::verify(source, self.opening()?, passphrase).await
    }

    /// Restores a backup of this vault into a new folder; the vault itself is not touched.
    ///
    /// # Errors
    ///
    /// As for [`super::restore()`], and the vault is sealed.
    pub async fn restore_backup(
        &self,
        source: mpsc::Receiver<Vec<u8>>,
        passphrase: Option<Secret>,
        into: &Target,
    ) -> Result<BackupFacts, BackupError> {
        super::restore(source, self.opening()?, passphrase, into).await
    }
}

struct Writer {
    sealer: Sealer,
    reader: Reader,
    out: mpsc::Sender<Vec<u8>>,
}

impl Writer {
    async fn copy(&mut self, walk: &mut Walk<'_>) -> Result<(), BackupError> {
        use disk::backup_frame::Frame;
        loop {
            let step = walk.step().await?;
            if let Some(header) = step.header {
                let mac = keys::header_mac(&walk.keys().root)?;
                self.put(Frame::Header(header::encode(&header, &mac)))
                    .await?;
            }
            let records: Vec<_> = step.items.into_iter().map(record).collect();
            if !records.is_empty() {
                self.put(Frame::Records(disk::BackupRecords { records }))
                    .await?;
            }
            if let Some((manifest, sealed)) = step.end {
                let end = disk::BackupEnd {
                    manifest: sealed,
                    records: manifest.count,
                    generation: manifest.generation,
                };
                return self.put(Frame::End(end)).await;
            }
        }
    }

    async fn put(&mut self, frame: disk::backup_frame::Frame) -> Result<(), BackupError> {
        let body = disk::BackupFrame { frame: Some(frame) }.encode_to_vec();
        let length = u32::try_from(body.len()).map_err(|_| BackupError::Crypto)?;
        let mut sealed = Vec::new();
        self.sealer.write(&length.to_be_bytes(), &mut sealed)?;
        self.sealer.write(&body, &mut sealed)?;
        self.pass_on(sealed).await
    }

    async fn finish(self) -> Result<BackupFacts, BackupError> {
        let Self {
            sealer,
            mut reader,
            out,
        } = self;
        let mut sealed = Vec::new();
        sealer.finish(&mut sealed)?;
        reader.push(&sealed).map_err(own_fault)?;
        send(&out, sealed).await?;
        reader.finish().map(|(_, facts)| facts).map_err(own_fault)
    }

    /// Reads back what was sealed, then sends it.
    async fn pass_on(&mut self, sealed: Vec<u8>) -> Result<(), BackupError> {
        if sealed.is_empty() {
            return Ok(());
        }
        self.reader.push(&sealed).map_err(own_fault)?;
        self.send(sealed).await
    }

    async fn send(&self, bytes: Vec<u8>) -> Result<(), BackupError> {
        send(&self.out, bytes).await
    }
}

async fn send(out: &mpsc::Sender<Vec<u8>>, bytes: Vec<u8>) -> Result<(), BackupError> {
    for piece in bytes.chunks(PIECE) {
        let sent = tokio::time::timeout(PATIENCE, out.send(piece.to_vec())).await;
        sent.ok()
            .and_then(Result::ok)
            .ok_or(BackupError::ReaderGone)?;
    }
    Ok(())
}

fn record(item: Item) -> disk::BackupRecord {
    disk::BackupRecord {
        kind: item.place.kind.code().into(),
        key: item.place.key.to_vec(),
        value: item.value,
        replaces: item.replaces.map(|mark| mark.to_vec()),
    }
}

/// What a backup just made says when it is read back is about the store that it was made of.
fn own_fault(error: BackupError) -> BackupError {
    match error {
        BackupError::Invalid(_) | BackupError::Key(_) | BackupError::Header(_) => {
            BackupError::Tampered
        }
        other => other,
    }
}

/// Longest piece that is sent at once.
const PIECE: usize = 1 << 20;
/// How long whoever reads a backup may take for one piece.
const PATIENCE: Duration = Duration::from_secs(60);
