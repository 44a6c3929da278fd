//! Small files that are replaced whole, or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use zeroize::Zeroizing;

use crate::mortal;

/// Replaces `folder/name`: temporary file, fsync, rename, fsync of the folder.
pub(crate) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = folder.join(format!("{name}.tmp"));
    remove_if_present(&temporary)?;
    mortal::step("file: begun");
    write_new(&temporary, bytes, 0o600)?;
    mortal::step("file: written");
    fs::rename(&temporary, folder.join(name))?;
    mortal::step("file: renamed");
    sync_folder(folder)
}

/// Writes a file that must not exist.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The content of a file of at most `limit` bytes; `None` when there is none.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    match File::open(path) {
        Ok(file) => read_limited(file, limit).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The content of an open file. The buffer has room for all of it, so no copy is left behind.
pub(crate) fn read_limited(file: File, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let expected = usize::try_from(file.metadata()?.len())
        .unwrap_or(limit)
        .min(limit);
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Makes a folder that nobody else can enter, unless it is there.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
