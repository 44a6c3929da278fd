//! All plugins, as the port that the engine calls

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use bindery_core::{
    name::ProviderName,
    port::{BoxFuture, Providers, Started},
    provider::{Call, Description, Failure, FailureCode},
};
use thiserror::Error;
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    catalog::{Artifact, Catalog},
    config::{Enabled, HostConfig, WorkerConfig},
    convert,
    limits::Limits,
    plugin::{LoadError, Plugin},
    spawn::Spawner,
    version::Version,
};

/// Why there are no plugins at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartHostError {
    /// The worker's path is not absolute, or nothing is there.
    #[error(
        "{0} is not the absolute path of a program; set the worker's path to bindery-plugin-worker"
    )]
    WorkerPath(PathBuf),
    /// One name twice.
    #[error("plugin {0} is enabled twice; name it once, with one version")]
    Twice(ProviderName),
    /// No thread.
    #[error("the thread that starts workers can't be started: {0}")]
    Thread(io::Error),
}

/// A plugin that is enabled and not loaded.
#[derive(Debug, Error)]
#[error("plugin {name} is not loaded: {error}")]
pub struct LoadFailure {
    /// Its name.
    pub name: ProviderName,
    /// Why.
    #[source]
    pub error: LoadError,
}

/// All plugins. Clones share them; workers end with the last clone and the last operation.
#[derive(Clone, Debug)]
pub struct PluginHost {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    catalog: Arc<Catalog>,
    worker: Arc<WorkerConfig>,
    limits: Limits,
    spawner: Spawner,
    /// Workers are tended here, whichever runtime a call comes from.
    home: Handle,
    enabled: Mutex<Vec<Enabled>>,
    plugins: RwLock<BTreeMap<ProviderName, Arc<Plugin>>>,
    /// One change at a time.
    changes: tokio::sync::Mutex<()>,
}

impl PluginHost {
    /// Loads all enabled plugins. One that can't be loaded is reported and does not stop the others. The runtime that
    /// this is called on has to live as long as the host.
    ///
    /// # Errors
    ///
    /// The configuration makes no sense, or the system is out of threads.
    pub async fn start(config: HostConfig) -> Result<(Self, Vec<LoadFailure>), StartHostError> {
        check(&config)?;
        let inner = Inner {
            catalog: Arc::new(config.catalog),
            worker: Arc::new(config.worker),
            limits: config.limits,
            spawner: Spawner::new().map_err(StartHostError::Thread)?,
            home: Handle::current(),
            enabled: Mutex::default(),
            plugins: RwLock::default(),
            changes: tokio::sync::Mutex::default(),
        };
        let host = Self {
            inner: Arc::new(inner),
        };
        let failures = host.set_enabled(config.enabled).await;
        Ok((host, failures))
    }

    /// Reads the catalog again: plugins whose files changed get a new worker, failed ones another chance. A plugin that
    /// can't be loaded any more is reported, and goes on as it was loaded before.
    pub async fn reload(&self) -> Vec<LoadFailure> {
        let enabled = self.enabled();
        self.set_enabled(enabled).await
    }

    /// Makes exactly these plugins the loaded ones, as [`reload`](Self::reload) does.
    pub async fn set_enabled(&self, enabled: Vec<Enabled>) -> Vec<LoadFailure> {
        let _one = self.inner.changes.lock().await;
        let mut loads = JoinSet::new();
        for one in enabled.clone() {
            let inner = Arc::clone(&self.inner);
            loads.spawn_on(
                async move { (one.name.clone(), inner.renew(one).await) },
                &self.inner.home,
            );
        }
        let mut failures = Vec::new();
        while let Some(loaded) = loads.join_next().await {
            match loaded {
                Ok((_, Ok(()))) => {}
                Err(error) => tracing::error!(%error, "Loading a plugin was cut off"),
                Ok((name, Err(error))) => failures.push(LoadFailure { name, error }),
            }
        }
        self.keep_only(enabled);
        failures.sort_by(|a, b| a.name.cmp(&b.name));
        failures
    }

