//! Why the daemon ends, and its exit codes.

use std::{fmt, process::ExitCode};

/// Why the daemon ends.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration, a key or a plugin pin must be mended first: systemd must not restart into it (`EX_CONFIG`).
    Config(String),
    /// As [`Failure::Config`], with a reason of its own.
    Refused(&'static str, String),
    /// Another daemon uses the folder (`EX_CANTCREAT`).
    Locked(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl Failure {
    /// 78, 73 or 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(_) | Self::Refused(..) => 78,
            Self::Locked(_) => 73,
            Self::Other(_) => 1,
        })
    }
}

impl Failure {
    /// Stable and machine-readable, as in the errors of the API.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Config(_) => "CONFIGURATION_INVALID",
            Self::Refused(reason, _) => reason,
            Self::Locked(_) => "ALREADY_RUNNING",
            Self::Other(_) => "START_FAILED",
        }
    }
}

/// Why a vault does not open.
impl From<bindery_vault::OpenError> for Failure {
    fn from(error: bindery_vault::OpenError) -> Self {
        use bindery_vault::OpenError;
        let reason = match &error {
            OpenError::WrongKey { .. } => "ROOT_KEY_WRONG",
            OpenError::Slot(_) => "ROOT_KEY_UNUSABLE",
            OpenError::Header(_) => "SEAL_HEADER_DAMAGED",
            OpenError::RolledBack { .. } => "STORE_ROLLED_BACK",
            OpenError::MissingRecords { .. } | OpenError::MissingManifest | OpenError::Tampered => {
                "STORE_DAMAGED"
            }
            _ => "STORE_FAILED",
        };
        Self::Refused(reason, error.to_string())
    }
}

/// Why a store does not open.
impl From<bindery_store::OpenError> for Failure {
    fn from(error: bindery_store::OpenError) -> Self {
        use bindery_store::OpenError;
        let message = error.to_string();
        match error {
            OpenError::Locked { .. } => Self::Locked(message),
            OpenError::Corrupt { .. } => Self::Refused("STORE_DAMAGED", message),
            OpenError::NoSpace { .. } => Self::Refused("DISK_FULL", message),
            _ => Self::Refused("STORE_FAILED", message),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(text) | Self::Refused(_, text) | Self::Locked(text) => f.write_str(text),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

macro_rules! other {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Other(error.into())
            }
        })*
    };
}

other!(
    anyhow::Error,
    std::io::Error,
    rustix::io::Errno,
    bindery_core::problem::Problem,
    bindery_vault::InitError,
    bindery_vault::ChangeError
);
