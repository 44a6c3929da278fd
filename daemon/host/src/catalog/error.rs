//! Why a plugin may not run

use std::path::PathBuf;

use thiserror::Error;

use crate::{
    digest::Digest,
    files::FileError,
    inspect::InspectError,
    lock::LockError,
    manifest::{ManifestError, TARGET},
    signature::{KeyError, SignatureError},
};

/// Why a plugin may not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// No root has it.
    #[error("{name} {version} is in none of {}; install it there", list(.roots))]
    NotFound {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Where it was looked for.
        roots: Vec<PathBuf>,
    },
    /// A file breaks the rules.
    #[error(transparent)]
    File(#[from] FileError),
    /// The manifest makes no sense.
    #[error("{path}: {error}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        error: ManifestError,
    },
    /// The manifest is another plugin's.
    #[error("{path} is the manifest of {actual} instead of {expected}")]
    OtherPlugin {
        /// The manifest.
        path: PathBuf,
        /// Whose it should be.
        expected: String,
        /// Whose it is.
        actual: String,
    },
    /// The library is not the one in the manifest.
    #[error(
        "{path} is not what its manifest says: expected {expected}, actual {actual}; install the plugin again"
    )]
    NotInManifest {
        /// The library.
        path: PathBuf,
        /// Size and hash in the manifest.
        expected: String,
        /// Size and hash of the file.
        actual: String,
    },
    /// The manifest lists no library for this machine.
    #[error("{0} lists no library for {TARGET}; install the plugin for this machine")]
    NoArtifact(PathBuf),
    /// Revoked.
    #[error("{path} with SHA-256 {sha256} is on the deny list")]
    Denied {
        /// The library.
        path: PathBuf,
        /// Its hash.
        sha256: Digest,
    },
    /// The key folder is not in order.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// There is no signature.
    #[error(
        "{0} does not exist, and the plugin may not run unsigned; get the signature, or list its SHA-256 in allow_unsigned"
    )]
    Unsigned(PathBuf),
    /// The signature is not accepted.
    #[error("{path}: {error}")]
    Signature {
        /// The signature.
        path: PathBuf,
        /// Why.
        error: SignatureError,
    },
    /// The lock file is not in order.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Not pinned.
    #[error(
        "{name} {version} is not pinned in {lock}; look at it and run 'binderyd plugin pin {name}'"
    )]
    NotPinned {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// The lock file.
        lock: PathBuf,
    },
    /// Pinned otherwise.
    #[error(
        "{path} is not what is pinned in {lock}: expected {expected}, actual {actual}; if you changed it on purpose, run 'binderyd plugin pin {name}'"
    )]
    PinMismatch {
        /// Its name.
        name: String,
        /// The file that differs.
        path: PathBuf,
        /// The lock file.
        lock: PathBuf,
        /// What is pinned.
        expected: String,
        /// What is there.
        actual: String,
    },
    /// Older than what ran before.
    #[error(
        "{name} {version} is older than {highest}, which was pinned before; if you mean it, run 'binderyd plugin pin {name} --allow-downgrade'"
    )]
    Downgrade {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// The highest one so far.
        highest: String,
    },
    /// The file is no plugin for this machine.
    #[error("{path}: {error}")]
    Inspect {
        /// The library.
        path: PathBuf,
        /// Why.
        error: InspectError,
    },
}

fn list(roots: &[PathBuf]) -> String {
    roots
        .iter()
        .map(|root| root.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
