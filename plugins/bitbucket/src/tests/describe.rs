//! What is data about both editions

use super::*;
use crate::v1::{AuthKind, Description, RefreshReuse, RefreshRotation};

fn own() -> Description {
    testing::description::<Bitbucket>()
}

fn cloud_edition() -> Description {
    let edition = own()
        .editions
        .into_iter()
        .find(|one| one.edition == "cloud");
    edition.expect("there is an edition for Cloud")
}

/// The kind of a token, as the daemon tells it.
fn kind_of(description: &Description, token: &str, auth: AuthKind) -> Option<v1::TokenKind> {
    let fits = |kind: &&v1::TokenKind| {
        let any = kind.auth_kind() == AuthKind::Unspecified;
        token.starts_with(&kind.prefix) && (any || kind.auth_kind() == auth)
    };
    description.token_kinds.iter().find(fits).cloned()
}

/// The manifest and the description are two copies of one truth.
#[test]
fn the_manifest_is_the_description() {
    manifest().check_description(&own()).unwrap();
}

/// Cloud is an edition at its own address, whose API is elsewhere; Data Center is at any.
#[test]
fn cloud_is_an_edition() {
    assert_eq!(own().edition, "");
    assert!(own().edition_webs.is_empty());
    let cloud = cloud_edition();
    assert_eq!(cloud.edition_webs, ["https://bitbucket.org"]);
    let endpoints = cloud.endpoints.unwrap();
    assert_eq!(
        endpoints.known_hosts[0].api,
        "https://api.bitbucket.org/2.0"
    );
    assert_eq!(endpoints.api_from_web, "{web}/2.0");
}

/// P1.1: what a refresh does differs, and the careful choice is made where nobody knows.
#[test]
fn trap_1_1_refresh_tokens_rotate_in_their_own_way() {
    let cloud = &cloud_edition().auth_methods[0];
    assert_eq!(cloud.rotation(), RefreshRotation::Configurable);
    assert_eq!(cloud.reuse(), RefreshReuse::Graceful);
    assert_eq!(
        (cloud.token_lifetime_s, cloud.refresh_idle_s),
        (7200, 7_776_000)
    );
    let own = &own().auth_methods[0];
    assert_eq!(own.rotation(), RefreshRotation::Always);
    assert_eq!(own.reuse(), RefreshReuse::Fatal);
    assert_eq!(
        (own.token_lifetime_s, own.refresh_idle_s),
        (3600, 7_776_000)
    );
}

/// P4: Cloud is not Atlassian's other OAuth: its scopes are the consumer's, its reply says `scopes`, PKCE, device flow
/// and revocation are not there.
#[test]
fn trap_4_cloud_is_not_three_legged_atlassian_oauth() {
    let cloud = cloud_edition();
    let oauth = &cloud.auth_methods[0];
    assert!(oauth.scopes_fixed_by_client);
    assert_eq!(oauth.scopes_member, "scopes");
    assert_eq!(oauth.pkce(), v1::PkceSupport::None);
    assert_eq!(
        oauth.client_authentication(),
        v1::ClientAuthentication::Basic
    );
    let endpoints = cloud.endpoints.unwrap();
    assert_eq!(
        (endpoints.revoke.as_str(), endpoints.device.as_str()),
        ("", "")
    );
    let kinds = cloud.auth_methods.iter().map(v1::AuthMethod::kind);
    assert!(kinds.eq([AuthKind::OauthCode, AuthKind::AccessToken]));
}

/// P4: which token is which, what git calls it, and which one needs the account's e-mail address.
#[test]
fn trap_4_each_kind_of_token_has_its_git_user() {
    let cloud = cloud_edition();
    let long = "x".repeat(2600);
    for (token, auth, name, git, email) in [
        (
            "ATATT3xFfGF0",
            AuthKind::AccessToken,
            "api_token",
            "x-bitbucket-api-token-auth",
            true,
        ),
        (
            "ATCTT3xFfGN0",
            AuthKind::AccessToken,
            "access_token",
            "x-token-auth",
            false,
        ),
        (&long, AuthKind::OauthCode, "oauth", "x-token-auth", false),
        // An OAuth token may begin with anything.
        ("ATATT", AuthKind::OauthCode, "oauth", "x-token-auth", false),
        (
            "other",
            AuthKind::AccessToken,
            "access_token",
            "x-token-auth",
            false,
        ),
    ] {
        let kind = kind_of(&cloud, token, auth).unwrap();
        assert_eq!(
            (
                kind.name.as_str(),
                kind.git_username.as_str(),
                kind.needs_username
            ),
            (name, git, email)
        );
    }
    assert_eq!(cloud.auth_methods[1].user_name(), v1::UserName::Email);
}

