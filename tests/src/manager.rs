//! A stand-in for systemd: passes sockets to a daemon, hears how it is, and keeps its watchdog.

use std::{
    io,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::net::UnixDatagram;

/// A message comes within this time, or the daemon hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Descriptors that systemd passes begin here.
const FIRST: RawFd = 3;

/// Where no descriptor of a child lies by itself.
const FREE: RawFd = 200;

/// What systemd is for one service.
#[derive(Debug)]
pub struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
    watchdog: Option<Duration>,
}

impl Manager {
    /// One that listens. With `watchdog` it asks for a sign of life that often.
    ///
    /// # Errors
    ///
    /// When its socket can't be made.
    pub fn new(watchdog: Option<Duration>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("bindery-").tempdir()?;
        let socket = UnixDatagram::bind(folder.path().join("notify"))?;
        Ok(Self {
            folder,
            socket,
            watchdog,
        })
    }

    /// A command that starts `binary` as this manager's service, with `sockets` as descriptors 3 and up in their order.
    #[must_use]
    pub fn command(&self, binary: &Path, sockets: Vec<(&str, OwnedFd)>) -> Command {
        // The process id is known in the child alone, and exec keeps it.
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$0" "$@""#])
            .arg(binary)
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        if let Some(patience) = self.watchdog {
            command.env("WATCHDOG_USEC", patience.as_micros().to_string());
        }
        if !sockets.is_empty() {
            let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
            command
                .env("LISTEN_FDNAMES", names.join(":"))
                .env("LISTEN_FDS", names.len().to_string());
            let sockets = sockets.into_iter().map(|(_, socket)| socket);
            pass(&mut command, sockets.collect());
        }
        command
    }

    /// The next message, as its lines.
    ///
    /// # Errors
    ///
    /// When none comes.
    pub async fn next(&self) -> Result<Vec<String>> {
        let next = tokio::time::timeout(PATIENCE, self.receive()).await;
        next.context("the daemon says nothing")?
    }

    /// Waits for a message that holds this line.
    ///
    /// # Errors
    ///
    /// When none comes.
    pub async fn wait_for(&self, line: &str) -> Result<()> {
        while !self.next().await?.iter().any(|have| have == line) {}
        Ok(())
    }

    /// Waits until the watchdog's time is over without a sign of life, as systemd does before it sends SIGABRT.
    ///
    /// # Errors
    ///
    /// When signs of life go on.
    pub async fn watchdog_bites(&self) -> Result<()> {
        let patience = self.watchdog.context("there is no watchdog")?;
        let silence = async {
            let beat = || self.wait_for("WATCHDOG=1");
            while let Ok(beat) = tokio::time::timeout(patience, beat()).await {
                beat?;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, silence)
            .await
            .context("signs of life go on")?
    }

    async fn receive(&self) -> Result<Vec<String>> {
        let mut buffer = vec![0; 4096];
        let length = self.socket.recv(&mut buffer).await?;
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// A path in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Has the child find `sockets` at 3 and up.
#[expect(unsafe_code, reason = "descriptors are moved between fork and exec")]
fn pass(command: &mut Command, sockets: Vec<OwnedFd>) {
    let enter = move || {
        // First out of the way: one may lie where another belongs.
        let away: Vec<RawFd> = sockets
            .iter()
            .map(|socket| numbered(socket.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FREE))
            .collect::<io::Result<_>>()?;
        for (to, from) in (FIRST..).zip(away) {
            // SAFETY: plain numbers, in a child that is about to be another program.
            if unsafe { libc::dup2(from, to) } != to {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: `enter` makes system calls; its one small allocation is in a child of glibc, whose allocator survives a fork.
    unsafe { command.pre_exec(enter) };
}

#[expect(unsafe_code, reason = "talks to libc")]
fn numbered(fd: RawFd, operation: libc::c_int, least: RawFd) -> io::Result<RawFd> {
    // SAFETY: plain numbers.
    match unsafe { libc::fcntl(fd, operation, least) } {
        -1 => Err(io::Error::last_os_error()),
        copy => Ok(copy),
    }
}
