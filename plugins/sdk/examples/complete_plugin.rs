//! The smallest library with the SDK, to prove what it exports

#![forbid(unsafe_code)]

use bindery_plugin_sdk::{Cx, Provider, Result, export_provider, v1};

/// A provider that knows its version.
#[derive(Debug, Default)]
pub struct Smallest;

impl Provider for Smallest {
    fn description() -> v1::Description {
        v1::Description {
            provider: "smallest".to_owned(),
            version: "1.0.0".to_owned(),
            operations: vec![v1::Operation::Probe.into()],
            ..v1::Description::default()
        }
    }

    async fn probe(&self, _: &Cx, _: v1::Probe) -> Result<v1::ServerFacts> {
        Ok(v1::ServerFacts::default())
    }
}

export_provider!(Smallest);
