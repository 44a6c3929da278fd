//! What the operator agreed to run: `plugins.lock`

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bindery_core::name::ProviderName;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    digest::Digest,
    files::{FileError, FileRules},
    version::Version,
};

/// Longest lock file.
const LOCK_LEN: u64 = 1024 * 1024;

/// Format of the lock file.
const FORMAT: u32 = 1;

/// All pins.
#[derive(Clone, Debug, Default)]
pub struct Lock {
    pins: Vec<Pin>,
}

/// One plugin that the operator agreed to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Name of the plugin.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// SHA-256 of `plugin.so`.
    pub sha256: Digest,
    /// SHA-256 of `manifest.toml`.
    pub manifest: Digest,
    /// Who made it, as the manifest says.
    pub publisher: String,
    /// Highest version that was ever pinned.
    pub highest: Version,
    /// The request allowlist, line by line, so that the next pin can show what changed.
    #[serde(default)]
    pub requests: BTreeSet<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    format: u32,
    #[serde(default)]
    plugins: Vec<Pin>,
}

/// What is wrong with the lock file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LockError {
    /// It can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no lock file.
    #[error("{path} is not a lock file: {reason}; write it with 'binderyd plugin pin'")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It can't be written.
    #[error("{path} can't be written: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Lock {
    /// Reads the lock file. One that is not there pins nothing.
    ///
    /// # Errors
    ///
    /// It breaks the rules, or is no lock file.
    pub fn read(path: &Path, rules: &FileRules) -> Result<Self, LockError> {
        let bytes = match rules.read(path, LOCK_LEN) {
            Ok(bytes) => bytes,
            Err(FileError::Missing(_)) => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let malformed = |reason: String| LockError::Malformed {
            path: path.to_owned(),
            reason,
        };
        let source = String::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8".into()))?;
        let raw: Raw =
            toml::from_str(&source).map_err(|error| malformed(error.message().into()))?;
        if raw.format != FORMAT {
            return Err(malformed(format!(
                "it has format {} instead of {FORMAT}",
                raw.format
            )));
        }
        let mut names = BTreeSet::new();
        match raw
            .plugins
            .iter()
            .find(|pin| !names.insert(pin.name.clone()))
        {
            Some(twice) => Err(malformed(format!("'{}' is pinned twice", twice.name))),
            None => Ok(Self { pins: raw.plugins }),
        }
    }

    /// The pin of a plugin.
    #[must_use]
    pub fn pin(&self, name: &ProviderName) -> Option<&Pin> {
        self.pins.iter().find(|pin| pin.name == name.as_str())
    }

    /// Puts a pin in, in place of an older one.
    pub fn set(&mut self, pin: Pin) {
        self.pins.retain(|old| old.name != pin.name);
        self.pins.push(pin);
        self.pins.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Writes the lock file, whole or not at all.
    ///
    /// # Errors
    ///
    /// The folder is not writable, or the disk is full; the old file stays.
    pub fn write(&self, path: &Path) -> Result<(), LockError> {
        let failed = |error| LockError::Write {
            path: path.to_owned(),
            error,
        };
        let raw = Raw {
            format: FORMAT,
            plugins: self.pins.clone(),
        };
        let body = toml::to_string_pretty(&raw).map_err(|error| failed(io::Error::other(error)))?;
        let head =
            "# Written by 'binderyd plugin pin'. Plugins run only as they are pinned here.\n";
        replace(path, &format!("{head}{body}")).map_err(failed)
    }
}

/// A reader sees the old file or the new one, also after a power cut.
fn replace(path: &Path, content: &str) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = folder.join(name);
    write_durably(&new, content)
        .and_then(|()| fs::rename(&new, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&new);
        })?;
    File::open(folder)?.sync_all()
}

fn write_durably(path: &Path, content: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}
