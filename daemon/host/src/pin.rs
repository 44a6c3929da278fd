//! Agreeing to a plugin: one command that shows what changes

use std::{collections::BTreeSet, fmt};

use bindery_core::name::ProviderName;

use crate::{
    catalog::{Catalog, CatalogError, check_downgrade},
    lock::{Lock, Pin},
    version::Version,
};

/// What a pin changes.
#[derive(Clone, Debug)]
pub struct PinDiff {
    /// What was pinned before.
    pub old: Option<Pin>,
    /// What is pinned now.
    pub new: Pin,
    /// Name of the key that signed it; none where it runs unsigned.
    pub signed_by: Option<String>,
    /// Requests and secrets that it may use from now on.
    pub requests_added: BTreeSet<String>,
    /// Requests and secrets that it may no longer use.
    pub requests_removed: BTreeSet<String>,
}

/// A pin that is not written yet, so that a person can look at it first.
#[derive(Debug)]
pub struct PinPlan {
    lock: Lock,
    diff: PinDiff,
}

impl PinPlan {
    /// Checks a plugin as it would be checked before it runs, except for its pin, and finds out what a pin would change.
    ///
    /// # Errors
    ///
    /// The plugin could not run anyway, or is older than the pinned one and `allow_downgrade` is not set.
    pub fn prepare(
        catalog: &Catalog,
        name: &ProviderName,
        version: &Version,
        allow_downgrade: bool,
    ) -> Result<Self, CatalogError> {
        let artifact = catalog.read(name, version)?;
        let lock = Lock::read(&catalog.lock_file, &catalog.rules())?;
        let old = lock.pin(name).cloned();
        if let Some(old) = old.as_ref().filter(|_| !allow_downgrade) {
            check_downgrade(&artifact.manifest, &old.highest)?;
        }
        let new = Pin {
            name: name.to_string(),
            version: version.clone(),
            sha256: artifact.sha256,
            manifest: artifact.manifest_sha256,
            publisher: artifact.manifest.publisher.clone(),
            // An allowed downgrade is from then on what was agreed to.
            highest: version.clone(),
            requests: artifact.manifest.request_lines(),
        };
        let diff = PinDiff::new(old, new, artifact.signed_by);
        Ok(Self { lock, diff })
    }

    /// What would change.
    #[must_use]
    pub fn diff(&self) -> &PinDiff {
        &self.diff
    }

    /// Writes the lock file.
    ///
    /// # Errors
    ///
    /// It can't be written; the old one stays.
    pub fn write(mut self, catalog: &Catalog) -> Result<PinDiff, CatalogError> {
        self.lock.set(self.diff.new.clone());
        self.lock.write(&catalog.lock_file)?;
        Ok(self.diff)
    }
}

/// Pins a plugin and says what changed.
///
/// # Errors
///
/// As [`PinPlan::prepare`] and [`PinPlan::write`].
pub fn pin(
    catalog: &Catalog,
    name: &ProviderName,
    version: &Version,
    allow_downgrade: bool,
) -> Result<PinDiff, CatalogError> {
    PinPlan::prepare(catalog, name, version, allow_downgrade)?.write(catalog)
}

impl PinDiff {
    fn new(old: Option<Pin>, new: Pin, signed_by: Option<String>) -> Self {
        let none = BTreeSet::new();
        let before = old.as_ref().map_or(&none, |pin| &pin.requests);
        let requests_added = new.requests.difference(before).cloned().collect();
        let requests_removed = before.difference(&new.requests).cloned().collect();
        Self {
            old,
            new,
            signed_by,
            requests_added,
            requests_removed,
        }
    }

    /// Whether it was pinned just so before.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.old.as_ref() == Some(&self.new)
    }
}

impl fmt::Display for PinDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new = &self.new;
        let old = |value: fn(&Pin) -> String| self.old.as_ref().map_or_else(|| "-".into(), value);
        writeln!(f, "plugin     {}", new.name)?;
        writeln!(
            f,
            "version    {} -> {}",
            old(|pin| pin.version.to_string()),
            new.version
        )?;
        writeln!(
            f,
            "plugin.so  {} -> {}",
            old(|pin| pin.sha256.to_string()),
            new.sha256
        )?;
        writeln!(
            f,
            "manifest   {} -> {}",
            old(|pin| pin.manifest.to_string()),
            new.manifest
        )?;
        writeln!(
            f,
            "publisher  {} -> {}",
            old(|pin| pin.publisher.clone()),
            new.publisher
        )?;
        writeln!(
            f,
            "signed by  {}",
            self.signed_by.as_deref().unwrap_or("nobody")
        )?;
        for line in &self.requests_removed {
            writeln!(f, "- {line}")?;
        }
        for line in &self.requests_added {
            writeln!(f, "+ {line}")?;
        }
        Ok(())
    }
}
