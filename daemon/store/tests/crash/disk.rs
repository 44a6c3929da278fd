//! The model disk: compiles the shim, and rebuilds a folder from what the shim kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder for a store, and room beside it for what belongs to it.
pub(crate) struct Home {
    _outer: TempDir,
    store: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        let outer = TempDir::new().unwrap();
        let store = outer.path().join("store");
        fs::create_dir(&store).unwrap();
        Self {
            _outer: outer,
            store,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.store
    }
}

/// The compiled `shim.c`, which is preloaded into a child.
pub(crate) struct Shim {
    folder: TempDir,
}

impl Shim {
    /// Compiles the shim with `cc`, which the build of the daemon needs as well.
    pub(crate) fn compile() -> Self {
        let shim = Self {
            folder: TempDir::new().unwrap(),
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/shim.c");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(shim.path())
            .arg(source);
        let status = compiler
            .arg("-lpthread")
            .status()
            .expect("these tests need a C compiler");
        assert!(status.success(), "shim.c does not compile");
        shim
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("shim.so")
    }
}

/// The store's folder as it is found after the power came back.
pub(crate) fn after_power_cut(shadow: &Path) -> Home {
    let image = Home::new();
    restore(shadow, "root", image.path());
    image
}

fn restore(shadow: &Path, folder: &str, into: &Path) {
    // A folder that was never synced is empty.
    let names = fs::read_to_string(shadow.join(format!("folder.{folder}"))).unwrap_or_default();
    for line in names.lines() {
        let mut fields = line.splitn(3, ' ');
        let (kind, id) = (fields.next().unwrap(), fields.next().unwrap());
        let target = into.join(fields.next().unwrap());
        if kind == "folder" {
            fs::create_dir(&target).unwrap();
            restore(shadow, id, &target);
        } else if fs::copy(shadow.join(format!("file.{id}")), &target).is_err() {
            // A file that was never synced is there, and empty.
            fs::write(&target, "").unwrap();
        }
    }
}
