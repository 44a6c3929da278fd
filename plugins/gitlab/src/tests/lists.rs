//! Projects and refs: pages, cursors, places

use super::*;

const OWN: &str = "/projects?membership=true&pagination=keyset&order_by=id&sort=asc&per_page=100";

fn project(rest: &str) -> String {
    format!(
        r#"{{"id":42,"name":"API","path":"api","path_with_namespace":"acme/web/api",
        "http_url_to_repo":"{WEB}/acme/web/api.git"{rest}}}"#
    )
}

fn get(repository: &str) -> v1::GetRepository {
    v1::GetRepository {
        repository: repository.to_owned(),
    }
}

fn next(url: &str) -> String {
    format!(r#"<{url}>; rel="next""#)
}

/// PROVIDERS 3, keyset: order and direction are given, and of the link to the next page only where it begins is taken, since
/// the server builds it with its own idea of its address.
#[test]
fn trap_1_11_a_link_is_followed_by_its_start_alone() {
    for (link, start) in [
        (
            "https://internal:8080/api/v4/projects?id_after=42&per_page=1",
            "id_after=42",
        ),
        ("https://evil.test/?page=1&id_after=7", "id_after=7"),
        (
            "https://x/y?cursor=eyJpZCI6IjQyIn0%3D&page=1",
            "cursor=eyJpZCI6IjQyIn0%3D",
        ),
        ("https://x/y?page=2", "page=2"),
    ] {
        let run = driver()
            .on(
                "GET",
                &api(OWN),
                Reply::json(200, "[]").header("link", &next(link)),
            )
            .on(
                "GET",
                &api(&format!("{OWN}&{start}")),
                Reply::json(200, "[]"),
            )
            .run(v1::ListRepositories::default());
        assert!(run.outcome.is_ok());
    }
}

/// Where a proxy took the links away the number of the next page is taken, and a link that can't be read is a failure and no
/// end of the list.
#[test]
fn a_next_page_is_never_lost() {
    let run = driver()
        .on(
            "GET",
            &api(OWN),
            Reply::json(200, "[]").header("x-next-page", "2"),
        )
        .on(
            "GET",
            &api(&format!("{OWN}&page=2")),
            Reply::json(200, "[]").header("x-next-page", ""),
        )
        .run(v1::ListRepositories::default());
    assert!(run.outcome.is_ok());
    for odd in [
        "https://x/y?after=2",
        "https://x/y",
        "https://x/y?page=../2",
        "https://x/y?id_after=",
    ] {
        let reply = Reply::json(200, "[]").header("link", &next(odd));
        let run = driver()
            .on("GET", &api(OWN), reply)
            .run(v1::ListRepositories::default());
        assert_eq!(run.failure().code(), Code::MalformedResponse, "{odd}");
    }
}

/// P9: a cursor comes back from outside, and nothing is sent for one that is not of this list.
#[test]
fn p9_a_cursor_is_checked() {
    for cursor in [
        "projects",
        "projects?page=../1",
        "projects?page=1&x=2",
        "projects?id_after=",
        "projects?next=1",
        "groups?page=1",
        "https://evil.test/?page=1",
        "?page=1",
        "projects?cursor=a/b",
    ] {
        let input = v1::ListRepositories {
            cursor: cursor.to_owned(),
            ..v1::ListRepositories::default()
        };
        let run = driver().run(input);
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{cursor}");
        assert!(run.requests.is_empty());
    }
    for cursor in ["branches", "tag?page=1", "tags?page=x"] {
        let input = v1::ListRefs {
            repository: "a/b".to_owned(),
            cursor: cursor.to_owned(),
            ..v1::ListRefs::default()
        };
        let run = driver().run(input);
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{cursor}");
        assert!(run.requests.is_empty());
    }
}

/// P9: a path is one segment however deep it is, and can't name anything but what is below it.
#[test]
fn p9_a_path_stays_one_segment() {
    let run = driver()
        .on(
            "GET",
            &api("/projects/acme%2Fweb%2Fapi"),
            Reply::json(200, project("")),
        )
        .run(get("acme/web/api"));
    assert_eq!(run.repository().full_name, "acme/web/api");
    for odd in [
        "",
        "acme",
        "/acme",
        "acme/",
        "a//b",
        "a/../b",
        "./b",
        "id:",
        "id:x",
        "id:4/hooks",
        "id:../user",
    ] {
        let run = driver().run(get(odd));
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{odd:?}");
        assert!(run.requests.is_empty());
    }
    for odd in ["a/..", "/a", "a//b"] {
        let input = v1::ListRepositories {
            owner: odd.to_owned(),
            ..v1::ListRepositories::default()
        };
        let run = driver().run(input);
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{odd:?}");
    }
}

/// PROVIDERS 3, moved projects: GitLab redirects to the number; only the number is taken, and what is no project is refused.
#[test]
fn trap_3_a_moved_project_is_followed_by_number() {
    let moved = |to: &str| {
        driver().on(
            "GET",
            &api("/projects/acme%2Fold"),
            Reply::status(301).header("location", to),
        )
    };
    for to in [
        "https://git.test/gitlab/api/v4/projects/42",
        "http://internal:8080/api/v4/projects/42?x=1",
        "/gitlab/api/v4/projects/42",
    ] {
        let run = moved(to)
            .on("GET", &api("/projects/42"), Reply::json(200, project("")))
            .run(get("acme/old"));
        assert_eq!(run.repository().stable_id, "42", "{to}");
    }
    for to in [
        "https://git.test/gitlab/users/sign_in",
        "https://git.test/gitlab/api/v4/projects/..%2Fuser",
        "https://git.test/gitlab/api/v4/user/1",
    ] {
        let run = moved(to).run(get("acme/old"));
        assert_eq!(run.failure().code(), Code::MalformedResponse, "{to}");
    }
    let circle = Reply::status(301).header("location", "/api/v4/projects/42");
    let run = moved("/api/v4/projects/42")
        .on("GET", &api("/projects/42"), circle.clone())
        .on("GET", &api("/projects/42"), circle)
        .run(get("acme/old"));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
}

/// What may be done follows the higher of the two roles; code that can't be read shows in the branch that is not told.
#[test]
fn rights_follow_the_higher_role() {
    let access = |project: &str, group: &str| {
        format!(r#","permissions":{{"project_access":{project},"group_access":{group}}}"#)
    };
    let level = |level: u32| format!(r#"{{"access_level":{level}}}"#);
    let branch = r#","default_branch":"main""#;
    for (rest, rights) in [
        (
            format!("{branch}{}", access("null", &level(40))),
            (true, true, true),
        ),
        (
            format!("{branch}{}", access(&level(50), &level(10))),
            (true, true, true),
        ),
        (access(&level(30), "null"), (true, true, false)),
        (access(&level(20), "null"), (true, false, false)),
        (access(&level(10), "null"), (false, false, false)),
        (
            format!("{branch}{}", access(&level(10), "null")),
            (true, false, false),
        ),
        (
            format!("{branch},\"permissions\":null"),
            (true, false, false),
        ),
        (
            format!("{branch},\"archived\":true{}", access(&level(40), "null")),
            (true, false, true),
        ),
        (
            format!(
                r#"{branch},"repository_access_level":"disabled"{}"#,
                access(&level(40), "null")
            ),
            (false, false, true),
        ),
        (String::new(), (false, false, false)),
    ] {
        let run = driver()
            .on(
                "GET",
                &api("/projects/42"),
                Reply::json(200, project(&rest)),
            )
            .run(get("id:42"));
        let found = run.repository();
        let told = (found.can_read, found.can_write, found.can_administer);
        assert_eq!(told, rights, "{rest}");
    }
}

/// What is not said to be public is private, an empty repository has no branch, and a clone address is below the web base
/// where the server gives none.
#[test]
fn what_is_not_told_is_taken_carefully() {
    for (rest, private) in [
        (r#","visibility":"public""#, false),
        (r#","visibility":"internal""#, true),
        ("", true),
    ] {
        let run = driver()
            .on("GET", &api("/projects/42"), Reply::json(200, project(rest)))
            .run(get("id:42"));
        assert_eq!(run.repository().private, private, "{rest}");
    }
    let empty = project(r#","default_branch":"main","empty_repo":true"#);
    let run = driver()
        .on("GET", &api("/projects/42"), Reply::json(200, empty))
        .run(get("id:42"));
    assert_eq!(run.repository().default_branch, "");
    let bare = r#"{"id":1,"name":"p","path":"p","path_with_namespace":"g/p"}"#;
    let run = driver()
        .on("GET", &api("/projects/1"), Reply::json(200, bare))
        .run(get("id:1"));
    assert_eq!(run.repository().clone_uri, format!("{WEB}/g/p.git"));
}

/// An owner is a person or a group; only a name that can be a person's is asked for as one, and one's own is at once.
#[test]
fn an_owner_is_a_group_or_a_person() {
    let of = |owner: &str| v1::ListRepositories {
        owner: owner.to_owned(),
        ..v1::ListRepositories::default()
    };
    let group = |path: &str| {
        api(&format!(
            "/groups/{path}/projects?include_subgroups=true&with_shared=false&order_by=id&sort=asc&per_page=100"
        ))
    };
    let person = |login: &str| {
        api(&format!(
            "/users/{login}/projects?order_by=id&sort=asc&per_page=100"
        ))
    };
    let run = driver()
        .on("GET", &person("OctoCat"), Reply::json(200, "[]"))
        .run(of("OctoCat"));
    assert!(run.outcome.is_ok());
    let run = driver()
        .on("GET", &group("grace"), Reply::status(404))
        .on("GET", &person("grace"), Reply::json(200, "[]"))
        .run(of("grace"));
    assert!(run.outcome.is_ok());
    let run = driver()
        .on("GET", &group("acme%2Fweb"), Reply::status(404))
        .run(of("acme/web"));
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// GitLab's search also finds descriptions, and below three letters whole names only: names are looked at here, and a short
/// search is not handed on.
#[test]
fn a_search_looks_at_names() {
    let two = format!(
        "[{},{}]",
        project(r#","description":"about web""#),
        r#"{"id":2,"name":"Web","path":"www","path_with_namespace":"acme/www"}"#
    );
    for (query, suffix, found) in [
        ("we", "", 1),
        ("web", "&search=web", 1),
        ("API", "&search=API", 1),
        ("a&b=c", "&search=a%26b%3Dc", 0),
        ("", "", 2),
    ] {
        let input = v1::ListRepositories {
            query: query.to_owned(),
            ..v1::ListRepositories::default()
        };
        let run = driver()
            .on(
                "GET",
                &api(&format!("{OWN}{suffix}")),
                Reply::json(200, &two),
            )
            .run(input);
        assert_eq!(run.repositories().len(), found, "{query}");
    }
}

/// PROVIDERS 1.8: of an annotated tag the commit is told and not the tag object, and a tag of something else is left out.
#[test]
fn trap_1_8_an_annotated_tag_is_peeled() {
    let tags = r#"[{"name":"v1","target":"7f01","commit":{"id":"89ff"},"protected":true},
        {"name":"blob","target":"aaaa","commit":null}]"#;
    let input = v1::ListRefs {
        repository: "id:42".to_owned(),
        kind: v1::RefKind::Tag.into(),
        ..v1::ListRefs::default()
    };
    let url = api("/projects/42/repository/tags?order_by=name&sort=asc&per_page=100");
    let run = driver().on("GET", &url, Reply::json(200, tags)).run(input);
    let refs = run.refs();
    assert_eq!(refs.len(), 1);
    assert_eq!((refs[0].commit.as_str(), refs[0].protected), ("89ff", true));
}

/// A run that stops between the lists goes on at the tags, and one that stops within a list goes on there.
#[test]
fn refs_go_on_where_they_stopped() {
    let input = |cursor: &str| v1::ListRefs {
        repository: "id:42".to_owned(),
        cursor: cursor.to_owned(),
        max_pages: 1,
        ..v1::ListRefs::default()
    };
    let branches = api("/projects/42/repository/branches?per_page=100");
    let tags = api("/projects/42/repository/tags?order_by=name&sort=asc&per_page=100");
    let more = Reply::json(200, "[]").header("link", &next("https://x/?page=2"));
    for (url, reply, cursor, then) in [
        (branches.clone(), more.clone(), "", "branches?page=2"),
        (
            format!("{branches}&page=2"),
            Reply::json(200, "[]"),
            "branches?page=2",
            "tags",
        ),
        (tags.clone(), more, "tags", "tags?page=2"),
        (
            format!("{tags}&page=2"),
            Reply::json(200, "[]"),
            "tags?page=2",
            "",
        ),
    ] {
        let run = driver().on("GET", &url, reply).run(input(cursor));
        assert_eq!(run.ref_pages()[0].next_cursor, then, "{cursor}");
    }
}
