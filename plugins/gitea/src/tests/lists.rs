//! Repositories and refs, and their pages

use super::*;

fn repository(id: u32, name: &str) -> String {
    format!(
        r#"{{"id":{id},"full_name":"{name}","clone_url":"https://git.test/{name}.git","html_url":"https://git.test/{name}",
        "default_branch":"main","permissions":{{"admin":false,"push":true,"pull":true}}}}"#
    )
}

fn page(repositories: &[String]) -> Reply {
    Reply::json(200, format!("[{}]", repositories.join(",")))
}

fn url(path: &str) -> String {
    format!("https://git.test/api/v1{path}")
}

/// What a repository allows is what its permissions say; an archived one takes no push, an empty one has no branch.
#[test]
fn a_repository_is_converted() {
    let body = r#"{"id":9,"full_name":"a/b","clone_url":"c","html_url":"h","default_branch":"main","empty":true,
        "archived":true,"private":true,"permissions":{"admin":true,"push":true,"pull":true}}"#;
    let input = v1::GetRepository {
        repository: "a/b".to_owned(),
    };
    let run = driver()
        .on("GET", &url("/repos/a/b"), Reply::json(200, body))
        .run(input);
    let found = run.repository();
    assert_eq!(
        (found.stable_id.as_str(), found.default_branch.as_str()),
        ("9", "")
    );
    assert!(found.private && found.archived && found.can_read && found.can_administer);
    assert!(!found.can_write);
}

/// Link, total and an empty page each end a list; a server that gives less than asked for loses nothing.
#[test]
fn trap_1_11_pages_are_counted_in_headers() {
    let list = |n: u32| url(&format!("/user/repos?page={n}&limit=50"));
    let next = r#"<https://public.name/api/v1/user/repos?page=2>; rel="next""#;
    let last = r#"<https://public.name/api/v1/user/repos?page=1>; rel="prev""#;
    let input = v1::ListRepositories {
        page_size: 100,
        ..v1::ListRepositories::default()
    };
    let by_link = driver()
        .on(
            "GET",
            &list(1),
            page(&[repository(1, "a/x")]).header("link", next),
        )
        .on(
            "GET",
            &list(2),
            page(&[repository(2, "a/y")]).header("link", last),
        )
        .run(input.clone());
    let by_total = driver()
        .on(
            "GET",
            &list(1),
            page(&[repository(1, "a/x")]).header("x-total-count", "2"),
        )
        .on(
            "GET",
            &list(2),
            page(&[repository(2, "a/y")]).header("x-total-count", "2"),
        )
        .run(input.clone());
    let by_nothing = driver()
        .on("GET", &list(1), page(&[repository(1, "a/x")]))
        .on("GET", &list(2), page(&[repository(2, "a/y")]))
        .on("GET", &list(3), Reply::json(200, "null"))
        .run(input);
    for run in [by_link, by_total, by_nothing] {
        let ids: Vec<_> = run
            .repositories()
            .iter()
            .map(|one| one.stable_id.clone())
            .collect();
        assert_eq!(ids, ["1", "2"]);
        assert_eq!(run.repository_pages().last().unwrap().next_cursor, "");
    }
}

/// A run stops after as many pages as were asked for, and its cursor goes on from there.
#[test]
fn a_cursor_goes_on() {
    let list = |n: u32| url(&format!("/user/repos?page={n}&limit=1"));
    let input = |cursor: &str| v1::ListRepositories {
        page_size: 1,
        max_pages: 1,
        cursor: cursor.to_owned(),
        ..v1::ListRepositories::default()
    };
    let reply = |id, name| page(&[repository(id, name)]).header("x-total-count", "2");
    let first = driver().on("GET", &list(1), reply(1, "a/x")).run(input(""));
    let cursor = &first.repository_pages()[0].next_cursor;
    let second = driver()
        .on("GET", &list(2), reply(2, "a/y"))
        .run(input(cursor));
    assert_eq!(second.repositories()[0].full_name, "a/y");
    assert_eq!(second.repository_pages()[0].next_cursor, "");
    for bad in ["0", "x", "-1"] {
        assert_eq!(
            driver().run(input(bad)).failure().code(),
            Code::InvalidArgument
        );
    }
}

