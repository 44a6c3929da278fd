//! A real `binderyd` in a folder of its own.

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
    canary::{self, Leak, MARKER, Scanner},
    ports::free_port,
};

/// A start of the daemon takes no longer than this, or it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a daemon is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Plugins that it loads.
    pub plugins: Vec<Plugin>,
    /// Filter of the log.
    pub log: String,
    /// Policy; none allows the own user everything.
    pub policy: Option<String>,
    /// Mutual TLS on loopback, with these files.
    pub tls: Option<TlsFiles>,
    /// Another `binderyd` than the one of the build.
    pub binary: Option<PathBuf>,
    /// Another plugin worker than the one of the build.
    pub worker: Option<PathBuf>,
    /// Lines that are added to the section `[api]` of the configuration.
    pub api: String,
    /// As an operator runs it: signed plugins, a key file that `binderyd init` makes, no development mode.
    pub production: bool,
    /// Lines that are added to the configuration.
    pub extra: String,
    /// Variables of its environment.
    pub environment: Vec<(&'static str, PathBuf)>,
    /// It leaks on purpose: what it leaves behind is no failure.
    pub leaky: bool,
}

/// Files of a mutual TLS listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Server certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// CA of the clients, PEM.
    pub client_ca: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plugins: vec![Plugin::GitHub, Plugin::Gitea],
            log: std::env::var("BINDERY_TEST_LOG").unwrap_or_else(|_| "info".to_owned()),
            policy: None,
            tls: None,
            binary: None,
            worker: None,
            api: String::new(),
            production: false,
            extra: String::new(),
            environment: Vec::new(),
            leaky: false,
        }
    }
}

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

    fn install(&self, plugin: Plugin) -> Result<String> {
        let root = self.path("plugins");
        if !self.production {
            return artifacts().install(plugin, &root);
        }
        let (key, keys) = (
            self.path(format!("{}.pk8", plugin.name())),
            self.path("keys"),
        );
        artifacts().install_signed(plugin, &root, &key, &keys)
    }

    fn configure(&self, options: &Options, plugins: &[(Plugin, String)]) -> Result<()> {
        let enabled: Vec<String> = plugins
            .iter()
            .map(|(plugin, version)| format!("\"{}@{version}\"", plugin.name()))
            .collect();
        let mut text = format!(
            "data_dir = \"{data}\"\n[api]\nsocket = \"{socket}\"\nadmin_socket = \"{admin}\"\n",
            data = self.path("data").display(),
            socket = self.socket().display(),
            admin = self.admin_socket().display(),
        );
        text += &options.api;
        if let Some(tls) = &options.tls {
            text += &format!(
                "[api.tls]\nlisten = \"127.0.0.1:{}\"\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n",
                self.tls_port,
                tls.certificate.display(),
                tls.key.display(),
                tls.client_ca.display(),
            );
        }
        text += &format!(
            "[web]\nlisten = \"127.0.0.1:{web}\"\npublic_url = \"http://127.0.0.1:{web}\"\n\
             [ops]\nlisten = \"127.0.0.1:{ops}\"\n[store]\nballast_mib = 1\nfloor_mib = 1\n\
             [plugins]\nroots = [\"{roots}\"]\nenabled = [{enabled}]\nkeys_dir = \"{keys}\"\nworker = \"{worker}\"\n\
             [log]\nlevel = \"{log}\"\nformat = \"json\"\n",
            web = self.web_port,
            ops = self.ops_port,
            roots = self.path("plugins").display(),
            enabled = enabled.join(", "),
            keys = self.path("keys").display(),
            worker = options
                .worker
                .clone()
                .unwrap_or_else(|| artifacts().worker())
                .display(),
            log = options.log,
        );
        if let Some(policy) = &options.policy {
            std::fs::write(self.path("policy.toml"), policy)?;
            text += &format!(
                "[policy]\nfile = \"{}\"\n",
                self.path("policy.toml").display()
            );
        }
        if options.production {
            text += &format!(
                "[seal]\nkey_file = \"{}\"\n",
                self.path("root.key").display()
            );
        }
        text += &format!(
            "[dangerous]\nrun_as_root = true\nunsigned_plugins = {}\n",
            !options.production
        );
        text += &options.extra;
        Ok(std::fs::write(self.config(), text)?)
    }

    fn pin(&self, plugin: Plugin, version: &str) -> Result<()> {
        let output = self.binderyd(&[
            "plugin",
            "pin",
            &format!("{}@{version}", plugin.name()),
            "--yes",
        ])?;
        if !output.status.success() {
            bail!(
                "pinning failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
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

    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// What it said when it started: message and fields, a line each.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        self.log().lines().filter_map(message).collect()
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

    /// L1: secrets of the forges of these tests in its log and in its data folder, in any writing.
    ///
    /// # Errors
    ///
    /// When a folder can't be read.
    pub fn left_behind(&self) -> Result<Vec<Leak>> {
        let scanner = Scanner::new([MARKER]);
        let mut leaks = scanner.search("log", self.log().as_bytes());
        if self.path("data").is_dir() {
            leaks.extend(scanner.search_files(&self.path("data"), &[])?);
        }
        Ok(leaks)
    }

    fn log_end(&self) -> String {
        let log = self.log();
        log.lines()
            .rev()
            .take(20)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("\n")
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

/// Message and fields of one line of the log.
fn message(line: &str) -> Option<String> {
    let record: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = record.get("fields")?.as_object()?;
    let text = fields.get("message")?.as_str()?.to_owned();
    let others = fields.iter().filter(|(name, _)| *name != "message");
    let shown = |(name, value): (&String, &serde_json::Value)| match value.as_str() {
        Some(text) => format!(" {name}={text}"),
        None => format!(" {name}={value}"),
    };
    Some(others.map(shown).fold(text, |all, field| all + &field))
}
