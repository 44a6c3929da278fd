//! Plants bugs in a copy of the tree.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{Bug, root};

/// What became of a bug.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// Its test failed.
    Caught,
    /// Its test passed.
    Missed,
    /// It does not compile, or its test did not run.
    Broken,
}

/// A copy of the tree that bugs are planted in. It is removed when it is dropped.
#[derive(Debug)]
pub struct Copy {
    folder: tempfile::TempDir,
    /// Artifacts of the repository, so that only what changes is built.
    target: PathBuf,
}

impl Copy {
    /// Copies every file that git knows, with its time, so that cargo builds only what a bug is in.
    ///
    /// # Errors
    ///
    /// When git or a file can't be read.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = root();
        let listed = Command::new("git")
            .arg("-C")
            .arg(&root)
            .args(["ls-files", "-z"])
            .output()?;
        ensure!(listed.status.success(), "git ls-files failed");
        for name in listed
            .stdout
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
        {
            let name = Path::new(std::str::from_utf8(name)?);
            copy(&root.join(name), &folder.path().join(name))?;
        }
        let told = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = told.unwrap_or_else(|| root.join("target")).join("planted");
        Ok(Self { folder, target })
    }

    /// Plants a bug, runs its test, and takes the bug out again. What cargo printed comes along.
    ///
    /// # Errors
    ///
    /// When a file can't be read or written, or cargo can't be started.
    pub fn try_bug(&self, bug: &Bug) -> Result<(Found, String)> {
        let path = self.folder.path().join(&bug.file);
        let good = fs::read_to_string(&path).context(bug.name.clone())?;
        fs::write(&path, bug.planted(&good)?)?;
        let outcome = self.run(bug);
        fs::write(&path, good)?;
        outcome
    }

    fn run(&self, bug: &Bug) -> Result<(Found, String)> {
        let output = Command::new(env!("CARGO"))
            .current_dir(self.folder.path())
            .env("CARGO_TARGET_DIR", &self.target)
            .args(["test", "--locked", "--package", &bug.package])
            .args(bug.target.split(' '))
            .args(["--", &bug.test])
            .output()?;
        let printed =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Ok((
            judge(bug, output.status.success(), &printed),
            printed.into_owned(),
        ))
    }
}

/// Only a test that ran counts: one that does not compile has found nothing.
fn judge(bug: &Bug, passed: bool, printed: &str) -> Found {
    let of_test = |end: &str| {
        printed
            .lines()
            .any(|line| line.contains(&bug.test) && line.ends_with(end))
    };
    match (passed, of_test("... ok"), of_test("... FAILED")) {
        (false, _, true) => Found::Caught,
        (true, true, false) => Found::Missed,
        _ => Found::Broken,
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let Some(parent) = to.parent() else {
        bail!("{} has no folder", to.display());
    };
    fs::create_dir_all(parent)?;
    fs::copy(from, to)?;
    let time = fs::metadata(from)?.modified()?;
    fs::File::options()
        .write(true)
        .open(to)?
        .set_modified(time)?;
    Ok(())
}
