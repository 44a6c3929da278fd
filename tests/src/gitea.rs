//! A real Gitea, started for one test and gone with it
//!
//! `tests/gitea/build` makes the binary. Where it wasn't made, [`Gitea::available`] says so, and
//! the tests that need it are reported as not run.

mod api;
mod config;
mod consent;
mod git;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use url::Url;

use crate::{browser::Wire, ports::free_port};

pub use api::{Answer, Auth, OAuthApp, User};
pub use consent::{Decision, Grant};

/// Names the binary
const BINARY: &str = "BINDERY_TEST_GITEA";
/// Names the folder with the templates, locales and options of the same version
const STATIC: &str = "BINDERY_TEST_GITEA_STATIC";
/// A start takes about two seconds; a busy machine gets this long
const START_LIMIT: Duration = Duration::from_secs(90);
/// Between a free port being found and Gitea taking it, somebody else may
const START_ATTEMPTS: usize = 3;
const POLL: Duration = Duration::from_millis(50);

/// How a Gitea differs from the usual one
#[derive(Clone, Debug)]
pub struct Options {
    /// How many seconds an OAuth access token lives
    pub access_token_seconds: i64,
    /// Whether a refresh token works once only
    pub rotate_refresh_tokens: bool,
    /// The name it has in its own URLs; it listens on 127.0.0.1 whatever this is
    pub host: String,
    /// Serve HTTPS with this certificate
    pub tls: Option<Tls>,
}

/// What a server needs for HTTPS, and what its clients need to believe it
#[derive(Clone)]
pub struct Tls {
    /// The certificate chain, PEM
    pub cert_pem: String,
    /// Its private key, PEM
    pub key_pem: String,
    /// The certificate authority that clients trust, PEM
    pub root_pem: String,
}

/// A running Gitea with one administrator
#[derive(Debug)]
pub struct Gitea {
    /// Where it is, with a slash at the end
    pub base: Url,
    /// Who may do everything
    pub admin: User,
    binary: PathBuf,
    options: Options,
    process: Option<Process>,
    wire: Arc<Wire>,
    dir: TempDir,
}

/// A child that doesn't outlive its owner
#[derive(Debug)]
struct Process(Child);

impl Default for Options {
    fn default() -> Self {
        Self {
            access_token_seconds: 3600,
            rotate_refresh_tokens: true,
            host: "127.0.0.1".to_owned(),
            tls: None,
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Gitea {
    /// The binary, or the sentence that says why there is none
    pub fn available() -> Result<PathBuf, String> {
        let binary = folder_or_file(BINARY)?;
        folder_or_file(STATIC)?;
        Ok(binary)
    }

    /// Start a fresh one, empty but for its administrator
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let binary = Self::available().map_err(anyhow::Error::msg)?;
        let roots: Vec<&str> = options
            .tls
            .iter()
            .map(|tls| tls.root_pem.as_str())
            .collect();
        let mut gitea = Self {
            base: Url::parse("http://127.0.0.1/")?,
            admin: User::named("root-admin")?,
            binary,
            wire: Arc::new(Wire::with_roots(&roots)?),
            options,
            process: None,
            dir: TempDir::with_prefix("bindery-gitea-")?,
        };
        gitea.launch_anywhere().await?;
        gitea.create_admin()?;
        Ok(gitea)
    }

    /// Kill it; what it stored stays
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Start it again where it was
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "gitea runs already");
        self.launch().await
    }

    /// The URL of a path below the base
    pub fn url(&self, path: &str) -> anyhow::Result<Url> {
        let url = self.base.join(path.trim_start_matches('/'));
        url.with_context(|| format!("{path} makes no URL"))
    }

    /// What answers requests, to send more of them or to share with a browser
    #[must_use]
    pub fn wire(&self) -> Arc<Wire> {
        Arc::clone(&self.wire)
    }

    /// The requests it answered so far whose log line contains a text, each as method, path and
    /// status: `POST /login/oauth/access_token 200`
    pub async fn requests_with(&self, text: &str) -> anyhow::Result<Vec<String>> {
        let marker = format!("/marker-{}", config::random()?);
        self.api("GET", &marker, &Auth::Nobody, None).await?;
        let deadline = Instant::now() + START_LIMIT;
        // The log is written in the order of the requests, so with the marker all of it is there.
        while Instant::now() < deadline {
            let log = std::fs::read_to_string(self.dir.path().join("log/access.log"))?;
            if let Some((before, _)) = log.split_once(&marker) {
                let lines = before.lines().filter(|line| line.contains(text));
                return Ok(lines.map(str::to_owned).collect());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("the access log stands still")
    }

    /// Everything it logged, for a test that failed to show
    #[must_use]
    pub fn log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        ["log/gitea.log", "output"].map(read).join("\n")
    }

    async fn launch_anywhere(&mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for _ in 0..START_ATTEMPTS {
            let port = free_port()?;
            self.base = config::base_url(&self.options, port)?;
            config::write(self.dir.path(), &self.base, &self.options)?;
            outcome = self.launch().await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        let output = std::fs::File::create(self.dir.path().join("output"))?;
        let mut command = self.command("web")?;
        command.stdout(output.try_clone()?).stderr(output);
        self.process = Some(Process(command.spawn().context("gitea can't be started")?));
        let healthy = self.wait_until_healthy().await;
        if healthy.is_err() {
            self.process = None;
        }
        healthy.with_context(|| self.log())
    }

    async fn wait_until_healthy(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            let exited = self.process.as_mut().map(|process| process.0.try_wait());
            if let Some(Some(status)) = exited.transpose()? {
                bail!("gitea ended with {status} before it was ready");
            }
            let answer = self.api("GET", "/api/healthz", &Auth::Nobody, None).await;
            if answer.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("gitea wasn't ready in {START_LIMIT:?}")
    }

    fn create_admin(&self) -> anyhow::Result<()> {
        let mut command = self.command("admin")?;
        command.args(["user", "create", "--admin", "--must-change-password=false"]);
        command.args([
            "--username",
            &self.admin.name,
            "--password",
            &self.admin.password,
        ]);
        command.args(["--email", &self.admin.email()]);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the administrator can't be created: {said}"
        );
        Ok(())
    }

    fn command(&self, subcommand: &str) -> anyhow::Result<Command> {
        let dir = self.dir.path();
        let mut command = Command::new(&self.binary);
        command
            .arg(subcommand)
            .arg("--config")
            .arg(dir.join("app.ini"));
        command.arg("--work-path").arg(dir).current_dir(dir);
        // Nothing of the person who runs the tests: no configuration, no credentials of theirs.
        let path = std::env::var_os("PATH").context("PATH isn't set")?;
        command.env_clear().env("PATH", path).env("HOME", dir);
        command.stdin(Stdio::null());
        Ok(command)
    }

    fn root_pem_file(&self) -> Option<PathBuf> {
        let tls = self.options.tls.as_ref();
        tls.map(|_| self.dir.path().join(config::ROOT_FILE))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn folder_or_file(variable: &str) -> Result<PathBuf, String> {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty());
    let Some(value) = value else {
        return Err(format!(
            "not run: {variable} is not set; tests/gitea/build says how to get a real Gitea"
        ));
    };
    let path = PathBuf::from(value);
    if path.exists() {
        return Ok(path);
    }
    Err(format!(
        "not run: {variable} names {}, which does not exist",
        path.display()
    ))
}

fn static_root() -> anyhow::Result<PathBuf> {
    folder_or_file(STATIC).map_err(anyhow::Error::msg)
}

fn in_dir(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}
