//! Each operation, its pages and its errors, against scripted exchanges

use bindery_plugin_sdk::{
    testing::{self, Driver, Manifest, Reply},
    v1::{self, Code},
};

use super::*;

mod cloud;
mod data_center;
mod describe;

fn manifest() -> Manifest {
    toml::from_str(include_str!("../manifest.toml")).expect("the manifest is valid")
}

/// Every run is checked against the manifest as well.
fn cloud() -> Driver<Bitbucket> {
    Driver::new()
        .edition(super::describe::CLOUD)
        .host("https://bitbucket.org", "https://api.bitbucket.org/2.0")
        .manifest(manifest())
}

/// Below a context path, as many are.
fn data_center() -> Driver<Bitbucket> {
    Driver::new()
        .host(
            "https://git.test/bitbucket",
            "https://git.test/bitbucket/rest/api/latest",
        )
        .manifest(manifest())
}

/// A credential that was handed over.
fn handed_over(token_kind: &str, username: &str) -> v1::Credential {
    v1::Credential {
        auth_kind: v1::AuthKind::AccessToken.into(),
        token_kind: token_kind.to_owned(),
        username: username.to_owned(),
        ..v1::Credential::default()
    }
}
