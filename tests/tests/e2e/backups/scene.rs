//! A daemon as an operator runs it, with links, and what is done with its backups.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context as _, Result, ensure};
use bindery_tests::{
    daemon::Daemon,
    forge::{Forge as _, GitHubForge},
};

use crate::{
    keys::{bindery, done},
    production,
    systemd::signal,
    world::World,
};

/// Namespaces that a link is made in.
const NAMESPACES: [&str; 2] = ["namespaces/acme", "namespaces/globex"];

/// A daemon with a key file and recovery shares, and two bound links.
pub(super) struct Scene {
    pub(super) world: World<GitHubForge>,
    pub(super) shares: Vec<String>,
    /// One in each of two namespaces.
    pub(super) links: [String; 2],
}

impl Scene {
    /// Tokens live for hours, and rotate.
    pub(super) async fn new() -> Result<Self> {
        let mut scene = Self::with(GitHubForge::start(true, None).await?).await?;
        scene.world.forge.lengthen()?;
        scene.links = scene.link().await?;
        Ok(scene)
    }

    /// Tokens live for seconds, and rotate.
    pub(super) async fn short_lived() -> Result<Self> {
        let mut scene = Self::with(GitHubForge::start(true, None).await?).await?;
        scene.links = scene.link().await?;
        Ok(scene)
    }

    async fn with(forge: GitHubForge) -> Result<Self> {
        let mut daemon = Daemon::prepare(&production::options())?;
        let shares = production::init(&daemon)?;
        daemon.resume().await?;
        Ok(Self {
            world: World::around(forge, daemon).await?,
            shares,
            links: [String::new(), String::new()],
        })
    }

    async fn link(&mut self) -> Result<[String; 2]> {
        let mut links = [String::new(), String::new()];
        for (link, namespace) in links.iter_mut().zip(NAMESPACES) {
            let (name, uri) = self.world.start_link_in(namespace).await?;
            self.world.person_links(&uri).await?;
            *link = name;
        }
        Ok(links)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.world.daemon.path(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// `bindery`, which has to succeed.
    pub(super) fn done(&self, arguments: &[&str]) -> Result<String> {
        done(&self.world.daemon, arguments, "")
    }

    /// `bindery`, which has to fail; all that it said.
    pub(super) fn refused(&self, arguments: &[&str]) -> Result<String> {
        failed(&bindery(&self.world.daemon, arguments, "")?)
    }

    /// `bindery admin backup` into a new file of the daemon's folder.
    pub(super) fn back_up(&self, name: &str, more: &[&str]) -> Result<PathBuf> {
        let path = self.text(name);
        self.done(&[&["admin", "backup", "--out", &path], more].concat())?;
        Ok(path.into())
    }

    /// Ends the daemon as its operator does: it writes down what it knows first.
    pub(super) async fn stop(&mut self) -> Result<()> {
        signal(&self.world.daemon, "TERM")?;
        self.world.daemon.ended().await?;
        Ok(())
    }

    /// Replaces the data folder by another one.
    pub(super) async fn replace_data(&mut self, with: &Path) -> Result<()> {
        self.stop().await?;
        fs::rename(self.path("data"), self.path("data-of-before"))?;
        Ok(fs::rename(with, self.path("data"))?)
    }

    /// What the old daemon knew of its last write is gone as well.
    pub(super) fn forget_the_mark(&self) -> Result<()> {
        Ok(fs::remove_dir_all(self.path("data-highwater"))?)
    }

    /// Agrees to the plugins again, since what an operator agrees to run is in no backup, and starts the daemon.
    pub(super) async fn start(&mut self) -> Result<()> {
        self.agree_to_plugins()?;
        self.world.daemon.resume().await?;
        self.world.connect().await
    }

    pub(super) fn agree_to_plugins(&self) -> Result<()> {
        let configuration = fs::read_to_string(self.world.daemon.config())?;
        let enabled = configuration
            .lines()
            .find(|line| line.starts_with("enabled = "));
        let name = enabled.and_then(|line| line.split('"').nth(1));
        let name = name.context("no plugin is enabled")?;
        let pinned = self
            .world
            .daemon
            .binderyd(&["plugin", "pin", name, "--yes"])?;
        ensure!(pinned.status.success(), "{pinned:?}");
        Ok(())
    }

    /// Both links hand out what they did before.
    pub(super) async fn serves(&self, tokens: &[String; 2]) -> Result<()> {
        for (link, token) in self.links.iter().zip(tokens) {
            ensure!(self.world.token(link).await? == *token, "another token");
        }
        Ok(())
    }

    pub(super) async fn tokens(&self) -> Result<[String; 2]> {
        let [one, other] = &self.links;
        Ok([self.world.token(one).await?, self.world.token(other).await?])
    }

    /// Requests that the forge's token endpoint has seen.
    pub(super) fn token_requests(&self) -> usize {
        let standin = &self.world.forge.standin;
        standin.requests("/login/oauth/access_token").len()
    }
}

/// What a command said that failed.
pub(super) fn failed(output: &Output) -> Result<String> {
    let said = [output.stdout.clone(), output.stderr.clone()].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(!output.status.success(), "it succeeded: {said}");
    Ok(said)
}

/// Nothing is below a folder, or there is none.
pub(super) fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}
