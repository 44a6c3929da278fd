//! What keeps a link from an organization

use super::*;
use crate::v1::{Actor, OrganizationAccess as Access};

const LIST: &str = "/user/orgs?per_page=100";

/// What the person shows to everybody.
const SHOWN: &str = "/users/octocat/orgs?per_page=100";

fn membership(name: &str) -> String {
    api(&format!("/user/memberships/orgs/{name}"))
}

fn one(reply: Reply) -> v1::Organization {
    let run = driver()
        .on(
            "GET",
            &api(LIST),
            Reply::json(200, r#"[{"id":3,"login":"acme"}]"#),
        )
        .on("GET", &membership("acme"), reply)
        .on("GET", &api(SHOWN), Reply::status(404))
        .run(v1::ListOrganizations::default());
    assert!(run.outcome.is_ok(), "{:?}", run.outcome);
    run.organizations()[0].clone()
}

/// Each barrier is told apart, with who can lift it and where.
#[test]
fn barriers_are_told_apart() {
    let says = |message: &str| Reply::json(403, format!(r#"{{"message":"{message}"}}"#));
    let scope = Reply::json(403, "{}")
        .header("x-oauth-scopes", "repo")
        .header("x-accepted-oauth-scopes", "read:org");
    let settings = "https://github.com/organizations/acme/settings";
    for (reply, access, who, page) in [
        (
            Reply::json(200, r#"{"state":"active","role":"member"}"#),
            Access::Granted,
            Actor::Unspecified,
            String::new(),
        ),
        (
            Reply::json(200, r#"{"state":"pending"}"#),
            Access::NoMembership,
            Actor::User,
            "https://github.com/orgs/acme/invitation".to_owned(),
        ),
        (
            says("`acme` forbids access via a personal access token (classic)."),
            Access::RestrictedByPolicy,
            Actor::OrganizationOwner,
            format!("{settings}/personal-access-tokens"),
        ),
        (
            says("the `acme` organization has an IP allow list enabled"),
            Access::RestrictedByPolicy,
            Actor::OrganizationOwner,
            format!("{settings}/security"),
        ),
        (
            says("Resource not accessible by integration"),
            Access::NotInstalled,
            Actor::OrganizationOwner,
            format!("{settings}/installations"),
        ),
        (scope, Access::ScopeTooSmall, Actor::User, String::new()),
        (
            Reply::bytes(502, "<html>"),
            Access::Unknown,
            Actor::Unspecified,
            String::new(),
        ),
    ] {
        let found = one(reply);
        assert_eq!(
            (found.access(), found.who(), found.action_uri),
            (access, who, page)
        );
    }
}

/// An unapproved application is told as such: the member's page, and the owner's in words.
#[test]
fn trap_2_an_unapproved_application_is_told() {
    let found = one(Reply::json(403, RESTRICTED));
    assert_eq!(found.access(), Access::RestrictedByPolicy);
    assert_eq!(
        found.action_uri,
        "https://github.com/settings/connections/applications/client-1"
    );
    assert!(
        found
            .reason
            .contains("https://github.com/organizations/acme/settings/oauth_application_policy")
    );
    let run = driver()
        .credential(v1::Credential::default())
        .on(
            "GET",
            &api(LIST),
            Reply::json(200, r#"[{"id":3,"login":"acme"}]"#),
        )
        .on("GET", &membership("acme"), Reply::json(403, RESTRICTED))
        .run(v1::ListOrganizations::default());
    assert_eq!(
        run.organizations()[0].action_uri,
        "https://github.com/organizations/acme/settings/oauth_application_policy"
    );
}

/// A due single sign-on is told in both of its forms.
#[test]
fn trap_2_a_due_sign_on_is_told() {
    for status in [403, 404] {
        let url = "https://github.com/orgs/acme/sso?authorization_request=x";
        let found =
            one(Reply::json(status, "{}").header("x-github-sso", &format!("required; url={url}")));
        assert_eq!(
            (found.access(), found.action_uri.as_str()),
            (Access::SsoRequired, url)
        );
    }
    let elsewhere = "required; url=https://evil.test/sign-on";
    let found = one(Reply::json(403, "{}").header("x-github-sso", elsewhere));
    assert_eq!(
        (found.access(), found.action_uri.as_str()),
        (Access::SsoRequired, "")
    );
    let list = Reply::json(200, r#"[{"id":3,"login":"acme"},{"id":4,"login":"open"}]"#)
        .header("x-github-sso", "partial-results; organizations=3,99");
    let run = driver()
        .on("GET", &api(LIST), list)
        .on(
            "GET",
            &membership("open"),
            Reply::json(200, r#"{"state":"active"}"#),
        )
        .on("GET", &api(SHOWN), Reply::status(404))
        .run(v1::ListOrganizations::default());
    let access: Vec<_> = run.organizations().iter().map(|one| one.access()).collect();
    assert_eq!(access, [Access::SsoRequired, Access::Granted]);
    let v1::output::Kind::Organizations(page) = &run.pages[0] else {
        panic!("{:?}", run.pages);
    };
    assert!(page.partial);
}

/// Where a membership is hidden the organization itself is asked for.
#[test]
fn a_hidden_membership_is_asked_for_otherwise() {
    for (reply, access) in [
        (Reply::json(200, "{}"), Access::Granted),
        (Reply::json(403, RESTRICTED), Access::RestrictedByPolicy),
        (Reply::status(404), Access::Unknown),
    ] {
        let run = driver()
            .on(
                "GET",
                &api(LIST),
                Reply::json(200, r#"[{"id":3,"login":"acme"}]"#),
            )
            .on("GET", &membership("acme"), Reply::status(404))
            .on("GET", &api("/orgs/acme"), reply)
            .on("GET", &api(SHOWN), Reply::status(404))
            .run(v1::ListOrganizations::default());
        assert_eq!(run.organizations()[0].access(), access);
    }
}

/// Many organizations on several pages keep their order, whatever the order of the answers.
#[test]
fn organizations_keep_their_order() {
    let page = |from: u32| {
        let items: Vec<_> = (from..from + 7)
            .map(|n| format!(r#"{{"id":{n},"login":"o{n}"}}"#))
            .collect();
        Reply::json(200, format!("[{}]", items.join(",")))
    };
    let next = format!("<{}>; rel=\"next\"", api("/user/orgs?per_page=100&page=2"));
    let script = driver()
        .on("GET", &api(LIST), page(0).header("link", &next))
        .on("GET", &api("/user/orgs?per_page=100&page=2"), page(7));
    let script = (0..14).fold(script, |script, n| {
        script.on(
            "GET",
            &membership(&format!("o{n}")),
            Reply::json(200, r#"{"state":"active"}"#),
        )
    });
    let run = script
        .one_by_one_in_reverse()
        .on("GET", &api(SHOWN), Reply::status(404))
        .run(v1::ListOrganizations::default());
    let names: Vec<_> = run
        .organizations()
        .iter()
        .map(|one| one.login.clone())
        .collect();
    assert_eq!(names, (0..14).map(|n| format!("o{n}")).collect::<Vec<_>>());
}

/// A refused token and a used-up limit end the operation: they are about no single organization.
#[test]
fn what_is_not_about_one_organization_ends_it() {
    for (reply, code) in [
        (Reply::json(401, "{}"), Code::Unauthenticated),
        (
            Reply::json(403, "{}").header("retry-after", "9"),
            Code::RateLimited,
        ),
    ] {
        let run = driver()
            .on(
                "GET",
                &api(LIST),
                Reply::json(200, r#"[{"id":3,"login":"acme"}]"#),
            )
            .on("GET", &membership("acme"), reply)
            .run(v1::ListOrganizations::default());
        assert_eq!(run.failure().code(), code);
    }
}

/// An organization that keeps the application out is missing in the list; a membership that everybody sees tells of it.
#[test]
fn trap_2_restricted_organizations_are_found_where_they_are_public() {
    let shown = Reply::json(
        200,
        r#"[{"id":3,"login":"acme"},{"id":4,"login":"closed"}]"#,
    );
    let run = driver()
        .on(
            "GET",
            &api(LIST),
            Reply::json(200, r#"[{"id":3,"login":"acme"}]"#),
        )
        .on(
            "GET",
            &membership("acme"),
            Reply::json(200, r#"{"state":"active","role":"admin"}"#),
        )
        .on("GET", &api(SHOWN), shown)
        .on("GET", &membership("closed"), Reply::json(403, RESTRICTED))
        .run(v1::ListOrganizations::default());
    let found: Vec<_> = run
        .organizations()
        .iter()
        .map(|one| (one.login.clone(), one.access(), one.role.clone()))
        .collect();
    assert_eq!(
        found,
        [
            ("acme".to_owned(), Access::Granted, "admin".to_owned()),
            (
                "closed".to_owned(),
                Access::RestrictedByPolicy,
                String::new()
            ),
        ]
    );
}

/// A token that a person made is not held up by restrictions on applications, so nothing more is asked for it.
#[test]
fn trap_2_personal_tokens_are_not_restricted() {
    let run = driver()
        .credential(v1::Credential {
            auth_kind: v1::AuthKind::AccessToken.into(),
            token_kind: "personal_access_token".to_owned(),
            login: "octocat".to_owned(),
            ..v1::Credential::default()
        })
        .on("GET", &api(LIST), Reply::json(200, "[]"))
        .run(v1::ListOrganizations::default());
    assert!(run.outcome.is_ok() && run.organizations().is_empty());
}
