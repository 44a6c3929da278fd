//! The file that is written to.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bindery_core::audit::AuditMark;

use crate::{
    disk::{Disk, LogFile},
    files,
};

/// Bytes of a trial: two blocks of a usual file system, so that it needs a new one, as a long record does.
const PROBE: usize = 8192;

/// The open file, for whoever brings it to the disk.
pub(crate) type Current = Arc<Mutex<Arc<dyn LogFile>>>;

/// The end of the log.
pub(crate) struct Tail {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    file: Arc<dyn LogFile>,
    current: Current,
    /// Bytes that count; what comes after them is left over from a write that failed.
    length: u64,
    dirty: bool,
}

impl Tail {
    /// Goes on in a file after its first `length` bytes.
    pub(crate) fn resume(disk: Arc<dyn Disk>, path: &Path, length: u64) -> io::Result<Self> {
        let file = disk.open(path, false)?;
        let folder = path.parent().unwrap_or(path).to_owned();
        Ok(Self {
            disk,
            folder,
            current: Arc::new(Mutex::new(Arc::clone(&file))),
            file,
            length,
            dirty: true,
        })
    }

    /// Begins a new file that goes on from `mark`.
    pub(crate) fn begin(disk: Arc<dyn Disk>, folder: &Path, mark: AuditMark) -> io::Result<Self> {
        let (file, length) = create(&*disk, folder, mark)?;
        Ok(Self {
            disk,
            folder: folder.to_owned(),
            current: Arc::new(Mutex::new(Arc::clone(&file))),
            file,
            length,
            dirty: false,
        })
    }

    pub(crate) fn current(&self) -> Current {
        Arc::clone(&self.current)
    }

    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// All of the bytes or, for whoever reads, none.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.dirty {
            self.file.set_len(self.length)?;
            self.dirty = false;
        }
        if let Err(error) = self.file.write_at(bytes, self.length) {
            self.dirty = true;
            // What is left over is cut off now, or before the next write.
            self.dirty = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether there is space for records: writes some, and cuts it off again.
    pub(crate) fn probe(&mut self) -> io::Result<()> {
        self.dirty = true;
        let outcome = self.file.write_at(&[b' '; PROBE], self.length);
        self.dirty = self.file.set_len(self.length).is_err();
        outcome
    }

    /// Length of all files together.
    pub(crate) fn all_bytes(&self) -> io::Result<u64> {
        let lengths = files::list(&self.folder)?;
        let lengths = lengths.iter().map(|path| Ok(path.metadata()?.len()));
        lengths.sum()
    }

    /// Goes on in a new file, once this one is on the disk.
    pub(crate) fn rotate(&mut self, mark: AuditMark) -> io::Result<()> {
        self.file.sync()?;
        let (file, length) = create(&*self.disk, &self.folder, mark)?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&file);
        (self.file, self.length) = (file, length);
        Ok(())
    }
}

fn create(disk: &dyn Disk, folder: &Path, mark: AuditMark) -> io::Result<(Arc<dyn LogFile>, u64)> {
    let head = files::head(mark);
    let mut failure = io::Error::from(io::ErrorKind::AlreadyExists);
    for path in files::paths(folder, mark.sequence + 1) {
        match disk.open(&path, true) {
            Ok(file) => {
                file.write_at(&head, 0).inspect_err(|_| remove(&path))?;
                disk.sync_folder(folder)?;
                return Ok((file, head.len() as u64));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => failure = error,
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}

/// A file without a first line holds nothing; where it stays, the next start removes it.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}
