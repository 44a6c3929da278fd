//! A real `binderyd` in a folder of its own: its process, and where it answers.
//!
//! | Module | What it holds |
//! |---|---|
//! | `options` | what it is started with |
//! | `prepare` | its plugins and its configuration |
//! | `said` | its log, and what it leaves behind |

mod options;
mod prepare;
mod said;

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::{
    artifacts::{Plugin, artifacts},
    canary,
    ports::free_port,
};

pub use self::options::{Options, TlsFiles};

/// A start of the daemon takes no longer than this, or it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon that runs, or that was killed and can be started again on the same folder.
#[derive(Debug)]
pub struct Daemon {
    folder: TempDir,
    binary: PathBuf,
    production: bool,
    environment: Vec<(&'static str, PathBuf)>,
    leaky: bool,
    web_port: u16,
    ops_port: u16,
    tls_port: u16,
    child: Option<Child>,
}

impl Daemon {
    /// Installs, pins, configures and starts a daemon in a new folder.
    ///
    /// # Errors
    ///
    /// When it does not come up; the message holds the end of its log.
    pub async fn start(options: &Options) -> Result<Self> {
        let mut daemon = Self::prepare(options)?;
        daemon.resume().await?;
        Ok(daemon)
    }

    /// Everything but the start.
    ///
    /// # Errors
    ///
    /// When a file can't be written or a plugin can't be pinned.
    pub fn prepare(options: &Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("bindery-").tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let daemon = Self {
            folder,
            binary: options
                .binary
                .clone()
                .unwrap_or_else(|| artifacts().daemon()),
            production: options.production,
            environment: options.environment.clone(),
            leaky: options.leaky,
            web_port: free_port()?,
            ops_port: free_port()?,
            tls_port: free_port()?,
            child: None,
        };
        let plugins: Vec<(Plugin, String)> = options
            .plugins
            .iter()
            .map(|plugin| Ok((*plugin, daemon.install(*plugin)?)))
            .collect::<Result<_>>()?;
        daemon.configure(options, &plugins)?;
        for (plugin, version) in &plugins {
            daemon.pin(*plugin, version)?;
        }
        Ok(daemon)
    }

    /// Runs `binderyd` with the daemon's configuration to its end.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn binderyd(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.binary);
        command
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .stdin(Stdio::null());
        Ok(command.output()?)
    }

    /// Starts the daemon once more on its folder, for the time until it ends or stays up sealed, and returns what it said until
    /// then. It is not left running.
    ///
    /// # Errors
    ///
    /// When it can't be started, or does neither.
    pub fn refuses(&self) -> Result<String> {
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 2>&1"#])
            .arg(&self.binary)
            .arg("--config")
            .arg(self.config())
            .args(["run", "--development"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut said = String::new();
        for line in lines {
            let line = line?;
            said.push_str(&line);
            said.push('\n');
            if line.contains("The daemon is sealed") || line.contains("Ready") {
                break;
            }
        }
        child.kill()?;
        child.wait()?;
        Ok(said)
    }

    /// Starts the daemon on its folder and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it ends instead.
    pub async fn resume(&mut self) -> Result<()> {
        self.spawn(|binary| Command::new(binary))?;
        self.wait_until_it_answers().await
    }

    /// Starts the daemon on its folder by a command for its binary, and does not wait.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn spawn(&mut self, command: impl FnOnce(&Path) -> Command) -> Result<()> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let child = command(&self.binary)
            .arg("--config")
            .arg(self.config())
            .arg("run")
            .args((!self.production).then_some("--development"))
            .env_remove("BINDERY_LOG")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    async fn wait_until_it_answers(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let up = UnixStream::connect(self.socket()).await.is_ok()
                && tokio::net::TcpStream::connect(("127.0.0.1", self.web_port))
                    .await
                    .is_ok();
            if up {
                return Ok(());
            }
            let child = self.child.as_mut().context("no process")?;
            if let Some(status) = child.try_wait()? {
                bail!("binderyd ended with {status}: {}", self.log_end());
            }
            if started.elapsed() > PATIENCE {
                bail!("binderyd does not answer: {}", self.log_end());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills it with -9, wherever it is.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("binderyd does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Waits until it has ended, as it was told to.
    ///
    /// # Errors
    ///
    /// When it does not run, or does not end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let started = Instant::now();
        let child = self.child.as_mut().context("binderyd does not run")?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if started.elapsed() > PATIENCE {
                bail!("binderyd does not end");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        self.child = None;
        Ok(status)
    }

    /// Process id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Runs the CLI against it.
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(artifacts().cli());
        command
            .args(arguments)
            .env("BINDERY_ENDPOINT", self.endpoint())
            .stdin(Stdio::null());
        command
    }

    /// Endpoint of the public Unix socket.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Endpoint of the admin socket.
    #[must_use]
    pub fn admin_endpoint(&self) -> String {
        format!("unix://{}", self.admin_socket().display())
    }

    /// Endpoint of the mutual TLS listener.
    #[must_use]
    pub fn tls_endpoint(&self) -> String {
        format!("https://localhost:{}", self.tls_port)
    }

    /// Base URL of the pages.
    #[must_use]
    pub fn web_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.web_port)
    }

    /// Base URL of health and metrics.
    #[must_use]
    pub fn ops_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ops_port)
    }

    /// A path in its folder.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("bindery.toml")
    }

    /// Its public Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("bindery.sock")
    }

    /// Its admin socket.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.path("admin.sock")
    }

    fn log_file(&self) -> PathBuf {
        self.path("daemon.log")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        // One that has failed says enough.
        if canary::searching() && !self.leaky && !std::thread::panicking() {
            let leaks = self.left_behind().unwrap_or_default();
            assert!(leaks.is_empty(), "secrets were left behind: {leaks:#?}");
        }
    }
}
