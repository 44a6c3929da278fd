//! What the host of plugins is told by the operator

use std::path::PathBuf;

use bindery_core::name::ProviderName;

use crate::{catalog::Catalog, limits::Limits, version::Version};

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct HostConfig {
    /// Where plugins lie, and which ones may run.
    pub catalog: Catalog,
    /// Which ones run.
    pub enabled: Vec<Enabled>,
    /// How their workers are started.
    pub worker: WorkerConfig,
    /// What each may use up.
    pub limits: Limits,
}

/// A plugin that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Enabled {
    /// Its name.
    pub name: ProviderName,
    /// Its version.
    pub version: Version,
}

/// How workers are started.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Absolute path of `bindery-plugin-worker`.
    pub path: PathBuf,
    /// User and group that workers run as when the daemon runs as root.
    pub user: Option<WorkerUser>,
    /// Refuse a plugin rather than run it without a system call filter.
    pub require_sandbox: bool,
    /// Plugins for which that is not so.
    pub allow_unsandboxed: Vec<String>,
    /// Address space of a worker, in bytes.
    pub memory: u64,
    /// CPU time of a worker over its life, in seconds. It is killed then, and started anew.
    pub cpu_seconds: Option<u64>,
}

/// Numeric user and group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WorkerUser {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl WorkerConfig {
    /// Whether the plugin of this name needs a system call filter.
    #[must_use]
    pub fn needs_sandbox(&self, name: &ProviderName) -> bool {
        self.require_sandbox
            && !self
                .allow_unsandboxed
                .iter()
                .any(|other| other == name.as_str())
    }
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/usr/libexec/bindery/bindery-plugin-worker"),
            user: None,
            require_sandbox: true,
            allow_unsandboxed: Vec::new(),
            memory: 256 * 1024 * 1024,
            cpu_seconds: None,
        }
    }
}
