//! Organizations and repositories, as an app sees them

use super::*;
use crate::v1::{Actor, OrganizationAccess as Access};

const MINE: &str = "/user/installations?per_page=100";

fn list(installations: &[String]) -> Reply {
    let all = installations.join(",");
    Reply::json(
        200,
        format!(r#"{{"total_count":9,"installations":[{all}]}}"#),
    )
}

fn suspended(id: u32, account: &str) -> String {
    installation(id, account, "").replace("null", r#""2026-01-01T00:00:00Z""#)
}

fn repositories(name: &str) -> Reply {
    let one = format!(
        r#"{{"id":1,"name":"{name}","full_name":"acme/{name}","clone_url":"https://github.com/acme/{name}.git","html_url":"https://github.com/acme/{name}","description":null}}"#
    );
    Reply::json(
        200,
        format!(r#"{{"total_count":1,"repositories":[{one}]}}"#),
    )
}

fn organization(id: u32, login: &str) -> String {
    format!(r#"{{"id":{id},"login":"{login}","type":"Organization"}}"#)
}

/// Where the app is installed it is let in, elsewhere not, with the page where it is installed; an organization that the
/// person's own list leaves out is told as well.
#[test]
fn organizations_are_where_the_app_is() {
    let elsewhere = organization(9, "hidden");
    let run = app_user()
        .on(
            "GET",
            &api(MINE),
            list(&[
                installation(12, ACME, ""),
                suspended(13, &organization(4, "asleep")),
                installation(14, &elsewhere, ""),
                installation(15, OCTOCAT, ""),
            ]),
        )
        .on(
            "GET",
            &api("/user/orgs?per_page=100"),
            Reply::json(
                200,
                r#"[{"id":3,"login":"acme"},{"id":4,"login":"asleep"},{"id":5,"login":"bare"}]"#,
            ),
        )
        .run(v1::ListOrganizations::default());
    let found: Vec<_> = run
        .organizations()
        .iter()
        .map(|one| (one.login.clone(), one.access(), one.who()))
        .collect();
    let owner = Actor::OrganizationOwner;
    let nobody = Actor::Unspecified;
    assert_eq!(
        found,
        [
            ("acme".to_owned(), Access::Granted, nobody),
            ("asleep".to_owned(), Access::RestrictedByPolicy, owner),
            ("bare".to_owned(), Access::NotInstalled, owner),
            ("hidden".to_owned(), Access::Granted, nobody),
        ]
    );
    assert_eq!(
        run.organizations()[2].action_uri,
        "https://github.com/apps/bindery/installations/new"
    );
}

/// Where the owners were asked and have not decided, waiting is told, and by whom it was asked; only the app is told of it.
/// Where the app can't be asked, the organization is one without the app.
#[test]
fn what_owners_were_asked_for_is_pending() {
    let requests = api("/app/installation-requests?per_page=100");
    let second = api("/app/installation-requests?per_page=100&page=2");
    let asked = |id: u32, kind: &str| {
        format!(
            r#"[{{"account":{{"id":{id},"type":"{kind}"}},"requester":{{"login":"octocat"}}}}]"#
        )
    };
    let first =
        Reply::json(200, asked(4, "User")).header("link", &format!(r#"<{second}>; rel="next""#));
    let run = |replies: Vec<(&str, Reply)>| {
        let mut driver = app_user().credential(v1::Credential {
            auth_kind: v1::AuthKind::OauthCode.into(),
            token_kind: "app_user".to_owned(),
            app_id: "77".to_owned(),
            ..v1::Credential::default()
        });
        let signed = Reply::result(effect_result::Kind::Signed(true));
        driver = driver.on("SIGN_JWT", "app_private_key", signed);
        for (url, reply) in replies {
            driver = driver.on("GET", url, reply);
        }
        let orgs = r#"[{"id":4,"login":"other"},{"id":5,"login":"bare"}]"#;
        let run = driver
            .on("GET", &api(MINE), list(&[]))
            .on(
                "GET",
                &api("/user/orgs?per_page=100"),
                Reply::json(200, orgs),
            )
            .run(v1::ListOrganizations::default());
        let told = run.organizations().into_iter();
        told.map(|one| (one.access(), one.who(), one.reason.clone()))
            .collect::<Vec<_>>()
    };
    let owner = Actor::OrganizationOwner;
    let bare = "the app is not installed in the organization";
    let told = run(vec![
        (&requests, first),
        (&second, Reply::json(200, asked(5, "Organization"))),
    ]);
    assert_eq!(told[0], (Access::NotInstalled, owner, bare.to_owned()));
    let pending = "octocat asked for the app, and no owner has decided yet";
    assert_eq!(told[1], (Access::RequestPending, owner, pending.to_owned()));
    let limited = Reply::status(429).header("retry-after", "60");
    let ended = app_user()
        .credential(v1::Credential {
            auth_kind: v1::AuthKind::OauthCode.into(),
            token_kind: "app_user".to_owned(),
            app_id: "77".to_owned(),
            ..v1::Credential::default()
        })
        .on(
            "SIGN_JWT",
            "app_private_key",
            Reply::result(effect_result::Kind::Signed(true)),
        )
        .on("GET", &api(MINE), list(&[]))
        .on("GET", &requests, limited)
        .run(v1::ListOrganizations::default());
    assert_eq!(ended.failure().code(), Code::RateLimited);
    let unknown = Reply::json(404, r#"{"message":"Not Found"}"#);
    let told = run(vec![(&requests, unknown)]);
    assert_eq!(told[1], (Access::NotInstalled, owner, bare.to_owned()));
}

/// Enterprise Server has the page of an app elsewhere.
#[test]
fn the_install_page_is_the_editions() {
    let page = |driver: Driver<GitHub>, base: &str| {
        let mine = list(&[installation(12, ACME, "")]);
        let run = driver
            .on("GET", &format!("{base}{MINE}"), mine)
            .on(
                "GET",
                &format!("{base}/user/orgs?per_page=100"),
                Reply::json(200, r#"[{"id":5,"login":"bare"}]"#),
            )
            .run(v1::ListOrganizations::default());
        run.organizations()[0].action_uri.clone()
    };
    let server = app_user()
        .host("https://ghes.test", "https://ghes.test/api/v3")
        .edition("");
    assert_eq!(
        page(server, "https://ghes.test/api/v3"),
        "https://ghes.test/github-apps/bindery/installations/new"
    );
    let tenant = app_user().host("https://acme.ghe.com", "https://api.acme.ghe.com");
    assert_eq!(
        page(tenant, "https://api.acme.ghe.com"),
        "https://acme.ghe.com/apps/bindery/installations/new"
    );
}

/// An installation has one account, which is an organization or none.
#[test]
fn an_installation_has_one_organization() {
    for (account, logins) in [(ACME, vec!["acme"]), (OCTOCAT, vec![])] {
        let run = app()
            .on(
                "GET",
                &api("/app/installations/12"),
                Reply::json(200, installation(12, account, "")),
            )
            .run(v1::ListOrganizations::default());
        let found: Vec<_> = run.organizations().iter().map(|one| &one.login).collect();
        assert_eq!(found, logins);
    }
}

/// An installation lists what it is installed for, of its own account only.
#[test]
fn an_installation_lists_its_repositories() {
    let first = api("/installation/repositories?per_page=100");
    let run = driver()
        .credential(installed())
        .on("GET", &first, repositories("app"))
        .run(v1::ListRepositories::default());
    assert_eq!(run.repositories()[0].full_name, "acme/app");
    let other = v1::ListRepositories {
        owner: "stranger".to_owned(),
        ..v1::ListRepositories::default()
    };
    let run = driver().credential(installed()).run(other);
    assert_eq!(run.failure().code(), Code::NotInstalled);
}

/// A person's repositories come from one installation after the other, and a cursor knows where it was.
#[test]
fn repositories_come_from_each_installation() {
    let mine = || {
        list(&[
            installation(12, ACME, ""),
            suspended(13, &organization(4, "asleep")),
            installation(14, OCTOCAT, ""),
        ])
    };
    let of = |id: u32| {
        api(&format!(
            "/user/installations/{id}/repositories?per_page=100"
        ))
    };
    let run = app_user()
        .on("GET", &api(MINE), mine())
        .on("GET", &of(12), repositories("app"))
        .on("GET", &of(14), repositories("lib"))
        .run(v1::ListRepositories::default());
    assert_eq!(run.repositories().len(), 2);
    let one_page = |cursor: &str| v1::ListRepositories {
        max_pages: 1,
        cursor: cursor.to_owned(),
        ..v1::ListRepositories::default()
    };
    let run = app_user()
        .on("GET", &api(MINE), mine())
        .on("GET", &of(12), repositories("app"))
        .run(one_page(""));
    let cursor = "/user/installations/14/repositories?per_page=100";
    assert_eq!(run.repository_pages()[0].next_cursor, cursor);
    let run = app_user()
        .on("GET", &api(MINE), mine())
        .on("GET", &of(14), repositories("lib"))
        .run(one_page(cursor));
    assert_eq!(run.repository_pages()[0].next_cursor, "");
}

/// One owner's repositories are where the app is installed on that owner, or the way there is told.
#[test]
fn an_owner_without_the_app_is_told() {
    let ask = |installations: &[String]| {
        app_user()
            .on("GET", &api(MINE), list(installations))
            .run(v1::ListRepositories {
                owner: "acme".to_owned(),
                ..v1::ListRepositories::default()
            })
    };
    assert_eq!(ask(&[]).failure().code(), Code::NotInstalled);
    let run = ask(&[suspended(12, ACME)]);
    assert_eq!(run.failure().code(), Code::Suspended);
}
