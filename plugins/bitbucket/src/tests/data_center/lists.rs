//! Projects and repositories

use super::*;
use crate::v1::OrganizationAccess as Access;

fn projects(permission: &str) -> String {
    api(&format!(
        "/projects?permission={permission}&start=0&limit=1000"
    ))
}

fn project(id: u32, key: &str, kind: &str) -> String {
    format!(r#"{{"id":{id},"key":"{key}","name":"{key}!","type":"{kind}","public":false}}"#)
}

/// P5: projects are the organizations; the role is the highest permission, a person's own project is none, and one that
/// is only partly open says so.
#[test]
fn trap_5_projects_have_permissions() {
    let all = [project(1, "ONE", "NORMAL"), project(2, "TWO", "NORMAL")].join(",");
    let more = [
        project(3, "~jane", "PERSONAL"),
        project(4, "FOUR", "NORMAL"),
    ]
    .join(",");
    let run = data_center()
        .on(
            "GET",
            &projects("PROJECT_ADMIN"),
            page(&project(1, "ONE", "NORMAL"), None),
        )
        .on(
            "GET",
            &projects("PROJECT_WRITE"),
            page(&project(1, "ONE", "NORMAL"), None),
        )
        .on("GET", &projects("PROJECT_READ"), page(&all, None))
        .on(
            "GET",
            &api("/projects?start=0&limit=100"),
            page(&all, Some(2)),
        )
        .on(
            "GET",
            &api("/projects?start=2&limit=100"),
            page(&more, None),
        )
        .run(v1::ListOrganizations::default());
    let found: Vec<_> = run
        .organizations()
        .iter()
        .map(|one| (one.login.clone(), one.role.clone(), one.access()))
        .collect();
    let row = |key: &str, role: &str, access| (key.to_owned(), role.to_owned(), access);
    assert_eq!(
        found,
        [
            row("ONE", "admin", Access::Granted),
            row("TWO", "read", Access::Granted),
            row("FOUR", "", Access::Unknown),
        ]
    );
    assert_eq!(
        run.organizations()[2].action_uri,
        "https://git.test/bitbucket/projects/FOUR/permissions"
    );
}

fn repos(permission: &str, start: u32, limit: u32) -> String {
    api(&format!(
        "/repos?permission={permission}&start={start}&limit={limit}"
    ))
}

/// P5: pages end with `isLastPage` and go on at `nextPageStart`, which is not always `start` and the size; rights come
/// from the lists of what is permitted.
#[test]
fn trap_5_pages_go_on_where_the_server_says() {
    let run = data_center()
        .on(
            "GET",
            &repos("REPO_READ", 0, 100),
            page(&repository(1, "PRJ", "a"), Some(150)),
        )
        .on(
            "GET",
            &repos("REPO_WRITE", 0, 1000),
            page(&repository(1, "PRJ", "a"), Some(1)),
        )
        .on(
            "GET",
            &repos("REPO_WRITE", 1, 1000),
            page(&repository(2, "~jane", "b"), None),
        )
        .on(
            "GET",
            &repos("REPO_ADMIN", 0, 1000),
            page(&repository(2, "~jane", "b"), None),
        )
        .on(
            "GET",
            &repos("REPO_READ", 150, 100),
            page(&repository(2, "~jane", "b"), None),
        )
        .run(v1::ListRepositories::default());
    let found = run.repositories();
    let rights: Vec<_> = found
        .iter()
        .map(|one| (one.full_name.as_str(), one.can_write, one.can_administer))
        .collect();
    assert_eq!(rights, [("PRJ/a", true, false), ("~jane/b", true, true)]);
    assert_eq!(run.repository_pages()[0].next_cursor, "150");
    assert_eq!(
        found[1].web_uri,
        "https://git.test/bitbucket/users/jane/repos/b"
    );
    assert_eq!(found[0].clone_uri, "https://git.test/bitbucket/scm/x/a.git");
}

/// P5: a server may name no clone URL by HTTP, or only one by SSH. The place of its repositories is documented, so it is told
/// all the same, below the context path and with the key in lower case; a person's own project keeps its `~`.
#[test]
fn trap_5_a_clone_url_is_not_always_told() {
    let ssh = r#"{"name":"ssh","href":"ssh://git@git.test:7999/prj/a.git"}"#;
    let cases = [
        ("PRJ", ssh, "scm/prj/a.git"),
        ("PRJ", "", "scm/prj/a.git"),
        ("~Jane", ssh, "scm/~jane/a.git"),
    ];
    for (project, links, place) in cases {
        let found = format!(
            r#"{{"id":1,"slug":"a","name":"a","project":{{"key":"{project}"}},"links":{{"clone":[{links}]}}}}"#
        );
        let run = data_center()
            .on("GET", &repos("REPO_READ", 0, 100), page(&found, None))
            .on("GET", &repos("REPO_WRITE", 0, 1000), page("", None))
            .on("GET", &repos("REPO_ADMIN", 0, 1000), page("", None))
            .run(v1::ListRepositories::default());
        let told = &run.repositories()[0];
        assert_eq!(
            told.clone_uri,
            format!("https://git.test/bitbucket/{place}")
        );
        assert_eq!(told.ssh_uri.is_empty(), links.is_empty());
    }
}

/// A page that is not the last one but says no next start is the end; one that goes back is nonsense, not a loop.
#[test]
fn a_page_never_goes_back() {
    let odd = Reply::json(200, r#"{"values":[],"isLastPage":false}"#);
    let run = data_center()
        .on("GET", &repos("REPO_READ", 0, 100), odd)
        .run(v1::ListRepositories::default());
    assert_eq!(run.repository_pages()[0].next_cursor, "");
    let run = data_center()
        .on("GET", &repos("REPO_READ", 0, 100), page("", Some(0)))
        .run(v1::ListRepositories::default());
    assert_eq!(run.failure().code(), Code::MalformedResponse);
}

/// A project's list is asked for by its path, filtered here by name; a project that is not there is no empty list.
#[test]
fn a_project_is_listed() {
    let both = [repository(1, "PRJ", "api"), repository(2, "PRJ", "web")].join(",");
    let list = api("/projects/PRJ/repos?start=0&limit=100");
    let permitted = |name: &str| {
        api(&format!(
            "/repos?permission={name}&projectkey=PRJ&name=WEB&start=0&limit=1000"
        ))
    };
    let ask = || v1::ListRepositories {
        owner: "PRJ".to_owned(),
        query: "WEB".to_owned(),
        ..v1::ListRepositories::default()
    };
    let run = data_center()
        .on("GET", &list, page(&both, None))
        .on("GET", &permitted("REPO_WRITE"), page("", None))
        .on("GET", &permitted("REPO_ADMIN"), page("", None))
        .run(ask());
    assert_eq!(run.repositories().len(), 1);
    assert_eq!(run.repositories()[0].full_name, "PRJ/web");
    let run = data_center()
        .on("GET", &list, error(404, "project.NoSuchProjectException"))
        .run(ask());
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// A cursor is a number, and goes on there.
#[test]
fn a_cursor_is_checked() {
    let ask = |cursor: &str| v1::ListRepositories {
        cursor: cursor.to_owned(),
        page_size: 2,
        max_pages: 1,
        ..v1::ListRepositories::default()
    };
    let run = data_center()
        .on("GET", &repos("REPO_READ", 4, 2), page("", Some(6)))
        .run(ask("4"));
    assert_eq!(run.repository_pages()[0].next_cursor, "6");
    for bad in ["-1", "x", "1:2"] {
        let run = data_center().run(ask(bad));
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{bad}");
    }
}

/// P5: times are milliseconds or text, by version; neither keeps a repository from being read.
#[test]
fn trap_5_times_are_numbers_or_text() {
    for time in ["1530808365724", r#""2023-05-30T15:40:47-0400""#] {
        let dated =
            repository(1, "PRJ", "a").replacen('{', &format!(r#"{{"createdDate":{time},"#), 1);
        let run = data_center()
            .on("GET", &repos("REPO_READ", 0, 100), page(&dated, None))
            .on("GET", &repos("REPO_WRITE", 0, 1000), page(&dated, None))
            .on("GET", &repos("REPO_ADMIN", 0, 1000), page("", None))
            .run(v1::ListRepositories::default());
        assert!(run.repositories()[0].can_write);
    }
}
