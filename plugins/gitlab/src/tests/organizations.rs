//! Groups, roles, and what keeps the link from each

use super::*;
use crate::v1::OrganizationAccess as Access;

const LEVELS: [&str; 6] = [
    "min_access_level=50",
    "min_access_level=40",
    "min_access_level=30",
    "min_access_level=20",
    "min_access_level=10",
    "all_available=false",
];

fn list(level: &str) -> String {
    api(&format!(
        "/groups?{level}&order_by=id&sort=asc&per_page=100"
    ))
}

fn details(id: u64) -> String {
    api(&format!("/groups/{id}?with_projects=false"))
}

fn group(id: u64, path: &str) -> String {
    format!(r#"{{"id":{id},"name":"{path}","full_path":"{path}"}}"#)
}

fn groups(all: &[(u64, &str)]) -> Reply {
    let all: Vec<_> = all.iter().map(|(id, path)| group(*id, path)).collect();
    Reply::json(200, format!("[{}]", all.join(",")))
}

/// Lists in which each group is from its own role on downwards, as GitLab gives them.
fn by_role(found: &[(u64, &str, usize)]) -> Driver<GitLab> {
    let mut driver = driver();
    for (at, level) in LEVELS.iter().enumerate() {
        let within = found.iter().filter(|(_, _, role)| *role <= at);
        let within: Vec<_> = within.map(|(id, path, _)| (*id, *path)).collect();
        driver = driver.on("GET", &list(level), groups(&within));
    }
    driver
}

fn all() -> v1::ListOrganizations {
    v1::ListOrganizations::default()
}

/// FIELD 3.1: no group is left out because its role is too small. It is shown once, with the role, the reason, and who can
/// change it.
#[test]
fn a_group_with_too_small_a_role_is_shown_with_the_reason() {
    let mut driver = by_role(&[
        (1, "own", 0),
        (2, "kept", 1),
        (3, "made", 2),
        (4, "read", 3),
        (5, "seen", 4),
        (6, "passed/by", 5),
    ]);
    for id in 1..=6 {
        driver = driver.on("GET", &details(id), Reply::json(200, group(id, "x")));
    }
    let run = driver.run(all());
    let found = run.organizations();
    let told: Vec<_> = found
        .iter()
        .map(|one| {
            (
                one.login.as_str(),
                one.role.as_str(),
                one.access(),
                one.reason.is_empty(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("own", "owner", Access::Granted, true),
            ("kept", "maintainer", Access::Granted, true),
            ("made", "developer", Access::Granted, false),
            ("read", "reporter", Access::Granted, false),
            ("seen", "guest", Access::Unknown, false),
            ("passed/by", "", Access::NoMembership, false),
        ]
    );
    assert_eq!(found[5].who(), v1::Actor::OrganizationOwner);
    assert_eq!(
        found[5].action_uri,
        format!("{WEB}/groups/passed/by/-/group_members")
    );
}

/// A restriction is made for a whole tree, so one group of it is asked for, however many there are.
#[test]
fn a_tree_is_asked_about_once() {
    let run = by_role(&[(1, "acme/web/one", 1), (2, "acme/web", 1), (3, "acme", 3)])
        .on("GET", &details(1), Reply::status(404))
        .run(all());
    for one in run.organizations() {
        assert_eq!(one.access(), Access::RestrictedByPolicy, "{}", one.login);
        assert_eq!(one.who(), v1::Actor::OrganizationOwner);
        assert_eq!(one.action_uri, format!("{WEB}/groups/acme/-/edit"));
    }
    assert_eq!(run.organizations().len(), 3);
}

/// What keeps the link from one tree does not hide the others, and each reason is told apart.
#[test]
fn one_closed_group_hides_no_other() {
    let sso = format!(
        r#"{{"message":"Cannot find valid SSO session. Please login via your group's SSO at {WEB}/groups/sso/-/saml/sso?token=x"}}"#
    );
    let scope = r#"{"error":"insufficient_scope","scope":"api read_api"}"#;
    let run = by_role(&[
        (1, "sso", 0),
        (2, "scope", 0),
        (3, "odd", 0),
        (4, "fine", 0),
    ])
    .on("GET", &details(1), Reply::json(403, sso))
    .on("GET", &details(2), Reply::json(403, scope))
    .on("GET", &details(3), Reply::status(500))
    .on("GET", &details(4), Reply::json(200, group(4, "fine")))
    .one_by_one_in_reverse()
    .run(all());
    let found = run.organizations();
    let access: Vec<_> = found.iter().map(|one| one.access()).collect();
    assert_eq!(
        access,
        [
            Access::SsoRequired,
            Access::ScopeTooSmall,
            Access::Unknown,
            Access::Granted
        ]
    );
    assert_eq!(found[0].action_uri, format!("{WEB}/groups/sso/-/saml/sso"));
    assert!(found[1].reason.contains("read_api"));
}

/// A refused token, a limit or a blocked account in the middle ends the whole, and is never a group's own reason.
#[test]
fn what_is_about_the_token_ends_the_whole() {
    let blocked = r#"{"message":"403 Forbidden - Your account has been blocked."}"#;
    for (reply, code) in [
        (Reply::json(401, REFUSED), Code::Unauthenticated),
        (
            Reply::status(429).header("retry-after", "9"),
            Code::RateLimited,
        ),
        (Reply::json(403, blocked), Code::Suspended),
        (Reply::bytes(200, "<html>"), Code::MalformedResponse),
        (Reply::transport_error(), Code::Transport),
    ] {
        let run = driver()
            .on("GET", &list(LEVELS[0]), groups(&[(1, "acme")]))
            .on("GET", &details(1), reply)
            .run(all());
        assert_eq!(run.failure().code(), code);
    }
}

/// Pages of each list are followed to their end by the link's parameter alone, and a page that tells nothing new is not
/// handed over.
#[test]
fn pages_are_followed_and_repeat_nothing() {
    let elsewhere = r#"<https://internal:8080/api/v4/groups?page=2&per_page=100>; rel="next""#;
    let mut driver = driver()
        .on(
            "GET",
            &list(LEVELS[0]),
            groups(&[(1, "a")]).header("link", elsewhere),
        )
        .on(
            "GET",
            &format!("{}&page=2", list(LEVELS[0])),
            groups(&[(2, "b")]),
        )
        .on("GET", &details(1), Reply::json(200, group(1, "a")))
        .on("GET", &details(2), Reply::json(200, group(2, "b")));
    for level in &LEVELS[1..] {
        driver = driver.on("GET", &list(level), groups(&[(1, "a"), (2, "b")]));
    }
    let run = driver.run(all());
    assert_eq!(run.pages.len(), 2);
    assert_eq!(run.organizations().len(), 2);
}

/// A token without the scope for groups is told so by name, and not by an empty list.
#[test]
fn a_scope_too_small_for_groups_is_named() {
    let scope = r#"{"error":"insufficient_scope","scope":"api read_api"}"#;
    let run = driver()
        .on("GET", &list(LEVELS[0]), Reply::json(403, scope))
        .run(all());
    assert_eq!(run.failure().missing_scopes, ["read_api"]);
}
