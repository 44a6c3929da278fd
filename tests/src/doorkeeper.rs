//! GitLab's own OAuth library, Doorkeeper, in GitLab's configuration, started for one test and gone with it
//!
//! `tests/doorkeeper/config.ru` is the application. Where Ruby or the library is missing, [`Doorkeeper::available`] says so,
//! and the tests that need it are reported as not run. It speaks enough of GitLab's API for a link, below the path
//! `/gitlab`, as a self-managed GitLab may.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use url::Url;

use crate::{
    artifacts::Plugin,
    browser::{Browser, Page},
    child::{Answer, Calls, Process},
    forge::{Client, Forge},
};

/// Names the program that serves it: `puma`.
const BINARY: &str = "BINDERY_TEST_DOORKEEPER";
/// A start takes some seconds; a busy machine gets this long.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Between a free port being found and the server taking it, somebody else may.
const START_ATTEMPTS: usize = 3;
const POLL: Duration = Duration::from_millis(50);

/// What GitLab's access tokens live, in seconds.
const LIFETIME: u64 = 7200;

/// A running Doorkeeper with one person, `octo`, who is signed in and agrees to all.
#[derive(Debug)]
pub struct Doorkeeper {
    calls: Calls,
    seconds: u64,
    client: Option<Client>,
    process: Option<Process>,
    dir: TempDir,
}

impl Doorkeeper {
    /// The server program, or the sentence that says why there is none.
    ///
    /// # Errors
    ///
    /// The sentence.
    pub fn available() -> Result<PathBuf, String> {
        let program = std::env::var_os(BINARY).filter(|value| !value.is_empty());
        let program = program.map(PathBuf::from).ok_or_else(|| {
            format!("not run: {BINARY} is not set; daemon/docs/testing.md says how to get a real Doorkeeper")
        })?;
        if program.exists() {
            return Ok(program);
        }
        Err(format!(
            "not run: {BINARY} names {}, which does not exist",
            program.display()
        ))
    }

    /// Starts a fresh one whose access tokens live for `seconds` until they are [lengthened](Forge::lengthen).
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub async fn start(seconds: u64) -> Result<Self> {
        let program = Self::available().map_err(anyhow::Error::msg)?;
        let mut doorkeeper = Self {
            calls: Calls::to(Url::parse("http://127.0.0.1/")?)?,
            seconds,
            client: None,
            process: None,
            dir: TempDir::with_prefix("bindery-doorkeeper-")?,
        };
        doorkeeper.launch_anywhere(&program).await?;
        doorkeeper.set_lifetime(seconds).await?;
        Ok(doorkeeper)
    }

    /// Tokens that are made from now on live for so many seconds.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn set_lifetime(&self, seconds: u64) -> Result<()> {
        let seconds = seconds.to_string();
        self.calls
            .post("/control/lifetime", &[("seconds", &seconds)])
            .await
            .map(drop)
    }

    /// Calls of the token and revocation endpoints in order, as grant type or name, and status: `refresh_token 200`.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn calls(&self) -> Result<Vec<String>> {
        let (_, calls) = self.calls.get("/control/calls", None).await?;
        Ok(serde_json::from_value(calls)?)
    }

    /// Exchanges a code as the registered client does, and gives what the token endpoint answers.
    ///
    /// # Errors
    ///
    /// When no client is registered, or it does not answer.
    pub async fn exchange(&self, code: &str, redirect_uri: &str) -> Result<serde_json::Value> {
        let client = self.client.as_ref().context("no client is registered")?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", &client.id),
            ("client_secret", &client.secret),
            ("code", code),
            ("redirect_uri", redirect_uri),
        ];
        Ok(self.calls.post("/gitlab/oauth/token", &fields).await?.1)
    }

    /// Refreshes as the registered client does, and gives what the token endpoint answers.
    ///
    /// # Errors
    ///
    /// When no client is registered, or it does not answer.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Answer> {
        let client = self.client.as_ref().context("no client is registered")?;
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", &client.id),
            ("client_secret", &client.secret),
            ("refresh_token", refresh_token),
        ];
        self.calls.post("/gitlab/oauth/token", &fields).await
    }

    /// What the server says about an access token.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn token_info(&self, token: &str) -> Result<Answer> {
        self.calls
            .get("/gitlab/oauth/token/info", Some(token))
            .await
    }

    async fn launch_anywhere(&mut self, program: &Path) -> Result<()> {
        let mut outcome = Ok(());
        for _ in 0..START_ATTEMPTS {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
            self.calls.base = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
            drop(listener);
            outcome = self.launch(program).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn launch(&mut self, program: &Path) -> Result<()> {
        let dir = self.dir.path();
        let output = std::fs::File::create(dir.join("output"))?;
        let database = dir.join("db.sqlite3");
        // Left behind by an attempt that found its port taken.
        if database.exists() {
            std::fs::remove_file(&database)?;
        }
        let address = self.calls.base.as_str().replacen("http://", "tcp://", 1);
        let mut command = Command::new(program);
        command
            .args(["--no-config", "--quiet", "--threads", "1:8", "--bind"])
            .arg(address.trim_end_matches('/'))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("doorkeeper/config.ru"));
        // Nothing of the person who runs the tests.
        let path = std::env::var_os("PATH").context("PATH isn't set")?;
        command.env_clear().env("PATH", path).env("HOME", dir);
        command.env("RAILS_ENV", "production").current_dir(dir).env(
            "DATABASE_URL",
            format!("sqlite3:{}?timeout=10000&pool=8", database.display()),
        );
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        self.process = Some(Process::of(
            command.spawn().context("puma can't be started")?,
        ));
        let ready = self.wait_until_ready().await;
        if ready.is_err() {
            self.process = None;
        }
        ready.with_context(|| {
            std::fs::read_to_string(self.dir.path().join("output")).unwrap_or_default()
        })
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            let exited = self.process.as_mut().map(Process::ended);
            if let Some(Some(status)) = exited.transpose()? {
                bail!("doorkeeper ended with {status} before it was ready");
            }
            if self.calls.get("/control/calls", None).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("doorkeeper wasn't ready in {START_LIMIT:?}")
    }
}

impl Forge for Doorkeeper {
    const PLUGIN: Plugin = Plugin::GitLab;

    fn web_url(&self) -> String {
        format!("{}gitlab", self.calls.base)
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

    /// Consent is given at once, so the first answer leads back.
    async fn agree(&mut self, browser: &mut Browser, page: Page) -> Result<Page> {
        let forge = self.calls.base.origin();
        browser
            .follow_while(page, |next| next.origin() == forge)
            .await
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
        Ok(self.token_info(token).await?.0.is_success())
    }

    fn revokes_by_api(&self) -> bool {
        true
    }
}
