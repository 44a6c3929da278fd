//! Key files and systemd credentials: both are files, with different rules about who may read them.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::files;

/// Why a key file can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Somebody else may read or change it.
    #[error("the key file {} can be read or changed by others (mode {mode:04o}); run `chmod 0400 {}`", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("the key file {} belongs to user {owner}; run `chown` so that it belongs to the daemon's user or root", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// It is no regular file.
    #[error("the key file {} is no regular file; give the path of a file with the key", .0.display())]
    NoFile(PathBuf),
    /// It is too short or too long.
    #[error("the key file {} must hold 32 to 4096 random bytes; make one with `head -c 32 /dev/urandom`", .0.display())]
    Size(PathBuf),
    /// It is there already.
    #[error("the key file {} exists already; use it as it is, or choose another path", .0.display())]
    Exists(PathBuf),
    /// It can't be read or written.
    #[error("the key file {} can't be used; check its path, its owner and its disk", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// Reads a key file that only its owner can read.
pub(super) fn read_key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    read(path, 0o077)
}

/// Reads a credential. systemd grants access by an ACL, whose mask shows as read permission of the group.
pub(super) fn read_credential(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    read(path, 0o037)
}

fn read(path: &Path, forbidden: u32) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let failed = |source| KeyFileError::Io(path.to_owned(), source);
    let file = File::open(path).map_err(failed)?;
    // The open file is asked, so what was checked is what is read.
    check(path, &file.metadata().map_err(failed)?, forbidden)?;
    let bytes = match files::read_limited(file, LONGEST) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Err(KeyFileError::Size(path.to_owned()));
        }
        read => read.map_err(failed)?,
    };
    if !fits(bytes.len()) {
        return Err(KeyFileError::Size(path.to_owned()));
    }
    Ok(bytes)
}

fn check(path: &Path, metadata: &Metadata, forbidden: u32) -> Result<(), KeyFileError> {
    let path = path.to_owned();
    let mode = metadata.permissions().mode() & 0o7777;
    let owner = metadata.uid();
    if !metadata.is_file() {
        return Err(KeyFileError::NoFile(path));
    }
    if mode & forbidden != 0 {
        return Err(KeyFileError::Exposed { path, mode });
    }
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(KeyFileError::Foreign { path, owner });
    }
    Ok(())
}

/// Whether a key of this many bytes is neither too short nor too long.
pub(super) const fn fits(length: usize) -> bool {
    SHORTEST <= length && length <= LONGEST
}

const SHORTEST: usize = 32;
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A key file that others can read is refused, one of the owner alone is taken; a credential may show its ACL.
    #[test]
    fn exposed_key_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, [7; 32]).unwrap();
        for (mode, as_key, as_credential) in [
            (0o400, true, true),
            (0o600, true, true),
            (0o440, false, true),
            (0o604, false, false),
            (0o420, false, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_key_file(&path).is_ok(), as_key, "{mode:o}");
            assert_eq!(read_credential(&path).is_ok(), as_credential, "{mode:o}");
        }
        let sentence = read_key_file(&path).unwrap_err().to_string();
        assert!(sentence.contains("chmod 0400"), "{sentence}");
    }

    /// Keys that are too short, too long, absent or folders are refused, each with its reason.
    #[test]
    fn unusable_key_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(matches!(read_key_file(&path), Err(KeyFileError::Io(..))));
        for length in [0, 31, 4097] {
            fs::write(&path, vec![7; length]).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(read_key_file(&path), Err(KeyFileError::Size(_))));
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let refused = read_key_file(folder.path());
        assert!(matches!(refused, Err(KeyFileError::NoFile(_))));
    }

    /// A file that belongs to somebody else is refused. Only root can make one.
    #[test]
    fn foreign_key_files_are_refused() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, [7; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        let refused = read_key_file(&path);
        assert!(matches!(
            refused,
            Err(KeyFileError::Foreign { owner: 12345, .. })
        ));
    }
}
