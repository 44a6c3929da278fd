//! Where plugins lie, and whether one of them may run
//!
//! `<root>/<name>/<version>/{plugin.so, manifest.toml, manifest.toml.sig}`, roots in order, no search beyond them.
//! Nothing runs because it lies there: it has to be enabled, pinned and signed. The bytes that come out of here are the
//! bytes that were hashed, and nobody reads the file again.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::{
    digest::Digest,
    files::{FileError, FileRules, PluginTrust},
    inspect::{self, Inspected},
    lock::{Lock, Pin},
    manifest::{LIBRARY, Manifest},
    signature::Keys,
    version::Version,
};
use bindery_core::name::ProviderName;

mod error;

pub use error::CatalogError;

const MANIFEST: &str = "manifest.toml";
const SIGNATURE: &str = "manifest.toml.sig";

/// Longest library.
pub const LIBRARY_LEN: u64 = 64 * 1024 * 1024;
const MANIFEST_LEN: u64 = 1024 * 1024;
const SIGNATURE_LEN: u64 = 64;

/// Where plugins lie and which ones may run.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Folders, in order: the first one that has name and version decides.
    pub roots: Vec<PathBuf>,
    /// The operator's pins.
    pub lock_file: PathBuf,
    /// Folder of publishers' keys.
    pub keys: PathBuf,
    /// A user besides root whose files are trusted.
    pub owner: Option<u32>,
    /// Whether signatures are asked for.
    pub trust: PluginTrust,
    /// Libraries that may run unsigned.
    pub allow_unsigned: Vec<Digest>,
    /// Libraries that never run.
    pub deny: Vec<Digest>,
}

/// A plugin that may run.
#[derive(Clone)]
pub struct Artifact {
    /// Where it came from.
    pub path: PathBuf,
    /// What its publisher says.
    pub manifest: Manifest,
    /// Hash of the manifest.
    pub manifest_sha256: Digest,
    /// The library.
    pub image: Vec<u8>,
    /// Hash of the library.
    pub sha256: Digest,
    /// Name of the key that signed it; none where it may run unsigned.
    pub signed_by: Option<String>,
    /// What its file says.
    pub inspected: Inspected,
}

/// Without the bytes, which would be some hundred thousand numbers.
impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact")
            .field("path", &self.path)
            .field("version", &self.manifest.version)
            .field("sha256", &self.sha256)
            .field("signed_by", &self.signed_by)
            .finish_non_exhaustive()
    }
}

impl Catalog {
    /// Reads a plugin and checks all that can be checked without running it, the pin included.
    ///
    /// # Errors
    ///
    /// The first check that fails.
    pub fn open(&self, name: &ProviderName, version: &Version) -> Result<Artifact, CatalogError> {
        let artifact = self.read(name, version)?;
        let lock = Lock::read(&self.lock_file, &self.rules())?;
        let pin = lock.pin(name).ok_or_else(|| CatalogError::NotPinned {
            name: name.to_string(),
            version: version.to_string(),
            lock: self.lock_file.clone(),
        })?;
        self.check_pin(&artifact, pin)?;
        Ok(artifact)
    }

    /// Reads a plugin and checks everything but its pin.
    ///
    /// # Errors
    ///
    /// The first check that fails.
    pub fn read(&self, name: &ProviderName, version: &Version) -> Result<Artifact, CatalogError> {
        let folder = self.find(name, version)?;
        let library = folder.join(LIBRARY);
        let rules = self.rules();
        let image = rules.read(&library, LIBRARY_LEN)?;
        let sha256 = Digest::of(&image);
        if self.deny.contains(&sha256) {
            return Err(CatalogError::Denied {
                path: library,
                sha256,
            });
        }
        let (manifest, bytes) = self.manifest(&folder, name, version)?;
        let signed_by = self.check_signature(&folder, name, &bytes, sha256)?;
        check_artifact(&library, &manifest, &image, sha256, signed_by.is_some())?;
        let inspected =
            inspect::inspect(&image, crate::spawn::running_glibc()).map_err(|error| {
                CatalogError::Inspect {
                    path: library.clone(),
                    error,
                }
            })?;
        let manifest_sha256 = Digest::of(&bytes);
        Ok(Artifact {
            path: library,
            manifest,
            manifest_sha256,
            image,
            sha256,
            signed_by,
            inspected,
        })
    }

    /// Who may have written what is read here.
    #[must_use]
    pub fn rules(&self) -> FileRules {
        FileRules {
            owner: self.owner,
            trust: self.trust,
        }
    }

