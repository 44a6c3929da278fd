//! Why the daemon ends, and its exit codes.

use std::{fmt, process::ExitCode};

/// Why the daemon ends.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration, a key or a plugin pin must be mended first: systemd must not restart into it (`EX_CONFIG`).
    Config(String),
    /// Another daemon uses the folder (`EX_CANTCREAT`).
    Locked(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl Failure {
    /// 78, 73 or 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(_) => 78,
            Self::Locked(_) => 73,
            Self::Other(_) => 1,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(text) | Self::Locked(text) => f.write_str(text),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}
