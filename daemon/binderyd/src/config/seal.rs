//! Where root keys come from.

use std::path::PathBuf;

use super::{check::absolute, raw};

/// Sources of root keys. Each one that is given is tried.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seal {
    /// Key file.
    pub(crate) key_file: Option<PathBuf>,
    /// Name of a systemd credential.
    pub(crate) systemd_credential: Option<String>,
    /// File that holds a passphrase.
    pub(crate) passphrase_file: Option<PathBuf>,
}

pub(super) fn seal(raw: raw::Seal, errors: &mut Vec<String>) -> Seal {
    Seal {
        key_file: raw
            .key_file
            .map(|path| absolute("seal.key_file", path, errors)),
        systemd_credential: raw.systemd_credential,
        passphrase_file: raw
            .passphrase_file
            .map(|path| absolute("seal.passphrase_file", path, errors)),
    }
}