    /// Loads another version of a plugin and puts it in place of the running one. Operations that are under way end
    /// where they began.
    ///
    /// # Errors
    ///
    /// The new version can't be loaded; the running one stays.
    pub async fn replace(&self, name: ProviderName, version: Version) -> Result<(), LoadFailure> {
        let _one = self.inner.changes.lock().await;
        let inner = Arc::clone(&self.inner);
        let enabled = Enabled {
            name: name.clone(),
            version,
        };
        let load = enabled.clone();
        let loaded = self
            .inner
            .home
            .spawn(async move { inner.load(&load).await })
            .await;
        let plugin = loaded.unwrap_or(Err(LoadError::Stopping));
        let plugin = plugin.map_err(|error| LoadFailure {
            name: name.clone(),
            error,
        })?;
        self.inner.insert(name.clone(), plugin);
        let mut list = self
            .inner
            .enabled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        list.retain(|other| other.name != name);
        list.push(enabled);
        Ok(())
    }

    /// Stops a plugin. Operations that are under way end; then its worker goes.
    pub async fn disable(&self, name: &ProviderName) {
        let _one = self.inner.changes.lock().await;
        let mut enabled = self.enabled();
        enabled.retain(|one| one.name != *name);
        self.keep_only(enabled);
        tracing::info!(plugin = %name, "Plugin stopped");
    }

    /// What is enabled, loaded or not.
    #[must_use]
    pub fn enabled(&self) -> Vec<Enabled> {
        self.inner
            .enabled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn keep_only(&self, enabled: Vec<Enabled>) {
        let mut plugins = self
            .inner
            .plugins
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        plugins.retain(|name, _| enabled.iter().any(|one| one.name == *name));
        drop(plugins);
        *self
            .inner
            .enabled
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = enabled;
    }
}

fn check(config: &HostConfig) -> Result<(), StartHostError> {
    let path = &config.worker.path;
    if !path.is_absolute() || !path.is_file() {
        return Err(StartHostError::WorkerPath(path.clone()));
    }
    let mut names: Vec<_> = config.enabled.iter().map(|one| &one.name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(StartHostError::Twice(pair[0].clone())),
        None => Ok(()),
    }
}

impl Inner {
    /// Loads a plugin unless exactly it is loaded.
    async fn renew(&self, one: Enabled) -> Result<(), LoadError> {
        let artifact = self.read(&one).await?;
        let running = self.plugin(&one.name);
        let same = |plugin: &Arc<Plugin>| {
            plugin.sha256 == artifact.sha256 && plugin.manifest_sha256 == artifact.manifest_sha256
        };
        if running.as_ref().is_some_and(same) {
            return Ok(());
        }
        let plugin = self.start(artifact).await?;
        self.insert(one.name, plugin);
        Ok(())
    }

    async fn load(&self, one: &Enabled) -> Result<Plugin, LoadError> {
        let artifact = self.read(one).await?;
        self.start(artifact).await
    }

    async fn read(&self, one: &Enabled) -> Result<Artifact, LoadError> {
        let catalog = Arc::clone(&self.catalog);
        let Enabled { name, version } = one.clone();
        let read = tokio::task::spawn_blocking(move || catalog.open(&name, &version)).await;
        Ok(read.map_err(|_| LoadError::Stopping)??)
    }

    async fn start(&self, artifact: Artifact) -> Result<Plugin, LoadError> {
        Plugin::load(
            artifact,
            Arc::clone(&self.worker),
            self.limits,
            self.spawner.clone(),
        )
        .await
    }

    fn insert(&self, name: ProviderName, plugin: Plugin) {
        let description = &plugin.description;
        let (version, isolation, sha256) = (
            &description.version,
            &description.isolation,
            &description.sha256,
        );
        tracing::info!(plugin = %name, version, isolation, sha256, "Plugin loaded");
        self.plugins
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, Arc::new(plugin));
    }

    fn plugin(&self, name: &ProviderName) -> Option<Arc<Plugin>> {
        self.plugins
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }
}

impl Providers for PluginHost {
    fn list(&self) -> Vec<Arc<Description>> {
        let plugins = self
            .inner
            .plugins
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        plugins
            .values()
            .map(|plugin| Arc::clone(&plugin.description))
            .collect()
    }

    fn describe(&self, provider: &ProviderName) -> Option<Arc<Description>> {
        self.inner
            .plugin(provider)
            .map(|plugin| Arc::clone(&plugin.description))
    }

    fn start<'a>(
        &'a self,
        provider: &'a ProviderName,
        call: Call,
    ) -> BoxFuture<'a, Result<Started, Failure>> {
        Box::pin(async move {
            let missing = || {
                convert::failure::fail(
                    provider,
                    FailureCode::Unsupported,
                    "no plugin of this name is loaded",
                )
            };
            let plugin = self.inner.plugin(provider).ok_or_else(missing)?;
            plugin.start(call).await
        })
    }
}
