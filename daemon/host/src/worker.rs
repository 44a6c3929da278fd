//! One worker: a task that owns its process and its wire
//!
//! A step takes microseconds, so requests are served one at a time in the order in which they come; operations are
//! told apart by handles that the host chooses. Callers talk to the task through a queue, so that one who goes away in
//! the middle leaves the wire in order. A worker that is late, answers something else, or dies takes all its operations
//! with it. It ends by itself with the last [`Worker`].

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bindery_plugin_abi::{
    ERR_ARG,
    frame::{FrameError, Isolation, Kind, PREAMBLE_LEN},
    limits,
};
use thiserror::Error;
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    limits::Limits,
    process::Process,
    spawn::{Spawned, Spawner},
    text,
    wire::{Wire, WireError},
};

/// Why a call to a worker has no answer.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The worker died, by itself or because of another operation.
    #[error("the worker died: {0}")]
    Crashed(String),
    /// This call took too long, and the worker was killed for it.
    #[error("a step took longer than {0:?}; the worker was killed")]
    Timeout(Duration),
    /// What came back to this call was no answer, and the worker was killed for it.
    #[error("the worker was killed: {0}")]
    Protocol(String),
}

/// Why a worker did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The program can't be run.
    #[error("the worker can't be started: {0}; check the path of bindery-plugin-worker")]
    Spawn(io::Error),
    /// It gave up, and says why.
    #[error("the worker gave up: {0}")]
    Fatal(String),
    /// It ended without a word.
    #[error("the worker ended before it was ready: {0}")]
    Ended(String),
    /// It says nothing.
    #[error("the worker was not ready after {0:?}")]
    Timeout(Duration),
    /// It says something else.
    #[error("the worker's first words make no sense: {0}")]
    Protocol(String),
    /// It runs without a filter although it must not.
    #[error(
        "the worker runs without a system call filter; run a kernel with seccomp, or let the operator allow this plugin to run unsandboxed"
    )]
    NoSandbox,
    /// It is not the one that was started before.
    #[error("the restarted plugin describes itself differently from before")]
    Changed,
}

/// A running worker. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    queue: mpsc::UnboundedSender<Request>,
    handles: Arc<AtomicU64>,
    death: Arc<OnceLock<String>>,
}

/// What a worker says first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ready {
    pub(crate) isolation: Isolation,
    pub(crate) description: Vec<u8>,
}

/// A reply's status and body.
pub(crate) type Reply = (i32, Vec<u8>);

struct Request {
    kind: Kind,
    handle: u64,
    body: Vec<u8>,
    reply: Option<oneshot::Sender<Result<Reply, CallError>>>,
}

impl Worker {
    /// Takes over a process and waits for its first words.
    pub(crate) async fn start(
        spawned: Spawned,
        spawner: Spawner,
        limits: Limits,
    ) -> Result<(Self, Ready), StartError> {
        let process = Process::new(spawned.child, spawned.stderr).map_err(StartError::Spawn)?;
        let socket = UnixStream::from_std(spawned.socket).map_err(StartError::Spawn)?;
        let mut wire = Wire::new(socket);
        let ready = match timeout(limits.ready_time, first_words(&mut wire)).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(StartError::Ended(_))) => return Err(StartError::Ended(process.bury().await)),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(StartError::Timeout(limits.ready_time)),
        };
        let (queue, requests) = mpsc::unbounded_channel();
        let death = Arc::default();
        let task = Task {
            wire,
            process,
            limits,
            requests,
            death: Arc::clone(&death),
            _spawner: spawner,
        };
        tokio::spawn(task.run());
        Ok((
            Self {
                queue,
                handles: Arc::default(),
                death,
            },
            ready,
        ))
    }

    /// A handle that no operation had before.
    pub(crate) fn new_handle(&self) -> u64 {
        self.handles.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A worker that has died.
    #[cfg(test)]
    pub(crate) fn dead() -> Self {
        let (queue, _) = mpsc::unbounded_channel();
        Self {
            queue,
            handles: Arc::default(),
            death: Arc::default(),
        }
    }

    /// One call. It is carried out even if its caller goes away.
    pub(crate) async fn call(
        &self,
        kind: Kind,
        handle: u64,
        body: Vec<u8>,
    ) -> Result<Reply, CallError> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            kind,
            handle,
            body,
            reply: Some(reply),
        };
        let dead = || {
            CallError::Crashed(
                self.death
                    .get()
                    .cloned()
                    .unwrap_or_else(|| "it was stopped".into()),
            )
        };
        self.queue.send(request).map_err(|_| dead())?;
        answer.await.map_err(|_| dead())?
    }

    /// Ends an operation, sooner or later.
    pub(crate) fn drop_operation(&self, handle: u64) {
        // A dead worker has no operations.
        let _ = self.queue.send(Request {
            kind: Kind::Drop,
            handle,
            body: Vec::new(),
            reply: None,
        });
    }

    /// Whether it can still be called.
    pub(crate) fn is_alive(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Resolves when the worker is dead.
    pub(crate) async fn died(&self) {
        self.queue.closed().await;
    }

    /// Why it died.
    pub(crate) fn cause(&self) -> String {
        self.death.get().cloned().unwrap_or_default()
    }
}

