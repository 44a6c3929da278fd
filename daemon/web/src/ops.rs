//! `/healthz`, `/readyz`, `/metrics`, `/version`.

use std::sync::PoisonError;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use bindery_core::port::VaultHealth;
use bindery_engine::Engine;
use http::{StatusCode, header::CONTENT_TYPE};
use prometheus_client::encoding::text::encode;
use serde_json::json;

use crate::{failure::Failure, state::WebState};

/// One thing that must be in order, and what is wrong with it. The text is shown to whoever asks: it holds no secret.
pub type Check = (String, Result<(), String>);

/// What must be in order before callers are sent here.
pub trait Readiness: Send + Sync + 'static {
    /// All checks, at once: nothing here may wait.
    fn checks(&self) -> Vec<Check>;
}

impl<F: Fn() -> Vec<Check> + Send + Sync + 'static> Readiness for F {
    fn checks(&self) -> Vec<Check> {
        self()
    }
}

/// The vault serves, and at least one plugin is loaded.
#[derive(Clone, Debug)]
pub struct EngineReadiness(pub Engine);

impl Readiness for EngineReadiness {
    fn checks(&self) -> Vec<Check> {
        vec![
            ("vault".to_owned(), vault(&self.0.health())),
            ("plugins".to_owned(), plugins(self.0.providers().len())),
        ]
    }
}

fn vault(health: &VaultHealth) -> Result<(), String> {
    match health {
        // Little space stops new links only; what exists is served.
        VaultHealth::Serving | VaultHealth::LowSpace => Ok(()),
        VaultHealth::ReadOnly => {
            Err("the store is read-only after an I/O error; check the disk and restart".to_owned())
        }
        VaultHealth::Stalled => Err(
            "the disk has not answered for some seconds; look at it, and restart if it stays so"
                .to_owned(),
        ),
        VaultHealth::Sealed => Err("the vault is sealed; unseal it".to_owned()),
    }
}

fn plugins(loaded: usize) -> Result<(), String> {
    if loaded == 0 {
        return Err("no plugin is loaded; check the plugin directory and its lock file".to_owned());
    }
    Ok(())
}

pub(crate) fn routes() -> Router<WebState> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
}

/// A line of JSON for each check.
async fn ready(State(state): State<WebState>) -> Response {
    let checks = state.readiness.checks();
    let in_order = checks.iter().all(|(_, result)| result.is_ok());
    let line = |(name, result): Check| match result {
        Ok(()) => format!("{}\n", json!({"check": name, "ready": true})),
        Err(message) => format!(
            "{}\n",
            json!({"check": name, "ready": false, "message": message})
        ),
    };
    let lines: String = checks.into_iter().map(line).collect();
    let status = if in_order {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [(CONTENT_TYPE, "application/jsonl")], lines).into_response()
}

async fn metrics(State(state): State<WebState>) -> Result<Response, Failure> {
    let mut text = String::new();
    let registry = state.metrics.lock().unwrap_or_else(PoisonError::into_inner);
    encode(&mut text, &registry).map_err(|_| Failure::Defect("metrics do not encode"))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}

async fn version() -> Response {
    let version = json!({"name": "bindery", "version": env!("CARGO_PKG_VERSION")});
    let body = format!("{version}\n");
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vault that can't write or read, and a daemon without plugins, is not ready, and says what to do.
    #[test]
    fn what_is_missing_is_said() {
        assert!(vault(&VaultHealth::Serving).is_ok() && vault(&VaultHealth::LowSpace).is_ok());
        assert!(plugins(1).is_ok());
        for message in [
            vault(&VaultHealth::ReadOnly),
            vault(&VaultHealth::Stalled),
            vault(&VaultHealth::Sealed),
            plugins(0),
        ] {
            assert!(message.expect_err("not ready").contains("; "));
        }
    }
}
