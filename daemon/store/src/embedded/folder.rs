//! The store's folder: whose it is, who uses it, and what of it is on the disk.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{Advice, FlockOperation, fadvise, flock, statvfs};
use tracing::warn;

use crate::OpenError;
use crate::embedded::{ballast, state};

/// A folder that nobody else uses.
pub(super) struct Folder {
    path: PathBuf,
    lock: Lock,
    /// There was no store in it when it was entered.
    fresh: bool,
}

/// Keeps other daemons out until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// A lock that stays where it is while its folder changes places with another.
    pub(crate) fn beside(folder: &Path, path: &Path) -> Result<Self, OpenError> {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let file = parent
            .map_or(Ok(()), |parent| {
                DirBuilder::new().recursive(true).mode(0o700).create(parent)
            })
            .and_then(|()| open_lock(path))
            .map_err(|error| error_at(folder, error))?;
        if !try_lock(&file) {
            let path = folder.to_owned();
            return Err(OpenError::Locked { path });
        }
        Ok(Self { file })
    }
}

impl Folder {
    /// Makes the folder ours alone.
    pub(super) fn enter(path: &Path) -> Result<Self, OpenError> {
        let lock = create(path)
            .and_then(|()| lock_file(path))
            .map_err(|error| error_at(path, error))?;
        if !try_lock(&lock) {
            return Err(OpenError::Locked {
                path: path.to_owned(),
            });
        }
        // For the operator's eyes: a full disk doesn't matter here.
        _ = lock
            .set_len(0)
            .and_then(|()| writeln!(&lock, "{}", std::process::id()));
        Ok(Self {
            path: path.to_owned(),
            lock: Lock { file: lock },
            fresh: !MADE.iter().any(|name| path.join(name).exists()),
        })
    }

    /// Clears what would keep sled from opening, and makes sure that what sled will read is on the disk.
    pub(super) fn prepare(&self) -> Result<(), OpenError> {
        self.move_unusable_snapshots()
            .map_err(|error| self.error(error))?;
        let data = match File::open(self.path.join(DATA)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(|error| self.error(error))?,
        };
        // sled lets go of its own lock a moment after its last handle.
        if !try_lock(&data) {
            return Err(OpenError::Locked {
                path: self.path.clone(),
            });
        }
        unlock(&data);
        // A snapshot that is newer than the data would make the next power cut fatal.
        data.sync_all().map_err(|error| self.error(error))?;
        if self.path.join(FAILED).exists() {
            // After a failed sync the kernel may show bytes that the disk doesn't have: read them from the disk.
            _ = fadvise(&data, 0, None, Advice::DontNeed);
        }
        Ok(())
    }

    /// After sled opened: makes all files private and durable. Returns sled's data file.
    ///
    /// sled creates files only while it opens (long values never become blobs), so this is the only time.
    pub(super) fn settle(&self) -> Result<File, OpenError> {
        self.try_settle().map_err(|error| self.error(error))
    }

    /// Moves all snapshots away. Says whether there were any.
    pub(super) fn quarantine_snapshots(&self) -> Result<bool, OpenError> {
        self.quarantine(is_snapshot)
            .map_err(|error| self.error(error))
    }

    /// After a first opening that failed: moves away what was made by half, in which nothing was ever kept. The next one would
    /// take it for a damaged store.
    pub(super) fn withdraw(&self) {
        let made = |entry: &DirEntry| {
            MADE.iter()
                .any(|name| entry.file_name() == OsStr::new(name))
                || is_snapshot(entry)
        };
        if self.fresh
            && let Err(error) = self.quarantine(made)
        {
            warn!(%error, "A store that was made by half is left");
        }
    }

