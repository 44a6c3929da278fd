//! A worker process from the outside: its end, and its last words

use std::{
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    process::{Child, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::{io::unix::AsyncFd, net::unix::pipe, task::JoinHandle, time::timeout};

use crate::{spawn::wait_on, text};

/// How much of its messages is kept.
const TAIL: usize = 4096;

/// How long a worker that closed its socket may take to end by itself, so that its own signal is seen.
const GRACE: Duration = Duration::from_secs(1);

/// Owns the process: dropping it kills it and takes its status away, so that no zombie stays.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    ended: AsyncFd<OwnedFd>,
    tail: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Process {
    pub(crate) fn new(mut child: Child, stderr: OwnedFd) -> io::Result<Self> {
        match watch(&child, stderr) {
            Ok((ended, stderr)) => {
                let tail = Arc::default();
                let reader = tokio::spawn(read_tail(stderr, Arc::clone(&tail)));
                Ok(Self {
                    child,
                    ended,
                    tail,
                    reader,
                })
            }
            Err(error) => {
                reap(&mut child);
                Err(error)
            }
        }
    }

    /// Resolves when the process has ended.
    pub(crate) async fn ended(&self) {
        // An error means that nothing can be known any more, which is handled like an end.
        let _ = self.ended.readable().await;
    }

    /// Lets the process end by itself for a moment, then kills it. Says how it ended and what it said last.
    pub(crate) async fn bury(mut self) -> String {
        let _ = timeout(GRACE, self.ended()).await;
        self.kill().await
    }

    /// Kills the process if it still runs. Says how it ended and what it said last.
    pub(crate) async fn kill(&mut self) -> String {
        let _ = self.child.kill();
        self.ended().await;
        let status = self.child.wait();
        // The pipe ends with the process.
        let _ = timeout(GRACE, &mut self.reader).await;
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let said = text::clean_bytes(&tail, text::MESSAGE);
        let how = status.map_or_else(|_| "in an unknown way".into(), describe);
        if said.is_empty() {
            how
        } else {
            format!("{how}; it said: {said}")
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        reap(&mut self.child);
        self.reader.abort();
    }
}

/// A killed process ends at once, so this does not wait in any way that matters.
fn reap(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn watch(child: &Child, stderr: OwnedFd) -> io::Result<(AsyncFd<OwnedFd>, pipe::Receiver)> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(invalid)?;
    // The child is not reaped before `Process` does it, so the number is still its own.
    let ended = wait_on(pidfd_open(pid, PidfdFlags::empty())?)?;
    Ok((ended, pipe::Receiver::from_owned_fd(stderr)?))
}

async fn read_tail(stderr: pipe::Receiver, tail: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 1024];
    while stderr.readable().await.is_ok() {
        match stderr.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => keep(&tail, &buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
}

fn keep(tail: &Mutex<Vec<u8>>, bytes: &[u8]) {
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    tail.extend_from_slice(bytes);
    let over = tail.len().saturating_sub(TAIL);
    tail.drain(..over);
}

/// `killed by SIGSEGV`, `exited with status 1`.
fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by {}", signal_name(signal)),
        (None, Some(code)) => format!("exited with status {code}"),
        (None, None) => "ended in an unknown way".into(),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGALRM => "SIGALRM",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGHUP => "SIGHUP",
        libc::SIGILL => "SIGILL",
        libc::SIGINT => "SIGINT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSYS => "SIGSYS (a forbidden system call)",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGXCPU => "SIGXCPU (too much CPU time)",
        libc::SIGXFSZ => "SIGXFSZ",
        other => return format!("signal {other}"),
    };
    name.into()
}
