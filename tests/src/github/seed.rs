//! Who and what there is before anything happens, and what their owners change later

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};

use super::world::{App, Org, Repo, Token, TokenKind, User};
use super::{GitHub, TokenShape, mint, scopes};

/// Somebody who can sign in
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The number that never changes
    pub id: u64,
    /// The name to sign in with
    pub login: String,
    /// The password to sign in with
    pub password: String,
}

/// An organization's part in what its members allow
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrgOptions {
    /// OAuth apps see private things of it only once an owner approved them
    pub restricted: bool,
    /// Tokens see private things of it only once they are authorized for its single sign-on
    pub sso: Option<Sso>,
}

/// Which tokens an organization's single sign-on concerns
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sso {
    /// Personal access tokens; those of apps are authorized as they are made
    PersonalTokens,
    /// All of them, as where the person had no session with the identity provider at consent
    AllTokens,
}

/// What somebody is in an organization
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Administers it
    Owner,
    /// Reads its repositories
    Member,
}

/// How far somebody may go in a repository
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Read it
    Pull,
    /// Write to it
    Push,
    /// Administer it
    Admin,
}

/// An OAuth app as its owner registered it
#[derive(Clone, PartialEq, Eq)]
pub struct OAuthApp {
    /// Its public name at the forge
    pub client_id: String,
    /// Its secret
    pub client_secret: String,
}

/// A personal access token to be made
#[derive(Clone, Debug)]
pub struct Pat<'a> {
    /// Classic or fine-grained
    pub kind: PatKind<'a>,
    /// Seconds until it ends
    pub expires_in: Option<i64>,
}

/// The two kinds of personal access tokens
#[derive(Clone, Debug)]
pub enum PatKind<'a> {
    /// With scopes, for everything its owner sees
    Classic {
        /// As `repo`, `read:org`
        scopes: &'a [&'a str],
    },
    /// With permissions, for what one account owns
    FineGrained {
        /// The person or organization
        owner: &'a str,
        /// As `metadata:read`, `contents:read`, `members:read`
        permissions: &'a [&'a str],
    },
}

impl std::fmt::Debug for OAuthApp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("OAuthApp");
        shown.field("client_id", &self.client_id);
        shown.finish_non_exhaustive()
    }
}

impl GitHub {
    /// Add somebody, whose password is their login with `-password`
    pub fn add_user(&self, login: &str) -> Person {
        let created = self.inner.now();
        let mut world = self.inner.world();
        let user = User {
            id: world.id(),
            login: login.to_owned(),
            name: display_name(login),
            password: format!("{login}-password"),
            created,
        };
        world.users.push(user.clone());
        Person {
            id: user.id,
            login: user.login,
            password: user.password,
        }
    }

    /// Somebody who was added, by login
    #[must_use]
    pub fn person(&self, login: &str) -> Option<Person> {
        let world = self.inner.world();
        let user = world.user(login)?;
        Some(Person {
            id: user.id,
            login: user.login.clone(),
            password: user.password.clone(),
        })
    }

    /// Add an organization without members, and return its id
    pub fn add_org(&self, login: &str, options: OrgOptions) -> u64 {
        let created = self.inner.now();
        let mut world = self.inner.world();
        let id = world.id();
        world.orgs.push(Org {
            id,
            login: login.to_owned(),
            url: format!("{}/orgs/{login}", self.inner.web),
            restricted: options.restricted,
            sso: options.sso,
            members: BTreeMap::new(),
            shown: BTreeSet::new(),
            approved: BTreeSet::new(),
            requested: BTreeSet::new(),
            created,
        });
        id
    }

    /// Make somebody a member or an owner of an organization
    pub fn add_member(&self, org: &str, login: &str, role: Role) -> anyhow::Result<()> {
        let mut world = self.inner.world();
        ensure!(world.user(login).is_some(), "there is no user {login}");
        let org = world
            .org_mut(org)
            .context("there is no such organization")?;
        org.members.insert(login.to_owned(), role);
        Ok(())
    }

    /// Take somebody out of an organization, as an owner of it would
    pub fn remove_member(&self, org: &str, login: &str) -> anyhow::Result<()> {
        let mut world = self.inner.world();
        let org = world
            .org_mut(org)
            .context("there is no such organization")?;
        let gone = org.members.remove(login);
        ensure!(gone.is_some(), "{login} is no member");
        Ok(())
    }

    /// Let somebody show to everybody that they are a member
    pub fn publicize_membership(&self, org: &str, login: &str) -> anyhow::Result<()> {
        let mut world = self.inner.world();
        let org = world
            .org_mut(org)
            .context("there is no such organization")?;
        org.shown.insert(login.to_owned());
        Ok(())
    }

    /// Let an OAuth app into a restricted organization, as an owner would
    pub fn approve_app(&self, org: &str, client_id: &str) -> anyhow::Result<()> {
        let mut world = self.inner.world();
        let org = world
            .org_mut(org)
            .context("there is no such organization")?;
        org.approved.insert(client_id.to_owned());
        Ok(())
    }

