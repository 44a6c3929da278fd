//! Tokens that the daemon makes itself: short ones for an installation of the host's app.
//!
//! The app's private key signs within the daemon; a plugin names it and never sees it. What the provider answers is
//! captured under [`MINTED_TOKEN`] before the plugin reads the rest.

use bindery_core::{
    host::Host,
    link::Link,
    problem::{Problem, Reason, Who},
    provider::{
        APP_PRIVATE_KEY, AuthKind, CredentialFacts, Input, MINTED_TOKEN, Minted, Output, Permission,
    },
    secret::{Secret, SecretSet},
};

use crate::{
    Engine,
    links::facts,
    operation::{Context, off_topic},
};

/// A token that was minted, and what the provider says about it.
pub(crate) struct MintedToken {
    /// The token.
    pub(crate) token: Secret,
    /// When it ends, and what it is good for.
    pub(crate) about: Minted,
}

/// What a token is minted for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Narrowing {
    /// Repositories that it is limited to; empty for all.
    pub(crate) repositories: Vec<String>,
    /// What it must be good for; empty for all that the installation has.
    pub(crate) permissions: Vec<Permission>,
}

impl Engine {
    /// A token for the installation that `link` stands for. It is not stored: whoever uses it stores it first.
    pub(crate) async fn mint(
        &self,
        link: &Link,
        host: &Host,
        narrowing: Narrowing,
    ) -> Result<MintedToken, Problem> {
        let secrets = self.app_secrets(host).await?;
        if secrets.get(APP_PRIVATE_KEY).is_none() {
            return Err(no_key(host));
        }
        let context = Context::new(host, facts(link, host), secrets)?;
        let input = Input::MintToken {
            repositories: narrowing.repositories,
            permissions: narrowing.permissions,
        };
        let outcome = self.run(context, input).await?;
        let (Output::Minted(about), Some(token)) =
            (outcome.last, outcome.secrets.get(MINTED_TOKEN))
        else {
            return Err(off_topic(host));
        };
        if token.is_empty() || about.expires <= self.now() {
            return Err(off_topic(host));
        }
        let token = token.duplicate();
        Ok(MintedToken { token, about })
    }

    /// An operation on behalf of a link, with its access token. That of an installation may sign as the app as well.
    pub(crate) async fn link_context<'a>(
        &self,
        link: &Link,
        host: &'a Host,
        token: &Secret,
    ) -> Result<Context<'a>, Problem> {
        let as_app = link.auth_kind == AuthKind::AppInstallation;
        self.link_context_with(link, host, token, as_app).await
    }

    /// As [`Engine::link_context`], for listing organizations. What organizations were asked to install the host's app a
    /// provider tells to the app alone, also where a person's link asks.
    pub(crate) async fn organizations_context<'a>(
        &self,
        link: &Link,
        host: &'a Host,
        token: &Secret,
    ) -> Result<Context<'a>, Problem> {
        let as_app = host.app.is_some() || link.auth_kind == AuthKind::AppInstallation;
        self.link_context_with(link, host, token, as_app).await
    }

    /// `as_app` lets the operation ask as the host's app, too.
    async fn link_context_with<'a>(
        &self,
        link: &Link,
        host: &'a Host,
        token: &Secret,
        as_app: bool,
    ) -> Result<Context<'a>, Problem> {
        let mut secrets = match as_app {
            true => self.app_secrets(host).await?,
            false => SecretSet::new(),
        };
        secrets.insert("access_token", token.duplicate());
        Context::new(host, facts(link, host), secrets)
    }

    /// An operation on behalf of the host itself: as its app, where it has one.
    pub(crate) async fn app_context<'a>(&self, host: &'a Host) -> Result<Context<'a>, Problem> {
        let app_id = host.app.as_ref().map(|app| app.app_id.clone());
        let facts = CredentialFacts {
            app_id: app_id.unwrap_or_default(),
            ..CredentialFacts::default()
        };
        Context::new(host, facts, self.app_secrets(host).await?)
    }

    /// The private key of the host's app; nothing where there is none.
    async fn app_secrets(&self, host: &Host) -> Result<SecretSet, Problem> {
        let mut secrets = SecretSet::new();
        if let Some(key) = self.host_secrets(host).await?.app_private_key {
            secrets.insert(APP_PRIVATE_KEY, key);
        }
        Ok(secrets)
    }
}

fn no_key(host: &Host) -> Problem {
    let message = format!(
        "hosts/{} has no app; give it the app's id and private key",
        host.name
    );
    Problem::new(Reason::MethodNotSupported, message).act(Who::HostOperator, "")
}
