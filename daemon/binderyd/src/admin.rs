//! What the admin service asks of the daemon.

use std::sync::{Arc, Mutex, PoisonError};

use bindery_api::{
    AdminPort, KeysPort, PluginFacts, PluginState, SlotFacts, SlotKind, StatusFacts,
};
use bindery_core::{
    name::ProviderName,
    port::{BoxFuture, Providers},
    problem::{Problem, Reason},
    provider::Description,
    time::Timestamp,
};
use bindery_host::{CatalogError, LoadError, LoadFailure, PluginHost};
use bindery_vault::SlotInfo;

use crate::sealing::Sealing;

/// The parts that an operator looks at.
pub(crate) struct Admin {
    seal: Arc<Sealing>,
    host: PluginHost,
    started: Timestamp,
    /// Plugins that could not be loaded, and why.
    failures: Mutex<Vec<LoadFailure>>,
}

impl Admin {
    pub(crate) const fn new(
        seal: Arc<Sealing>,
        host: PluginHost,
        failures: Vec<LoadFailure>,
        started: Timestamp,
    ) -> Self {
        Self {
            seal,
            host,
            started,
            failures: Mutex::new(failures),
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
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// A new worker, also where nothing changed: an operator who asks for it is not told to wait out a backoff.
    async fn reload(&self, name: &str) -> Result<PluginFacts, Problem> {
        let absent = || Problem::not_found(format!("plugins/{name}"));
        let wanted = ProviderName::parse(name).map_err(|_| absent())?;
        let enabled = self.host.enabled();
        let one = enabled.into_iter().find(|enabled| enabled.name == wanted);
        let version = one.ok_or_else(absent)?.version;
        let outcome = self.host.replace(wanted.clone(), version).await;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|failure| failure.name != wanted);
        if let Err(failure) = outcome {
            let message = failure.to_string();
            failures.push(failure);
            return Err(Problem::new(Reason::PluginFailed, message));
        }
        drop(failures);
        let described = self.host.describe(&wanted);
        described.map(|plugin| running(&plugin)).ok_or_else(absent)
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
                active_epoch: (!status.sealed).then_some(status.active_epoch),
                records: status.records,
                shares_received: seal.shares,
                shares_needed: status.shares_needed.unwrap_or_default().into(),
                started: self.started,
            }
        })
    }

    fn plugins(&self) -> BoxFuture<'_, Vec<PluginFacts>> {
        Box::pin(async { self.list() })
    }

    fn keys(&self) -> &dyn KeysPort {
        &*self.seal
    }

    fn reload_plugin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<PluginFacts, Problem>> {
        Box::pin(self.reload(name))
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

fn failed(failure: &LoadFailure) -> PluginFacts {
    let untrusted = matches!(
        &failure.error,
        LoadError::Catalog(
            CatalogError::File(_) | CatalogError::Signature { .. } | CatalogError::Lock { .. }
        )
    );
    PluginFacts {
        name: failure.name.to_string(),
        version: String::new(),
        path: String::new(),
        sha256: String::new(),
        state: if untrusted {
            PluginState::NotTrusted
        } else {
            PluginState::Failed
        },
        message: failure.error.to_string(),
        sandbox: Vec::new(),
    }
}
