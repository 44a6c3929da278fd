//! Plugins, and who may be trusted to make them.

use std::path::{Path, PathBuf};

use super::{check::absolute, raw};

/// Plugins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Plugins {
    /// Folders that hold `<name>/<version>/`.
    pub(crate) roots: Vec<PathBuf>,
    /// Enabled plugins: name and version.
    pub(crate) enabled: Vec<(String, String)>,
    /// Lock file.
    pub(crate) lock_file: PathBuf,
    /// Folder of publisher keys.
    pub(crate) keys_dir: PathBuf,
    /// The worker's binary.
    pub(crate) worker: PathBuf,
    /// SHA-256 of libraries that may run unsigned.
    pub(crate) allow_unsigned: Vec<String>,
    /// SHA-256 of libraries that may never run.
    pub(crate) deny: Vec<String>,
    /// Names of plugins that may run without a sandbox.
    pub(crate) allow_unsandboxed: Vec<String>,
    /// Folders of plugins may be writable by others, and manifests unsigned.
    pub(crate) development_trust: bool,
}

pub(super) fn plugins(
    raw: raw::Plugins,
    data_dir: &Path,
    development_trust: bool,
    errors: &mut Vec<String>,
) -> Plugins {
    let enabled = raw
        .enabled
        .iter()
        .filter_map(|entry| enabled(entry, errors))
        .collect();
    Plugins {
        roots: raw
            .roots
            .into_iter()
            .map(|path| absolute("plugins.roots", path, errors))
            .collect(),
        enabled,
        lock_file: raw.lock_file.map_or_else(
            || data_dir.join("plugins.lock"),
            |path| absolute("plugins.lock_file", path, errors),
        ),
        keys_dir: absolute("plugins.keys_dir", raw.keys_dir, errors),
        worker: absolute("plugins.worker", raw.worker, errors),
        allow_unsigned: raw.allow_unsigned,
        deny: raw.deny,
        allow_unsandboxed: raw.allow_unsandboxed,
        development_trust,
    }
}

fn enabled(entry: &str, errors: &mut Vec<String>) -> Option<(String, String)> {
    match entry.split_once('@') {
        Some((name, version)) if !name.is_empty() && !version.is_empty() => {
            Some((name.to_owned(), version.to_owned()))
        }
        _ => {
            errors.push(format!("plugins.enabled: {entry:?} must name a plugin and its version, like \"github@0.1.0\""));
            None
        }
    }
}
