//! Forges from the inside: what they hold of us, and what people do on their own pages.
//!
//! For contracts about what is left behind: what a forge says of itself is compared with what the daemon says of it.

mod changing;
mod standin;
mod twins;

pub use self::twins::OnTwin;

use anyhow::{Result, bail};
use bindery_client::Token;

pub use self::changing::Changing;
use crate::{
    browser::{Browser, Page},
    forge::Forge,
};

/// A token that a person made for a link that reads code and manages webhooks.
#[derive(Debug)]
pub struct Personal {
    /// The token.
    pub token: Token,
    /// What goes with it where the forge takes it with a name; may be empty.
    pub username: &'static str,
}

/// An app that is installed on what the person owns.
#[derive(Debug)]
pub struct Installed {
    /// The app.
    pub app: crate::github::RegisteredApp,
    /// Number of the installation.
    pub installation: u64,
}

/// Whether a request is one for tokens, by code or to refresh them: at every forge its path has one of two ends.
fn is_for_tokens(method: &str, path: &str) -> bool {
    method == "POST" && (path.ends_with("/token") || path.ends_with("/access_token"))
}

/// A forge that can be looked into.
pub trait Inside: Forge {
    /// How many hooks there are, in whatever repository, whose URL begins so.
    fn hooks_pointing_at(&self, url_prefix: &str) -> usize;
    /// What the hooks whose URL begins so sign with, or send along.
    fn hook_secrets(&self, url_prefix: &str) -> Vec<String>;
    /// What somebody could still use: access and refresh tokens of applications, tokens that people made, authorizations,
    /// installations.
    fn alive(&self) -> usize;
    /// How many requests came whose path has this part.
    fn asked(&self, part: &str) -> usize;
    /// How many requests came to its token endpoint.
    fn token_requests(&self) -> usize;
    /// How many deliveries were answered with success.
    fn delivered(&self) -> usize;
    /// Somebody pushes a commit to `octo/hello`, and every delivery about it has an answer.
    fn push(&mut self) -> impl Future<Output = Result<()>> + Send;
    /// Lets nobody at any hook, or ends that.
    fn forbid_hooks(&self, forbidden: bool);
    /// Answers nobody, or ends that.
    fn go_away(&self, away: bool);
    /// The person makes a token.
    fn make_token(&mut self) -> Result<Personal>;
    /// On the forge's pages the person takes back all that they allowed, and revokes every token.
    fn take_back(&mut self);
    /// On the forge's pages the person removes every hook whose URL begins so.
    fn remove_hooks(&mut self, url_prefix: &str);

    /// Mints other secrets than another forge that was started the same way; those of some are never the same.
    fn reseed(&mut self, _seed: u64) {}
    /// Adds somebody who can sign in.
    fn add_person(&mut self, login: &str);
    /// As [`Forge::agree`], as somebody else.
    fn agree_as(
        &mut self,
        browser: &mut Browser,
        login: &str,
        page: Page,
    ) -> impl Future<Output = Result<Page>> + Send;
    /// Who an access token of an application acts for, while it is accepted.
    fn whose(&self, token: &str) -> Option<String>;
    /// Gives tokens that live for seconds from now on.
    fn shorten(&mut self) -> Result<()>;
    /// `octo/hello` has another name from now on, and no hook hears of it.
    fn rename(&mut self, name: &str) -> Result<()>;
    /// `octo/hello` belongs to another team from now on, and no hook hears of it.
    fn transfer(&mut self, team: &str) -> Result<()>;
    /// Makes a team, organization, group, workspace or project that the person owns.
    fn add_team(&mut self, login: &str) -> Result<()>;
    /// The person is put out of a team.
    fn leave_team(&mut self, login: &str) -> Result<()>;
    /// An administrator blocks the person, or lets them in again.
    fn suspend(&mut self, suspended: bool) -> Result<()>;

    /// The person enters the code of a device and agrees.
    fn enter(&mut self, _code: &str) -> impl Future<Output = Result<()>> + Send {
        async { bail!("the forge has no device flow") }
    }

    /// The person installs an app whose OAuth client redirects there.
    fn install(&mut self, _redirect_uri: &str) -> Result<Installed> {
        bail!("the forge has no apps")
    }

    /// The owner of an app activates its hook for pushes.
    fn activate_app_hook(&mut self, _app_id: u64) -> Result<()> {
        bail!("the forge has no apps")
    }

    /// Where the hook of an app leads to; `None` where it leads nowhere.
    fn app_hook_url(&self, _app_id: u64) -> Option<String> {
        None
    }
}
