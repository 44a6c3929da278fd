//! The house stands as it was drawn: who may import whom.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// What each crate may import of ours, in normal dependencies. What is not listed may import nothing of ours.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "bindery-vault",
        &["bindery-core", "bindery-store", "bindery-store-proto"],
    ),
    ("bindery-audit", &["bindery-core"]),
    ("bindery-egress", &["bindery-core"]),
    (
        "bindery-host",
        &["bindery-core", "bindery-plugin-abi", "bindery-plugin-proto"],
    ),
    ("bindery-worker", &["bindery-plugin-abi"]),
    ("bindery-engine", &["bindery-core"]),
    (
        "bindery-api",
        &["bindery-core", "bindery-engine", "bindery-proto"],
    ),
    ("bindery-web", &["bindery-core", "bindery-engine"]),
    (
        "bindery-daemon",
        &[
            "bindery-api",
            "bindery-audit",
            "bindery-core",
            "bindery-egress",
            "bindery-engine",
            "bindery-host",
            "bindery-store",
            "bindery-vault",
            "bindery-web",
        ],
    ),
    (
        "bindery-plugin-sdk",
        &["bindery-plugin-abi", "bindery-plugin-proto"],
    ),
    (
        "bindery-plugin-testkit",
        &[
            "bindery-core",
            "bindery-host",
            "bindery-plugin-abi",
            "bindery-plugin-proto",
        ],
    ),
    ("bindery-plugin-template", &["bindery-plugin-sdk"]),
    ("bindery-plugin-bitbucket", &["bindery-plugin-sdk"]),
    ("bindery-plugin-gitea", &["bindery-plugin-sdk"]),
    ("bindery-plugin-gitee", &["bindery-plugin-sdk"]),
    ("bindery-plugin-github", &["bindery-plugin-sdk"]),
    ("bindery-plugin-gitlab", &["bindery-plugin-sdk"]),
    ("bindery-plugin-hostile", &["bindery-plugin-sdk"]),
    (
        "bindery-simulation",
        &["bindery-core", "bindery-engine", "bindery-twins"],
    ),
    ("bindery-client", &["bindery-proto"]),
    ("bindery-cli", &["bindery-client", "bindery-proto"]),
];

/// Dependencies that exactly one crate may have.
const EXCLUSIVE: &[(&str, &str)] = &[
    ("reqwest", "bindery-egress"),
    ("libloading", "bindery-worker"),
    ("sled", "bindery-store"),
];

fn normal_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    let metadata: Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &Value| value["name"].as_str().expect("name").to_owned();
    let of = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .map(name)
            .collect()
    };
    packages
        .iter()
        .map(|package| (name(package), of(package)))
        .collect()
}

/// A lower layer never imports a higher one, and no edge exists that the design does not draw.
#[test]
fn no_forbidden_edge() {
    for (package, dependencies) in normal_dependencies() {
        if package == "bindery-tests" {
            continue;
        }
        let allowed = ALLOWED
            .iter()
            .find(|(name, _)| *name == package)
            .map_or(&[][..], |(_, allowed)| allowed);
        for ours in dependencies
            .iter()
            .filter(|name| name.starts_with("bindery-"))
        {
            assert!(
                allowed.contains(&ours.as_str()),
                "{package} may not import {ours}"
            );
        }
    }
}

/// One crate uses reqwest, one libloading, one sled.
#[test]
fn exclusive_dependencies_have_one_user() {
    for (package, dependencies) in normal_dependencies() {
        for (dependency, owner) in EXCLUSIVE {
            assert!(
                !dependencies.contains(*dependency) || package == *owner,
                "{package} may not use {dependency}; {owner} does"
            );
        }
    }
}

/// The core stays free of runtimes, clocks and sockets.
#[test]
fn core_is_pure() {
    let dependencies = &normal_dependencies()["bindery-core"];
    // Patterns of rules are expressions of the crate `regex`, which computes and does nothing else.
    let pure: BTreeSet<String> = ["ipnet", "regex", "thiserror", "url", "zeroize"]
        .map(str::to_owned)
        .into();
    assert_eq!(*dependencies, pure);
}

/// The top level holds exactly the folders that the design names.
#[test]
fn top_level_is_closed() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let folders: BTreeSet<String> = std::fs::read_dir(root)
        .expect("the repository's folder")
        .map(|entry| entry.expect("entry"))
        .filter(|entry| entry.file_type().expect("file type").is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    let drawn: BTreeSet<String> = [
        "client-sdk",
        "daemon",
        "plugins",
        "proto",
        "systemd",
        "tests",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(folders, drawn);
}