    /// Whether so little space is left that sled's odd failures are explained by it.
    pub(super) fn is_full(&self) -> bool {
        free_space(&self.path).is_ok_and(|free| free < SCANT)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn error(&self, source: io::Error) -> OpenError {
        error_at(&self.path, source)
    }

    pub(super) fn into_lock(self) -> Lock {
        self.lock
    }

    fn move_unusable_snapshots(&self) -> io::Result<()> {
        if self.quarantine(|entry| is_snapshot(entry) && !is_usable(&entry.path()))? {
            warn!("Moved a left-over or unreadable snapshot to quarantine");
        }
        Ok(())
    }

    fn quarantine(&self, chosen: impl Fn(&DirEntry) -> bool) -> io::Result<bool> {
        let mut moved = false;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if chosen(&entry) {
                let target = self.path.join(QUARANTINE);
                create(&target)?;
                fs::rename(entry.path(), free_name(&target, &entry.file_name()))?;
                moved = true;
            }
        }
        Ok(moved)
    }

    fn try_settle(&self) -> io::Result<File> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::set_permissions(entry.path(), Permissions::from_mode(0o700))?;
                File::open(entry.path())?.sync_all()?;
            } else if entry.file_name() != OsStr::new(ballast::NAME) {
                fs::set_permissions(entry.path(), Permissions::from_mode(0o600))?;
                File::open(entry.path())?.sync_all()?;
            }
        }
        _ = fs::remove_file(self.path.join(FAILED));
        File::open(&self.path)?.sync_all()?;
        if let Some(parent) = self.path.canonicalize()?.parent() {
            // The folder may be new. A parent that can't be opened was not made by us.
            _ = File::open(parent).and_then(|parent| parent.sync_all());
        }
        File::open(self.path.join(DATA))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        unlock(&self.file);
    }
}

/// Bytes that are left for us on the file system of a path.
pub(crate) fn free_space(path: &Path) -> io::Result<u64> {
    let space = statvfs(path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Leaves word for the next start that this one ended with an I/O error.
pub(super) fn mark_failed(folder: &Path) {
    // The disk is broken already, so failing to say so changes nothing.
    _ = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join(FAILED));
}

fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o7777 == 0o700 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

fn lock_file(folder: &Path) -> io::Result<File> {
    open_lock(&folder.join(LOCK))
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Tries for a moment: a process that is being started holds copies of our files until it runs its own program.
fn try_lock(file: &File) -> bool {
    (0..LOCK_TRIES).any(|attempt| {
        if attempt > 0 {
            sleep(LOCK_PAUSE);
        }
        flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
    })
}

/// Closing alone would leave the lock to a process that is just being started and still has a copy of the file.
fn unlock(file: &File) {
    _ = flock(file, FlockOperation::Unlock);
}

fn is_snapshot(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b"snap.")
}

/// Whether sled could read a snapshot at all; its checksum sled looks at itself.
fn is_usable(path: &Path) -> bool {
    let unfinished = path.extension() == Some(OsStr::new("generating"));
    let readable = File::open(path).and_then(|file| file.metadata());
    !unfinished && readable.is_ok_and(|file| file.is_file() && file.len() > SNAPSHOT_TRAILER)
}

/// A name in the folder that nothing has yet, so that no evidence is overwritten.
fn free_name(folder: &Path, name: &OsStr) -> PathBuf {
    let numbered = (1_u32..).map(|number| {
        let mut numbered = name.to_owned();
        numbered.push(format!(".{number}"));
        folder.join(numbered)
    });
    let names = std::iter::once(folder.join(name)).chain(numbered);
    names
        .into_iter()
        .find(|path| !path.exists())
        .unwrap_or_else(|| folder.join(name))
}

pub(crate) fn error_at(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_owned();
    if state::is_full(source.kind()) {
        OpenError::NoSpace { path }
    } else {
        OpenError::Io { path, source }
    }
}

/// The file that sled keeps everything in.
pub(super) const DATA: &str = "db";
/// What sled makes when there is no store.
const MADE: [&str; 3] = [DATA, "conf", "blobs"];
const LOCK: &str = "lock";
const FAILED: &str = "io-error";
const QUARANTINE: &str = "quarantine";
const SNAPSHOT_TRAILER: u64 = 12;
const SCANT: u64 = 1 << 20;
const LOCK_TRIES: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
