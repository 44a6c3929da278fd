//! The command: packages, keys and exit codes

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use bindery_core::name::ProviderName;
use bindery_host::Catalog;
use tempfile::TempDir;

use crate::artifacts::{library, source, worker};

fn kit(arguments: &[&Path]) -> Output {
    let mut kit = Command::new(env!("CARGO_BIN_EXE_bindery-plugin-test"));
    kit.args(arguments).output().expect("the kit runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn package(folder: &Path, manifest: &Path, key: &Path) -> Output {
    kit(&[
        Path::new("package"),
        &library("template"),
        Path::new("--manifest"),
        manifest,
        Path::new("--out"),
        &folder.join("plugins"),
        Path::new("--sign-key"),
        key,
    ])
}

fn keygen(key: &Path, may_sign: &str) -> Output {
    kit(&[
        Path::new("keygen"),
        key,
        Path::new("--name"),
        Path::new("Example Ltd"),
        Path::new("--may-sign"),
        Path::new(may_sign),
    ])
}

/// What the kit packages and signs, the daemon's catalog takes; the private key is its owner's alone and is never
/// overwritten.
#[test]
fn a_package_is_what_the_daemon_takes() {
    let folder = TempDir::new().expect("a folder");
    let key = folder.path().join("maker");
    let made = keygen(&key, "template");
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert_eq!(
        fs::metadata(&key).expect("a key").permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(keygen(&key, "template").status.code(), Some(2));
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).expect("a folder");
    fs::copy(folder.path().join("maker.pub"), keys.join("maker.pub")).expect("a copy");
    let packaged = package(
        folder.path(),
        &source("template").join("manifest.toml"),
        &key,
    );
    assert!(packaged.status.success(), "{}", text(&packaged.stderr));
    let catalog = Catalog {
        roots: vec![folder.path().join("plugins")],
        keys,
        owner: Some(rustix::process::geteuid().as_raw()),
        ..Catalog::default()
    };
    let name = ProviderName::parse("template").expect("a name");
    let read = catalog
        .read(&name, &"0.1.0".parse().expect("a version"))
        .expect("it is taken");
    assert_eq!(read.signed_by.as_deref(), Some("Example Ltd"));
}

/// A packaged manifest is not packaged again, and a program is no plugin.
#[test]
fn a_wrong_package_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let key = folder.path().join("maker");
    keygen(&key, "template");
    package(
        folder.path(),
        &source("template").join("manifest.toml"),
        &key,
    );
    let packaged = folder.path().join("plugins/template/0.1.0/manifest.toml");
    let again = package(folder.path(), &packaged, &key);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        text(&again.stderr).contains("lists a library already"),
        "{}",
        text(&again.stderr)
    );
    let program = kit(&[
        Path::new("package"),
        &worker(),
        Path::new("--manifest"),
        &source("template").join("manifest.toml"),
        Path::new("--out"),
        folder.path(),
    ]);
    assert!(
        text(&program.stderr).contains("no plugin for this system"),
        "{}",
        text(&program.stderr)
    );
}

/// Exit status for CI: 0 when all is well, 1 when a check failed, 2 when nothing could be checked.
#[test]
fn the_exit_status_says_it() {
    let check = |name: &str, fixtures: &Path| {
        kit(&[
            Path::new("check"),
            &library(name),
            Path::new("--manifest"),
            &source(name).join("manifest.toml"),
            Path::new("--fixtures"),
            fixtures,
            Path::new("--worker"),
            &worker(),
        ])
    };
    let good = check("template", &source("template").join("fixtures"));
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
    assert!(
        text(&good.stdout).contains(" checks, 0 failed"),
        "{}",
        text(&good.stdout)
    );
    let empty = TempDir::new().expect("a folder");
    assert_eq!(check("template", empty.path()).status.code(), Some(1));
    assert_eq!(
        check("template", Path::new("/nowhere")).status.code(),
        Some(2)
    );
}

/// What an author leaves out is filled in, and is then what the plugin does.
#[test]
fn a_fixture_is_filled_in() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("probe.json");
    let sketch = r#"{"operation": "probe", "exchanges": [{
        "request": {"method": "GET", "url": "https://api.test/version"},
        "response": {"status": 200, "body": {"version": "1.2"}}}]}"#;
    fs::write(&path, sketch).expect("a fixture");
    let filled = kit(&[
        Path::new("fill"),
        &library("template"),
        Path::new("--manifest"),
        &source("template").join("manifest.toml"),
        Path::new("--fixtures"),
        folder.path(),
        Path::new("--worker"),
        &worker(),
    ]);
    assert!(filled.status.success(), "{}", text(&filled.stderr));
    let fixture: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("the fixture")).expect("JSON");
    assert_eq!(
        fixture["expect"],
        serde_json::json!({"server": {"version": "1.2"}})
    );
}
