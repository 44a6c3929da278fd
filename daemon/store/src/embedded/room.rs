//! Whether the store could be opened once more, asked before it is closed.

use std::fs::OpenOptions;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::embedded::folder;

/// Whether sled would find the room that it takes when it is opened. Sets it aside behind the end of its data file, so
/// that a quota is noticed, and nobody else takes it.
pub(crate) fn is_there(folder: &Path) -> bool {
    folder::free_space(folder).is_ok_and(|free| free >= NEEDED) && may_grow(folder)
}

fn may_grow(folder: &Path) -> bool {
    let data = OpenOptions::new()
        .write(true)
        .open(folder.join(folder::DATA));
    let Ok((data, length)) = data.and_then(|data| data.metadata().map(|found| (data, found.len())))
    else {
        return false;
    };
    let limit = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
    let reserved = fallocate(&data, FallocateFlags::KEEP_SIZE, length, NEEDED);
    // Not every file system can reserve.
    length.saturating_add(NEEDED) <= limit && matches!(reserved, Ok(()) | Err(Errno::OPNOTSUPP))
}

/// Bytes that sled takes when it is opened: a segment of its data file, and a snapshot.
const NEEDED: u64 = 2 << 20;
