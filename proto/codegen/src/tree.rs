//! Comparing with and writing to the folders of the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::generate::Generated;
use crate::schema;

/// Paths below `proto/` where the repository differs from what was generated; empty means none.
///
/// # Errors
/// A committed file exists but can't be read.
pub fn differences(generated: &Generated) -> Result<Vec<String>> {
    let mut different = Vec::new();
    for (path, content) in &generated.files {
        if read(path)?.as_deref() != Some(content.as_slice()) {
            different.push(path.clone());
        }
    }
    different.extend(leftovers(generated)?);
    Ok(different)
}

/// Writes what differs and removes generated files that no schema yields any more.
///
/// # Errors
/// A file can't be written or removed.
pub fn write(generated: &Generated) -> Result<()> {
    for (path, content) in &generated.files {
        if read(path)?.as_deref() != Some(content.as_slice()) {
            let target = schema::root().join(path);
            fs::create_dir_all(target.parent().unwrap_or(Path::new(".")))?;
            fs::write(&target, content).with_context(|| format!("write {path}"))?;
        }
    }
    for path in leftovers(generated)? {
        fs::remove_file(schema::root().join(&path)).with_context(|| format!("remove {path}"))?;
    }
    Ok(())
}

fn read(path: &str) -> Result<Option<Vec<u8>>> {
    match fs::read(schema::root().join(path)) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {path}")),
    }
}

fn leftovers(generated: &Generated) -> Result<BTreeSet<String>> {
    let folder = schema::root().join(generated.folder);
    let mut found = BTreeSet::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let path = format!("{}/{name}", generated.folder);
        if !generated.files.contains_key(&path) {
            found.insert(path);
        }
    }
    Ok(found)
}
