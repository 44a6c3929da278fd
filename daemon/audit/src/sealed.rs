//! What is done while the vault is sealed, when there is no key for the chain.
//!
//! What the operator does is at once in a file beside the log, 0600 and on the disk, or it is not done: it outlives the
//! daemon. The file has no MAC, so until its lines are chained in, when the vault is open again, whoever may write to the
//! folder can change them. What others do is refused by then, and kept in memory, in a room of its own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bindery_core::{audit::Deed, time::Timestamp};

use crate::{disk::Disk, files, line};

/// Name of the file. It has not the ending of the log's own.
const NAME: &str = "while-sealed";

/// Longest file: what an operator does in months.
const LONGEST: u64 = 1 << 20;

/// Refusals that are kept in memory, and deeds that could not be written; later ones are counted only.
const HELD: usize = 1000;

/// What was done and could not be written down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// Refused to callers.
    pub(crate) refused: Room,
    /// Done by the operator where there was no place on the disk.
    pub(crate) own: Room,
}

/// Deeds in memory, and how many found no place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    pub(crate) deeds: Vec<Deed>,
    pub(crate) dropped: u64,
}

impl Room {
    pub(crate) fn keep(&mut self, deed: Deed) {
        if self.deeds.len() < HELD {
            self.deeds.push(deed);
        } else {
            self.dropped += 1;
        }
    }

    /// Forgets what is in the log now.
    fn forget(&mut self, written: &Self) {
        self.deeds
            .drain(..written.deeds.len().min(self.deeds.len()));
        self.dropped -= written.dropped.min(self.dropped);
    }
}

impl Held {
    /// Forgets what is in the log now.
    pub(crate) fn forget(&mut self, written: &Self) {
        self.refused.forget(&written.refused);
        self.own.forget(&written.own);
    }
}

/// Whether a deed is nothing but a refusal of somebody who is no operator.
pub(crate) fn is_refusal(deed: &Deed) -> bool {
    let rights = ["PERMISSION_DENIED", "UNAUTHENTICATED"];
    let operator = deed.action.starts_with("bindery.admin.v1.");
    let refused = !["", "OK"].contains(&deed.code.as_str());
    refused && (!operator || rights.contains(&deed.code.as_str()))
}

/// Whether a deed is done though nothing can be written: whoever opens the seal ends that.
pub(crate) fn opens(deed: &Deed) -> bool {
    deed.action == "bindery.admin.v1.AdminService/Unseal"
}

/// The file beside the log.
#[derive(Clone)]
pub(crate) struct Aside {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

/// What is in it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) deeds: Vec<(Timestamp, Deed)>,
    /// Lines that are no deeds: one that the daemon died over, or what somebody else wrote.
    pub(crate) unreadable: u64,
}

impl Aside {
    pub(crate) fn new(disk: Arc<dyn Disk>, folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { disk, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// Brings a deed to the disk. Blocks.
    pub(crate) fn append(&self, now: Timestamp, deed: &Deed) -> io::Result<()> {
        files::make(&self.folder)?;
        let (path, line) = (self.path(), line::unchained(now, deed));
        let length = match fs::metadata(&path) {
            Ok(found) => Some(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let (file, end) = (
            self.disk.open(&path, length.is_none())?,
            length.unwrap_or(0),
        );
        if end + line.len() as u64 > LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Err(error) = file.write_at(&line, end) {
            // What is left over is no deed, and is counted as such where it can't be cut off.
            let _ = file.set_len(end);
            return Err(error);
        }
        file.sync()?;
        self.disk.sync_folder(&self.folder)
    }

    /// All that is in the file. Blocks.
    pub(crate) fn read(&self) -> io::Result<Found> {
        let bytes = match fs::read(self.path()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
            Err(error) => return Err(error),
        };
        let mut found = Found::default();
        for line in bytes.split(|c| *c == b'\n').filter(|line| !line.is_empty()) {
            match line::read_unchained(line) {
                Some(deed) => found.deeds.push(deed),
                None => found.unreadable += 1,
            }
        }
        Ok(found)
    }

    /// Removes the file, whose deeds are in the log. Blocks.
    pub(crate) fn clear(&self) -> io::Result<()> {
        match fs::remove_file(self.path()) {
            Ok(()) => self.disk.sync_folder(&self.folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}