/// P4: both vocabularies of scopes carry each permission, and neither is taken for the other's other permissions.
#[test]
fn trap_4_scopes_have_two_vocabularies() {
    let cloud = cloud_edition();
    let lacks = |granted: &[&str]| {
        let has = |scope: &String| granted.contains(&scope.as_str());
        let rows = cloud.permissions.iter();
        let lacking =
            rows.filter(|row| !row.scopes.iter().all(has) && !row.covered_by.iter().any(has));
        lacking
            .map(v1::PermissionScopes::permission)
            .collect::<Vec<_>>()
    };
    use v1::Permission as P;
    assert_eq!(lacks(&["account", "repository:write", "webhook"]), []);
    assert_eq!(
        lacks(&[
            "read:user:bitbucket",
            "read:workspace:bitbucket",
            "read:repository:bitbucket",
            "write:repository:bitbucket",
            "write:webhook:bitbucket",
        ]),
        []
    );
    // An API token's scopes imply nothing.
    assert_eq!(
        lacks(&["write:repository:bitbucket"]),
        [P::Identity, P::Organizations, P::ReadCode, P::Webhooks]
    );
    // A repository's own token can't have `account`.
    assert_eq!(lacks(&["repository"]), [P::WriteCode, P::Webhooks]);
    assert_eq!(
        lacks(&["webhook"]),
        [P::Identity, P::Organizations, P::ReadCode, P::WriteCode]
    );
}

/// P5: Data Center has PKCE and a revocation endpoint, all below a context path, and higher scopes include lower ones.
#[test]
fn trap_5_data_center_has_pkce_and_revocation() {
    let own = own();
    assert_eq!(own.auth_methods[0].pkce(), v1::PkceSupport::S256);
    let endpoints = own.endpoints.unwrap();
    assert_eq!(endpoints.api_from_web, "{web}/rest/api/latest");
    assert_eq!(endpoints.revoke, "{web}/rest/oauth2/latest/revoke");
    assert!(own.revocation.unwrap().oauth);
    let webhooks = own.permissions.last().unwrap();
    assert_eq!(webhooks.scopes, ["REPO_ADMIN"]);
    let read = own
        .permissions
        .iter()
        .find(|row| row.permission() == v1::Permission::ReadCode);
    assert!(read.unwrap().covered_by.contains(&"REPO_ADMIN".to_owned()));
}

/// W1: what the daemon verifies recorded and published signatures with is what it is told here.
#[test]
fn w1_schemes_are_those_that_signatures_were_verified_with() {
    use testing::schemes::{described, known};
    assert_eq!(described::<Bitbucket>(), known("bitbucket"));
}

/// P4: app passwords are gone. No kind of token is one: what goes with a name is an API token, and goes with the e-mail.
#[test]
fn trap_4_there_are_no_app_passwords() {
    let cloud = cloud_edition();
    let with_a_name = cloud.token_kinds.iter().filter(|kind| kind.needs_username);
    let names: Vec<_> = with_a_name.map(|kind| kind.name.as_str()).collect();
    assert_eq!(names, ["api_token"]);
    let password = kind_of(&cloud, "ATBBxFfGF0", AuthKind::AccessToken).unwrap();
    assert_eq!(password.name, "access_token");
    let links = [
        &cloud.auth_methods[1].help_uri,
        &cloud.revocation.unwrap().access_token_page,
    ]
    .map(|uri| uri.contains("app-password"));
    assert_eq!(links, [false; 2]);
}
