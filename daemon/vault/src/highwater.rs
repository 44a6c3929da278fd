//! The highest generation of the manifest that was ever acknowledged, kept outside of the store.
//!
//! It is written at most once a second, so it lags behind; it never runs ahead. Who can roll back the store *and* this
//! file is not noticed: keep it on another disk and in another backup than the store.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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
    /// Held while the file is written: a task and whoever closes the vault may want to at once.
    written: Mutex<Written>,
    writing: AtomicBool,
}

/// What the file holds.
#[derive(Debug, Default)]
struct Written {
    generation: u64,
    /// Nothing is written any more; the file may belong to the next one who opened the vault.
    closed: bool,
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
            written: Mutex::default(),
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
        let mut written = self.written();
        self.write(&mut written, generation)?;
        written.closed = false;
        Ok(())
    }

    /// Writes nothing until the mark is set.
    pub(crate) fn hold(&self) {
        self.written().closed = true;
    }

    /// Notes that a generation was acknowledged; it is written soon.
    pub(crate) fn note(self: &Arc<Self>, generation: u64) {
        self.noted.fetch_max(generation, SeqCst);
        if !self.writing.swap(true, SeqCst) {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.write_on().await });
        }
    }

    /// Writes what is noted, for the last time. Blocks.
    pub(crate) fn close(&self) {
        self.flush();
        self.written().closed = true;
    }

    async fn write_on(self: Arc<Self>) {
        loop {
            let this = Arc::clone(&self);
            // A panic there only leaves the mark behind.
            _ = tokio::task::spawn_blocking(move || this.flush()).await;
            tokio::time::sleep(EVERY).await;
            self.writing.store(false, SeqCst);
            if !self.is_behind(&self.written()) || self.writing.swap(true, SeqCst) {
                return;
            }
        }
    }

    fn flush(&self) {
        let mut written = self.written();
        if !self.is_behind(&written) {
            return;
        }
        if let Err(error) = self.write(&mut written, self.noted.load(SeqCst)) {
            warn!(%error, "The high-water mark can't be written");
        }
    }

    fn is_behind(&self, written: &Written) -> bool {
        !written.closed && self.noted.load(SeqCst) > written.generation
    }

    fn write(&self, written: &mut Written, generation: u64) -> io::Result<()> {
        files::make_folder(&self.folder)?;
        let mut bytes = self.content(generation);
        let mac = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(mac.as_ref());
        files::replace(&self.folder, NAME, &bytes)?;
        written.generation = generation;
        Ok(())
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
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

pub(crate) const NAME: &str = "highwater";
const LEAD: &[u8] = b"BDYW\x01";
const EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use bindery_core::time::Timestamp;

    use super::*;
    use crate::{
        crypto::{self, Key},
        ring::KeyRing,
    };

    fn keys() -> Keys {
        let ring = KeyRing::new(Timestamp::default()).unwrap();
        let key = || Key::random().unwrap();
        Keys::new(crypto::random().unwrap(), key(), key(), ring).unwrap()
    }

    /// A vault that is closed leaves the mark to the next one, also with a write still on its way.
    #[test]
    fn k4_closed_vaults_leave_the_mark() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys();
        let (first, second) = (
            HighWater::new(folder.path(), &keys),
            HighWater::new(folder.path(), &keys),
        );
        first.set(7).unwrap();
        first.noted.store(9, SeqCst);
        first.close();
        assert_eq!(second.read().unwrap(), Mark::Known(9));
        second.set(3).unwrap();
        first.noted.store(10, SeqCst);
        first.flush();
        assert_eq!(second.read().unwrap(), Mark::Known(3));
    }

    /// K4: a mark of another vault, or one that was changed, is not taken for a low one.
    #[test]
    fn k4_marks_are_authentic() {
        let folder = tempfile::tempdir().unwrap();
        let mark = HighWater::new(folder.path(), &keys());
        assert_eq!(mark.read().unwrap(), Mark::Absent);
        mark.set(7).unwrap();
        let other = HighWater::new(folder.path(), &keys());
        assert_eq!(other.read().unwrap(), Mark::Unreadable);
        let path = folder.path().join(NAME);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            assert_eq!(mark.read().unwrap(), Mark::Unreadable, "byte {at}");
        }
    }
}
