//! Each operation, its pages and its errors, against scripted exchanges

use bindery_plugin_sdk::{
    testing::{self, Driver, Manifest, Reply},
    v1::{self, Code, OrganizationAccess},
};

use super::*;

mod deliveries;
mod hooks;
mod lists;
mod refusals;

fn manifest() -> Manifest {
    toml::from_str(include_str!("../manifest.toml")).expect("the manifest is valid")
}

/// Every run below is checked against the manifest as well.
fn driver() -> Driver<Gitea> {
    Driver::new()
        .host("https://git.test", "https://git.test/api/v1")
        .manifest(manifest())
}

const USER: &str = "https://git.test/api/v1/user";
const ALICE: &str =
    r#"{"id":2,"login":"alice","full_name":"Alice A","email":"a@x","is_admin":false}"#;
const NO_SCOPE: &str = r#"{"message":"token does not have at least one of required scope(s), required=[read:user], token scope=read:repository"}"#;

/// The manifest and the description are two copies of one truth.
#[test]
fn the_manifest_is_the_description() {
    let description = testing::description::<Gitea>();
    manifest().check_description(&description).unwrap();
    assert_eq!(manifest().version, env!("CARGO_PKG_VERSION"));
}

/// The token is named, never seen, and goes into the header alone.
#[test]
fn p9_the_token_is_a_segment_of_one_header() {
    let run = driver()
        .on("GET", USER, Reply::json(200, ALICE))
        .run(v1::Identify {});
    let sent = &run.requests[0];
    assert_eq!(
        sent.header("authorization"),
        Some("Bearer <secret:access_token>")
    );
    assert!(!sent.url.contains("secret") && sent.body.is_empty());
}

/// An identity is known by its number, and has a page even where the API gives none.
#[test]
fn identify_tells_who() {
    let run = driver()
        .on("GET", USER, Reply::json(200, ALICE))
        .run(v1::Identify {});
    let identity = run.identity();
    assert_eq!(
        (identity.stable_id.as_str(), identity.login.as_str()),
        ("2", "alice")
    );
    assert_eq!(identity.display_name, "Alice A");
    assert_eq!(identity.web_uri, "https://git.test/alice");
    assert_eq!(identity.kind(), v1::AccountKind::User);
}

