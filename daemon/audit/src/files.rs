//! The folder of the log. Each file is named by the number of its first record and begins with a line that says what it
//! goes on from.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bindery_core::audit::AuditMark;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// The end of every file's name.
const SUFFIX: &str = ".jsonl";

/// The first line of a file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// Number of the format, 1.
    bindery_audit: u8,
    /// Number of the first record.
    first: u64,
    /// MAC of the record before, hexadecimal.
    before: String,
}

/// The files of a folder in their order.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.ends_with(SUFFIX)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Paths that a file with this first record may have: one, and others for where that one is damaged.
pub(crate) fn paths(folder: &Path, first: u64) -> impl Iterator<Item = PathBuf> {
    let others = (b'b'..=b'z').map(|letter| char::from(letter).to_string());
    std::iter::once(String::new())
        .chain(others)
        .map(move |letter| folder.join(format!("{first:020}{letter}{SUFFIX}")))
}

/// The first line of a file that goes on from `mark`, with its line break.
pub(crate) fn head(mark: AuditMark) -> Vec<u8> {
    let head = Head {
        bindery_audit: 1,
        first: mark.sequence + 1,
        before: HEXLOWER.encode(&mark.chain),
    };
    // Numbers and hexadecimal digits always become JSON.
    let mut line = serde_json::to_vec(&head).unwrap_or_default();
    line.push(b'\n');
    line
}

/// What a first line goes on from; `None` for one that is none.
pub(crate) fn read_head(line: &[u8]) -> Option<AuditMark> {
    let head: Head = serde_json::from_slice(line).ok()?;
    let chain = HEXLOWER.decode(head.before.as_bytes()).ok()?;
    let before = head.first.checked_sub(1)?;
    (head.bindery_audit == 1).then_some(AuditMark {
        sequence: before,
        chain: chain.try_into().ok()?,
    })
}

/// Makes the folder, 0700.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}
