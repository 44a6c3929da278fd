//! What the contracts need of a forge, so that each of them runs against every forge that is there.

mod twins;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use url::Url;

use crate::{
    artifacts::Plugin,
    browser::{Browser, Page},
    canary,
    gitea::{self, Gitea},
    github::{self, GitHub},
};

pub use self::twins::{Kind, TwinForge};

/// An OAuth client as the operator got it from the forge.
#[derive(Clone)]
pub struct Client {
    /// Client id.
    pub id: String,
    /// Client secret.
    pub secret: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What the stand-in's short tokens live: long enough for the steps of a link, short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_secs(8);
/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A forge with one person, `octo`, who owns the private repository `octo/hello`, in which `README.md` says `hello`.
pub trait Forge {
    /// Plugin that speaks to it.
    const PLUGIN: Plugin;

    /// Web base URL.
    fn web_url(&self) -> String;
    /// API base URL.
    fn api_url(&self) -> String;
    /// Registers an OAuth application for a redirect URI.
    fn register(&mut self, redirect_uri: &str) -> impl Future<Output = Result<Client>> + Send;
    /// A browser that reaches the forge and Bindery.
    fn browser(&self) -> Browser;
    /// The person signs in where asked and agrees; returns the redirect towards Bindery.
    fn agree(
        &mut self,
        browser: &mut Browser,
        page: Page,
    ) -> impl Future<Output = Result<Page>> + Send;
    /// How long an access token lives; `None` for ever.
    fn lifetime(&self) -> Option<Duration>;
    /// Gives tokens that live for hours from now on, where it can.
    fn lengthen(&mut self) -> Result<()>;
    /// How many refreshes it has answered.
    fn refreshes(&mut self) -> impl Future<Output = Result<usize>> + Send;
    /// Whether an access token is accepted.
    fn accepts(&mut self, token: &str) -> impl Future<Output = Result<bool>> + Send;
    /// Whether unlinking can revoke by API.
    fn revokes_by_api(&self) -> bool;
    /// Settings of the host that the plugin needs.
    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// Where git finds `octo/hello`.
    fn clone_url(&self) -> String {
        format!("{}/octo/hello.git", self.web_url())
    }
}

/// The GitHub stand-in.
#[derive(Debug)]
pub struct GitHubForge {
    /// The stand-in.
    pub standin: GitHub,
    octo: github::Person,
    client: Option<Client>,
    expiring: bool,
    cloud: bool,
}

impl GitHubForge {
    /// Starts it, with tokens that live for seconds, to be taken for a host that GitHub operates.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub async fn start_cloud() -> Result<Self> {
        let server = Self::start(true, None).await?;
        Ok(Self {
            cloud: true,
            ..server
        })
    }

    /// Starts it, with tokens that live for seconds, or for ever.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub async fn start(expiring: bool, canary: Option<&str>) -> Result<Self> {
        let access_seconds = i64::try_from(SHORT.as_secs())?;
        let token_shape = match expiring {
            true => github::TokenShape::Expiring { access_seconds },
            false => github::TokenShape::NonExpiring,
        };
        let everywhere = canary::searching().then_some(canary::MARKER);
        let canary = canary.or(everywhere).map(str::to_owned);
        let options = github::Options {
            token_shape,
            canary,
            rate_limits: false,
            ..github::Options::default()
        };
        Self::over(options).await
    }

    /// Starts it over HTTPS, for everybody or for those with a certificate, with tokens that live for seconds.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub async fn start_tls(tls: github::Tls, clients: Option<github::Clients>) -> Result<Self> {
        let access_seconds = i64::try_from(SHORT.as_secs())?;
        let options = github::Options {
            tls: Some(tls),
            clients,
            token_shape: github::TokenShape::Expiring { access_seconds },
            canary: canary::searching().then(|| canary::MARKER.to_owned()),
            rate_limits: false,
            ..github::Options::default()
        };
        Self::over(options).await
    }

    async fn over(options: github::Options) -> Result<Self> {
        let expiring = matches!(options.token_shape, github::TokenShape::Expiring { .. });
        let standin = GitHub::start(options).await?;
        let octo = standin.add_user("octo");
        standin.add_repo("octo", "hello", true, &[("README.md", "hello\n")])?;
        Ok(Self {
            standin,
            octo,
            client: None,
            expiring,
            cloud: false,
        })
    }

    /// Tokens of this shape from now on.
    ///
    /// # Errors
    ///
    /// When no application is registered.
    pub fn set_shape(&self, shape: github::TokenShape) -> Result<()> {
        let client = self
            .client
            .as_ref()
            .context("no application is registered")?;
        self.standin.set_token_shape(&client.id, shape)
    }

    /// Secret of the OAuth application.
    #[must_use]
    pub fn client_secret(&self) -> Option<String> {
        self.client.as_ref().map(|client| client.secret.clone())
    }

    /// The person.
    #[must_use]
    pub const fn person(&self) -> &github::Person {
        &self.octo
    }
}

impl Forge for GitHubForge {
    const PLUGIN: Plugin = Plugin::GitHub;

    fn web_url(&self) -> String {
        trimmed(self.standin.web_url())
    }

    fn api_url(&self) -> String {
        trimmed(self.standin.api_url())
    }

    async fn register(&mut self, redirect_uri: &str) -> Result<Client> {
        let app = self
            .standin
            .add_oauth_app("Bindery", "octo", &[redirect_uri]);
        let client = Client {
            id: app.client_id,
            secret: app.client_secret,
        };
        self.client = Some(client.clone());
        Ok(client)
    }

