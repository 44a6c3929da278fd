//! Repositories, their pages and their ids

use super::*;

fn repository(id: u32, path: &str) -> String {
    format!(
        r#"{{"id":{id},"full_name":"{path}","path":"{}","name":"名字","html_url":"https://gitee.test/{path}.git",
        "default_branch":"master","permission":{{"admin":false,"push":true,"pull":true}}}}"#,
        path.rsplit('/').next().unwrap()
    )
}

fn page(repositories: &[String]) -> Reply {
    Reply::json(200, format!("[{}]", repositories.join(",")))
}

fn all(n: u32, size: u32) -> String {
    url(&format!("/user/repos?page={n}&per_page={size}"))
}

fn get(repository: &str) -> v1::GetRepository {
    v1::GetRepository {
        repository: repository.to_owned(),
    }
}

fn ids(run: &testing::Run) -> Vec<&str> {
    let found = run.repositories();
    found.iter().map(|one| one.stable_id.as_str()).collect()
}

/// Section 6: `path` is the address and `name` is for people, and `html_url` is the clone URL, not the page.
#[test]
fn trap_6_a_path_is_not_a_name() {
    let body = r#"{"id":9,"full_name":"acme/web","human_name":"极致/网站","name":"网站","path":"web",
        "namespace":{"path":"acme","name":"极致"},"html_url":"https://gitee.test/acme/web.git","internal":true,
        "default_branch":"master","empty_repo":true,"description":null,"status":"关闭",
        "permission":{"admin":true,"push":true,"pull":true}}"#;
    let run = driver()
        .on("GET", &url("/repos/acme/web"), Reply::json(200, body))
        .run(get("acme/web"));
    let found = run.repository();
    assert_eq!(
        (found.stable_id.as_str(), found.full_name.as_str()),
        ("9", "acme/web")
    );
    assert_eq!(found.clone_uri, "https://gitee.test/acme/web.git");
    assert_eq!(found.web_uri, "https://gitee.test/acme/web");
    assert_eq!(
        found.default_branch, "",
        "an empty repository has no branch"
    );
    assert!(found.private && found.archived && found.can_read && found.can_administer);
    assert!(!found.can_write, "a closed repository takes no push");
}

/// Trap 1.11: pages are counted in `total_page`, or items in `total_count`; there is no `Link`.
#[test]
fn trap_1_11_pages_are_counted_in_headers() {
    let two = |name: &str, value: &str| {
        driver()
            .on(
                "GET",
                &all(1, 100),
                page(&[repository(1, "a/x")]).header(name, value),
            )
            .on(
                "GET",
                &all(2, 100),
                page(&[repository(2, "a/y")]).header(name, value),
            )
            .run(v1::ListRepositories::default())
    };
    for run in [two("total_page", "2"), two("total_count", "2")] {
        assert_eq!(ids(&run), ["1", "2"]);
        assert_eq!(run.repository_pages().last().unwrap().next_cursor, "");
    }
}

/// Without headers a full page may be the last: the next one is looked at, and a server that gives the same one again
/// does not know of pages.
#[test]
fn trap_1_11_a_list_without_headers_ends() {
    let input = v1::ListRepositories {
        page_size: 1,
        ..v1::ListRepositories::default()
    };
    let x = || page(&[repository(1, "a/x")]);
    let y = || page(&[repository(2, "a/y")]);
    let none = || Reply::json(200, "[]");
    let run = driver()
        .on("GET", &all(1, 1), x())
        .on("GET", &all(2, 1), y())
        .on("GET", &all(2, 1), y())
        .on("GET", &all(3, 1), none())
        .run(input.clone());
    assert_eq!(ids(&run), ["1", "2"]);
    let run = driver()
        .on("GET", &all(1, 1), x())
        .on("GET", &all(2, 1), x())
        .run(input.clone());
    assert_eq!(ids(&run), ["1"]);
    let whole = page(&[repository(1, "a/x"), repository(2, "a/y")]);
    let run = driver().on("GET", &all(1, 1), whole).run(input);
    assert_eq!(ids(&run), ["1", "2"]);
}

