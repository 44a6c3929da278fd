//! GitHub Apps: registered, installed, suspended, and taken off again

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use ring::rsa::KeyPair;
use rustls_pki_types::{PrivatePkcs1KeyDer, pem::PemObject};

use super::world::{App, World};
use super::{GitHub, TokenShape, mint};

/// The key that every app has here; GitHub would make one for each
const KEY: &str = include_str!("app-key.pem");

/// What GitHub's expiring tokens of persons are good for, in seconds
const USER_TOKEN_SECONDS: i64 = 28_800;

/// Names and levels: `contents` and `read`
pub(super) type Levels = BTreeMap<String, String>;

/// A GitHub App as its owner registered it
#[derive(Clone, PartialEq, Eq)]
pub struct RegisteredApp {
    /// Its number
    pub app_id: u64,
    /// Its name in URLs
    pub slug: String,
    /// Its public name as an OAuth client
    pub client_id: String,
    /// Its secret as an OAuth client
    pub client_secret: String,
    /// Its private key, PEM
    pub private_key: String,
}

/// An app, as the forge keeps it
#[derive(Clone, Debug)]
pub(super) struct GitHubApp {
    pub(super) id: u64,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) client_id: String,
    /// Its public key, as ring reads it
    pub(super) key: Vec<u8>,
    pub(super) permissions: Levels,
    pub(super) created: i64,
}

/// What a member asked the owners of an organization for
#[derive(Clone, Debug)]
pub(super) struct AskedFor {
    pub(super) id: u64,
    pub(super) app: u64,
    pub(super) account: String,
    pub(super) requester: String,
    pub(super) created: i64,
}

/// An app on an account
#[derive(Clone, Debug)]
pub(super) struct Installation {
    pub(super) id: u64,
    pub(super) app: u64,
    pub(super) account: String,
    /// None for all that the account owns
    pub(super) repos: Option<BTreeSet<u64>>,
    pub(super) permissions: Levels,
    pub(super) suspended: Option<i64>,
    pub(super) created: i64,
}

impl std::fmt::Debug for RegisteredApp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("RegisteredApp");
        shown.field("app_id", &self.app_id);
        shown.field("slug", &self.slug);
        shown.finish_non_exhaustive()
    }
}

impl GitHub {
    /// Register an app with permissions as `contents:read`; its name in URLs is its name in lower case
    pub fn add_github_app(
        &self,
        name: &str,
        owner: &str,
        callback: &str,
        permissions: &[&str],
    ) -> anyhow::Result<RegisteredApp> {
        let now = self.inner.now();
        let mut world = self.inner.world();
        let app = GitHubApp {
            id: world.id(),
            slug: name.to_ascii_lowercase(),
            name: name.to_owned(),
            owner: owner.to_owned(),
            client_id: format!("Iv23li{}", mint::random(14)),
            key: public_key()?,
            permissions: levels(permissions)?,
            created: now,
        };
        let client_secret = world.mint.client_secret();
        world.apps.push(App {
            client_id: app.client_id.clone(),
            secrets: vec![client_secret.clone()],
            name: app.name.clone(),
            owner: app.owner.clone(),
            callbacks: vec![callback.to_owned()],
            shape: TokenShape::Expiring {
                access_seconds: USER_TOKEN_SECONDS,
            },
        });
        world.github_apps.push(app.clone());
        Ok(RegisteredApp {
            app_id: app.id,
            slug: app.slug,
            client_id: app.client_id,
            client_secret,
            private_key: KEY.to_owned(),
        })
    }

    /// Install an app, as an owner of the account would; on all repositories if none is named
    pub fn install(&self, app_id: u64, account: &str, repos: &[u64]) -> anyhow::Result<u64> {
        let now = self.inner.now();
        let mut world = self.inner.world();
        let chosen = (!repos.is_empty()).then(|| repos.iter().copied().collect());
        world
            .install(app_id, account, chosen, now)
            .context("there is no such app or account")
    }

    /// Ask the owners of an organization to install an app, as a member would
    pub fn ask_to_install(&self, app_id: u64, account: &str, login: &str) {
        let now = self.inner.now();
        self.inner.world().ask_for(app_id, account, login, now);
    }