/// Every class of error has its code.
#[test]
fn errors_have_their_code() {
    for (reply, code) in [
        (
            Reply::json(401, r#"{"message":"token is required"}"#),
            Code::Unauthenticated,
        ),
        (
            Reply::json(403, r#"{"message":"no"}"#),
            Code::PermissionDenied,
        ),
        (
            Reply::json(404, r#"{"message":"Not Found","errors":null}"#),
            Code::NotFound,
        ),
        (
            Reply::status(429).header("retry-after", "7"),
            Code::RateLimited,
        ),
        (Reply::bytes(502, "<html>"), Code::Upstream),
        (Reply::bytes(200, "<html>"), Code::MalformedResponse),
        (Reply::json(200, r#"{"id":"x"}"#), Code::MalformedResponse),
        (Reply::transport_error(), Code::Transport),
    ] {
        let run = driver().on("GET", USER, reply).run(v1::Identify {});
        assert_eq!(run.failure().code(), code);
    }
    let limited = Reply::status(429).header("retry-after", "7");
    let run = driver().on("GET", USER, limited).run(v1::Identify {});
    assert_eq!(run.failure().retry_after_ms, 7000);
}

/// Nothing is asked, nothing is claimed: a person is sent to the page.
#[test]
fn trap_7_a_revocation_is_said_to_be_impossible() {
    for whole_grant in [true, false] {
        let run = driver().run(v1::Revoke { whole_grant });
        assert_eq!(
            run.revocation().outcome(),
            v1::RevocationOutcome::Impossible
        );
        assert_eq!(
            run.revocation().action_uri,
            "https://git.test/user/settings/applications"
        );
        assert!(run.requests.is_empty());
    }
}

/// A server tells its version without a token, Forgejo is told from Gitea, and a shy server is no error.
#[test]
fn a_server_is_told() {
    let probe = |reply| {
        driver()
            .on("GET", "https://git.test/api/v1/version", reply)
            .run(v1::Probe {})
    };
    for (version, product) in [
        ("1.26.0", ""),
        ("1.14.2+dev-1", ""),
        ("11.0.1+gitea-1.22.0", "Forgejo"),
        ("1.21.11+forgejo-1", "Forgejo"),
    ] {
        let run = probe(Reply::json(200, format!(r#"{{"version":"{version}"}}"#)));
        assert_eq!(
            (run.server().version.as_str(), run.server().product.as_str()),
            (version, product)
        );
        assert_eq!(run.requests[0].header("authorization"), None);
    }
    assert_eq!(probe(Reply::json(403, "{}")).server().version, "");
    assert_eq!(
        probe(Reply::bytes(200, "<html>")).failure().code(),
        Code::MalformedResponse
    );
    assert_eq!(probe(Reply::status(404)).failure().code(), Code::NotFound);
}

/// Granted, unknown to an old server, hidden by scope and without a team are four different answers.
#[test]
fn organizations_say_what_is_possible() {
    let orgs = r#"[{"id":3,"name":"acme","username":"acme","full_name":"Acme"},{"id":4,"username":"old"},
        {"id":5,"name":"shut"},{"id":6,"name":"none"}]"#;
    let permissions =
        |name: &str| format!("https://git.test/api/v1/users/octocat/orgs/{name}/permissions");
    let run = driver()
        .on(
            "GET",
            "https://git.test/api/v1/user/orgs?page=1&limit=50",
            Reply::json(200, orgs).header("x-total-count", "4"),
        )
        .on(
            "GET",
            &permissions("acme"),
            Reply::json(200, r#"{"is_owner":true,"is_admin":true,"can_read":true}"#),
        )
        .on("GET", &permissions("old"), Reply::status(404))
        .on("GET", &permissions("shut"), Reply::json(403, NO_SCOPE))
        .on(
            "GET",
            &permissions("none"),
            Reply::json(200, r#"{"can_read":false}"#),
        )
        .one_by_one_in_reverse()
        .run(v1::ListOrganizations { page_size: 100 });
    let found = run.organizations();
    let access: Vec<_> = found
        .iter()
        .map(|one| (one.login.as_str(), one.access()))
        .collect();
    assert_eq!(
        access,
        [
            ("acme", OrganizationAccess::Granted),
            ("old", OrganizationAccess::Granted),
            ("shut", OrganizationAccess::ScopeTooSmall),
            ("none", OrganizationAccess::Unknown),
        ]
    );
    assert_eq!(
        (found[0].role.as_str(), found[3].role.as_str()),
        ("owner", "")
    );
    assert_eq!(found[3].who(), v1::Actor::OrganizationOwner);
    assert_eq!(found[3].action_uri, "https://git.test/org/none/teams");
}

/// The login is asked for when the daemon does not know it, and not when there is nothing to ask about.
#[test]
fn the_login_is_asked_for_when_needed() {
    let nobody = driver().credential(v1::Credential::default());
    let orgs = "https://git.test/api/v1/user/orgs?page=1&limit=50";
    let run = nobody
        .clone()
        .on("GET", orgs, Reply::json(200, "[]"))
        .run(v1::ListOrganizations::default());
    assert!(run.organizations().is_empty());
    let run = nobody
        .on(
            "GET",
            orgs,
            Reply::json(200, r#"[{"id":1,"name":"acme"}]"#).header("x-total-count", "1"),
        )
        .on("GET", USER, Reply::json(200, ALICE))
        .on(
            "GET",
            "https://git.test/api/v1/users/alice/orgs/acme/permissions",
            Reply::json(200, r#"{"can_read":true}"#),
        )
        .run(v1::ListOrganizations::default());
    assert_eq!(run.organizations()[0].access(), OrganizationAccess::Granted);
}
