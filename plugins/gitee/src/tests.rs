//! Each operation, its pages and its errors, against scripted exchanges

use bindery_plugin_sdk::{
    testing::{self, Driver, Manifest, Reply},
    v1::{self, Code},
};

use super::*;

mod account;
mod delivery;
mod hooks;
mod organizations;
mod refs;
mod repositories;

fn manifest() -> Manifest {
    toml::from_str(include_str!("../manifest.toml")).expect("the manifest is valid")
}

/// Every run below is checked against the manifest as well.
fn driver() -> Driver<Gitee> {
    Driver::new()
        .host("https://gitee.test", "https://gitee.test/api/v5")
        .manifest(manifest())
}

fn url(path: &str) -> String {
    format!("https://gitee.test/api/v5{path}")
}

/// An error in the one shape that this provider has.
fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, serde_json::json!({ "message": message }))
}

/// As a server writes it that counts its pages.
fn counted(body: impl std::fmt::Display, pages: u32) -> Reply {
    Reply::json(200, body).header("total_page", &pages.to_string())
}

/// The manifest and the description are two copies of one truth.
#[test]
fn the_manifest_is_the_description() {
    let description = testing::description::<Gitee>();
    manifest().check_description(&description).unwrap();
    assert_eq!(manifest().version, env!("CARGO_PKG_VERSION"));
}

/// Trap 1.1 and section 6: what a refresh does to the old refresh token is not documented, so it counts as dead, and
/// what the server has no endpoint for is not claimed.
#[test]
fn trap_1_1_an_undocumented_rotation_is_taken_as_the_strict_one() {
    let description = testing::description::<Gitee>();
    let oauth = &description.auth_methods[0];
    assert_eq!(oauth.rotation(), v1::RefreshRotation::Always);
    assert_eq!(oauth.reuse(), v1::RefreshReuse::Fatal);
    assert_eq!(oauth.pkce(), v1::PkceSupport::None);
    assert_eq!(oauth.token_lifetime_s, 86_400);
    let endpoints = description.endpoints.unwrap();
    assert_eq!(
        (endpoints.revoke.as_str(), endpoints.device.as_str()),
        ("", "")
    );
    let revocation = description.revocation.unwrap();
    assert!(!revocation.oauth && !revocation.access_token);
}

/// Section 6: a refresh is documented without the client's secret. It goes along, in the body, where the server takes it for
/// every other grant: one way for all.
#[test]
fn trap_6_a_refresh_takes_the_secret_in_the_body() {
    let description = testing::description::<Gitee>();
    let oauth = &description.auth_methods[0];
    assert_eq!(oauth.kind(), v1::AuthKind::OauthCode);
    assert_eq!(
        oauth.client_authentication(),
        v1::ClientAuthentication::Body
    );
}

/// Section 6: each permission asks for the narrowest scope that there is, and none covers another.
#[test]
fn a_permission_asks_for_its_scope() {
    let description = testing::description::<Gitee>();
    let scopes: Vec<_> = description
        .permissions
        .iter()
        .map(|one| (one.permission(), one.scopes.join(" "), one.covered_by.len()))
        .collect();
    let row = |permission, scope: &str| (permission, scope.to_owned(), 0);
    assert_eq!(
        scopes,
        [
            row(v1::Permission::Identity, "user_info"),
            row(v1::Permission::Organizations, "groups enterprises"),
            row(v1::Permission::ReadCode, "projects"),
            row(v1::Permission::WriteCode, "projects"),
            row(v1::Permission::Webhooks, "hook"),
        ]
    );
}

/// Section 6: the description puts the token into the query or a form. No request of any operation does.
#[test]
fn trap_6_the_token_is_in_one_header_and_nowhere_else() {
    let empty = || counted("[]", 1);
    let repository = || v1::GetRepository {
        repository: "a/b".to_owned(),
    };
    let runs = [
        driver()
            .on("GET", &url("/user"), refusal(401, "no"))
            .run(v1::Identify {}),
        driver()
            .on("GET", &url("/user"), refusal(401, "no"))
            .run(v1::InspectToken {}),
        driver()
            .on(
                "GET",
                &url("/user/memberships/orgs?page=1&per_page=100"),
                empty(),
            )
            .on(
                "GET",
                &url("/user/orgs?admin=false&page=1&per_page=100"),
                empty(),
            )
            .on(
                "GET",
                &url("/user/enterprises?admin=false&page=1&per_page=100"),
                empty(),
            )
            .run(v1::ListOrganizations::default()),
        driver()
            .on("GET", &url("/user/repos?page=1&per_page=100"), empty())
            .run(v1::ListRepositories::default()),
        driver()
            .on("GET", &url("/repos/a/b"), refusal(404, "no"))
            .run(repository()),
        driver()
            .on(
                "GET",
                &url("/repos/a/b/branches?page=1&per_page=100"),
                empty(),
            )
            .on("GET", &url("/repos/a/b/tags?page=1&per_page=100"), empty())
            .run(v1::ListRefs {
                repository: "a/b".to_owned(),
                ..v1::ListRefs::default()
            }),
        driver().run(v1::Revoke { whole_grant: true }),
    ];
    let sent: Vec<_> = runs.iter().flat_map(|run| &run.requests).collect();
    assert_eq!(sent.len(), 9);
    for sent in sent {
        assert_eq!(
            sent.header("authorization"),
            Some("token <secret:access_token>")
        );
        assert!(!sent.url.contains("secret") && !sent.url.contains("access_token"));
        assert!(sent.body.is_empty());
    }
}