    /// Add a repository, and return its id
    ///
    /// With files it has the branches `main` and `develop`, the tag `v0.9.0` on a commit, and the
    /// annotated tag `v1.0.0`. Without files it is empty.
    pub fn add_repo(
        &self,
        owner: &str,
        name: &str,
        private: bool,
        files: &[(&str, &str)],
    ) -> anyhow::Result<u64> {
        let created = self.inner.now();
        let id = {
            let mut world = self.inner.world();
            let known = world.user(owner).is_some() || world.org(owner).is_some();
            ensure!(known, "there is no account {owner}");
            let id = world.id();
            world.repos.push(Repo {
                id,
                owner: owner.to_owned(),
                name: name.to_owned(),
                private,
                archived: false,
                collaborators: BTreeMap::new(),
                former: Vec::new(),
                created,
            });
            id
        };
        self.inner.repositories.init(id, files)?;
        self.inner.note_refs(id)?;
        Ok(id)
    }

    /// Let somebody into a repository of somebody else
    pub fn add_collaborator(
        &self,
        repo: &str,
        login: &str,
        permission: Permission,
    ) -> anyhow::Result<()> {
        let (owner, name) = repo.split_once('/').context("owner/name is needed")?;
        let mut world = self.inner.world();
        let repo = world.repo_mut(owner, name).context("no such repository")?;
        repo.collaborators.insert(login.to_owned(), permission);
        Ok(())
    }

    /// Rename a repository; its former name redirects from now on
    pub fn rename(&self, repo: &str, name: &str) -> anyhow::Result<()> {
        let (owner, old) = repo.split_once('/').context("owner/name is needed")?;
        let renamed = {
            let mut world = self.inner.world();
            let repo = world.repo_mut(owner, old).context("no such repository")?;
            let former = std::mem::replace(&mut repo.name, name.to_owned());
            repo.former.push((repo.owner.clone(), former));
            repo.clone()
        };
        self.announce_rename(&renamed);
        Ok(())
    }

    /// Register an OAuth app with the options' token shape
    pub fn add_oauth_app(&self, name: &str, owner: &str, callbacks: &[&str]) -> OAuthApp {
        let shape = self.inner.options.token_shape;
        let mut world = self.inner.world();
        let secret = world.mint.client_secret();
        let app = App {
            client_id: format!("Ov23li{}", mint::random(14)),
            secrets: vec![secret.clone()],
            name: name.to_owned(),
            owner: owner.to_owned(),
            callbacks: callbacks.iter().map(|&url| url.to_owned()).collect(),
            shape,
        };
        let client_id = app.client_id.clone();
        world.apps.push(app);
        OAuthApp {
            client_id,
            client_secret: secret,
        }
    }

    /// Make one more secret for an OAuth app; the others stay good
    pub fn add_client_secret(&self, client_id: &str) -> anyhow::Result<String> {
        let mut world = self.inner.world();
        let secret = world.mint.client_secret();
        let mut apps = world.apps.iter_mut();
        let app = apps.find(|app| app.client_id == client_id);
        let app = app.context("there is no such app")?;
        app.secrets.push(secret.clone());
        Ok(secret)
    }

    /// Change which tokens an OAuth app gets from now on
    pub fn set_token_shape(&self, client_id: &str, shape: TokenShape) -> anyhow::Result<()> {
        let mut world = self.inner.world();
        let mut apps = world.apps.iter_mut();
        let app = apps.find(|app| app.client_id == client_id);
        app.context("there is no such app")?.shape = shape;
        Ok(())
    }

    /// Make a personal access token
    pub fn add_pat(&self, login: &str, pat: &Pat<'_>) -> anyhow::Result<String> {
        let now = self.inner.now();
        let mut world = self.inner.world();
        ensure!(world.user(login).is_some(), "there is no user {login}");
        let (secret, kind, scopes) = match pat.kind {
            PatKind::Classic { scopes } => {
                let scopes = scopes::normalize(scopes.iter().copied());
                (world.mint.classic_pat(), TokenKind::ClassicPat, scopes)
            }
            PatKind::FineGrained { owner, permissions } => {
                let permissions = permissions.iter().map(|&name| name.to_owned());
                let owner = owner.to_owned();
                let kind = TokenKind::FineGrainedPat { owner };
                (world.mint.fine_grained_pat(), kind, permissions.collect())
            }
        };
        let id = world.id();
        world.tokens.push(Token {
            id,
            secret: secret.clone(),
            kind,
            login: login.to_owned(),
            scopes,
            note: format!("token-{id}"),
            created: now,
            expires: pat.expires_in.map(|seconds| now.saturating_add(seconds)),
            refresh: None,
            sso: BTreeSet::new(),
        });
        Ok(secret)
    }

    /// Authorize a token for an organization's single sign-on, as its owner would
    pub fn authorize_sso(&self, token: &str, org: &str) -> anyhow::Result<()> {
        let mut world = self.inner.world();
        let mut tokens = world.tokens.iter_mut();
        let token = tokens.find(|known| known.secret == token);
        let token = token.context("there is no such token")?;
        token.sso.insert(org.to_owned());
        Ok(())
    }
}

fn display_name(login: &str) -> String {
    let mut letters = login.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
