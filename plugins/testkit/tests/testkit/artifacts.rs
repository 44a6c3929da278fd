//! Libraries and the worker, built once

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use bindery_plugin_testkit::Options;

const PLUGINS: [&str; 7] = [
    "template",
    "bitbucket",
    "gitea",
    "gitee",
    "github",
    "gitlab",
    "hostile",
];

/// Builds what `cargo test` does not: the plugins' libraries and the worker. Gives their folder.
fn folder() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let own = std::env::current_exe().expect("this program has a path");
        let folder = own
            .ancestors()
            .find(|path| path.join("deps").is_dir())
            .expect("a target folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--locked", "--quiet", "-p", "bindery-worker"])
            .args(PLUGINS.map(|name| format!("--package=bindery-plugin-{name}")))
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(
            cargo.status().expect("cargo runs").success(),
            "the plugins build"
        );
        folder.to_owned()
    })
}

pub(crate) fn worker() -> PathBuf {
    folder().join("bindery-plugin-worker")
}

pub(crate) fn library(name: &str) -> PathBuf {
    folder().join(format!("libbindery_plugin_{name}.so"))
}

pub(crate) fn source(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match name {
        "hostile" => root.join("tests/hostile"),
        name => root.join("plugins").join(name),
    }
}

pub(crate) fn options(name: &str, fixtures: &Path) -> Options {
    Options {
        worker: Some(worker()),
        ..Options::new(library(name), source(name).join("manifest.toml"), fixtures)
    }
}
