//! Each operation, its pages and its errors, against scripted exchanges

use bindery_plugin_sdk::{
    testing::{self, Driver, Manifest, Reply},
    v1::{self, Code},
};

use super::*;

mod account;
mod delivery;
mod describe;
mod errors;
mod hooks;
mod lists;
mod organizations;
mod token;

fn manifest() -> Manifest {
    toml::from_str(include_str!("../manifest.toml")).expect("the manifest is valid")
}

/// A host below a path, as self-managed ones may be. Every run is checked against the manifest as well.
fn driver() -> Driver<GitLab> {
    Driver::new()
        .host(WEB, &format!("{WEB}/api/v4"))
        .manifest(manifest())
}

/// With a token that a person handed over.
fn by_token() -> Driver<GitLab> {
    driver().credential(handed_over("access_token"))
}

fn handed_over(kind: &str) -> v1::Credential {
    v1::Credential {
        auth_kind: v1::AuthKind::AccessToken.into(),
        token_kind: kind.to_owned(),
        ..v1::Credential::default()
    }
}

fn api(path: &str) -> String {
    format!("{WEB}/api/v4{path}")
}

/// The clock of the driver, in seconds.
const NOW: u64 = 1_800_000_000;

const WEB: &str = "https://git.test/gitlab";

const SELF: &str = "/personal_access_tokens/self";

const ADA: &str = r#"{"id":7,"username":"ada","name":"Ada","state":"active"}"#;

const REFUSED: &str = r#"{"message":"401 Unauthorized"}"#;

/// The manifest and the description are two copies of one truth.
#[test]
fn the_manifest_is_the_description() {
    let description = testing::description::<GitLab>();
    manifest().check_description(&description).unwrap();
    assert_eq!(manifest().version, env!("CARGO_PKG_VERSION"));
}

/// An encoded slash is for what only reads. What writes is asked for by number.
#[test]
fn p8_only_what_reads_may_hold_an_encoded_slash() {
    for requests in manifest().requests {
        for rule in requests.allow {
            let reads = rule.starts_with("GET ") || rule.starts_with("web:GET ");
            assert!(reads || !rule.contains("+}"), "{rule}");
            assert!(reads || !rule.contains("...}"), "{rule}");
        }
    }
}
