//! Workspaces

use super::*;
use crate::v1::{Actor, OrganizationAccess as Access};

const LIST: &str = "/user/workspaces?pagelen=100&sort=slug";

fn workspace(slug: &str) -> String {
    format!(
        r#"{{"administrator":true,"workspace":{{"uuid":"{{w-{slug}}}","slug":"{slug}","name":"{slug}!"}}}}"#
    )
}

fn one(reply: Reply) -> testing::Run {
    cloud()
        .on("GET", &api(LIST), page(&workspace("acme"), ""))
        .on("GET", &api("/user/workspaces/acme/permission"), reply)
        .run(v1::ListOrganizations::default())
}

/// Each barrier is told apart, with who can lift it and where; the role is what the workspace says.
#[test]
fn barriers_are_told_apart() {
    let settings = "https://bitbucket.org/acme/workspace/settings";
    for (reply, access, who, page) in [
        (
            Reply::json(200, r#"{"permission":"owner"}"#),
            Access::Granted,
            Actor::Unspecified,
            "",
        ),
        (
            Reply::json(403, r#"{"error":{"message":"no"}}"#),
            Access::RestrictedByPolicy,
            Actor::OrganizationOwner,
            settings,
        ),
        (
            lacking(r#""account""#, ""),
            Access::ScopeTooSmall,
            Actor::User,
            "",
        ),
        (
            Reply::json(404, "{}"),
            Access::NoMembership,
            Actor::OrganizationOwner,
            settings,
        ),
        (
            Reply::bytes(502, "<html>"),
            Access::Unknown,
            Actor::Unspecified,
            "",
        ),
    ] {
        let run = one(reply);
        let found = &run.organizations()[0];
        assert_eq!(
            (found.access(), found.who(), found.action_uri.as_str()),
            (access, who, page)
        );
        assert_eq!(
            (found.stable_id.as_str(), found.login.as_str()),
            ("{w-acme}", "acme")
        );
    }
    assert_eq!(
        one(Reply::json(200, r#"{"permission":"owner"}"#)).organizations()[0].role,
        "owner"
    );
    assert_eq!(
        one(Reply::json(200, "{}")).organizations()[0].role,
        "administrator"
    );
}

/// A refused token and a limit are about all workspaces, and end the list.
#[test]
fn a_limit_is_no_barrier() {
    assert_eq!(one(Reply::status(429)).failure().code(), Code::RateLimited);
    assert_eq!(
        one(Reply::status(401)).failure().code(),
        Code::Unauthenticated
    );
}

/// P1.11: pages follow the `next` of the body.
#[test]
fn trap_1_11_workspaces_follow_next() {
    let next = "/user/workspaces?page=2&pagelen=100";
    let granted = || Reply::json(200, r#"{"permission":"member"}"#);
    let run = cloud()
        .on("GET", &api(LIST), page(&workspace("a"), &api(next)))
        .on("GET", &api(next), page(&workspace("b"), ""))
        .on("GET", &api("/user/workspaces/a/permission"), granted())
        .on("GET", &api("/user/workspaces/b/permission"), granted())
        .run(v1::ListOrganizations::default());
    let slugs: Vec<_> = run
        .organizations()
        .iter()
        .map(|one| one.login.clone())
        .collect();
    assert_eq!(slugs, ["a", "b"]);
}

/// A token that is bound knows one workspace; that of a repository may not even see that, and says so.
#[test]
fn a_bound_token_knows_one_workspace() {
    let list = |place: &str, reply| {
        cloud()
            .credential(handed_over("access_token", place))
            .on("GET", &api("/workspaces/acme"), reply)
            .run(v1::ListOrganizations::default())
    };
    let run = list(
        "acme",
        Reply::json(200, r#"{"uuid":"{w-1}","name":"Acme"}"#),
    );
    assert_eq!(run.organizations()[0].access(), Access::Granted);
    let run = list("acme/api", Reply::json(403, "{}"));
    assert!(run.organizations().is_empty());
    assert!(matches!(
        &run.pages[0],
        v1::output::Kind::Organizations(page) if page.partial && !page.partial_reason.is_empty()
    ));
    let run = list("acme", Reply::json(403, "{}"));
    assert_eq!(run.failure().code(), Code::PermissionDenied);
}
