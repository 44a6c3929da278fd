//! git, with `bindery` as its credential helper.

use std::process::Command;

use anyhow::{Result, ensure};
use bindery_tests::{artifacts::artifacts, forge::Forge};

use super::{cli, row::Row};

impl<F: Forge> Row<F> {
    /// git asks the helper for this repository, and clones.
    pub(super) fn clones(&self) -> Result<()> {
        let target = self.daemon.path("clone");
        let program = artifacts().cli();
        let helper = format!(
            "credential.helper=!{} credential helper --link {}",
            program.display(),
            self.link
        );
        let mut git = Command::new("git");
        // The empty one keeps others out, such as one that stores.
        git.args(["-c", "credential.helper=", "-c", &helper])
            .args(["-c", "credential.useHttpPath=true"])
            .args(["clone", "--quiet", &self.forge.clone_url()])
            .arg(&target)
            .env("BINDERY_ENDPOINT", self.daemon.endpoint())
            .env("GIT_TERMINAL_PROMPT", "0");
        cli::printed(&mut git)?;
        let readme = std::fs::read_to_string(target.join("README.md"))?;
        ensure!(readme == "hello\n", "README.md says {readme}");
        Ok(())
    }
}
