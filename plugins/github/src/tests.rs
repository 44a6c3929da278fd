//! Each operation, its pages and its errors, against scripted exchanges

use bindery_plugin_sdk::{
    testing::{self, Driver, Manifest, Reply},
    v1::{self, Code},
};

use super::*;

mod account;
mod lists;
mod organizations;
mod revoke;

fn manifest() -> Manifest {
    toml::from_str(include_str!("../manifest.toml")).expect("the manifest is valid")
}

/// Every run is checked against the manifest as well.
fn driver() -> Driver<GitHub> {
    Driver::new()
        .host("https://github.com", "https://api.github.com")
        .manifest(manifest())
}

fn server() -> Driver<GitHub> {
    driver().host("https://ghes.test", "https://ghes.test/api/v3")
}

fn api(path: &str) -> String {
    format!("https://api.github.com{path}")
}

/// The clock of the driver, in seconds.
const NOW: u64 = 1_800_000_000;

const OCTOCAT: &str = r#"{"id":1,"login":"octocat","name":null,"html_url":"https://github.com/octocat","type":"User"}"#;

const RESTRICTED: &str = r#"{"message":"Although you appear to have the correct authorization credentials, the `acme` organization has enabled OAuth App access restrictions, meaning that data access to third-parties is limited."}"#;

/// The manifest and the description are two copies of one truth.
#[test]
fn the_manifest_is_the_description() {
    let description = testing::description::<GitHub>();
    manifest().check_description(&description).unwrap();
}

/// The most specific prefix comes first, and the last kind takes the rest.
#[test]
fn token_kinds_are_in_order() {
    let kinds = testing::description::<GitHub>().token_kinds;
    let kind_of = |token: &str| {
        kinds
            .iter()
            .find(|kind| token.starts_with(&kind.prefix))
            .map(|kind| kind.name.as_str())
    };
    assert_eq!(kind_of("github_pat_11A"), Some("fine_grained_token"));
    assert_eq!(kind_of("ghs_1_eyJ.a.b"), Some("installation"));
    assert_eq!(kinds.last().unwrap().prefix, "");
}