    /// The folder of name and version in the first root that has it. The folders themselves are no links.
    fn find(&self, name: &ProviderName, version: &Version) -> Result<PathBuf, CatalogError> {
        for root in &self.roots {
            let folder = root.join(name.as_str()).join(version.as_str());
            for part in [root.join(name.as_str()), folder.clone()] {
                if part.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
                    return Err(FileError::Link(part).into());
                }
            }
            if folder.is_dir() {
                return Ok(folder);
            }
        }
        Err(CatalogError::NotFound {
            name: name.to_string(),
            version: version.to_string(),
            roots: self.roots.clone(),
        })
    }

    fn manifest(
        &self,
        folder: &Path,
        name: &ProviderName,
        version: &Version,
    ) -> Result<(Manifest, Vec<u8>), CatalogError> {
        let path = folder.join(MANIFEST);
        let bytes = self.rules().read(&path, MANIFEST_LEN)?;
        let manifest = Manifest::parse(&bytes).map_err(|error| CatalogError::Manifest {
            path: path.clone(),
            error,
        })?;
        if manifest.name != *name || manifest.version != *version {
            return Err(CatalogError::OtherPlugin {
                path,
                expected: format!("{name} {version}"),
                actual: format!("{} {}", manifest.name, manifest.version),
            });
        }
        Ok((manifest, bytes))
    }

    /// The name of the key that signed the manifest, or none where that is not asked for.
    fn check_signature(
        &self,
        folder: &Path,
        name: &ProviderName,
        manifest: &[u8],
        sha256: Digest,
    ) -> Result<Option<String>, CatalogError> {
        if self.trust == PluginTrust::Development {
            tracing::warn!(plugin = %name, "Development mode: signature and folders are not checked");
            return Ok(None);
        }
        if self.allow_unsigned.contains(&sha256) {
            tracing::warn!(plugin = %name, %sha256, "Plugin is allowed to run unsigned");
            return Ok(None);
        }
        let path = folder.join(SIGNATURE);
        let signature = match self.rules().read(&path, SIGNATURE_LEN) {
            Ok(signature) => signature,
            Err(FileError::Missing(path)) => return Err(CatalogError::Unsigned(path)),
            Err(error) => return Err(error.into()),
        };
        let keys = Keys::read(&self.keys, &self.rules())?;
        let key = keys.verify(name, manifest, &signature);
        let key = key.map_err(|error| CatalogError::Signature { path, error })?;
        Ok(Some(key.name.clone()))
    }

    fn check_pin(&self, artifact: &Artifact, pin: &Pin) -> Result<(), CatalogError> {
        let manifest = &artifact.manifest;
        let manifest_path = artifact.path.with_file_name(MANIFEST);
        let pairs = [
            (
                &manifest_path,
                pin.version.to_string(),
                manifest.version.to_string(),
            ),
            (
                &artifact.path,
                format!("sha256:{}", pin.sha256),
                format!("sha256:{}", artifact.sha256),
            ),
            (
                &manifest_path,
                format!("sha256:{}", pin.manifest),
                format!("sha256:{}", artifact.manifest_sha256),
            ),
        ];
        if let Some((path, expected, actual)) = pairs.into_iter().find(|(_, a, b)| a != b) {
            return Err(CatalogError::PinMismatch {
                name: manifest.name.to_string(),
                path: path.clone(),
                lock: self.lock_file.clone(),
                expected,
                actual,
            });
        }
        check_downgrade(manifest, &pin.highest)
    }
}

/// An older version may have a hole that the newer one closed.
pub(crate) fn check_downgrade(manifest: &Manifest, highest: &Version) -> Result<(), CatalogError> {
    if manifest.version >= *highest {
        return Ok(());
    }
    Err(CatalogError::Downgrade {
        name: manifest.name.to_string(),
        version: manifest.version.to_string(),
        highest: highest.to_string(),
    })
}

/// Signed is the manifest, so the library has to be the one in it. Unsigned ones may leave that to the pin.
fn check_artifact(
    library: &Path,
    manifest: &Manifest,
    image: &[u8],
    sha256: Digest,
    signed: bool,
) -> Result<(), CatalogError> {
    let Some(listed) = &manifest.artifact else {
        return if signed {
            Err(CatalogError::NoArtifact(library.with_file_name(MANIFEST)))
        } else {
            Ok(())
        };
    };
    if listed.sha256 == sha256 && listed.size == image.len() as u64 {
        return Ok(());
    }
    Err(CatalogError::NotInManifest {
        path: library.to_owned(),
        expected: format!("{} bytes, sha256:{}", listed.size, listed.sha256),
        actual: format!("{} bytes, sha256:{sha256}", image.len()),
    })
}
