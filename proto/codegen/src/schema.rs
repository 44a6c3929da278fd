//! Which `.proto` files belong together, and where their code goes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One crate's worth of protobuf packages.
#[derive(Debug)]
pub struct Schema {
    /// Packages of the crate; each is one folder of `.proto` files and one generated file.
    pub packages: &'static [&'static str],
    /// Folder of the generated files, below `proto/`.
    pub output: &'static str,
    /// Whether the crate carries gRPC clients and servers and each package's descriptor set.
    pub services: bool,
    /// Reference page generated from the comments, below `proto/`.
    pub reference: Option<&'static str>,
}

/// The public gRPC API.
pub const API: Schema = Schema {
    packages: &["bindery.v1", "bindery.admin.v1"],
    output: "api/src/gen",
    services: true,
    reference: Some("API.md"),
};

/// The messages that cross the plugin boundary.
pub const PLUGIN: Schema = Schema {
    packages: &["bindery.plugin.v1"],
    output: "plugin/src/gen",
    services: false,
    reference: None,
};

/// The records as they are sealed on disk.
pub const STORE: Schema = Schema {
    packages: &["bindery.store.v1"],
    output: "store/src/gen",
    services: false,
    reference: None,
};

/// The `proto` folder of the repository.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Every `.proto` file of the schema, relative to [`root`], in a stable order.
///
/// # Errors
/// A folder exists but can't be read.
pub fn files(schema: &Schema) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for package in schema.packages {
        found.extend(files_of_package(package)?);
    }
    Ok(found)
}

/// The `.proto` files in the folder of one package; none if the folder doesn't exist.
///
/// # Errors
/// The folder exists but can't be read.
pub fn files_of_package(package: &str) -> Result<Vec<String>> {
    let folder = package.replace('.', "/");
    let path = root().join(&folder);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&path).with_context(|| format!("read {}", path.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".proto") {
            found.push(format!("{folder}/{name}"));
        }
    }
    found.sort();
    Ok(found)
}
