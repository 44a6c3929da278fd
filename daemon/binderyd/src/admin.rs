//! What the admin service asks of the daemon.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bindery_api::{
    AdminPort, BackupPort, CheckFacts, KeysPort, PluginFacts, PluginState, SlotFacts, SlotKind,
    StatusFacts,
};
use bindery_core::{
    port::{BoxFuture, Clock, Providers},
    problem::{Problem, Reason},
    provider::Description,
    time::Timestamp,
};
use bindery_host::{CatalogError, Enabled, LoadError, LoadFailure, PluginHost};
use bindery_vault::SlotInfo;

use crate::{
    backups::Backups,
    config::Config,
    disabled::{Disabled, Stopped},
    doctor::{self, Terms},
    ports::SystemClock,
    sealing::{self, Sealing},
};

/// The parts that an operator looks at.
pub(crate) struct Admin {
    seal: Arc<Sealing>,
    backups: Backups,
    host: PluginHost,
    started: Timestamp,
    /// Plugins that could not be loaded, and why.
    failures: Mutex<Vec<LoadFailure>>,
    /// Plugins that the configuration enables.
    configured: Vec<Enabled>,
    /// Those of them that an operator stopped.
    disabled: Disabled,
    /// What was promised, and on which terms.
    promised: (Config, Terms),
}

impl Admin {
    pub(crate) fn new(
        seal: Arc<Sealing>,
        backups: Backups,
        host: PluginHost,
        failures: Vec<LoadFailure>,
        started: Timestamp,
        (configured, disabled): (Vec<Enabled>, Disabled),
        promised: (Config, Terms),
    ) -> Self {
        Self {
            seal,
            backups,
            host,
            started,
            failures: Mutex::new(failures),
            configured,
            disabled,
            promised,
        }
    }

    fn list(&self) -> Vec<PluginFacts> {
        let mut all: Vec<PluginFacts> = self
            .host
            .list()
            .iter()
            .map(|plugin| running(plugin))
            .collect();
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for failure in failures.iter() {
            all.retain(|plugin| plugin.name != failure.name.as_str());
            all.push(failed(failure));
        }
        for (name, why) in self.disabled.all() {
            if let Some(one) = self.configured.iter().find(|one| one.name.as_str() == name) {
                all.retain(|plugin| plugin.name != name);
                all.push(stopped(one, &why));
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// A new worker, also where nothing changed: an operator who asks for it is not told to wait out a backoff.
    async fn reload(&self, name: &str) -> Result<PluginFacts, Problem> {
        let one = self.configured(name)?;
        if self.disabled.why(name).is_some() {
            let message = format!("plugin {name} is disabled; enable it first");
            return Err(Problem::new(Reason::ProviderNotLoaded, message));
        }
        self.load(one).await
    }

    /// Lets a plugin run. It is noted first: where loading it fails, the next start tries again.
    async fn enable(&self, name: &str) -> Result<PluginFacts, Problem> {
        let one = self.configured(name)?;
        self.disabled.set(name, None).map_err(not_noted)?;
        self.load(one).await
    }

    /// Stops a plugin. It is noted first, so that no restart in between lets it run again.
    async fn disable(&self, name: &str, actor: &str, reason: &str) -> Result<PluginFacts, Problem> {
        let one = self.configured(name)?;
        let why = Stopped {
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            since_ms: SystemClock.now().unix_ms(),
        };
        let noted = self.disabled.set(name, Some(why.clone()));
        noted.map_err(not_noted)?;
        self.host.disable(&one.name).await;
        self.failures().retain(|failure| failure.name != one.name);
        Ok(stopped(one, &why))
    }

    fn configured(&self, name: &str) -> Result<&Enabled, Problem> {
        let found = self.configured.iter().find(|one| one.name.as_str() == name);
        found.ok_or_else(|| Problem::not_found(format!("plugins/{name}")))
    }

    async fn load(&self, one: &Enabled) -> Result<PluginFacts, Problem> {
        let outcome = self.host.replace(one.name.clone(), one.version.clone());
        let outcome = outcome.await;
        self.failures().retain(|failure| failure.name != one.name);
        if let Err(failure) = outcome {
            let (message, reason) = (failure.to_string(), reason(&failure));
            self.failures().push(failure);
            return Err(Problem::new(reason, message));
        }
        let described = self.host.describe(&one.name);
        let absent = || Problem::not_found(format!("plugins/{}", one.name));
        described.map(|plugin| running(&plugin)).ok_or_else(absent)
    }

    fn failures(&self) -> MutexGuard<'_, Vec<LoadFailure>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_noted(error: std::io::Error) -> Problem {
    let message = format!("the list of disabled plugins can't be written: {error}; mend the disk");
    Problem::new(Reason::StoreReadOnly, message)
}

fn reason(failure: &LoadFailure) -> Reason {
    if untrusted(failure) {
        Reason::PluginNotTrusted
    } else {
        Reason::PluginFailed
    }
}

impl AdminPort for Admin {
    fn status(&self) -> BoxFuture<'_, StatusFacts> {
        Box::pin(async {
            let status = self.seal.vault().status().await;
            let seal = self.seal.facts();
            StatusFacts {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                sealed: status.sealed,
                seal_message: seal.message,
                development: status.development,
                slots: status.slots.into_iter().map(slot).collect(),
                epochs: sealing::epochs(&status.epochs),
                store_bytes: self.seal.keeping().store_bytes(),
                records: status.records,
                shares_received: seal.shares,
                shares_needed: status.shares_needed.unwrap_or_default().into(),
                started: self.started,
            }
        })
    }

    fn diagnose(&self) -> BoxFuture<'_, Vec<CheckFacts>> {
        let (config, terms) = self.promised.clone();
        Box::pin(async move {
            // It reads files.
            let diagnosis = tokio::task::spawn_blocking(move || doctor::diagnose(&config, terms));
            diagnosis.await.unwrap_or_default()
        })
    }

    fn plugins(&self) -> BoxFuture<'_, Vec<PluginFacts>> {
        Box::pin(async { self.list() })
    }

