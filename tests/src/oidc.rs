//! The strict OAuth server `oidc-provider`, started for one test and gone with it
//!
//! `tests/oidc/server.mjs` is the server, below GitLab's paths, with as much of GitLab's API as a link asks for. It requires
//! PKCE, and the second use of a refresh token ends everything that came of the same consent. Where it is not installed,
//! [`Oidc::available`] says so, and the tests that need it are reported as not run.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::artifacts::Plugin;
use crate::browser::{Browser, Page};
use crate::child::{Answer, Calls, Process};
use crate::forge::{Client, Forge};

/// Names the folder in which `npm ci` has installed it
const FOLDER: &str = "BINDERY_TEST_OIDC";
/// What GitLab's access tokens live, in seconds
const LIFETIME: u64 = 7200;

/// A running server; whoever signs in is whom they say they are
#[derive(Debug)]
pub struct Oidc {
    calls: Calls,
    seconds: u64,
    client: Option<Client>,
    _process: Process,
}

impl Oidc {
    /// The folder of the server, or the sentence that says why there is none
    ///
    /// # Errors
    ///
    /// The sentence.
    pub fn available() -> Result<PathBuf, String> {
        let folder = std::env::var_os(FOLDER).filter(|value| !value.is_empty());
        let folder = folder.map(PathBuf::from).ok_or_else(|| {
            format!(
                "not run: {FOLDER} is not set; daemon/docs/testing.md says how to get oidc-provider"
            )
        })?;
        if folder.join("node_modules/oidc-provider").is_dir() {
            return Ok(folder);
        }
        let place = folder.display();
        Err(format!(
            "not run: {FOLDER} names {place}, where `npm ci` has not installed oidc-provider"
        ))
    }

    /// Starts a fresh one whose access tokens live for `seconds` until they are [lengthened](Forge::lengthen)
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub async fn start(seconds: u64) -> Result<Self> {
        let folder = Self::available().map_err(anyhow::Error::msg)?;
        let mut command = Command::new("node");
        // Nothing of the person who runs the tests.
        let path = std::env::var_os("PATH").context("PATH isn't set")?;
        command.arg("--no-warnings").arg("server.mjs");
        command.current_dir(folder).env_clear().env("PATH", path);
        let (process, base) = Process::start(&mut command)?;
        let oidc = Self {
            calls: Calls::to(base)?,
            seconds,
            client: None,
            _process: process,
        };
        oidc.set_lifetime(seconds).await?;
        Ok(oidc)
    }

    /// Tokens that are made from now on live for so many seconds
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn set_lifetime(&self, seconds: u64) -> Result<()> {
        let seconds = seconds.to_string();
        let fields = [("seconds", seconds.as_str())];
        let answer = self.calls.post("/control/lifetime", &fields).await;
        answer.map(drop)
    }

    /// Calls of the token and revocation endpoints in order, as grant type or name, and status: `refresh_token 200`
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn calls(&self) -> Result<Vec<String>> {
        let (_, calls) = self.calls.get("/control/calls", None).await?;
        Ok(serde_json::from_value(calls)?)
    }

    /// Calls the token endpoint as the registered client does
    ///
    /// # Errors
    ///
    /// When no client is registered, or it does not answer.
    pub async fn token(&self, fields: &[(&str, &str)]) -> Result<Answer> {
        let client = self.client.as_ref().context("no client is registered")?;
        let own = [
            ("client_id", client.id.as_str()),
            ("client_secret", client.secret.as_str()),
        ];
        let fields: Vec<_> = own.iter().chain(fields).copied().collect();
        self.calls.post("/oauth/token", &fields).await
    }

    /// Begins a device authorization as the registered client does
    ///
    /// # Errors
    ///
    /// When no client is registered, or the server refuses.
    pub async fn device(&self, scope: &str) -> Result<Value> {
        let client = self.client.as_ref().context("no client is registered")?;
        let fields = [
            ("client_id", client.id.as_str()),
            ("client_secret", client.secret.as_str()),
            ("scope", scope),
        ];
        let (status, body) = self.calls.post("/oauth/authorize_device", &fields).await?;
        ensure!(status.is_success(), "no device code: {status} {body}");
        Ok(body)
    }

    /// Signs in as `octo` and agrees, as far as the pages ask for it; returns the last answer
    ///
    /// # Errors
    ///
    /// When a page leads nowhere.
    pub async fn sign_in_and_agree(&self, browser: &mut Browser, page: Page) -> Result<Page> {
        let here = self.calls.base.origin();
        let mut page = browser
            .follow_while(page, |next| next.origin() == here)
            .await?;
        for prompt in ["login", "consent"] {
            let mut forms = page.forms().into_iter();
            let Some(form) = forms.find(|form| form.value("prompt") == Some(prompt)) else {
                continue;
            };
            let form = match prompt {
                "login" => form.set("login", "octo").set("password", "anything"),
                _ => form,
            };
            let answer = browser.submit(&form).await?;
            page = browser
                .follow_while(answer, |next| next.origin() == here)
                .await?;
        }
        Ok(page)
    }
}

impl Forge for Oidc {
    const PLUGIN: Plugin = Plugin::GitLab;

    fn web_url(&self) -> String {
        self.calls.base.as_str().trim_end_matches('/').to_owned()
    }

    fn api_url(&self) -> String {
        format!("{}/api/v4", self.web_url())
    }

    async fn register(&mut self, redirect_uri: &str) -> Result<Client> {
        let fields = [("redirect_uri", redirect_uri)];
        let (status, made) = self.calls.post("/control/applications", &fields).await?;
        ensure!(status.is_success(), "no application was made: {status}");
        let text = |name: &str| made[name].as_str().map(str::to_owned);
        let client = Client {
            id: text("id").context("no id")?,
            secret: text("secret").context("no secret")?,
        };
        self.client = Some(client.clone());
        Ok(client)
    }

    fn browser(&self) -> Browser {
        Browser::over(Arc::clone(&self.calls.wire))
    }

    async fn agree(&mut self, browser: &mut Browser, page: Page) -> Result<Page> {
        self.sign_in_and_agree(browser, page).await
    }

    fn lifetime(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.seconds))
    }

    fn lengthen(&mut self) -> Result<()> {
        let lengthened = self.set_lifetime(LIFETIME);
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(lengthened))?;
        self.seconds = LIFETIME;
        Ok(())
    }

    async fn refreshes(&mut self) -> Result<usize> {
        let calls = self.calls().await?;
        let refresh = |call: &&String| call.starts_with("refresh_token ");
        Ok(calls.iter().filter(refresh).count())
    }

    async fn accepts(&mut self, token: &str) -> Result<bool> {
        let (status, _) = self.calls.get("/oauth/token/info", Some(token)).await?;
        Ok(status.is_success())
    }

    fn revokes_by_api(&self) -> bool {
        true
    }
}