async fn first_words(wire: &mut Wire) -> Result<Ready, StartError> {
    let frame = wire.receive(limits::DESCRIPTION_LEN + PREAMBLE_LEN).await;
    let (header, body) = frame.map_err(|error| match error {
        WireError::Io(_) => StartError::Ended(String::new()),
        error => StartError::Protocol(error.to_string()),
    })?;
    match (header.kind, header.handle, header.status) {
        (Kind::Ready, 0, 0) => {
            ready(&body).map_err(|error| StartError::Protocol(error.to_string()))
        }
        (Kind::Fatal, ..) => Err(StartError::Fatal(text::clean_bytes(&body, text::MESSAGE))),
        _ => Err(StartError::Protocol("neither READY nor FATAL".into())),
    }
}

fn ready(body: &[u8]) -> Result<Ready, FrameError> {
    let (isolation, description) = Isolation::decode(body)?;
    Ok(Ready {
        isolation,
        description: description.to_vec(),
    })
}

struct Task {
    wire: Wire,
    process: Process,
    limits: Limits,
    requests: mpsc::UnboundedReceiver<Request>,
    death: Arc<OnceLock<String>>,
    /// Keeps the thread that the kernel ties the process to.
    _spawner: Spawner,
}

impl Task {
    async fn run(mut self) {
        let failed = self.serve().await;
        let Self {
            wire,
            mut process,
            mut requests,
            death,
            ..
        } = self;
        // The worker ends when its input does.
        drop(wire);
        let cause = match &failed {
            None => process.bury().await,
            Some((_, CallError::Crashed(_))) => process.bury().await,
            Some((_, error @ CallError::Timeout(_))) => {
                process.kill().await;
                error.to_string()
            }
            Some((_, error @ CallError::Protocol(_))) => {
                process.kill().await;
                error.to_string()
            }
        };
        let _ = death.set(cause.clone());
        requests.close();
        if let Some((reply, error)) = failed {
            let error = if matches!(error, CallError::Crashed(_)) {
                CallError::Crashed(cause.clone())
            } else {
                error
            };
            answer(reply, Err(error));
        }
        while let Ok(request) = requests.try_recv() {
            answer(request.reply, Err(CallError::Crashed(cause.clone())));
        }
    }

    /// Serves until nobody is left (none), or until the worker is of no use any more (the request that showed it).
    async fn serve(&mut self) -> Option<(ReplyTo, CallError)> {
        loop {
            let request = tokio::select! {
                request = self.requests.recv() => request?,
                () = self.process.ended() => return Some((None, CallError::Crashed(String::new()))),
            };
            let (kind, handle) = (request.kind, request.handle);
            let time = self.limits.step_time;
            let outcome = timeout(time, self.exchange(kind, handle, &request.body)).await;
            match outcome {
                Ok(Ok(reply)) => answer(request.reply, Ok(reply)),
                Ok(Err(WireError::Io(_))) => {
                    return Some((request.reply, CallError::Crashed(String::new())));
                }
                Ok(Err(error)) => {
                    return Some((request.reply, CallError::Protocol(error.to_string())));
                }
                Err(_) => return Some((request.reply, CallError::Timeout(time))),
            }
        }
    }

    async fn exchange(&mut self, kind: Kind, handle: u64, body: &[u8]) -> Result<Reply, WireError> {
        self.wire.send(kind, handle, body).await?;
        if kind != Kind::Drop {
            return self.reply(kind, handle).await;
        }
        // DROP has no reply, and a plugin may hang in it. The handle does not exist after it, so a RESUME of it is
        // answered by the worker alone, and shows that DROP is over.
        self.wire.send(Kind::Resume, handle, &[]).await?;
        match self.reply(Kind::Resume, handle).await? {
            (ERR_ARG, _) => Ok((0, Vec::new())),
            _ => Err(WireError::Unasked),
        }
    }

    async fn reply(&mut self, kind: Kind, handle: u64) -> Result<Reply, WireError> {
        let (header, body) = self
            .wire
            .receive(self.limits.step_len.min(limits::STEP_LEN_HARD))
            .await?;
        match header.kind {
            Kind::Fatal => Err(WireError::Fatal(text::clean_bytes(&body, text::MESSAGE))),
            got if got == kind && header.handle == handle => Ok((header.status, body)),
            _ => Err(WireError::Unasked),
        }
    }
}

type ReplyTo = Option<oneshot::Sender<Result<Reply, CallError>>>;

fn answer(to: ReplyTo, result: Result<Reply, CallError>) {
    // A caller that went away wants no answer.
    if let Some(to) = to {
        let _ = to.send(result);
    }
}
