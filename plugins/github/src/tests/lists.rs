//! Repositories and refs, and their pages

use super::*;

const ALL: &str = "/user/repos?affiliation=owner%2Ccollaborator%2Corganization_member&sort=full_name&per_page=100";

fn repository(id: u32, name: &str) -> String {
    let short = name.rsplit('/').next().unwrap_or(name);
    format!(
        r#"{{"id":{id},"name":"{short}","full_name":"{name}","clone_url":"https://github.com/{name}.git","html_url":"h",
        "description":null,"default_branch":"main","permissions":{{"admin":false,"push":true,"pull":true}}}}"#
    )
}

fn page(repositories: &[String]) -> Reply {
    Reply::json(200, format!("[{}]", repositories.join(",")))
}

fn next(url: &str) -> String {
    format!("<{url}>; rel=\"next\", <{url}9>; rel=\"last\"")
}

/// Links are followed as they are, into paths of another shape, and end where no further one is given.
#[test]
fn trap_1_11_links_are_followed_verbatim() {
    let input = v1::ListRepositories {
        owner: "acme".to_owned(),
        ..v1::ListRepositories::default()
    };
    let first = api("/orgs/acme/repos?sort=full_name&per_page=100");
    let second = api("/organizations/3/repos?sort=full_name&per_page=100&page=2");
    let run = driver()
        .on(
            "GET",
            &first,
            page(&[repository(1, "acme/x")]).header("link", &next(&second)),
        )
        .on("GET", &second, page(&[repository(2, "acme/y")]))
        .run(input);
    let names: Vec<_> = run
        .repositories()
        .iter()
        .map(|one| one.full_name.clone())
        .collect();
    assert_eq!(names, ["acme/x", "acme/y"]);
    assert_eq!(run.repository_pages()[1].next_cursor, "");
}

/// A run stops where it is told to, and its cursor goes on; a cursor holds no address, and a strange one is refused.
#[test]
fn a_cursor_goes_on() {
    let input = |cursor: &str| v1::ListRepositories {
        max_pages: 1,
        cursor: cursor.to_owned(),
        ..v1::ListRepositories::default()
    };
    let second = api("/user/repos?page=2");
    let run = driver()
        .on(
            "GET",
            &api(ALL),
            page(&[repository(1, "a/x")]).header("link", &next(&second)),
        )
        .run(input(""));
    let cursor = run.repository_pages()[0].next_cursor.clone();
    assert_eq!(cursor, "/user/repos?page=2");
    let run = driver()
        .on("GET", &second, page(&[repository(2, "a/y")]))
        .run(input(&cursor));
    assert_eq!(run.repositories()[0].full_name, "a/y");
    for bad in [
        "2",
        "https://evil.test/",
        ".evil.test/",
        "@evil.test/",
        "//evil.test/",
        "/user/../x",
        "/user/%2e%2e/x",
        "/a\\b",
    ] {
        assert_eq!(
            driver().run(input(bad)).failure().code(),
            Code::InvalidArgument,
            "{bad}"
        );
    }
}

/// A link to another server is never followed.
#[test]
fn a_link_away_is_refused() {
    let reply = page(&[]).header("link", &next("https://evil.test/user/repos?page=2"));
    let run = driver()
        .on("GET", &api(ALL), reply)
        .run(v1::ListRepositories::default());
    assert_eq!(run.failure().code(), Code::MalformedResponse);
    let url = format!("https://ghes.test/api/v3{ALL}");
    let reply = page(&[]).header("link", &next("https://ghes.test/other/user/repos?page=2"));
    let run = server()
        .on("GET", &url, reply)
        .run(v1::ListRepositories::default());
    assert_eq!(run.failure().code(), Code::MalformedResponse);
}

/// An owner is the identity itself, an organization, or a person.
#[test]
fn an_owner_is_found() {
    let input = |owner: &str| v1::ListRepositories {
        owner: owner.to_owned(),
        ..v1::ListRepositories::default()
    };
    let one = || page(&[repository(1, "x/y")]);
    driver()
        .on(
            "GET",
            &api("/user/repos?affiliation=owner&sort=full_name&per_page=100"),
            one(),
        )
        .run(input("Octocat"));
    let (org, user) = (
        api("/orgs/x/repos?sort=full_name&per_page=100"),
        api("/users/x/repos?sort=full_name&per_page=100"),
    );
    let run = driver()
        .on("GET", &org, Reply::status(404))
        .on("GET", &user, one())
        .run(input("x"));
    assert_eq!(run.repositories().len(), 1);
    let run = driver()
        .on("GET", &org, Reply::json(403, RESTRICTED))
        .run(input("x"));
    assert_eq!(run.failure().code(), Code::OrganizationRestricted);
}

/// A list that single sign-on has thinned out says so; a query looks at names only.
#[test]
fn trap_2_a_thinned_out_list_says_so() {
    let reply = page(&[repository(1, "app/web"), repository(2, "a/My-App")])
        .header("x-github-sso", "partial-results; organizations=3");
    let input = v1::ListRepositories {
        query: "app".to_owned(),
        ..v1::ListRepositories::default()
    };
    let run = driver().on("GET", &api(ALL), reply).run(input);
    assert!(run.repository_pages()[0].partial);
    assert_eq!(run.repositories().len(), 1);
    assert_eq!(run.repositories()[0].full_name, "a/My-App");
}

