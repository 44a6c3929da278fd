//! Asking as the app, and what an installation tells

use super::*;

const INSTALLATION: &str = "/app/installations/12";

fn as_person() -> v1::GetInstallation {
    v1::GetInstallation {
        as_person: true,
        ..get()
    }
}

const MEMBERSHIP: &str = "/user/memberships/orgs/acme";

fn membership(role: &str) -> Reply {
    Reply::json(200, format!(r#"{{"state":"active","role":"{role}"}}"#))
}

fn get() -> v1::GetInstallation {
    v1::GetInstallation {
        installation_id: "12".to_owned(),
        as_person: false,
    }
}

/// An installation tells its account, its permissions and its page, and is asked for with the JWT.
#[test]
fn an_installation_is_told() {
    let found = Reply::json(200, installation(12, ACME, ""));
    let run = app().on("GET", &api(INSTALLATION), found).run(get());
    let told = run.installation();
    let account = told.account.as_ref().expect("an account");
    assert_eq!(
        (account.stable_id.as_str(), account.login.as_str()),
        ("3", "acme")
    );
    assert_eq!(account.kind(), v1::AccountKind::Organization);
    assert_eq!(told.scopes, ["contents:read", "metadata:read"]);
    assert!(!told.suspended && !told.all_repositories);
    assert_eq!(
        told.web_uri,
        "https://github.com/organizations/acme/settings/installations/12"
    );
    assert_eq!(
        run.requests[0].header("authorization"),
        Some("Bearer <secret:app_jwt>")
    );
}

/// A suspended installation is told as one, and a page of another host is not passed on.
#[test]
fn a_suspended_installation_is_told() {
    let found = installation(12, ACME, "")
        .replace("null", r#""2026-01-01T00:00:00Z""#)
        .replace("https://github.com/organizations", "https://evil.example");
    let found = Reply::json(200, found);
    let run = app()
        .on("GET", &api(INSTALLATION), found.clone())
        .run(get());
    assert!(run.installation().suspended);
    assert_eq!(run.installation().web_uri, "");
    let run = app()
        .on("GET", &api(INSTALLATION), found)
        .run(v1::Identify {});
    assert_eq!(run.failure().code(), Code::Suspended);
}

/// An app that is gone is told from an installation that is: only one of them is mended by installing it.
#[test]
fn a_gone_app_is_told_from_a_gone_installation() {
    let gone = || app().on("GET", &api(INSTALLATION), Reply::status(404));
    let run = gone()
        .on("GET", &api("/app"), Reply::json(200, APP))
        .run(get());
    assert_eq!(run.failure().code(), Code::NotInstalled);
    assert_eq!(
        run.failure().action_uri,
        "https://github.com/apps/bindery/installations/new"
    );
    let run = gone()
        .on("GET", &api("/app"), Reply::status(404))
        .run(get());
    assert_eq!(run.failure().code(), Code::ClientRefused);
    let refused = app().on("GET", &api(INSTALLATION), Reply::status(401));
    assert_eq!(refused.run(get()).failure().code(), Code::ClientRefused);
}

/// Without an app nothing is signed.
#[test]
fn no_app_no_jwt() {
    let credential = v1::Credential {
        app_id: String::new(),
        ..installed()
    };
    let run = driver().credential(credential).run(get());
    assert_eq!(run.failure().code(), Code::Unsupported);
}

/// A link by the app is the account that it is installed on, and its permissions stand for scopes.
#[test]
fn a_link_by_the_app_is_its_account() {
    let found = || Reply::json(200, installation(12, ACME, ""));
    let run = app()
        .on("GET", &api(INSTALLATION), found())
        .run(v1::Identify {});
    assert_eq!(run.identity().login, "acme");
    let run = app()
        .on("GET", &api(INSTALLATION), found())
        .run(v1::InspectToken {});
    assert!(run.token_facts().active && run.token_facts().scopes_known);
    assert_eq!(run.token_facts().scopes, ["contents:read", "metadata:read"]);
}

/// The permissions of an app are enough for what they are enough for, as scopes of classic tokens are.
#[test]
fn permissions_of_apps_count() {
    let description = testing::description::<GitHub>();
    for (permission, enough, too_little) in [
        (v1::Permission::ReadCode, "contents:read", "metadata:read"),
        (v1::Permission::WriteCode, "contents:write", "contents:read"),
        (
            v1::Permission::Webhooks,
            "repository_hooks:write",
            "repository_hooks:read",
        ),
        (
            v1::Permission::Organizations,
            "members:read",
            "metadata:read",
        ),
    ] {
        let mut rows = description.permissions.iter();
        let row = rows
            .find(|row| row.permission() == permission)
            .expect("a row");
        let covers = |scope: &str| row.covered_by.iter().any(|known| known == scope);
        assert!(covers(enough) && !covers(too_little), "{permission:?}");
    }
}

/// An installation id comes with a redirect that anybody can make up: only the person's own list makes it theirs.
#[test]
fn an_installation_of_others_is_refused() {
    let first = api("/user/installations?per_page=100");
    let second = api("/user/installations?per_page=100&page=2");
    let list = |id: u32| {
        let one = installation(id, ACME, "");
        Reply::json(
            200,
            format!(r#"{{"total_count":2,"installations":[{one}]}}"#),
        )
    };
    let linked = list(11).header("link", &format!(r#"<{second}>; rel="next""#));
    let asked = |last: u32| {
        app_user()
            .on("GET", &first, linked.clone())
            .on("GET", &second, list(last))
    };
    let found = asked(12)
        .on("GET", &api(MEMBERSHIP), membership("admin"))
        .run(as_person());
    assert_eq!(found.installation().installation_id, "12");
    let refused = asked(13).run(as_person());
    assert_eq!(refused.failure().code(), Code::PermissionDenied);
}

/// The person's list holds installations that they can only read one repository of: none but the account itself, and
/// owners of the organization, may link it. Where that is not told, nobody may.
#[test]
fn an_installation_is_for_owners_alone() {
    let listed = |account: &str| {
        let one = installation(12, account, "");
        let list = format!(r#"{{"total_count":1,"installations":[{one}]}}"#);
        let list = Reply::json(200, list);
        app_user().on("GET", &api("/user/installations?per_page=100"), list)
    };
    let of_acme = |reply: Reply| listed(ACME).on("GET", &api(MEMBERSHIP), reply);
    let of_person = |id: u32| {
        let account = ACME.replace(r#""id":3"#, &format!(r#""id":{id}"#));
        let account = account.replace("Organization", "User");
        listed(&account).on("GET", &api("/user"), Reply::json(200, OCTOCAT))
    };
    for theirs in [of_person(1), of_acme(membership("admin"))] {
        assert!(theirs.run(as_person()).outcome.is_ok());
    }
    for of_others in [
        of_person(2),
        of_acme(membership("member")),
        of_acme(Reply::json(200, r#"{"state":"pending","role":"admin"}"#)),
        of_acme(Reply::status(404)),
        of_acme(Reply::status(403)),
        listed(&ACME.replace("Organization", "Enterprise")),
    ] {
        let refused = of_others.run(as_person());
        assert_eq!(refused.failure().code(), Code::PermissionDenied);
    }
}

/// Probing a host with an app tells the app's name, or that its key does not fit.
#[test]
fn a_probe_tells_the_app() {
    let probe = |reply: Reply| {
        app()
            .on("GET", &api("/meta"), Reply::json(200, "{}"))
            .on("GET", &api("/app"), reply)
            .run(v1::Probe {})
    };
    assert_eq!(probe(Reply::json(200, APP)).server().app_slug, "bindery");
    assert_eq!(
        probe(Reply::status(401)).failure().code(),
        Code::ClientRefused
    );
}

/// Unlinking takes the app off the account; gone already is as good, but not an app that GitHub does not know.
#[test]
fn the_app_is_uninstalled() {
    let whole = |driver: Driver<GitHub>| driver.run(v1::Revoke { whole_grant: true });
    let answered = |status| app().on("DELETE", &api(INSTALLATION), Reply::status(status));
    let outcome = |run: &testing::Run| run.revocation().outcome();
    assert_eq!(outcome(&whole(answered(204))), v1::RevocationOutcome::Done);
    let gone = whole(answered(404).on("GET", &api("/app"), Reply::json(200, APP)));
    assert_eq!(outcome(&gone), v1::RevocationOutcome::AlreadyAbsent);
    let refused = whole(answered(404).on("GET", &api("/app"), Reply::status(401)));
    assert_eq!(refused.failure().code(), Code::ClientRefused);
}
