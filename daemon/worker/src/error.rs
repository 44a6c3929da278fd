//! Why a worker gives up

use std::io;

use bindery_plugin_abi::{
    ABI_MAJOR, SliceError, TABLE_SYMBOL, frame::FrameError, table::TABLE_SIZE,
};

/// The one sentence of a FATAL frame. None of them holds what went through the worker, only lengths and numbers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    /// The kernel refuses the system call filter.
    #[error(
        "the system call filter can't be installed ({0}); run a kernel with seccomp, or let the operator allow this \
         plugin to run unsandboxed"
    )]
    NoSandbox(io::Error),
    /// `dlopen` refuses the image.
    #[error("the image can't be loaded: {0}")]
    NotLoaded(String),
    /// There is no table.
    #[error("the image does not export {}; build it with the SDK or the header", TABLE_SYMBOL.to_string_lossy())]
    NoTable,
    /// The table is not one of ours.
    #[error("the table does not begin with the magic number; this is no Bindery plugin")]
    BadMagic,
    /// The table is of another major version.
    #[error(
        "the plugin was built for version {0} of the plugin boundary and this worker speaks version {ABI_MAJOR}; \
         rebuild it with a matching SDK"
    )]
    WrongMajor(u32),
    /// The table ends too early.
    #[error(
        "the table has {0} bytes where version {ABI_MAJOR} has {TABLE_SIZE}; rebuild the plugin with a matching SDK"
    )]
    ShortTable(u32),
    /// A function is missing.
    #[error("the table has no function {0}")]
    NullFunction(&'static str),
    /// The plugin can't say what it is.
    #[error("the plugin can't describe itself: status {0}")]
    DescribeFailed(i32),
    /// The plugin claims bytes that it can't have.
    #[error("{call} lied about a length: {error}")]
    Lied {
        /// The function that gave the slice.
        call: &'static str,
        /// What is wrong with it.
        error: SliceError,
    },
    /// An operation without a handle.
    #[error("start gave no handle although it went well")]
    NoHandle,
    /// A status that the boundary does not have.
    #[error("{call} returned the status {status}, which does not exist")]
    UnknownStatus {
        /// The function that returned it.
        call: &'static str,
        /// What it returned.
        status: i32,
    },
    /// The host does not keep to the frames.
    #[error("the host sent {0}")]
    BadFrame(#[from] FrameError),
    /// The host sent what only a worker sends.
    #[error("the host sent a frame that only a worker sends")]
    NotARequest,
    /// The host is gone, or its socket is broken.
    #[error("the connection to the host broke: {0}")]
    Wire(#[from] io::Error),
}
