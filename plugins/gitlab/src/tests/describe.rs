//! What the daemon works from

use bindery_plugin_sdk::v1::{AuthKind, Permission, RefreshReuse, RefreshRotation};

use super::*;

fn description() -> v1::Description {
    testing::description::<GitLab>()
}

fn kind_of(token: &str, auth: AuthKind) -> v1::TokenKind {
    let kinds = description().token_kinds;
    let found = kinds.into_iter().find(|kind| {
        let any = kind.auth_kind() == AuthKind::Unspecified;
        token.starts_with(&kind.prefix) && (any || kind.auth_kind() == auth)
    });
    found.expect("the last kind takes the rest")
}

/// PROVIDERS 3, relative URL roots: every endpoint is below the web base, path and all, and nothing is made of a host.
#[test]
fn trap_3_endpoints_are_below_the_web_base() {
    let all = description().endpoints.unwrap();
    for template in [
        &all.api_from_web,
        &all.authorize,
        &all.token,
        &all.revoke,
        &all.device,
    ] {
        assert!(template.starts_with("{web}/"), "{template}");
    }
    assert_eq!(all.api_from_web, "{web}/api/v4");
    assert!(all.known_hosts.is_empty());
}

/// PROVIDERS 1.1: a refresh ends the old pair at once, and using the old one again is fatal, by either way of OAuth.
#[test]
fn trap_1_1_a_refresh_rotates_always_and_reuse_is_fatal() {
    let methods = description().auth_methods;
    for kind in [AuthKind::OauthCode, AuthKind::Device] {
        let method = methods.iter().find(|one| one.kind() == kind).unwrap();
        assert_eq!(method.rotation(), RefreshRotation::Always);
        assert_eq!(method.reuse(), RefreshReuse::Fatal);
        assert_eq!(method.dead_grant_errors, ["invalid_grant"]);
        assert_eq!(method.token_lifetime_s, 7200);
    }
    let code = &methods[0];
    assert!(code.redirect_uri_on_refresh);
    assert_eq!(code.pkce(), v1::PkceSupport::S256);
}

/// PROVIDERS 3, prefixes: the server chooses them and newer tokens hold dots, so what a person hands over is an access token
/// unless it is known as something else.
#[test]
fn trap_3_prefixes_are_the_servers() {
    for token in [
        "glpat-x9y8z7",
        "glpat-abc.01.0a1b2c3d4",
        "SIE-glpat-x9y8",
        "2UsevZE1x1ZdFZW4MNzH",
    ] {
        let kind = kind_of(token, AuthKind::AccessToken);
        assert_eq!(kind.name, "access_token", "{token}");
        assert_eq!(kind.git_username, "{login}");
    }
    for auth in [AuthKind::OauthCode, AuthKind::Device] {
        let kind = kind_of("0a1b2c", auth);
        assert_eq!(
            (kind.name.as_str(), kind.git_username.as_str()),
            ("oauth", "oauth2")
        );
    }
}

/// PROVIDERS 3, deploy tokens: what the API does not take is refused with a reason before anything is sent.
#[test]
fn trap_3_a_deploy_token_is_refused_with_a_reason() {
    for token in ["gldt-x", "glcbt-64_x", "glrt-x", "gloas-x"] {
        let kind = kind_of(token, AuthKind::AccessToken).name;
        assert_ne!(kind, "access_token", "{token}");
        let driver = driver().credential(handed_over(&kind));
        for run in [
            driver.run(v1::Identify {}),
            driver.run(v1::InspectToken {}),
            driver.run(v1::RotateToken::default()),
        ] {
            assert_eq!(run.failure().code(), Code::InvalidArgument, "{token}");
            assert!(run.requests.is_empty());
        }
    }
    let run = driver()
        .credential(handed_over("deploy_token"))
        .run(v1::Identify {});
    assert!(run.failure().message.contains("deploy token"));
}

/// PROVIDERS 3, scopes: webhooks need `api`, nothing narrower covers them, and `api` covers all.
#[test]
fn trap_3_webhooks_need_api() {
    for row in description().permissions {
        let enough =
            |scope: &str| row.scopes == [scope] || row.covered_by.iter().any(|one| one == scope);
        assert!(enough("api"), "{:?}", row.permission());
        if row.permission() == Permission::Webhooks {
            assert!(row.covered_by.is_empty());
        }
    }
}
