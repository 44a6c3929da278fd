//! Organizations and enterprises

use v1::OrganizationAccess;

use super::*;

const MEMBERSHIPS: &str = "/user/memberships/orgs?page=1&per_page=100";
const ORGANIZATIONS: &str = "/user/orgs?admin=false&page=1&per_page=100";
const ENTERPRISES: &str = "/user/enterprises?admin=false&page=1&per_page=100";

fn list(memberships: Reply, organizations: Reply, enterprises: Reply) -> testing::Run {
    driver()
        .on("GET", &url(MEMBERSHIPS), memberships)
        .on("GET", &url(ORGANIZATIONS), organizations)
        .on("GET", &url(ENTERPRISES), enterprises)
        .run(v1::ListOrganizations::default())
}

fn pages(run: &testing::Run) -> Vec<&v1::OrganizationPage> {
    let pages = run.pages.iter().filter_map(|page| match page {
        v1::output::Kind::Organizations(page) => Some(page),
        _ => None,
    });
    pages.collect()
}

/// Roles are in the provider's words, and an invitation that was not accepted is no membership.
#[test]
fn an_organization_has_its_role() {
    let memberships = r#"[{"active":true,"role":"admin","organization":{"id":3,"login":"acme"}},
        {"active":false,"role":"member","organization":{"id":"4","login":"guest"}}]"#;
    let organizations = r#"[{"id":3,"login":"acme","name":"极致"},{"id":4,"login":"guest","name":null},
        {"id":5,"login":"quiet"}]"#;
    let run = list(
        counted(memberships, 1),
        counted(organizations, 1),
        counted("[]", 1),
    );
    let found = run.organizations();
    let facts: Vec<_> = found
        .iter()
        .map(|one| (one.login.as_str(), one.role.as_str(), one.access()))
        .collect();
    assert_eq!(
        facts,
        [
            ("acme", "admin", OrganizationAccess::Granted),
            ("guest", "member", OrganizationAccess::NoMembership),
            ("quiet", "", OrganizationAccess::Granted),
        ]
    );
    assert_eq!(found[0].display_name, "极致");
    assert_eq!(found[1].who(), v1::Actor::User);
}

/// An enterprise and an organization of one number are two, and enterprises are not only those that one manages.
#[test]
fn an_enterprise_is_numbered_apart() {
    let enterprises = r#"[{"id":3,"path":"acme-corp","name":"极致科技"}]"#;
    let organizations = r#"[{"id":3,"login":"acme"}]"#;
    let run = list(
        counted("[]", 1),
        counted(organizations, 1),
        counted(enterprises, 1),
    );
    let ids: Vec<_> = run
        .organizations()
        .iter()
        .map(|one| (one.stable_id.clone(), one.login.clone()))
        .collect();
    assert_eq!(
        ids,
        [
            ("3".to_owned(), "acme".to_owned()),
            ("enterprise:3".to_owned(), "acme-corp".to_owned()),
        ]
    );
}

/// Without the scope for enterprises the list says that it is partial; a server without them is complete.
#[test]
fn a_list_without_enterprises_says_so() {
    let scope = refusal(401, "401 Unauthorized: no 'enterprises' scope");
    let run = list(counted("[]", 1), counted("[]", 1), scope);
    let last = pages(&run).pop().unwrap();
    assert!(last.partial && last.partial_reason.contains("enterprises"));
    let run = list(
        counted("[]", 1),
        counted("[]", 1),
        refusal(404, "404 Not Found"),
    );
    assert!(run.outcome.is_ok());
    assert!(pages(&run).iter().all(|page| !page.partial));
}

/// A missing scope for organizations is named, and a server that knows no memberships has organizations all the same.
#[test]
fn organizations_need_their_scope_and_no_roles() {
    let run = driver()
        .on(
            "GET",
            &url(MEMBERSHIPS),
            refusal(401, "401 Unauthorized: no 'groups' scope"),
        )
        .run(v1::ListOrganizations::default());
    assert_eq!(run.failure().missing_scopes, ["groups"]);
    let organizations = counted(r#"[{"id":3,"login":"acme"}]"#, 1);
    let run = list(
        refusal(404, "404 Not Found"),
        organizations,
        counted("[]", 1),
    );
    assert_eq!(run.organizations()[0].role, "");
}

/// A refused token in the middle is a failure, and not a shorter list.
#[test]
fn a_refusal_in_the_middle_is_a_failure() {
    let expired = || refusal(401, "401 Unauthorized: Access token is expired");
    let run = list(counted("[]", 1), counted("[]", 1), expired());
    assert_eq!(run.failure().code(), Code::Unauthenticated);
}

/// All pages of all three lists are read.
#[test]
fn organizations_have_pages() {
    let page = |list: &str, n: u32| url(&list.replace("page=1&", &format!("page={n}&")));
    let member = |id: u32| {
        format!(
            r#"[{{"active":true,"role":"r{id}","organization":{{"id":{id},"login":"o{id}"}}}}]"#
        )
    };
    let organization = |id: u32| format!(r#"[{{"id":{id},"login":"o{id}"}}]"#);
    let enterprise = |id: u32| format!(r#"[{{"id":{id},"path":"e{id}"}}]"#);
    let run = [1, 2]
        .into_iter()
        .fold(driver(), |driver, n| {
            driver
                .on("GET", &page(MEMBERSHIPS, n), counted(member(n), 2))
                .on("GET", &page(ORGANIZATIONS, n), counted(organization(n), 2))
                .on("GET", &page(ENTERPRISES, n), counted(enterprise(n), 2))
        })
        .run(v1::ListOrganizations::default());
    let found: Vec<_> = run
        .organizations()
        .iter()
        .map(|one| format!("{}{}", one.login, one.role))
        .collect();
    assert_eq!(found, ["o1r1", "o2r2", "e1", "e2"]);
}