    fn keys(&self) -> &dyn KeysPort {
        &*self.seal
    }

    fn backups(&self) -> &dyn BackupPort {
        &self.backups
    }

    fn reload_plugin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<PluginFacts, Problem>> {
        Box::pin(self.reload(name))
    }

    fn enable_plugin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<PluginFacts, Problem>> {
        Box::pin(self.enable(name))
    }

    fn disable_plugin<'a>(
        &'a self,
        name: &'a str,
        actor: &'a str,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<PluginFacts, Problem>> {
        Box::pin(self.disable(name, actor, reason))
    }
}

pub(crate) fn slot(info: SlotInfo) -> SlotFacts {
    let kind = match info.kind {
        bindery_vault::SlotKind::Credential => SlotKind::SystemdCredential,
        bindery_vault::SlotKind::Passphrase => SlotKind::Passphrase,
        bindery_vault::SlotKind::Recovery => SlotKind::RecoveryShares,
        _ => SlotKind::KeyFile,
    };
    SlotFacts {
        id: info.id.into(),
        kind,
        label: info.label,
        created: info.created,
        verified: info.verified,
    }
}

fn running(plugin: &Description) -> PluginFacts {
    PluginFacts {
        name: plugin.provider.to_string(),
        version: plugin.version.clone(),
        path: String::new(),
        sha256: plugin.sha256.clone(),
        state: PluginState::Running,
        message: String::new(),
        sandbox: vec![plugin.isolation.clone()],
    }
}

fn stopped(one: &Enabled, why: &Stopped) -> PluginFacts {
    let reason = match why.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    PluginFacts {
        name: one.name.to_string(),
        version: one.version.to_string(),
        path: String::new(),
        sha256: String::new(),
        state: PluginState::Disabled,
        message: format!("{} disabled it{reason}; enable it to let it run", why.actor),
        sandbox: Vec::new(),
    }
}

fn untrusted(failure: &LoadFailure) -> bool {
    matches!(
        &failure.error,
        LoadError::Catalog(
            CatalogError::File(_) | CatalogError::Signature { .. } | CatalogError::Lock { .. }
        )
    )
}

fn failed(failure: &LoadFailure) -> PluginFacts {
    PluginFacts {
        name: failure.name.to_string(),
        version: String::new(),
        path: String::new(),
        sha256: String::new(),
        state: if untrusted(failure) {
            PluginState::NotTrusted
        } else {
            PluginState::Failed
        },
        message: failure.error.to_string(),
        sandbox: Vec::new(),
    }
}
