//! What a 403 says, and what is known of a token and its account

use super::*;

/// A missing scope is named, in the old spelling and in the new one.
#[test]
fn a_missing_scope_is_named() {
    let old = r#"{"message":"token does not have at least one of required scope(s): [read:user write:user]"}"#;
    for (body, scopes) in [
        (NO_SCOPE, &["read:user"][..]),
        (old, &["read:user", "write:user"]),
    ] {
        let run = driver()
            .on("GET", USER, Reply::json(403, body))
            .run(v1::Identify {});
        assert_eq!(run.failure().code(), Code::ScopeMissing);
        assert_eq!(run.failure().missing_scopes, scopes);
    }
}

/// A token is alive if the server takes it, even where it may not ask who it is; its scopes are not told.
#[test]
fn a_token_is_alive_or_not() {
    for (reply, active) in [
        (Reply::json(200, ALICE), true),
        (Reply::json(403, NO_SCOPE), true),
        (Reply::json(401, "{}"), false),
    ] {
        let run = driver().on("GET", USER, reply).run(v1::InspectToken {});
        let facts = run.token_facts();
        assert_eq!(
            (facts.active, facts.scopes_known, facts.expire_unix),
            (active, false, 0)
        );
    }
    let run = driver()
        .on("GET", USER, Reply::status(500))
        .run(v1::InspectToken {});
    assert_eq!(run.failure().code(), Code::Upstream);
}

const PROHIBITED: &str =
    "This account is prohibited from signing in, please contact your site administrator.";
const PASSWORD: &str =
    "You must change your password. Change it at: https://public.name/user/change_password";
const TWO_FACTOR: &str = "This Forgejo instance requires users to enable two-factor authentication before they can \
    access their accounts. Enable it at: https://public.name/user/settings/security";

fn refused(message: &str) -> Reply {
    Reply::json(403, serde_json::json!({ "message": message }))
}

/// An account that the server shuts out is suspended, and not a dead token: the link lives on when it is let in again.
/// What the person can mend has its page, on the server's address as it is known here.
#[test]
fn an_account_that_is_shut_out_is_suspended() {
    let settings = "https://git.test/user/settings";
    for (message, page) in [
        (PROHIBITED, String::new()),
        ("This account is not activated.", String::new()),
        (PASSWORD, format!("{settings}/change_password")),
        (TWO_FACTOR, format!("{settings}/security")),
    ] {
        let driver = driver().on("GET", USER, refused(message));
        for run in [driver.run(v1::Identify {}), driver.run(v1::InspectToken {})] {
            assert_eq!(run.failure().code(), Code::Suspended, "{message}");
            assert_eq!(run.failure().action_uri, page);
            assert_eq!(run.failure().http_status, 403);
        }
    }
}

/// A token with `public-only` is alive, and is told from one that lacks a scope.
#[test]
fn a_public_only_token_is_alive() {
    let driver = driver().on(
        "GET",
        USER,
        refused("token scope is limited to public users"),
    );
    assert!(driver.run(v1::InspectToken {}).token_facts().active);
    let run = driver.run(v1::Identify {});
    assert_eq!(run.failure().code(), Code::PermissionDenied);
    assert!(run.failure().message.contains("public-only"));
}

/// Lists that a `public-only` token gets are shorter without a word of the server: they are marked as partial.
#[test]
fn trap_7_a_public_only_token_has_partial_lists() {
    let public_only = |scopes: &[&str]| {
        driver().credential(v1::Credential {
            scopes: scopes.iter().map(|&one| one.to_owned()).collect(),
            login: "octocat".to_owned(),
            ..v1::Credential::default()
        })
    };
    let repositories = "https://git.test/api/v1/user/repos?page=1&limit=50";
    let organizations = "https://git.test/api/v1/user/orgs?page=1&limit=50";
    for (scopes, partial) in [
        (&["read:repository", "public-only"][..], true),
        (&["read:repository"], false),
    ] {
        let run = public_only(scopes)
            .on("GET", repositories, Reply::json(200, "[]"))
            .run(v1::ListRepositories::default());
        assert_eq!(run.repository_pages()[0].partial, partial);
        let run = public_only(scopes)
            .on("GET", organizations, Reply::json(200, "[]"))
            .run(v1::ListOrganizations::default());
        let Some(v1::output::Kind::Organizations(page)) = run.pages.first() else {
            panic!("no page of organizations");
        };
        assert_eq!(
            (page.partial, page.partial_reason.is_empty()),
            (partial, !partial)
        );
    }
}

/// An organization that a `public-only` token may not see says so, and what the teams allow is the role.
#[test]
fn an_organization_has_its_role() {
    let orgs =
        r#"[{"id":1,"name":"a"},{"id":2,"name":"b"},{"id":3,"name":"c"},{"id":4,"name":"d"}]"#;
    let of = |name: &str| format!("https://git.test/api/v1/users/octocat/orgs/{name}/permissions");
    let run = driver()
        .on(
            "GET",
            "https://git.test/api/v1/user/orgs?page=1&limit=50",
            Reply::json(200, orgs).header("x-total-count", "4"),
        )
        .on(
            "GET",
            &of("a"),
            Reply::json(200, r#"{"is_admin":true,"can_read":true}"#),
        )
        .on(
            "GET",
            &of("b"),
            Reply::json(200, r#"{"can_write":true,"can_read":true}"#),
        )
        .on("GET", &of("c"), Reply::json(200, r#"{"can_read":true}"#))
        .on(
            "GET",
            &of("d"),
            refused("token scope is limited to public orgs"),
        )
        .run(v1::ListOrganizations::default());
    let found = run.organizations();
    let roles: Vec<_> = found.iter().map(|one| one.role.as_str()).collect();
    assert_eq!(roles, ["admin", "write", "read", ""]);
    assert_eq!(found[3].access(), OrganizationAccess::ScopeTooSmall);
    assert!(found[3].reason.contains("public-only"));
}

/// Accounts of the server itself have numbers below zero, and are no people.
#[test]
fn an_account_of_the_server_is_a_bot() {
    let actions = r#"{"id":-2,"login":"gitea-actions"}"#;
    let run = driver()
        .on("GET", USER, Reply::json(200, actions))
        .run(v1::Identify {});
    assert_eq!(run.identity().stable_id, "-2");
    assert_eq!(run.identity().kind(), v1::AccountKind::Bot);
}

/// Trap 1.1 and section 7: whether a refresh rotates is the server's setting, every bad refresh token is
/// `unauthorized_client`, and there is no endpoint that revokes.
#[test]
fn trap_1_1_rotation_is_the_servers_setting() {
    let description = testing::description::<Gitea>();
    let oauth = &description.auth_methods[0];
    assert_eq!(oauth.rotation(), v1::RefreshRotation::Configurable);
    assert_eq!(oauth.reuse(), v1::RefreshReuse::Graceful);
    assert_eq!(
        oauth.dead_grant_errors,
        ["unauthorized_client", "invalid_grant"]
    );
    assert_eq!(
        (oauth.token_lifetime_s, oauth.refresh_idle_s),
        (3600, 2_628_000)
    );
    let endpoints = description.endpoints.unwrap();
    assert_eq!(endpoints.revoke, "");
    assert_eq!(endpoints.known_hosts[0].web, "https://codeberg.org");
    let revocation = description.revocation.unwrap();
    assert!(!revocation.oauth && !revocation.access_token);
}
