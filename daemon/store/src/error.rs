//! What can go wrong: while the store is used, and while it is opened.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

/// Why a read or a commit did not happen.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An expectation did not hold, so nothing was written.
    #[error("operation {index} of the batch met another value than it expected")]
    Conflict {
        /// The first operation whose expectation failed, counted from 0.
        index: usize,
    },
    /// The batch breaks a limit, so nothing was written.
    #[error("the batch can't be stored: {0}")]
    InvalidBatch(&'static str),
    /// The store stopped taking writes. Reads go on; where the write that failed was moving the page they need, once the
    /// store was opened anew.
    #[error("the store is read-only ({reason}): repair the cause and restart")]
    ReadOnly {
        /// What happened, for the operator.
        reason: String,
    },
    /// Reading or writing failed. Of a commit, the outcome is unknown.
    #[error("the store can't reach its disk")]
    Io(#[source] Arc<io::Error>),
    /// What is stored can't be read.
    #[error(
        "the store is damaged: stop the daemon and restore the latest backup into a new folder"
    )]
    Corrupt,
    /// The store was closed while the call waited. Of a commit, the outcome is unknown.
    #[error("the store was closed")]
    Closed,
}

/// Why a store could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process uses the folder.
    #[error("the store {} is in use: stop the other daemon first", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// What is there can't be read.
    #[error("the store {} is damaged: {what_to_do}", path.display())]
    Corrupt {
        /// The folder.
        path: PathBuf,
        /// How to go on.
        what_to_do: &'static str,
    },
    /// The file system is full, and there is no ballast left to release.
    #[error("no space is left for the store {}: free some and start again", path.display())]
    NoSpace {
        /// The folder.
        path: PathBuf,
    },
    /// The folder can't be used.
    #[error("the store {} can't be opened: check its owner, its permissions and its disk", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
