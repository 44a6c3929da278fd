//! A person's clone of a repository of a real Gitea.

use anyhow::{Context, Result};
use bindery_tests::forge::GiteaForge;
use tempfile::TempDir;

/// A clone that pushes with the person's password.
pub(super) struct WorkingCopy {
    dir: TempDir,
}

impl WorkingCopy {
    pub(super) async fn of(forge: &GiteaForge, repository: &str) -> Result<Self> {
        let dir = TempDir::with_prefix("bindery-copy-")?;
        let octo = forge.person();
        let account = (octo.name.as_str(), octo.password.as_str());
        forge
            .server
            .clone_with(repository, account, dir.path())
            .await?;
        Ok(Self { dir })
    }

    /// Commits to a branch; says what it pointed to before and after.
    pub(super) async fn commit(&self, branch: &str, text: &str) -> Result<(String, String)> {
        self.git(&["checkout", "--quiet", branch]).await?;
        let before = self.head().await?;
        std::fs::write(self.dir.path().join("notes"), text)?;
        self.git(&["add", "--", "notes"]).await?;
        self.git(&["commit", "--quiet", "--message", text]).await?;
        Ok((before, self.head().await?))
    }

    /// Pushes refs, all at once.
    pub(super) async fn push(&self, refs: &[&str]) -> Result<()> {
        let arguments = [&["push", "--quiet", "origin"], refs].concat();
        self.git(&arguments).await.map(drop)
    }

    pub(super) async fn git(&self, arguments: &[&str]) -> Result<String> {
        let mut command = tokio::process::Command::new("git");
        command.args(arguments).current_dir(self.dir.path());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_TERMINAL_PROMPT", "0");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Octo");
            command.env(format!("GIT_{who}_EMAIL"), "octo@example.com");
        }
        let output = command.output().await.context("git can't be run")?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "git {arguments:?}: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    async fn head(&self) -> Result<String> {
        self.git(&["rev-parse", "HEAD"]).await
    }
}