    /// Suspend an installation, as an owner of the account would, or end that
    pub fn suspend_installation(&self, id: u64, suspended: bool) -> anyhow::Result<()> {
        let now = self.inner.now();
        let mut world = self.inner.world();
        let found = world.installation_mut(id).context("no such installation")?;
        found.suspended = suspended.then_some(now);
        let found = found.clone();
        drop(world);
        let action = if suspended { "suspend" } else { "unsuspend" };
        self.inner.tell_of_installation(&found, action);
        Ok(())
    }

    /// Take an app off an account, as an owner of the account would
    pub fn uninstall(&self, id: u64) -> anyhow::Result<()> {
        let found = self.inner.world().installation(id).cloned();
        ensure!(self.inner.world().uninstall(id), "no such installation");
        if let Some(found) = found {
            self.inner.tell_of_installation(&found, "deleted");
        }
        Ok(())
    }

    /// Installations that there are
    #[must_use]
    pub fn installations(&self) -> Vec<u64> {
        let world = self.inner.world();
        world.installations.iter().map(|one| one.id).collect()
    }
}

impl World {
    pub(super) fn ask_for(&mut self, app: u64, account: &str, requester: &str, created: i64) {
        let id = self.id();
        self.asked_for.push(AskedFor {
            id,
            app,
            account: account.to_owned(),
            requester: requester.to_owned(),
            created,
        });
    }

    pub(super) fn github_app(&self, id: u64) -> Option<&GitHubApp> {
        self.github_apps.iter().find(|app| app.id == id)
    }

    pub(super) fn github_app_of(&self, client_id: &str) -> Option<&GitHubApp> {
        let mut apps = self.github_apps.iter();
        apps.find(|app| app.client_id == client_id)
    }

    pub(super) fn installation(&self, id: u64) -> Option<&Installation> {
        self.installations.iter().find(|one| one.id == id)
    }

    pub(super) fn installation_mut(&mut self, id: u64) -> Option<&mut Installation> {
        self.installations.iter_mut().find(|one| one.id == id)
    }

    /// Install an app, or change for which repositories it is
    pub(super) fn install(
        &mut self,
        app_id: u64,
        account: &str,
        repos: Option<BTreeSet<u64>>,
        now: i64,
    ) -> Option<u64> {
        let permissions = self.github_app(app_id)?.permissions.clone();
        self.account_id(account)?;
        let mut known = self.installations.iter_mut();
        if let Some(known) = known.find(|one| one.app == app_id && one.account == account) {
            known.repos = repos;
            return Some(known.id);
        }
        let id = self.id();
        self.installations.push(Installation {
            id,
            app: app_id,
            account: account.to_owned(),
            repos,
            permissions,
            suspended: None,
            created: now,
        });
        Some(id)
    }

    /// Take an installation away with all its tokens; false if there is none
    pub(super) fn uninstall(&mut self, id: u64) -> bool {
        let before = self.installations.len();
        self.installations.retain(|one| one.id != id);
        self.tokens.retain(|token| token.installation() != Some(id));
        self.installations.len() < before
    }

    pub(super) fn account_id(&self, login: &str) -> Option<u64> {
        let org = self.org(login).map(|org| org.id);
        org.or_else(|| self.user(login).map(|user| user.id))
    }
}

fn levels(permissions: &[&str]) -> anyhow::Result<Levels> {
    let one = |text: &&str| {
        let (name, level) = text.split_once(':').context("name:level is needed")?;
        Ok((name.to_owned(), level.to_owned()))
    };
    // Every app can read metadata.
    let metadata = Ok(("metadata".to_owned(), "read".to_owned()));
    permissions.iter().map(one).chain([metadata]).collect()
}

fn public_key() -> anyhow::Result<Vec<u8>> {
    let der = PrivatePkcs1KeyDer::from_pem_slice(KEY.as_bytes()).context("the key isn't PEM")?;
    let pair = KeyPair::from_der(der.secret_pkcs1_der());
    let pair = pair.map_err(|rejected| anyhow::anyhow!("the key is refused: {rejected}"))?;
    Ok(pair.public().as_ref().to_vec())
}
