//! Each operation, its pages and its errors, against scripted exchanges

use bindery_plugin_sdk::{
    testing::{self, Driver, Manifest, Reply},
    v1::{self, Code, effect_result},
};

use super::*;

mod account;
mod app;
mod app_hook;
mod delivery;
mod hooks;
mod installed;
mod lists;
mod mint;
mod organizations;
mod revoke;
mod traps;

fn manifest() -> Manifest {
    toml::from_str(include_str!("../manifest.toml")).expect("the manifest is valid")
}

/// Every run is checked against the manifest as well.
fn driver() -> Driver<GitHub> {
    Driver::new()
        .host("https://github.com", "https://api.github.com")
        .edition("cloud")
        .manifest(manifest())
}

fn server() -> Driver<GitHub> {
    driver()
        .host("https://ghes.test", "https://ghes.test/api/v3")
        .edition("")
}

/// A link by the app, which is number 77, on the account acme.
fn installed() -> v1::Credential {
    v1::Credential {
        auth_kind: v1::AuthKind::AppInstallation.into(),
        token_kind: "installation".to_owned(),
        login: "acme".to_owned(),
        app_id: "77".to_owned(),
        installation_id: "12".to_owned(),
        ..v1::Credential::default()
    }
}

/// The daemon signs once.
fn app() -> Driver<GitHub> {
    let signed = Reply::result(effect_result::Kind::Signed(true));
    driver()
        .credential(installed())
        .on("SIGN_JWT", "app_private_key", signed)
}

/// A person, by a token that the app got.
fn app_user() -> Driver<GitHub> {
    driver().credential(v1::Credential {
        auth_kind: v1::AuthKind::OauthCode.into(),
        token_kind: "app_user".to_owned(),
        login: "octocat".to_owned(),
        ..v1::Credential::default()
    })
}

fn installation(id: u32, account: &str, more: &str) -> String {
    format!(
        r#"{{"id":{id},"app_id":77,"app_slug":"bindery","repository_selection":"selected",
            "account":{account},"suspended_at":null,"permissions":{{"contents":"read","metadata":"read"}},
            "html_url":"https://github.com/organizations/acme/settings/installations/{id}"{more}}}"#
    )
}

const ACME: &str =
    r#"{"id":3,"login":"acme","type":"Organization","html_url":"https://github.com/acme"}"#;

const APP: &str = r#"{"id":77,"slug":"bindery","html_url":"https://github.com/apps/bindery"}"#;

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
