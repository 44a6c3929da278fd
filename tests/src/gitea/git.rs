//! Real git against Gitea over HTTP

use std::path::Path;

use anyhow::{Context, ensure};
use tempfile::TempDir;
use url::Url;

use super::{Gitea, User};

impl Gitea {
    /// Commit one file to a branch, which is made where it is missing, push it, and return the
    /// commit's hash
    pub async fn push(
        &self,
        user: &User,
        repository: &str,
        branch: &str,
        file: (&str, &str),
    ) -> anyhow::Result<String> {
        let dir = TempDir::with_prefix("bindery-push-")?;
        let url = self.clone_url(repository, &user.name, &user.password)?;
        self.git(dir.path(), &["clone", "--quiet", url.as_str(), "."])
            .await?;
        let known = format!("refs/remotes/origin/{branch}");
        let exists = self
            .git(dir.path(), &["rev-parse", "--verify", "--quiet", &known])
            .await;
        let start = if exists.is_ok() { &known } else { "HEAD" };
        self.git(dir.path(), &["checkout", "--quiet", "-B", branch, start])
            .await?;
        std::fs::write(dir.path().join(file.0), file.1)?;
        self.git(dir.path(), &["add", "--", file.0]).await?;
        self.git(dir.path(), &["commit", "--quiet", "--message", file.0])
            .await?;
        self.git(dir.path(), &["push", "--quiet", "origin", branch])
            .await?;
        let hash = self.git(dir.path(), &["rev-parse", "HEAD"]).await?;
        Ok(hash.trim().to_owned())
    }

    /// Clone with a user name and a password or token
    pub async fn clone_with(
        &self,
        repository: &str,
        (user, secret): (&str, &str),
        into: &Path,
    ) -> anyhow::Result<()> {
        let url = self.clone_url(repository, user, secret)?;
        let into = into.to_str().context("the path isn't text")?;
        self.git(self.dir.path(), &["clone", "--quiet", url.as_str(), into])
            .await?;
        Ok(())
    }

    /// Run git as nobody in particular, with none of the machine's configuration
    pub async fn git(&self, dir: &Path, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = tokio::process::Command::new("git");
        command
            .args(arguments)
            .current_dir(dir)
            .env("HOME", self.dir.path());
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env_remove("GIT_ASKPASS");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "A Committer");
            command.env(format!("GIT_{who}_EMAIL"), "committer@example.com");
        }
        if let Some(root) = self.root_pem_file() {
            command.env("GIT_SSL_CAINFO", root);
        }
        let output = command.output().await.context("git can't be run")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "git {}: {said}",
            arguments.join(" ")
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn clone_url(&self, repository: &str, user: &str, secret: &str) -> anyhow::Result<Url> {
        let mut url = self.url(&format!("{repository}.git"))?;
        let named = url
            .set_username(user)
            .and_then(|()| url.set_password(Some(secret)));
        named.map_err(|()| anyhow::anyhow!("{url} can't hold credentials"))?;
        Ok(url)
    }
}
