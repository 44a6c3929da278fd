//! One loaded version of a plugin

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bindery_core::{
    port::{BoxFuture, Started},
    provider::{Call, Description, Failure, FailureCode},
};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::{
    catalog::{Artifact, CatalogError},
    config::WorkerConfig,
    convert::{
        self,
        description::{DescriptionError, isolation_name},
    },
    digest::Digest,
    image,
    limits::Limits,
    logs::LogBudget,
    manifest::Manifest,
    operation::{self, Running},
    spawn::Spawner,
    supervisor::{Start, Supervised},
    worker::{Ready, StartError, Worker},
};

/// Why a plugin was not loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It may not run.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Its bytes can't be kept in memory.
    #[error("its image can't be sealed in memory: {0}; allow memfd_create for the daemon")]
    Image(io::Error),
    /// Its worker does not start.
    #[error(transparent)]
    Worker(#[from] StartError),
    /// It is not what its manifest says.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// The daemon stops.
    #[error("the daemon stops")]
    Stopping,
}

/// What its operations need to know about a plugin.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) manifest: Manifest,
    pub(crate) limits: Limits,
    pub(crate) log: LogBudget,
}

impl Facts {
    pub(crate) fn fail(&self, code: FailureCode, message: &str) -> Failure {
        convert::failure::fail(&self.manifest.name, code, message)
    }
}

/// A plugin with a worker.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) description: Arc<Description>,
    pub(crate) sha256: Digest,
    pub(crate) manifest_sha256: Digest,
    facts: Arc<Facts>,
    supervised: Supervised,
    permits: Arc<Semaphore>,
}

impl Plugin {
    /// Starts the worker of a plugin that may run.
    pub(crate) async fn load(
        artifact: Artifact,
        worker: Arc<WorkerConfig>,
        limits: Limits,
        spawner: Spawner,
    ) -> Result<Self, LoadError> {
        let image = Arc::new(image::seal(&artifact.image).map_err(LoadError::Image)?);
        let manifest = artifact.manifest;
        let sandbox = worker.needs_sandbox(&manifest.name);
        let name = manifest.name.to_string();
        let starter = Starter {
            name,
            worker,
            sandbox,
            image,
            limits,
            spawner,
            first: OnceLock::new(),
        };
        let (worker, ready) = starter.run().await?;
        let isolation = isolation_name(ready.isolation);
        let description = convert::description::description(
            &ready.description,
            &manifest,
            artifact.sha256,
            isolation,
        )?;
        let _ = starter.first.set(ready);
        let log = LogBudget::new(limits.log_lines);
        Ok(Self {
            description: Arc::new(description),
            sha256: artifact.sha256,
            manifest_sha256: artifact.manifest_sha256,
            facts: Arc::new(Facts {
                manifest,
                limits,
                log,
            }),
            supervised: Supervised::new(worker, starter),
            permits: Arc::new(Semaphore::new(limits.operations)),
        })
    }

    /// Starts an operation.
    pub(crate) async fn start(&self, call: Call) -> Result<Started, Failure> {
        let kind = call.input.kind();
        if !self.description.operations.contains(&kind) {
            let message = format!(
                "it has no operation {}",
                crate::manifest::operation_name(kind)
            );
            return Err(self.facts.fail(FailureCode::Unsupported, &message));
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit =
            permit.map_err(|_| self.facts.fail(FailureCode::Crashed, "the daemon stops"))?;
        let worker = self.supervised.worker().await;
        let worker =
            worker.map_err(|down| operation::down(&self.facts, &down.cause, down.retry_after))?;
        let (operation, step) =
            Running::start(Arc::clone(&self.facts), worker, permit, call).await?;
        Ok(Started {
            operation: Box::new(operation),
            step,
        })
    }
}

/// Starts workers with the same bytes each time.
struct Starter {
    name: String,
    worker: Arc<WorkerConfig>,
    sandbox: bool,
    image: Arc<OwnedFd>,
    limits: Limits,
    spawner: Spawner,
    /// What the first one said. The others have to say the same.
    first: OnceLock<Ready>,
}

impl Starter {
    async fn run(&self) -> Result<(Worker, Ready), StartError> {
        let spawned = self.spawner.spawn(
            Arc::clone(&self.worker),
            self.sandbox,
            Arc::clone(&self.image),
        );
        let spawned = spawned.await.map_err(StartError::Spawn)?;
        let (worker, ready) = Worker::start(spawned, self.spawner.clone(), self.limits).await?;
        if self.sandbox && !ready.isolation.seccomp {
            return Err(StartError::NoSandbox);
        }
        Ok((worker, ready))
    }
}

impl Start for Starter {
    fn start(&self) -> BoxFuture<'_, Result<Worker, StartError>> {
        Box::pin(async move {
            let (worker, ready) = self.run().await?;
            if self.first.get() == Some(&ready) {
                Ok(worker)
            } else {
                Err(StartError::Changed)
            }
        })
    }

    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        // Without randomness the delays are merely regular.
        let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK);
        u64::from_ne_bytes(bytes)
    }

    fn report(&self, cause: &str, next: Duration) {
        tracing::warn!(
            plugin = self.name,
            cause,
            ?next,
            "Plugin worker died and is started again"
        );
    }
}
