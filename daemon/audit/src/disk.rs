//! The file system under the log, so that a test can put a full or a dead one in its place.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

/// Opens files.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file for writing; it is made, 0600, where `new` says so, and must not be there then.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn LogFile>>;
    /// Brings the names in a folder to the disk.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// A file that is written to.
pub trait LogFile: Send + Sync {
    /// Writes all bytes at a place.
    ///
    /// # Errors
    ///
    /// Those of the system; some of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts the file off.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Brings what was written to the disk.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn sync(&self) -> io::Result<()>;
}

/// The file system itself.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn LogFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(new).mode(0o600);
        Ok(Arc::new(options.open(path)?))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl LogFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
