//! From a backup to a new folder.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::mpsc;

use bindery_core::secret::Secret;
use bindery_store::{Batch, Expect, Store, Write};
use bindery_store_proto::v1 as disk;

use super::{
    BackupError, BackupFacts,
    check::{self, Whole},
    key::Opening,
    read::Input,
};
use crate::{
    address::Place,
    files, header,
    kind::Kind,
    manifest,
    vault::{self, SealedVault},
};

/// Where a backup is restored to.
#[expect(
    missing_debug_implementations,
    reason = "a store says nothing of itself"
)]
pub struct Target {
    /// The folder of the new vault; it must hold none.
    pub folder: PathBuf,
    /// An empty store.
    pub store: Arc<dyn Store>,
}

/// Restores a backup, reads it back, and marks every grant that rotates: its refresh token may have been used since, so
/// it is tried once at most, after its access token.
///
/// The header is written last: a folder in which this stopped half-way holds no vault.
///
/// # Errors
///
/// The backup does not open or is not whole, the folder or the store holds something, or they can't be written.
pub async fn restore(
    source: mpsc::Receiver<Vec<u8>>,
    opening: Opening,
    passphrase: Option<Secret>,
    into: &Target,
) -> Result<BackupFacts, BackupError> {
    refuse_records(into).await?;
    let mut input = Input::open(source, opening, passphrase).await?;
    let mut waiting = Waiting::default();
    while let Some(frames) = input.next().await? {
        for record in frames.into_iter().flat_map(records) {
            if let Some(batch) = waiting.push(record)? {
                into.store.commit(batch).await?;
            }
        }
    }
    into.store.commit(waiting.batch).await?;
    let (whole, facts) = input.finish()?;
    settle(into, whole).await?;
    Ok(facts)
}

/// Ring, manifest and header; then all of it is opened as at a start.
async fn settle(into: &Target, whole: Whole) -> Result<(), BackupError> {
    let candidate = header::parse(&whole.header)?;
    let batch = Batch::new()
        .put(
            vault::RING_TREE,
            vault::RING_KEY,
            candidate.header.sealed_ring,
        )
        .put(manifest::TREE, manifest::KEY, whole.sealed_manifest);
    into.store.commit(batch).await?;
    let (folder, file) = (into.folder.clone(), whole.header);
    let writing = tokio::task::spawn_blocking(move || {
        files::make_folder(&folder)?;
        header::write_file(&folder, &file)
    });
    writing.await.map_err(|_| BackupError::Crypto)??;
    let restored = SealedVault::sealed(&into.folder, &into.folder, Arc::clone(&into.store));
    let read_back = restored.open_restored(whole.keys.root.clone()).await;
    read_back.map_err(|error| BackupError::NotRestored(Box::new(error)))?;
    restored.seal().await;
    // The mark belongs where the daemon keeps it, and its own one decides whether this is a step back.
    forget_mark(&into.folder)
}

fn forget_mark(folder: &Path) -> Result<(), BackupError> {
    std::fs::remove_file(folder.join(crate::highwater::NAME))?;
    Ok(files::sync_folder(folder)?)
}

async fn refuse_records(into: &Target) -> Result<(), BackupError> {
    if header::exists(&into.folder) {
        return Err(BackupError::NotEmpty);
    }
    let trees = Kind::ALL.iter().map(|kind| kind.tree());
    for tree in trees.chain([manifest::TREE, vault::RING_TREE]) {
        if !into.store.page(tree, b"", None, 1).await?.is_empty() {
            return Err(BackupError::NotEmpty);
        }
    }
    Ok(())
}

fn records(frame: disk::BackupFrame) -> Vec<disk::BackupRecord> {
    match frame.frame {
        Some(disk::backup_frame::Frame::Records(records)) => records.records,
        _ => Vec::new(),
    }
}

/// Records that are written together.
#[derive(Default)]
struct Waiting {
    batch: Batch,
    places: HashSet<Place>,
    bytes: usize,
}

impl Waiting {
    /// Adds a record. Gives back a batch that has to be written before.
    fn push(&mut self, record: disk::BackupRecord) -> Result<Option<Batch>, BackupError> {
        let place = check::place(&record);
        let place = place.ok_or(BackupError::Invalid("it holds a record of no known kind"))?;
        let length = record.value.as_ref().map_or(0, Vec::len);
        let full = self.places.len() == MOST || self.bytes + length > MOST_BYTES;
        // A batch names each key once.
        let before = (full || self.places.contains(&place)).then(|| std::mem::take(self).batch);
        self.places.insert(place);
        self.bytes += length;
        let write = record.value.map_or(Write::Delete, Write::Put);
        let batch = std::mem::take(&mut self.batch);
        self.batch = batch.operation(place.kind.tree(), record.key, Expect::Anything, write);
        Ok(before)
    }
}

/// Operations and bytes of one batch of records.
const MOST: usize = 1000;
const MOST_BYTES: usize = 8 << 20;
