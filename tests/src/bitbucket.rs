//! The twins of Bitbucket: Cloud, and Data Center under a context path.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bindery_twins::{
    Twin,
    bitbucket::{Cloud, DataCenter},
    world::{Owner, Role},
};

use crate::{
    artifacts::Plugin,
    browser::{Browser, Page},
    forge::{Client, Forge, SHORT},
    gitea::Decision,
    twin::Served,
};

/// What the real ones give access for
const HOURS: Duration = Duration::from_secs(7_200);

/// The twin of Bitbucket Cloud behind a real front
#[derive(Debug)]
pub struct BitbucketCloudForge {
    /// The front
    pub served: Served<Cloud>,
    /// Id of `octo/hello`
    pub hello: u64,
}

/// The twin of Bitbucket Data Center behind a real front
#[derive(Debug)]
pub struct BitbucketDataCenterForge {
    /// The front
    pub served: Served<DataCenter>,
    /// Id of `octo/hello`
    pub hello: u64,
}

impl BitbucketCloudForge {
    /// Starts it, with tokens that live for seconds.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub async fn start() -> Result<Self> {
        let mut twin = Cloud::new("http://bitbucket.example.com", 1);
        let octo = prepare(&mut twin)?;
        let served = Served::start("", twin).await?;
        let files = [("README.md", "hello\n")];
        let hello = served.add_repository(Owner::Person(octo), "hello", &files)?;
        Ok(Self { served, hello })
    }
}

impl BitbucketDataCenterForge {
    /// Starts it, with tokens that live for seconds, and a project `octo` that the person administers.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub async fn start() -> Result<Self> {
        let mut twin = DataCenter::new("http://git.example.com/bitbucket", 1);
        let octo = prepare(&mut twin)?;
        let world = &mut twin.state_mut().world;
        let project = world.add_group("octo", None, now_ms());
        world.join(octo, project, Role::Admin);
        let served = Served::start("/bitbucket", twin).await?;
        let files = [("README.md", "hello\n")];
        let hello = served.add_repository(Owner::Group(project), "hello", &files)?;
        Ok(Self { served, hello })
    }
}

/// Adds the person, and lets tokens live for seconds
fn prepare(twin: &mut impl Twin) -> Result<u64> {
    let state = twin.state_mut();
    state.oauth.rules.access_ms = Some(u64::try_from(SHORT.as_millis())?);
    Ok(state.world.add_person("octo", now_ms()))
}

fn register(twin: &mut impl Twin, redirect_uri: &str, scopes: &[&str]) -> Client {
    let state = twin.state_mut();
    let uris = [redirect_uri];
    let client = state
        .oauth
        .register(&mut state.mint, "Bindery", &uris, scopes);
    Client {
        id: client.id,
        secret: client.secrets.into_iter().next().unwrap_or_default(),
    }
}

fn lengthen(twin: &mut impl Twin) -> Result<()> {
    let hours = u64::try_from(HOURS.as_millis())?;
    twin.state_mut().oauth.rules.access_ms = Some(hours);
    Ok(())
}

fn accepts(twin: &impl Twin, token: &str) -> bool {
    let state = twin.state();
    let personal = state.world.tokens.find(token);
    state.oauth.bearer(token, now_ms()).is_ok()
        || personal.is_some_and(|personal| personal.check(now_ms()).is_ok())
}

impl Forge for BitbucketCloudForge {
    const PLUGIN: Plugin = Plugin::Bitbucket;

    fn web_url(&self) -> String {
        self.served.web_url().to_owned()
    }

    fn api_url(&self) -> String {
        format!("{}/2.0", self.served.web_url())
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[("edition", "cloud")]
    }

    async fn register(&mut self, redirect_uri: &str) -> Result<Client> {
        let scopes = ["account", "repository", "webhook"];
        Ok(self
            .served
            .with(|twin| register(twin, redirect_uri, &scopes)))
    }

    fn browser(&self) -> Browser {
        self.served.browser()
    }

    async fn agree(&mut self, browser: &mut Browser, page: Page) -> Result<Page> {
        self.served
            .decide(browser, "octo", page, Decision::Agree)
            .await
    }

    fn lifetime(&self) -> Option<Duration> {
        Some(SHORT)
    }

    fn lengthen(&mut self) -> Result<()> {
        self.served.with(lengthen)
    }

    async fn refreshes(&mut self) -> Result<usize> {
        Ok(self.served.with(|twin| twin.state().oauth.refreshes()))
    }

    async fn accepts(&mut self, token: &str) -> Result<bool> {
        Ok(self.served.with(|twin| accepts(twin, token)))
    }

    fn revokes_by_api(&self) -> bool {
        false
    }
}

impl Forge for BitbucketDataCenterForge {
    const PLUGIN: Plugin = Plugin::Bitbucket;

    fn web_url(&self) -> String {
        self.served.web_url().to_owned()
    }

    fn api_url(&self) -> String {
        format!("{}/rest/api/latest", self.served.web_url())
    }

    fn clone_url(&self) -> String {
        format!("{}/scm/octo/hello.git", self.served.web_url())
    }

    async fn register(&mut self, redirect_uri: &str) -> Result<Client> {
        let scopes = ["PUBLIC_REPOS", "REPO_READ", "REPO_WRITE", "REPO_ADMIN"];
        Ok(self
            .served
            .with(|twin| register(twin, redirect_uri, &scopes)))
    }

    fn browser(&self) -> Browser {
        self.served.browser()
    }

    async fn agree(&mut self, browser: &mut Browser, page: Page) -> Result<Page> {
        self.served
            .decide(browser, "octo", page, Decision::Agree)
            .await
    }

    fn lifetime(&self) -> Option<Duration> {
        Some(SHORT)
    }

    fn lengthen(&mut self) -> Result<()> {
        self.served.with(lengthen)
    }

    async fn refreshes(&mut self) -> Result<usize> {
        Ok(self.served.with(|twin| twin.state().oauth.refreshes()))
    }

    async fn accepts(&mut self, token: &str) -> Result<bool> {
        Ok(self.served.with(|twin| accepts(twin, token)))
    }

    fn revokes_by_api(&self) -> bool {
        true
    }
}

fn now_ms() -> u64 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH);
    real.map_or(0, |real| {
        u64::try_from(real.as_millis()).unwrap_or(u64::MAX)
    })
}
