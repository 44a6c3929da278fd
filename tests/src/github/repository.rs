//! What tests do to repositories while the stand-in runs

use anyhow::Context;

use super::GitHub;

impl GitHub {
    /// Make branches at the head of `main`, for lists that take pages
    pub fn add_branches(&self, repo: &str, names: &[&str]) -> anyhow::Result<()> {
        let id = self.repository_id(repo)?;
        self.inner.repositories.add_branches(id, names)?;
        self.inner.pushed_by_owner(id)
    }

    /// Make a tag at the head of `main`
    pub fn add_tag(&self, repo: &str, name: &str, annotated: bool) -> anyhow::Result<()> {
        let id = self.repository_id(repo)?;
        self.inner.repositories.add_tags(id, &[name], annotated)?;
        self.inner.pushed_by_owner(id)
    }

    /// Commit one file to a branch that exists, and return the commit's hash
    pub fn commit(&self, repo: &str, branch: &str, file: (&str, &str)) -> anyhow::Result<String> {
        let id = self.repository_id(repo)?;
        let hash = self.inner.repositories.commit(id, branch, file)?;
        self.inner.pushed_by_owner(id)?;
        Ok(hash)
    }

    pub(crate) fn repository_id(&self, repo: &str) -> anyhow::Result<u64> {
        let (owner, name) = repo.split_once('/').context("owner/name is needed")?;
        let id = self.inner.world().repo(owner, name).map(|repo| repo.id);
        id.context("there is no such repository")
    }
}
