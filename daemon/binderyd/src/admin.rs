//! What the admin service asks of the daemon.

use std::sync::Arc;

use bindery_host::PluginHost;
use bindery_vault::SealedVault;

/// The parts that an operator looks at.
pub(crate) struct Admin {
    vault: Arc<SealedVault>,
    host: PluginHost,
}

impl Admin {
    pub(crate) const fn new(vault: Arc<SealedVault>, host: PluginHost) -> Self {
        Self { vault, host }
    }
}
