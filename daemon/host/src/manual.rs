//! One worker by hand, for tools that test a plugin before anybody enables it
//!
//! There is no catalog, no lock file and no supervisor here, and the bytes of messages are the caller's own. The worker,
//! its confinement, and the rules for what comes back are the ones that the daemon has.

use std::sync::Arc;

use bindery_core::provider::{Description, OperationKind};
use bindery_plugin_abi::frame::Kind;
use bindery_plugin_proto::v1;

use crate::{
    DescriptionError, Digest, Limits, LoadError, StartError, WorkerConfig,
    convert::{
        self,
        check::Invalid,
        description::{description, isolation_name},
    },
    guard::Guard,
    image,
    inspect::{self, InspectError, Inspected},
    manifest::Manifest,
    spawn::{Spawner, running_glibc},
    worker::{CallError, Ready, Worker},
};

/// A status and the bytes that came with it.
pub type Reply = (i32, Vec<u8>);

/// A worker that nobody restarts. It ends when this is dropped.
#[derive(Debug)]
pub struct ManualWorker {
    worker: Worker,
    ready: Ready,
    pid: u32,
}

/// The number of an operation in a worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OperationHandle(u64);

impl ManualWorker {
    /// Seals `library` in memory and starts a worker on it, confined as in production. Needs a runtime.
    ///
    /// # Errors
    ///
    /// The worker can't be started or confined, or the library can't be loaded.
    pub async fn start(
        library: &[u8],
        config: &WorkerConfig,
        limits: Limits,
    ) -> Result<Self, LoadError> {
        let image = Arc::new(image::seal(library).map_err(LoadError::Image)?);
        let spawner = Spawner::new().map_err(StartError::Spawn)?;
        let spawned = spawner.spawn(Arc::new(config.clone()), config.require_sandbox, image);
        let spawned = spawned.await.map_err(StartError::Spawn)?;
        let pid = spawned.child.id();
        let (worker, ready) = Worker::start(spawned, spawner, limits).await?;
        if config.require_sandbox && !ready.isolation.seccomp {
            return Err(StartError::NoSandbox.into());
        }
        Ok(Self { worker, ready, pid })
    }

    /// The bytes of the plugin's `Description`.
    #[must_use]
    pub fn description(&self) -> &[u8] {
        &self.ready.description
    }

    /// What confines it: `full`, `seccomp` or `process`.
    #[must_use]
    pub fn isolation(&self) -> &'static str {
        isolation_name(self.ready.isolation)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it can still be called.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.worker.is_alive()
    }

    /// A handle that no operation had before.
    #[must_use]
    pub fn new_handle(&self) -> OperationHandle {
        OperationHandle(self.worker.new_handle())
    }

    /// Starts an operation with the bytes of an `OperationRequest`.
    ///
    /// # Errors
    ///
    /// The worker died, was late, or answered something else, and is of no use any more.
    pub async fn begin(
        &self,
        handle: OperationHandle,
        request: Vec<u8>,
    ) -> Result<Reply, CallError> {
        self.worker.call(Kind::Start, handle.0, request).await
    }

    /// Continues an operation with the bytes of a `Resume`.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin).
    pub async fn resume(
        &self,
        handle: OperationHandle,
        results: Vec<u8>,
    ) -> Result<Reply, CallError> {
        self.worker.call(Kind::Resume, handle.0, results).await
    }

    /// Ends an operation, sooner or later.
    pub fn end(&self, handle: OperationHandle) {
        self.worker.drop_operation(handle.0);
    }
}

/// Looks at the bytes of a library as the daemon does, with the C library that runs here.
///
/// # Errors
///
/// The first check that fails.
pub fn inspect(library: &[u8]) -> Result<Inspected, InspectError> {
    inspect::inspect(library, running_glibc())
}

/// Reads a description as the daemon does, against the manifest too.
///
/// # Errors
///
/// What the daemon would refuse the plugin for.
pub fn check_description(
    bytes: &[u8],
    manifest: &Manifest,
    library: &[u8],
) -> Result<Description, DescriptionError> {
    description(bytes, manifest, Digest::of(library), "")
}

/// Checks form and permission of one effect as the daemon does.
///
/// # Errors
///
/// In words, what the daemon would refuse it for.
pub fn check_effect(
    manifest: &Manifest,
    operation: OperationKind,
    request: &v1::OperationRequest,
    effect: v1::Effect,
) -> Result<(), String> {
    let effect = convert::effect::effect(effect).map_err(|error| error.to_string())?;
    let guard = Guard::new(manifest, operation, &request.api_base, &request.web_base);
    guard.check(&effect).map_err(|error| error.to_string())
}

/// Checks a result as the daemon does.
///
/// # Errors
///
/// The field that the daemon would not accept.
pub fn check_output(output: v1::Output) -> Result<(), Invalid> {
    convert::output::output(output).map(|_| ())
}