    fn browser(&self) -> Browser {
        self.standin.browser()
    }

    async fn agree(&mut self, browser: &mut Browser, page: Page) -> Result<Page> {
        let octo = self.octo.clone();
        self.standin
            .decide(browser, &octo, page, github::Decision::Agree)
            .await
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        match self.cloud {
            true => &[("edition", "cloud")],
            false => &[],
        }
    }

    fn lifetime(&self) -> Option<Duration> {
        self.expiring.then_some(SHORT)
    }

    fn lengthen(&mut self) -> Result<()> {
        match self.expiring {
            true => self.set_shape(github::TokenShape::Expiring {
                access_seconds: 28_800,
            }),
            false => Ok(()),
        }
    }

    async fn refreshes(&mut self) -> Result<usize> {
        Ok(self.standin.token_refreshes())
    }

    async fn accepts(&mut self, token: &str) -> Result<bool> {
        Ok(self
            .standin
            .live_tokens()
            .iter()
            .any(|live| live.secret == token && !live.refresh))
    }

    fn revokes_by_api(&self) -> bool {
        true
    }
}

/// A real Gitea.
#[derive(Debug)]
pub struct GiteaForge {
    /// The server.
    pub server: Gitea,
    octo: gitea::User,
    seconds: i64,
}

impl GiteaForge {
    /// Starts one whose access tokens live for `seconds`; a negative number means that they are dead when they are made.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub async fn start(seconds: i64, rotate: bool) -> Result<Self> {
        let options = gitea::Options {
            access_token_seconds: seconds,
            rotate_refresh_tokens: rotate,
            ..gitea::Options::default()
        };
        let server = Gitea::start(options).await?;
        let octo = server.create_user("octo").await?;
        server.create_repo(&octo, "octo", "hello", true).await?;
        server
            .push(&octo, "octo/hello", "main", ("README.md", "hello\n"))
            .await?;
        Ok(Self {
            server,
            octo,
            seconds,
        })
    }
}

impl GiteaForge {
    /// The person.
    #[must_use]
    pub const fn person(&self) -> &gitea::User {
        &self.octo
    }
}

impl Forge for GiteaForge {
    const PLUGIN: Plugin = Plugin::Gitea;

    fn web_url(&self) -> String {
        trimmed(self.server.base.clone())
    }

    fn api_url(&self) -> String {
        format!("{}/api/v1", self.web_url())
    }

    async fn register(&mut self, redirect_uri: &str) -> Result<Client> {
        let app = self
            .server
            .create_oauth_app(&self.octo, "Bindery", &[redirect_uri], true)
            .await?;
        Ok(Client {
            id: app.client_id,
            secret: app.client_secret,
        })
    }

    fn browser(&self) -> Browser {
        self.server.browser()
    }

    async fn agree(&mut self, browser: &mut Browser, page: Page) -> Result<Page> {
        let octo = self.octo.clone();
        self.server
            .decide(browser, &octo, page, gitea::Decision::Agree)
            .await
    }

    fn lifetime(&self) -> Option<Duration> {
        u64::try_from(self.seconds).ok().map(Duration::from_secs)
    }

    /// Gitea reads the lifetime when it starts.
    fn lengthen(&mut self) -> Result<()> {
        Ok(())
    }

    async fn refreshes(&mut self) -> Result<usize> {
        let calls = self
            .server
            .requests_with("POST /login/oauth/access_token")
            .await?;
        // The first one of each link exchanged its code.
        Ok(calls.len().saturating_sub(1))
    }

    async fn accepts(&mut self, token: &str) -> Result<bool> {
        let answer = self
            .server
            .api("GET", "/api/v1/user", &gitea::Auth::Bearer(token), None)
            .await?;
        Ok(answer.status.is_success())
    }

    fn revokes_by_api(&self) -> bool {
        false
    }
}

fn trimmed(url: Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Waits until the forge itself refuses a token.
///
/// # Errors
///
/// When it never does.
pub async fn outlive(forge: &mut impl Forge, token: &str) -> Result<()> {
    let started = Instant::now();
    while forge.accepts(token).await? {
        ensure!(
            started.elapsed() < PATIENCE,
            "the forge accepts the token for ever"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A person with a browser goes from Bindery's start page to the forge and back, and confirms. Returns the last page.
///
/// # Errors
///
/// When a page does not lead on.
pub async fn link_in_browser(
    forge: &mut impl Forge,
    browser: &mut Browser,
    start: &str,
) -> Result<Page> {
    let confirm = consent_in_browser(forge, browser, start).await?;
    let form = confirm
        .forms()
        .into_iter()
        .find(|form| form.action.path().ends_with("/confirm"));
    let answer = browser
        .submit(&form.with_context(|| format!("no confirmation is asked for: {}", confirm.body))?)
        .await?;
    browser.follow(answer).await
}

/// As [`link_in_browser`], up to the confirm page.
///
/// # Errors
///
/// When a page does not lead on.
pub async fn consent_in_browser(
    forge: &mut impl Forge,
    browser: &mut Browser,
    start: &str,
) -> Result<Page> {
    let page = browser.open(&Url::parse(start)?).await?;
    let form = page
        .forms()
        .into_iter()
        .find(|form| form.action.path().ends_with("/start"));
    let form = form.with_context(|| format!("{} ({}) has no start form", page.url, page.status))?;
    let towards_forge = browser.submit(&form).await?;
    let back = forge.agree(browser, towards_forge).await?;
    browser.follow(back).await
}