/// A run stops after as many pages as were asked for, and its cursor goes on from there.
#[test]
fn a_cursor_goes_on() {
    let input = |cursor: &str| v1::ListRepositories {
        page_size: 1,
        max_pages: 1,
        cursor: cursor.to_owned(),
        ..v1::ListRepositories::default()
    };
    let reply = |id, path| page(&[repository(id, path)]).header("total_page", "2");
    let first = driver()
        .on("GET", &all(1, 1), reply(1, "a/x"))
        .run(input(""));
    let cursor = &first.repository_pages()[0].next_cursor;
    let second = driver()
        .on("GET", &all(2, 1), reply(2, "a/y"))
        .run(input(cursor));
    assert_eq!(second.repositories()[0].full_name, "a/y");
    assert_eq!(second.repository_pages()[0].next_cursor, "");
    for bad in ["0", "x", "-1"] {
        let run = driver().run(input(bad));
        assert_eq!(run.failure().code(), Code::InvalidArgument);
    }
}

/// An owner is asked for as an organization, an enterprise and a person; the identity itself is asked for its own.
#[test]
fn an_owner_is_an_organization_an_enterprise_or_a_person() {
    let input = |owner: &str| v1::ListRepositories {
        owner: owner.to_owned(),
        ..v1::ListRepositories::default()
    };
    let one = || page(&[repository(1, "x/y")]).header("total_page", "1");
    let of = |kind: &str| url(&format!("/{kind}/x/repos?page=1&per_page=100"));
    let none = || refusal(404, "404 Not Found");
    driver().on("GET", &of("orgs"), one()).run(input("x"));
    driver()
        .on("GET", &of("orgs"), none())
        .on("GET", &of("enterprises"), one())
        .run(input("x"));
    let no_scope = refusal(401, "401 Unauthorized: no 'enterprises' scope");
    let run = driver()
        .on("GET", &of("orgs"), none())
        .on("GET", &of("enterprises"), no_scope)
        .on("GET", &of("users"), one())
        .run(input("x"));
    assert_eq!(ids(&run), ["1"]);
    let own = url("/user/repos?type=personal&page=1&per_page=100");
    driver().on("GET", &own, one()).run(input("Octocat"));
    let run = driver()
        .on("GET", &of("orgs"), none())
        .on("GET", &of("enterprises"), none())
        .on("GET", &of("users"), none())
        .run(input("x"));
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// A query keeps what holds the text in its path or in its name, and not what holds it in its owner.
#[test]
fn a_query_looks_at_both_names() {
    let input = |query: &str| v1::ListRepositories {
        query: query.to_owned(),
        ..v1::ListRepositories::default()
    };
    let both = || {
        let two = [repository(1, "a/my-app"), repository(2, "app/web")];
        page(&two).header("total_page", "1")
    };
    let run = |query: &str| driver().on("GET", &all(1, 100), both()).run(input(query));
    assert_eq!(ids(&run("APP")), ["1"]);
    assert_eq!(ids(&run("名")), ["1", "2"]);
}

/// No endpoint takes an id: the identity's repositories are looked through, and a renamed one is found under its new
/// name.
#[test]
fn a_repository_is_found_by_its_id() {
    let paged = |id, path| page(&[repository(id, path)]).header("total_page", "2");
    let search = driver().on("GET", &all(1, 100), paged(1, "a/x")).on(
        "GET",
        &all(2, 100),
        paged(7, "a/new"),
    );
    assert_eq!(
        search.clone().run(get("id:7")).repository().full_name,
        "a/new"
    );
    let run = search.run(get("id:8"));
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// A redirect after a rename is followed on the same server, and never to another one or in circles.
#[test]
fn a_renamed_repository_is_followed() {
    let moved = |to: &str| Reply::status(302).header("location", to);
    let run = driver()
        .on("GET", &url("/repos/a/old"), moved("/api/v5/repos/a/new"))
        .on(
            "GET",
            &url("/repos/a/new"),
            Reply::json(200, repository(7, "a/new")),
        )
        .run(get("a/old"));
    assert_eq!(run.repository().full_name, "a/new");
    let run = driver()
        .on(
            "GET",
            &url("/repos/a/b"),
            moved("https://evil.test/api/v5/repos/a/b"),
        )
        .run(get("a/b"));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
    let run = (0..3)
        .fold(driver(), |driver, _| {
            driver.on("GET", &url("/repos/a/b"), moved("/api/v5/repos/a/b"))
        })
        .run(get("a/b"));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
}

/// P9: a name that tries to be another path is refused before anything is asked for.
#[test]
fn p9_a_name_is_no_path() {
    for bad in [
        "a", "a/", "/b", "a/b/c", "a/..", "../b", "id:", "id:..", "id:x",
    ] {
        let run = driver().run(get(bad));
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{bad}");
        assert!(run.requests.is_empty());
    }
}
