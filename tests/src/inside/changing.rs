//! What people do to `octo/hello`, and what its hooks are told of it

use anyhow::{Context, Result};
use bindery_twins::{
    Twin,
    hooks::{Hook, Lost, Sent},
};

use super::twins::OnTwin;
use crate::forge::{Forge, GitHubForge};

/// A forge whose repository `octo/hello` people change
pub trait Changing: Forge {
    /// Commits one file to a branch that exists, and returns the commit
    ///
    /// # Errors
    ///
    /// When git refuses.
    fn commit(&self, branch: &str, file: (&str, &str)) -> Result<String>;
    /// Makes tags at the head of `main` in one push
    ///
    /// # Errors
    ///
    /// When git refuses.
    fn add_tags(&self, names: &[&str], annotated: bool) -> Result<()>;
    /// Makes branches at the head of `main` in one push
    ///
    /// # Errors
    ///
    /// When git refuses.
    fn add_branches(&self, names: &[&str]) -> Result<()>;
    /// Removes branches and tags, by their full names, in one push
    ///
    /// # Errors
    ///
    /// When git refuses.
    fn remove_refs(&self, names: &[&str]) -> Result<()>;
    /// Waits until every delivery that was begun has an answer
    fn told(&self) -> impl Future<Output = ()> + Send;
    /// Every delivery that was made, and what was answered
    fn sent(&self) -> Vec<Sent>;
    /// Its only hook
    ///
    /// # Errors
    ///
    /// When it has none, or several.
    fn hook(&self) -> Result<Hook>;
    /// Puts another in the place of a hook, behind everybody's back
    fn replace_hook(&self, hook: Hook);
    /// Lets so many of the next deliveries fail on their way
    fn fail_next_deliveries(&self, count: u32);
    /// Makes the next hook that is asked for, and loses the answer
    fn lose_next_hook_create(&self);
}

impl Changing for GitHubForge {
    fn commit(&self, branch: &str, file: (&str, &str)) -> Result<String> {
        self.standin.commit("octo/hello", branch, file)
    }

    fn add_tags(&self, names: &[&str], annotated: bool) -> Result<()> {
        self.standin.add_tags("octo/hello", names, annotated)
    }

    fn add_branches(&self, names: &[&str]) -> Result<()> {
        self.standin.add_branches("octo/hello", names)
    }

    fn remove_refs(&self, names: &[&str]) -> Result<()> {
        self.standin.remove_refs("octo/hello", names)
    }

    async fn told(&self) {
        self.standin.deliveries_done().await;
    }

    fn sent(&self) -> Vec<Sent> {
        self.standin.deliveries()
    }

    fn hook(&self) -> Result<Hook> {
        only(self.standin.hooks("octo/hello"))
    }

    fn replace_hook(&self, hook: Hook) {
        // One that is gone meanwhile stays so.
        let _ = self.standin.change_hook(hook.id, |old| *old = hook.clone());
    }

    fn fail_next_deliveries(&self, count: u32) {
        self.standin.fail_next_deliveries(count);
    }

    fn lose_next_hook_create(&self) {
        self.standin.lose_next_hook_create(Lost::Closed);
    }
}

impl<F: OnTwin + Sync> Changing for F {
    fn commit(&self, branch: &str, file: (&str, &str)) -> Result<String> {
        self.front().commit(self.hello(), branch, file)
    }

    fn add_tags(&self, names: &[&str], annotated: bool) -> Result<()> {
        self.front().add_tags(self.hello(), names, annotated)
    }

    fn add_branches(&self, names: &[&str]) -> Result<()> {
        self.front().add_branches(self.hello(), names)
    }

    fn remove_refs(&self, names: &[&str]) -> Result<()> {
        self.front().remove_refs(self.hello(), names)
    }

    async fn told(&self) {
        self.front().deliveries_done().await;
    }

    fn sent(&self) -> Vec<Sent> {
        self.front().with(|twin| twin.state().hooks.sent().to_vec())
    }

    fn hook(&self) -> Result<Hook> {
        let hello = self.hello();
        let of = |twin: &mut F::Twin| twin.state().hooks.of(hello).cloned().collect();
        only(self.front().with(of))
    }

    fn replace_hook(&self, hook: Hook) {
        self.front().with(|twin| twin.state_mut().hooks.plant(hook));
    }

    fn fail_next_deliveries(&self, count: u32) {
        let front = self.front();
        front.with(|twin| twin.state_mut().hooks.fail_next(count));
    }

    fn lose_next_hook_create(&self) {
        let front = self.front();
        front.with(|twin| twin.state_mut().hooks.lose_next_create(Lost::Closed));
    }
}

fn only(hooks: Vec<Hook>) -> Result<Hook> {
    let count = hooks.len();
    let [hook] = <[Hook; 1]>::try_from(hooks)
        .ok()
        .with_context(|| format!("{count} hooks"))?;
    Ok(hook)
}
