//! Twins behind a real front: GitLab below a relative root, Gitea, Gitee.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bindery_twins::{Twin, gitea::Gitea, gitee::Gitee, gitlab::GitLab, world::Owner};

use super::{Client, Forge, SHORT};
use crate::{
    artifacts::Plugin,
    browser::{Browser, Page},
    gitea::Decision,
    twin::Served,
};

/// What tells one twin from another
pub trait Kind: Twin + Send + Sized + 'static {
    /// Plugin that speaks to it
    const PLUGIN: Plugin;
    /// Where it is on its host: `/root`, or `` for the top
    const ROOT: &'static str = "";
    /// Where its API is below its web URL
    const API: &'static str;
    /// What an application may ask for
    const SCOPES: &'static [&'static str];
    /// Lifetime of its access tokens, in milliseconds
    const LIFETIME_MS: u64;

    /// An empty one
    fn empty() -> Self;
}

impl Kind for GitLab {
    const PLUGIN: Plugin = Plugin::GitLab;
    const ROOT: &'static str = "/gitlab";
    const API: &'static str = "/api/v4";
    const SCOPES: &'static [&'static str] = &[
        "api",
        "read_api",
        "read_user",
        "read_repository",
        "write_repository",
        "self_rotate",
    ];
    const LIFETIME_MS: u64 = 7_200_000;

    fn empty() -> Self {
        Self::new("http://gitlab.example.com", 1)
    }
}

impl Kind for Gitee {
    const PLUGIN: Plugin = Plugin::Gitee;
    const API: &'static str = "/api/v5";
    const SCOPES: &'static [&'static str] =
        &["user_info", "projects", "groups", "hook", "enterprises"];
    const LIFETIME_MS: u64 = 86_400_000;

    fn empty() -> Self {
        Self::new("http://gitee.example.com", 1)
    }
}

impl Kind for Gitea {
    const PLUGIN: Plugin = Plugin::Gitea;
    const API: &'static str = "/api/v1";
    const SCOPES: &'static [&'static str] = &[
        "read:user",
        "read:organization",
        "read:repository",
        "write:repository",
    ];
    const LIFETIME_MS: u64 = 3_600_000;

    fn empty() -> Self {
        Self::new("http://gitea.example.com", 1)
    }
}

/// A twin behind a real front
#[derive(Debug)]
pub struct TwinForge<T: Kind> {
    /// The front
    pub served: Served<T>,
    /// Id of `octo/hello`
    pub hello: u64,
    lifetime: Duration,
}

impl<T: Kind> TwinForge<T> {
    /// Starts it, with tokens that live for seconds, or as long as those of the real one.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub async fn start(short: bool) -> Result<Self> {
        let mut twin = T::empty();
        let lifetime = match short {
            true => SHORT,
            false => Duration::from_millis(T::LIFETIME_MS),
        };
        twin.state_mut().oauth.rules.access_ms = Some(u64::try_from(lifetime.as_millis())?);
        let octo = twin.state_mut().world.add_person("octo", now_ms());
        let served = Served::start(T::ROOT, twin).await?;
        let files = [("README.md", "hello\n")];
        let hello = served.add_repository(Owner::Person(octo), "hello", &files)?;
        Ok(Self {
            served,
            hello,
            lifetime,
        })
    }
}

impl<T: Kind> Forge for TwinForge<T> {
    const PLUGIN: Plugin = T::PLUGIN;

    fn web_url(&self) -> String {
        self.served.web_url().to_owned()
    }

    fn api_url(&self) -> String {
        format!("{}{}", self.served.web_url(), T::API)
    }

    async fn register(&mut self, redirect_uri: &str) -> Result<Client> {
        let client = self.served.with(|twin| {
            let state = twin.state_mut();
            let (mint, uris) = (&mut state.mint, [redirect_uri]);
            state.oauth.register(mint, "Bindery", &uris, T::SCOPES)
        });
        Ok(Client {
            id: client.id,
            secret: client.secrets.into_iter().next().unwrap_or_default(),
        })
    }

    fn browser(&self) -> Browser {
        self.served.browser()
    }

    async fn agree(&mut self, browser: &mut Browser, page: Page) -> Result<Page> {
        let decision = Decision::Agree;
        self.served.decide(browser, "octo", page, decision).await
    }

    fn lifetime(&self) -> Option<Duration> {
        Some(self.lifetime)
    }

    fn lengthen(&mut self) -> Result<()> {
        self.served
            .with(|twin| twin.state_mut().oauth.rules.access_ms = Some(T::LIFETIME_MS));
        Ok(())
    }

    async fn refreshes(&mut self) -> Result<usize> {
        Ok(self.served.with(|twin| twin.state().oauth.refreshes()))
    }

    async fn accepts(&mut self, token: &str) -> Result<bool> {
        Ok(self.served.with(|twin| {
            let state = twin.state();
            let oauth = state.oauth.bearer(token, now_ms()).is_ok();
            let personal = state.world.tokens.find(token);
            oauth || personal.is_some_and(|personal| personal.check(now_ms()).is_ok())
        }))
    }

    fn revokes_by_api(&self) -> bool {
        self.served
            .with(|twin| twin.state().oauth.rules.revocation.is_some())
    }
}

fn now_ms() -> u64 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH);
    real.map_or(0, |real| {
        u64::try_from(real.as_millis()).unwrap_or(u64::MAX)
    })
}
