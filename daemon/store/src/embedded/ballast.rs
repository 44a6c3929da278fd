//! Space that is set aside while there is plenty, and given back when sled can't be opened without it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use tracing::warn;

use crate::embedded::{SledConfig, folder};

/// Sets the space aside, unless it already is or that would take the last of it.
pub(super) fn ensure(folder: &Path, config: &SledConfig) {
    let path = folder.join(NAME);
    let held = fs::metadata(&path).map_or(0, |ballast| ballast.len());
    if held == config.ballast_bytes {
        return;
    }
    release(folder);
    if config.ballast_bytes == 0 {
        return;
    }
    let needed = config.ballast_bytes.saturating_add(config.free_floor);
    if folder::free_space(folder).unwrap_or(0) < needed {
        warn!("There is no room for the ballast: a full disk will need an operator");
    } else if let Err(error) = allocate(&path, config.ballast_bytes) {
        warn!(%error, "There is no ballast: a full disk will need an operator");
        release(folder);
    }
}

/// Gives the space back. Says whether there was any.
pub(super) fn release(folder: &Path) -> bool {
    fs::remove_file(folder.join(NAME)).is_ok()
}

fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        // File systems that can't reserve get real bytes, or the space would exist on paper only.
        Err(Errno::OPNOTSUPP) => fill(&mut file, bytes),
        allocated => Ok(allocated?),
    }
}

fn fill(file: &mut File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), bytes), file)?;
    file.flush()
}

/// The file's name in the store's folder.
pub(super) const NAME: &str = "ballast";
