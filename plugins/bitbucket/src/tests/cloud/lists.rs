//! Repositories over all workspaces

use super::*;

const WORKSPACES: &str = "/user/workspaces?pagelen=100&sort=slug";

fn list_of(workspace: &str) -> String {
    api(&format!(
        "/repositories/{workspace}?role=member&pagelen=100"
    ))
}

fn permissions_of(workspace: &str) -> String {
    api(&format!(
        "/user/workspaces/{workspace}/permissions/repositories?pagelen=100"
    ))
}

fn workspaces(slugs: &[&str]) -> Reply {
    let all = slugs
        .iter()
        .map(|slug| format!(r#"{{"workspace":{{"uuid":"{{w-{slug}}}","slug":"{slug}"}}}}"#));
    page(&all.collect::<Vec<_>>().join(","), "")
}

fn names(run: &testing::Run) -> Vec<String> {
    run.repositories()
        .iter()
        .map(|one| one.full_name.clone())
        .collect()
}

/// P4, CHANGE-2770: repositories are listed workspace by workspace, and none of the endpoints that are gone is asked.
#[test]
fn trap_4_change_2770_lists_go_by_workspace() {
    let second = "/repositories/beta?page=2&role=member";
    let run = cloud()
        .on(
            "GET",
            &api(WORKSPACES),
            workspaces(&["beta", "acme", "none"]),
        )
        .on(
            "GET",
            &list_of("acme"),
            page(&repository("1", "acme/api"), ""),
        )
        .on(
            "GET",
            &permissions_of("acme"),
            page(&permission("1", "admin"), ""),
        )
        .on(
            "GET",
            &list_of("beta"),
            page(&repository("2", "beta/web"), &api(second)),
        )
        .on("GET", &api(second), page(&repository("3", "beta/app"), ""))
        .on(
            "GET",
            &permissions_of("beta"),
            page(&permission("2", "write"), ""),
        )
        .on("GET", &list_of("none"), page("", ""))
        .run(v1::ListRepositories::default());
    assert_eq!(names(&run), ["acme/api", "beta/web", "beta/app"]);
    let found = run.repositories();
    let rights: Vec<_> = found
        .iter()
        .map(|one| (one.can_read, one.can_write, one.can_administer))
        .collect();
    assert_eq!(
        rights,
        [
            (true, true, true),
            (true, true, false),
            (true, false, false)
        ]
    );
    for sent in &run.requests {
        let path = sent.url.split('?').next().unwrap_or_default();
        assert!(GONE.iter().all(|gone| path != api(gone)), "{path}");
    }
}

/// A clone URL names no person, a description may be null, and an empty repository has no branch.
#[test]
fn a_repository_is_read() {
    let run = cloud()
        .on(
            "GET",
            &list_of("acme"),
            page(&repository("1", "acme/api"), ""),
        )
        .on("GET", &permissions_of("acme"), page("", ""))
        .run(v1::ListRepositories {
            owner: "acme".to_owned(),
            ..v1::ListRepositories::default()
        });
    let found = &run.repositories()[0];
    assert_eq!(found.clone_uri, "https://bitbucket.org/acme/api.git");
    assert_eq!(
        (found.stable_id.as_str(), found.description.as_str()),
        ("{1}", "")
    );
    assert_eq!(found.default_branch, "main");
    assert!(found.private);
    let bare = r#"{"uuid":"{2}","full_name":"acme/new","mainbranch":null}"#;
    let run = cloud()
        .on("GET", &list_of("acme"), page(bare, ""))
        .on("GET", &permissions_of("acme"), page("", ""))
        .run(v1::ListRepositories {
            owner: "acme".to_owned(),
            ..v1::ListRepositories::default()
        });
    let found = &run.repositories()[0];
    assert_eq!(found.default_branch, "");
    assert_eq!(found.clone_uri, "https://bitbucket.org/acme/new.git");
}

/// Pages that are asked for one at a time hold what a run over all of them holds, over the border of workspaces.
#[test]
fn a_cursor_goes_over_workspaces() {
    let second = "/repositories/acme?page=2";
    let step = |cursor: &str, url: String, reply: Reply| {
        let workspace = if url.contains("beta") { "beta" } else { "acme" };
        let run = cloud()
            .on("GET", &api(WORKSPACES), workspaces(&["acme", "beta"]))
            .on("GET", &url, reply)
            .on("GET", &permissions_of(workspace), page("", ""))
            .run(v1::ListRepositories {
                cursor: cursor.to_owned(),
                max_pages: 1,
                ..v1::ListRepositories::default()
            });
        (names(&run), run.repository_pages()[0].next_cursor.clone())
    };
    let one = |name: &str| repository("1", name);
    let (found, cursor) = step("", list_of("acme"), page(&one("acme/a"), &api(second)));
    assert_eq!(
        (found, cursor.as_str()),
        (vec!["acme/a".to_owned()], "acme:page=2")
    );
    let (found, cursor) = step(&cursor, api(second), page(&one("acme/b"), ""));
    assert_eq!(
        (found, cursor.as_str()),
        (vec!["acme/b".to_owned()], "beta:")
    );
    let (found, cursor) = step(&cursor, list_of("beta"), page(&one("beta/c"), ""));
    assert_eq!((found, cursor.as_str()), (vec!["beta/c".to_owned()], ""));
}

/// Whoever has left a workspace between two pages goes on with the next one.
#[test]
fn a_workspace_that_is_gone_is_skipped() {
    let run = cloud()
        .on("GET", &api(WORKSPACES), workspaces(&["acme", "zeta"]))
        .on("GET", &list_of("zeta"), page("", ""))
        .run(v1::ListRepositories {
            cursor: "beta:page=7".to_owned(),
            ..v1::ListRepositories::default()
        });
    assert!(run.repositories().is_empty());
    let run = cloud()
        .on("GET", &api(WORKSPACES), workspaces(&["acme"]))
        .run(v1::ListRepositories {
            cursor: "beta:".to_owned(),
            ..v1::ListRepositories::default()
        });
    assert_eq!(run.repository_pages()[0].next_cursor, "");
}

/// P9: neither a cursor nor a link leads elsewhere.
#[test]
fn p9_a_cursor_is_checked() {
    let go_on = |driver: Driver<Bitbucket>, cursor: &str| {
        let run = driver.run(v1::ListRepositories {
            cursor: cursor.to_owned(),
            ..v1::ListRepositories::default()
        });
        run.failure().code()
    };
    for bad in ["2", ":x"] {
        assert_eq!(go_on(cloud(), bad), Code::InvalidArgument, "{bad}");
    }
    for bad in ["acme:a#b", "acme:a b"] {
        let listed = cloud().on("GET", &api(WORKSPACES), workspaces(&["acme"]));
        assert_eq!(go_on(listed, bad), Code::InvalidArgument, "{bad}");
    }
    let elsewhere = "https://evil.test/2.0/repositories/acme?page=2";
    let run = cloud()
        .on("GET", &list_of("acme"), page("", elsewhere))
        .run(v1::ListRepositories {
            owner: "acme".to_owned(),
            ..v1::ListRepositories::default()
        });
    assert_eq!(run.failure().code(), Code::MalformedResponse);
}

/// P1.11: the last page may have a `next` that is null or empty.
#[test]
fn trap_1_11_an_empty_next_is_the_end() {
    for next in ["null", r#""""#] {
        let body = format!(r#"{{"values":[],"next":{next}}}"#);
        let run = cloud()
            .on("GET", &list_of("acme"), Reply::json(200, body))
            .run(v1::ListRepositories {
                owner: "acme".to_owned(),
                ..v1::ListRepositories::default()
            });
        assert_eq!(run.repository_pages()[0].next_cursor, "");
    }
}

/// A workspace that does not let the token in is left out, and said to be; pages go on behind it.
#[test]
fn a_shut_workspace_makes_the_list_partial() {
    let list = |max_pages| {
        let run = cloud()
            .on("GET", &api(WORKSPACES), workspaces(&["acme", "beta"]))
            .on("GET", &list_of("acme"), Reply::json(403, "{}"))
            .on(
                "GET",
                &list_of("beta"),
                page(&repository("2", "beta/web"), ""),
            )
            .on("GET", &permissions_of("beta"), page("", ""))
            .run(v1::ListRepositories {
                max_pages,
                ..v1::ListRepositories::default()
            });
        assert_eq!(names(&run), ["beta/web"]);
        run.repository_pages()
            .iter()
            .map(|page| page.partial)
            .collect::<Vec<_>>()
    };
    assert_eq!((list(0), list(1)), (vec![true], vec![true]));
    let run = cloud()
        .on("GET", &api(WORKSPACES), workspaces(&["acme", "beta"]))
        .on(
            "GET",
            &list_of("acme"),
            page(&repository("1", "acme/api"), ""),
        )
        .on("GET", &permissions_of("acme"), Reply::json(403, "{}"))
        .on("GET", &list_of("beta"), Reply::json(404, "{}"))
        .run(v1::ListRepositories::default());
    assert_eq!(names(&run), ["acme/api"]);
    assert!(run.repository_pages()[1].partial);
}

/// Where nothing but shut workspaces is, and where one was asked for, it is an error and not an empty list.
#[test]
fn shut_workspaces_alone_are_an_error() {
    let run = cloud()
        .on("GET", &api(WORKSPACES), workspaces(&["acme", "beta"]))
        .on("GET", &list_of("acme"), Reply::json(403, "{}"))
        .on("GET", &list_of("beta"), Reply::json(403, "{}"))
        .run(v1::ListRepositories::default());
    assert_eq!(run.failure().code(), Code::PermissionDenied);
    for (reply, code) in [
        (Reply::json(403, "{}"), Code::PermissionDenied),
        (Reply::json(404, "{}"), Code::NotFound),
    ] {
        let run = cloud()
            .on("GET", &list_of("acme"), reply)
            .run(v1::ListRepositories {
                owner: "acme".to_owned(),
                ..v1::ListRepositories::default()
            });
        assert_eq!(run.failure().code(), code);
    }
}

/// What somebody searches for is a string of the query language, whatever is in it.
#[test]
fn a_query_is_quoted() {
    let url = api("/repositories/acme?role=member&pagelen=100&q=name%20~%20%22a%5C%22%20or%20b%22");
    let run = cloud()
        .on("GET", &url, page("", ""))
        .run(v1::ListRepositories {
            owner: "acme".to_owned(),
            query: "a\" or b".to_owned(),
            ..v1::ListRepositories::default()
        });
    assert!(run.outcome.is_ok());
}

/// A bound token has no role and no permissions of its own: its scopes are its rights.
#[test]
fn a_bound_token_is_as_good_as_its_scopes() {
    let list = |scopes: &str| {
        let reply = page(&repository("1", "acme/api"), "").header("x-oauth-scopes", scopes);
        let run = cloud()
            .credential(handed_over("access_token", "acme"))
            .on("GET", &api("/repositories/acme?pagelen=100"), reply)
            .run(v1::ListRepositories::default());
        let found = &run.repositories()[0];
        (found.can_write, found.can_administer)
    };
    assert_eq!(list("repository"), (false, false));
    assert_eq!(list("repository:write, webhook"), (true, true));
}

/// The token of a repository lists that one.
#[test]
fn a_repositorys_token_lists_it() {
    let list = |owner: &str, query: &str| {
        let run = cloud()
            .credential(handed_over("access_token", "acme/api"))
            .on(
                "GET",
                &api("/repositories/acme/api"),
                Reply::json(200, repository("1", "acme/api")),
            )
            .run(v1::ListRepositories {
                owner: owner.to_owned(),
                query: query.to_owned(),
                ..v1::ListRepositories::default()
            });
        run.repositories().len()
    };
    assert_eq!(
        (
            list("", ""),
            list("acme", "AP"),
            list("other", ""),
            list("", "web")
        ),
        (1, 1, 0, 0)
    );
}
