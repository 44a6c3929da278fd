//! A plugin as it is installed
//!
//! `<out>/<name>/<version>/{plugin.so, manifest.toml, manifest.toml.sig}`. The manifest is the author's, with the library
//! and its hash added; the signature is over exactly its bytes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use bindery_host::{
    Digest,
    manifest::{LIBRARY, Manifest, TARGET},
    manual,
};

use crate::key;

/// Name of the manifest in a package.
const MANIFEST: &str = "manifest.toml";

/// Writes a package below `out`, signed if there is a key. Returns its folder.
///
/// # Errors
///
/// The library or the manifest would be refused by the daemon, the manifest lists a library already, or a file can't be
/// read or written.
pub fn package(
    library: &Path,
    manifest: &Path,
    out: &Path,
    sign_key: Option<&Path>,
) -> Result<PathBuf> {
    let image = crate::read(library)?;
    let inspected = manual::inspect(&image)
        .with_context(|| format!("{} is no plugin for this system", library.display()))?;
    let source = String::from_utf8(crate::read(manifest)?)
        .with_context(|| format!("{} is not UTF-8", manifest.display()))?;
    ensure!(
        Manifest::parse(source.as_bytes())
            .with_context(|| format!("{} is no manifest", manifest.display()))?
            .artifact
            .is_none(),
        "{} lists a library already; give the manifest from the sources",
        manifest.display()
    );
    let complete = complete(&source, &image, inspected.glibc);
    let parsed = Manifest::parse(complete.as_bytes()).context("the completed manifest is wrong")?;
    let folder = out.join(parsed.name.as_str()).join(parsed.version.as_str());
    fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
    write(&folder.join(LIBRARY), &image)?;
    write(&folder.join(MANIFEST), complete.as_bytes())?;
    if let Some(path) = sign_key {
        let signature = key::read(path)?.sign(complete.as_bytes());
        write(&folder.join("manifest.toml.sig"), signature.as_ref())?;
    }
    Ok(folder)
}

fn complete(source: &str, image: &[u8], glibc: Option<(u32, u32)>) -> String {
    let glibc = glibc.map_or_else(String::new, |(major, minor)| {
        format!("glibc = \"{major}.{minor}\"\n")
    });
    format!(
        "{}\n\n[[artifacts]]\ntarget = \"{TARGET}\"\nfile = \"{LIBRARY}\"\nsize = {}\nsha256 = \"{}\"\n{glibc}",
        source.trim_end(),
        image.len(),
        Digest::of(image)
    )
}

/// Others may read and not write, whatever the umask: the daemon looks at that.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o644)))
        .with_context(|| format!("{} can't be written", path.display()))
}