/// A renamed repository is asked for anew, by its id; by id it is asked for at once; circles end.
#[test]
fn trap_2_a_renamed_repository_is_found() {
    let get = |name: &str| v1::GetRepository {
        repository: name.to_owned(),
    };
    let moved = || {
        Reply::json(301, r#"{"message":"Moved Permanently"}"#)
            .header("location", &api("/repositories/7"))
    };
    let run = driver()
        .on("GET", &api("/repos/a/old"), moved())
        .on(
            "GET",
            &api("/repositories/7"),
            Reply::json(200, repository(7, "a/new")),
        )
        .run(get("a/old"));
    assert_eq!(
        (
            run.repository().stable_id.as_str(),
            run.repository().full_name.as_str()
        ),
        ("7", "a/new")
    );
    let run = driver()
        .on(
            "GET",
            &api("/repositories/7"),
            Reply::json(200, repository(7, "a/b")),
        )
        .run(get("id:7"));
    assert!(run.repository().can_write);
    let run = (0..3)
        .fold(driver(), |driver, _| {
            driver.on("GET", &api("/repositories/7"), moved())
        })
        .run(get("id:7"));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
    let away = Reply::status(301).header("location", "https://evil.test/repositories/7");
    let run = driver().on("GET", &api("/repos/a/b"), away).run(get("a/b"));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
    for bad in ["a", "a/b/c", "../b", "id:.."] {
        assert_eq!(
            driver().run(get(bad)).failure().code(),
            Code::InvalidArgument,
            "{bad}"
        );
    }
}

fn refs(kind: v1::RefKind, max_pages: u32, cursor: &str) -> v1::ListRefs {
    v1::ListRefs {
        repository: "a/b".to_owned(),
        kind: kind.into(),
        max_pages,
        cursor: cursor.to_owned(),
        ..v1::ListRefs::default()
    }
}

const BRANCHES: &str = r#"[{"name":"main","commit":{"sha":"c1"},"protected":true}]"#;
const TAGS: &str = r#"[{"name":"v1","commit":{"sha":"c2","url":"u"}}]"#;

/// Branches come first and tags after them, over links of another shape and over the end of a run.
#[test]
fn refs_are_branches_then_tags() {
    let more = api("/repositories/7/branches?per_page=100&page=2");
    let run = driver()
        .on(
            "GET",
            &api("/repos/a/b/branches?per_page=100"),
            Reply::json(200, BRANCHES).header("link", &next(&more)),
        )
        .on(
            "GET",
            &more,
            Reply::json(200, r#"[{"name":"dev","commit":{"sha":"c3"}}]"#),
        )
        .on(
            "GET",
            &api("/repos/a/b/tags?per_page=100"),
            Reply::json(200, TAGS),
        )
        .run(refs(v1::RefKind::Unspecified, 0, ""));
    let found: Vec<_> = run
        .refs()
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.kind(),
                one.commit.as_str(),
                one.protected,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("main", v1::RefKind::Branch, "c1", true),
            ("dev", v1::RefKind::Branch, "c3", false),
            ("v1", v1::RefKind::Tag, "c2", false),
        ]
    );
}

/// A cursor remembers where it was, and a list of one kind ends with it.
#[test]
fn a_cursor_of_refs_goes_on() {
    let branches = api("/repos/a/b/branches?per_page=100");
    let run = driver()
        .on("GET", &branches, Reply::json(200, BRANCHES))
        .run(refs(v1::RefKind::Unspecified, 1, ""));
    let cursor = run.ref_pages()[0].next_cursor.clone();
    assert_eq!(cursor, "/repos/a/b/tags?per_page=100");
    let run = driver()
        .on("GET", &api(&cursor), Reply::json(200, TAGS))
        .run(refs(v1::RefKind::Unspecified, 1, &cursor));
    assert_eq!(
        (
            run.refs()[0].kind(),
            run.ref_pages()[0].next_cursor.as_str()
        ),
        (v1::RefKind::Tag, "")
    );
    let run = driver()
        .on("GET", &branches, Reply::json(200, BRANCHES))
        .run(refs(v1::RefKind::Branch, 0, ""));
    assert_eq!(run.ref_pages()[0].next_cursor, "");
}

/// A repository that is known by its id has refs as well.
#[test]
fn refs_are_found_by_id() {
    let input = v1::ListRefs {
        repository: "id:7".to_owned(),
        ..refs(v1::RefKind::Tag, 0, "")
    };
    let run = driver()
        .on(
            "GET",
            &api("/repositories/7"),
            Reply::json(200, repository(7, "a/b")),
        )
        .on(
            "GET",
            &api("/repos/a/b/tags?per_page=100"),
            Reply::json(200, TAGS),
        )
        .run(input);
    assert_eq!(run.refs()[0].commit, "c2");
}
