//! Files that only the operator can have written
//!
//! Every folder above a file belongs to root or to the configured owner, and nobody else can write in it (sticky
//! folders of root's excepted). The file is opened without following a link or waiting for a writer, and what is
//! checked is the descriptor that is then read.

use std::{
    fs::{File, Metadata},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use thiserror::Error;

/// Whether plugins must be signed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PluginTrust {
    /// Signed, in folders that only the operator can write. For all but a developer's machine.
    #[default]
    Signed,
    /// Signatures are not asked for, and folders above a plugin may be anybody's. The pin in the lock file stays.
    Development,
}

/// Who may have written a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileRules {
    /// A user besides root whose files and folders are trusted.
    pub owner: Option<u32>,
    /// Development does not look at the folders.
    pub trust: PluginTrust,
}

/// Why a file is not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// Relative, or with `..`.
    #[error("{0} is not an absolute path without '..'; write the whole path")]
    NotAbsolute(PathBuf),
    /// It is not there.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// It, or a folder where none may be, is a link.
    #[error("{0} is a symbolic link; put the file itself there")]
    Link(PathBuf),
    /// Something else than a file, or than a folder.
    #[error("{0} is not a regular file, or a part of its path is not a folder")]
    WrongType(PathBuf),
    /// Set-user-id or set-group-id.
    #[error("{0} has the set-user-id or set-group-id bit; remove it with 'chmod ug-s'")]
    SetId(PathBuf),
    /// Somebody else's.
    #[error("{path} belongs to user {uid}, and only root{} is trusted; change it with 'chown'", or_owner(*.owner))]
    ForeignOwner {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// The configured owner.
        owner: Option<u32>,
    },
    /// Writable by others.
    #[error("{path} has mode {mode:04o}, so others can write it; change it with 'chmod go-w'")]
    Writable {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Too big.
    #[error("{path} is longer than {limit} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// What is allowed.
        limit: u64,
    },
    /// The system says no.
    #[error("{path} can't be read: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

fn or_owner(owner: Option<u32>) -> String {
    owner
        .map(|uid| format!(" or user {uid}"))
        .unwrap_or_default()
}

const OTHERS_WRITE: u32 = 0o022;
const SET_ID: u32 = 0o6000;
const STICKY: u32 = 0o1000;

impl FileRules {
    /// Reads the file at `path`, of at most `limit` bytes, if it keeps the rules.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        self.check_ancestors(path)?;
        let file = open(path)?;
        let meta = file.metadata().map_err(|error| io(path, error))?;
        self.check_file(path, &meta, limit)?;
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
        // It may have grown since.
        let read = file.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| io(path, error))?;
        if bytes.len() as u64 > limit {
            return Err(FileError::TooLong {
                path: path.to_owned(),
                limit,
            });
        }
        Ok(bytes)
    }

    /// Checks every folder above `path`, as it is written and as it resolves.
    ///
    /// # Errors
    ///
    /// The first folder that somebody else could write in.
    pub fn check_ancestors(&self, path: &Path) -> Result<(), FileError> {
        let normal = |c: Component<'_>| matches!(c, Component::RootDir | Component::Normal(_));
        let parent = path
            .parent()
            .filter(|_| path.is_absolute() && path.components().all(normal));
        let parent = parent.ok_or_else(|| FileError::NotAbsolute(path.to_owned()))?;
        let resolved = parent.canonicalize().map_err(|error| io(parent, error))?;
        if self.trust == PluginTrust::Development {
            return Ok(());
        }
        self.check_folders(parent)?;
        self.check_folders(&resolved)
    }

    fn check_folders(&self, folder: &Path) -> Result<(), FileError> {
        for folder in folder.ancestors() {
            let meta = folder
                .symlink_metadata()
                .map_err(|error| io(folder, error))?;
            self.check_owner(folder, &meta)?;
            // A link can't be written in; where it leads is checked as it resolves.
            if meta.is_symlink() {
                continue;
            }
            if !meta.is_dir() {
                return Err(FileError::WrongType(folder.to_owned()));
            }
            let sticky = meta.uid() == 0 && meta.mode() & STICKY != 0;
            if meta.mode() & OTHERS_WRITE != 0 && !sticky {
                return Err(writable(folder, &meta));
            }
        }
        Ok(())
    }

    fn check_file(&self, path: &Path, meta: &Metadata, limit: u64) -> Result<(), FileError> {
        if !meta.is_file() {
            return Err(FileError::WrongType(path.to_owned()));
        }
        if meta.mode() & SET_ID != 0 {
            return Err(FileError::SetId(path.to_owned()));
        }
        self.check_owner(path, meta)?;
        if meta.mode() & OTHERS_WRITE != 0 {
            return Err(writable(path, meta));
        }
        if meta.len() > limit {
            return Err(FileError::TooLong {
                path: path.to_owned(),
                limit,
            });
        }
        Ok(())
    }

    fn check_owner(&self, path: &Path, meta: &Metadata) -> Result<(), FileError> {
        let own = self.trust == PluginTrust::Development
            && meta.uid() == rustix::process::geteuid().as_raw();
        if meta.uid() == 0 || Some(meta.uid()) == self.owner || own {
            return Ok(());
        }
        Err(FileError::ForeignOwner {
            path: path.to_owned(),
            uid: meta.uid(),
            owner: self.owner,
        })
    }
}

/// Neither a link nor a pipe that never gets a writer holds the daemon up.
fn open(path: &Path) -> Result<File, FileError> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::open(path, flags, Mode::empty())
        .map(File::from)
        .map_err(|errno| match errno {
            Errno::LOOP => FileError::Link(path.to_owned()),
            // A socket can't be opened at all.
            Errno::NXIO => FileError::WrongType(path.to_owned()),
            errno => io(path, errno.into()),
        })
}

fn writable(path: &Path, meta: &Metadata) -> FileError {
    FileError::Writable {
        path: path.to_owned(),
        mode: meta.mode() & 0o7777,
    }
}

fn io(path: &Path, error: std::io::Error) -> FileError {
    if error.kind() == std::io::ErrorKind::NotFound {
        return FileError::Missing(path.to_owned());
    }
    FileError::Io {
        path: path.to_owned(),
        error,
    }
}
