//! Where the control of the leak gate differs (`leaky.rs`). Here everything passes as it is.

use std::{path::Path, sync::Arc};

use bindery_engine::Ports;
use bindery_web::Readiness;
use prometheus_client::registry::Registry;

/// The ports of the engine.
pub(crate) fn ports(ports: Ports, _data_dir: &Path) -> Ports {
    ports
}

/// The pages for people.
pub(crate) fn pages(pages: axum::Router) -> axum::Router {
    pages
}

/// What `/readyz` tells.
pub(crate) fn readiness(readiness: Arc<dyn Readiness>) -> Arc<dyn Readiness> {
    readiness
}

/// What `/metrics` tells.
pub(crate) fn metrics(_registry: &mut Registry) {}
