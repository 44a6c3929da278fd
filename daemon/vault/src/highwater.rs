//! The highest generation of the manifest that was ever acknowledged, kept outside of the store.
//!
//! It is written at most once a second, so it lags behind; it never runs ahead. Who can roll back the store *and* this
//! file is not noticed: keep it on another disk and in another backup than the store.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use ring::hmac;
use tracing::warn;

use crate::{files, keys::Keys};

/// The mark on disk and the one in memory.
#[derive(Debug)]
pub(crate) struct HighWater {
    folder: PathBuf,
    store_id: [u8; 16],
    key: hmac::Key,
    noted: AtomicU64,
    written: AtomicU64,
    writing: AtomicBool,
}

/// What the file said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    /// No file.
    Absent,
    /// The mark of this vault.
    Known(u64),
    /// The file is damaged or belongs to another vault.
    Unreadable,
}

impl HighWater {
    pub(crate) fn new(folder: &Path, keys: &Keys) -> Self {
        Self {
            folder: folder.to_owned(),
            store_id: keys.store_id,
            key: keys.highwater.clone(),
            noted: AtomicU64::new(0),
            written: AtomicU64::new(0),
            writing: AtomicBool::new(false),
        }
    }

    /// Reads the file.
    pub(crate) fn read(&self) -> io::Result<Mark> {
        let Some(bytes) = files::read(&self.folder.join(NAME), 4096)? else {
            return Ok(Mark::Absent);
        };
        Ok(self.parse(&bytes).map_or(Mark::Unreadable, Mark::Known))
    }

    /// Sets the mark now, also to a lower one.
    pub(crate) fn set(&self, generation: u64) -> io::Result<()> {
        self.noted.store(generation, SeqCst);
        self.write(generation)
    }

    /// Notes that a generation was acknowledged; it is written soon.
    pub(crate) fn note(self: &Arc<Self>, generation: u64) {
        self.noted.fetch_max(generation, SeqCst);
        if !self.writing.swap(true, SeqCst) {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.write_on().await });
        }
    }

    /// Writes what is noted and not written yet. Blocks.
    pub(crate) fn flush(&self) {
        let noted = self.noted.load(SeqCst);
        if noted <= self.written.load(SeqCst) {
            return;
        }
        if let Err(error) = self.write(noted) {
            warn!(%error, "The high-water mark can't be written");
        }
    }

    async fn write_on(self: Arc<Self>) {
        loop {
            let this = Arc::clone(&self);
            // A panic there only leaves the mark behind.
            _ = tokio::task::spawn_blocking(move || this.flush()).await;
            tokio::time::sleep(EVERY).await;
            self.writing.store(false, SeqCst);
            let behind = self.noted.load(SeqCst) > self.written.load(SeqCst);
            if !behind || self.writing.swap(true, SeqCst) {
                return;
            }
        }
    }

    fn write(&self, generation: u64) -> io::Result<()> {
        files::make_folder(&self.folder)?;
        let mut bytes = self.content(generation);
        let mac = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(mac.as_ref());
        files::replace(&self.folder, NAME, &bytes)?;
        self.written.store(generation, SeqCst);
        Ok(())
    }

    fn content(&self, generation: u64) -> Vec<u8> {
        [LEAD, self.store_id.as_slice(), &generation.to_be_bytes()].concat()
    }

    fn parse(&self, bytes: &[u8]) -> Option<u64> {
        let (content, mac) = bytes.split_last_chunk::<32>()?;
        let (_, generation) = content.split_last_chunk()?;
        let generation = u64::from_be_bytes(*generation);
        hmac::verify(&self.key, &self.content(generation), mac).ok()?;
        (content == self.content(generation)).then_some(generation)
    }
}

const NAME: &str = "highwater";
const LEAD: &[u8] = b"BDYW\x01";
const EVERY: Duration = Duration::from_secs(1);