/// An owner is asked for as an organization and then as a person; the identity itself is a person at once.
#[test]
fn an_owner_is_an_organization_or_a_person() {
    let input = |owner: &str| v1::ListRepositories {
        owner: owner.to_owned(),
        ..v1::ListRepositories::default()
    };
    let one = || page(&[repository(1, "x/y")]).header("x-total-count", "1");
    let org = url("/orgs/x/repos?page=1&limit=50");
    let user = url("/users/x/repos?page=1&limit=50");
    driver().on("GET", &org, one()).run(input("x"));
    let run = driver()
        .on("GET", &org, Reply::status(404))
        .on("GET", &user, one())
        .run(input("x"));
    assert_eq!(run.repositories().len(), 1);
    driver()
        .on("GET", &url("/users/Octocat/repos?page=1&limit=50"), one())
        .run(input("Octocat"));
    let run = driver()
        .on("GET", &org, Reply::status(404))
        .on("GET", &user, Reply::status(404))
        .run(input("x"));
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// A query keeps what holds the text in its name, whatever its case, and not what holds it in its owner.
#[test]
fn a_query_looks_at_the_name() {
    let input = v1::ListRepositories {
        query: "APP".to_owned(),
        ..v1::ListRepositories::default()
    };
    let all = [repository(1, "a/my-app"), repository(2, "app/web")];
    let reply = page(&all).header("x-total-count", "2");
    let run = driver()
        .on("GET", &url("/user/repos?page=1&limit=50"), reply)
        .run(input);
    assert_eq!(run.repositories().len(), 1);
    assert_eq!(run.repositories()[0].full_name, "a/my-app");
}

/// A repository is found by id, a renamed one is followed on the same server, and never to another one.
#[test]
fn a_repository_is_found_by_id_and_after_a_rename() {
    let input = |repository: &str| v1::GetRepository {
        repository: repository.to_owned(),
    };
    let run = driver()
        .on(
            "GET",
            &url("/repositories/7"),
            Reply::json(200, repository(7, "a/b")),
        )
        .run(input("id:7"));
    assert_eq!(run.repository().full_name, "a/b");
    let moved = Reply::status(307).header("location", "/api/v1/repos/a/new");
    let run = driver()
        .on("GET", &url("/repos/a/old"), moved)
        .on(
            "GET",
            &url("/repos/a/new"),
            Reply::json(200, repository(7, "a/new")),
        )
        .run(input("a/old"));
    assert_eq!(run.repository().full_name, "a/new");
    let away = Reply::status(301).header("location", "https://evil.test/api/v1/repos/a/b");
    let run = driver()
        .on("GET", &url("/repos/a/b"), away)
        .run(input("a/b"));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
    let circle = || Reply::status(301).header("location", "/api/v1/repos/a/b");
    let run = (0..3)
        .fold(driver(), |driver, _| {
            driver.on("GET", &url("/repos/a/b"), circle())
        })
        .run(input("a/b"));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
}

/// P9: a name that tries to be another path is refused before anything is asked for.
#[test]
fn p9_a_name_is_no_path() {
    for bad in ["a", "a/", "/b", "a/b/c", "a/..", "../b", "id:", "id:.."] {
        let run = driver().run(v1::GetRepository {
            repository: bad.to_owned(),
        });
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{bad}");
    }
}

fn refs(kind: v1::RefKind, cursor: &str, max_pages: u32) -> v1::ListRefs {
    v1::ListRefs {
        repository: "a/b".to_owned(),
        kind: kind.into(),
        cursor: cursor.to_owned(),
        max_pages,
        ..v1::ListRefs::default()
    }
}

const BRANCHES: &str = r#"[{"name":"main","commit":{"id":"c1"},"protected":true}]"#;
/// An annotated tag: `id` is the tag object.
const TAGS: &str = r#"[{"name":"v1","id":"t1","commit":{"sha":"c1","url":"u"}}]"#;

/// Branches come first, tags after them, annotated tags as the commit that they point to.
#[test]
fn refs_are_branches_then_tags() {
    let both = driver()
        .on(
            "GET",
            &url("/repos/a/b/branches?page=1&limit=50"),
            Reply::json(200, BRANCHES).header("x-total-count", "1"),
        )
        .on(
            "GET",
            &url("/repos/a/b/tags?page=1&limit=50"),
            Reply::json(200, TAGS).header("x-total-count", "1"),
        );
    let run = both.run(refs(v1::RefKind::Unspecified, "", 0));
    let found: Vec<_> = run
        .refs()
        .iter()
        .map(|one| {
            (
                one.name.clone(),
                one.kind(),
                one.commit.clone(),
                one.protected,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (
                "main".to_owned(),
                v1::RefKind::Branch,
                "c1".to_owned(),
                true
            ),
            ("v1".to_owned(), v1::RefKind::Tag, "c1".to_owned(), false),
        ]
    );
}

/// A cursor remembers the list and the page.
#[test]
fn a_cursor_of_refs_goes_on() {
    let run = driver()
        .on(
            "GET",
            &url("/repos/a/b/branches?page=1&limit=50"),
            Reply::json(200, BRANCHES).header("x-total-count", "1"),
        )
        .run(refs(v1::RefKind::Unspecified, "", 1));
    assert_eq!(run.ref_pages()[0].next_cursor, "tags:1");
    let run = driver()
        .on(
            "GET",
            &url("/repos/a/b/tags?page=1&limit=50"),
            Reply::json(200, TAGS).header("x-total-count", "2"),
        )
        .run(refs(v1::RefKind::Unspecified, "tags:1", 1));
    assert_eq!(run.ref_pages()[0].next_cursor, "tags:2");
    let run = driver().run(refs(v1::RefKind::Tag, "stashes:1", 0));
    assert_eq!(run.failure().code(), Code::InvalidArgument);
}

/// An empty repository has no refs, however the server says so; a repository is found by its id.
#[test]
fn an_empty_repository_has_no_refs() {
    let branches = url("/repos/a/b/branches?page=1&limit=50");
    for reply in [
        Reply::status(409),
        Reply::json(200, "[]"),
        Reply::json(200, r#"[{"name":"main","commit":null}]"#).header("x-total-count", "1"),
    ] {
        let run = driver()
            .on("GET", &branches, reply)
            .run(refs(v1::RefKind::Branch, "", 0));
        assert!(run.outcome.is_ok() && run.refs().is_empty());
    }
    let input = v1::ListRefs {
        repository: "id:7".to_owned(),
        ..refs(v1::RefKind::Branch, "", 0)
    };
    let run = driver()
        .on(
            "GET",
            &url("/repositories/7"),
            Reply::json(200, repository(7, "a/b")),
        )
        .on(
            "GET",
            &branches,
            Reply::json(200, BRANCHES).header("x-total-count", "1"),
        )
        .run(input);
    assert_eq!(run.refs().len(), 1);
}
