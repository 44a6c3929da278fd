//! One repository, and its refs

use super::*;

const PATH: &str = "/projects/PRJ/repos/api";

fn get(name: &str) -> v1::GetRepository {
    v1::GetRepository {
        repository: name.to_owned(),
    }
}

fn permitted(permission: &str) -> String {
    api(&format!(
        "/repos?permission={permission}&projectkey=PRJ&name=api&start=0&limit=1000"
    ))
}

/// The rest of what is asked about a repository.
fn about(driver: Driver<Bitbucket>, branch: Reply) -> Driver<Bitbucket> {
    driver
        .on(
            "GET",
            &permitted("REPO_WRITE"),
            page(&repository(5, "PRJ", "api"), None),
        )
        // A server that does not know the filter gives others as well.
        .on(
            "GET",
            &permitted("REPO_ADMIN"),
            page(&repository(6, "PRJ", "api2"), None),
        )
        .on("GET", &api(&format!("{PATH}/default-branch")), branch)
}

fn main_branch() -> Reply {
    Reply::json(
        200,
        r#"{"id":"refs/heads/main","displayId":"main","type":"BRANCH"}"#,
    )
}

/// A repository is read with its branch and what may be done to it; an old name answers with the new one.
#[test]
fn a_repository_is_read() {
    let old = api("/projects/PRJ/repos/old");
    let driver = data_center().on("GET", &old, Reply::json(200, repository(5, "PRJ", "api")));
    let run = about(driver, main_branch()).run(get("PRJ/old"));
    let found = run.repository();
    assert_eq!(
        (found.stable_id.as_str(), found.full_name.as_str()),
        ("5", "PRJ/api")
    );
    assert_eq!(found.default_branch, "main");
    assert!(found.private && found.can_write && !found.can_administer);
}

/// P5: the configured branch of an empty repository is not there.
#[test]
fn trap_5_an_empty_repository_has_no_branch() {
    for reply in [
        error(404, "repository.NoDefaultBranchException"),
        Reply::status(204),
    ] {
        let driver = data_center().on(
            "GET",
            &api(PATH),
            Reply::json(200, repository(5, "PRJ", "api")),
        );
        let run = about(driver, reply).run(get("PRJ/api"));
        assert_eq!(run.repository().default_branch, "");
    }
}

/// There is no endpoint by id, so the list is gone through, page by page.
#[test]
fn a_repository_is_found_by_id() {
    let all = |start: u32| api(&format!("/repos?start={start}&limit=1000"));
    let driver = data_center()
        .on("GET", &all(0), page(&repository(1, "PRJ", "a"), Some(1000)))
        .on(
            "GET",
            &all(1000),
            page(&repository(5, "PRJ", "api"), Some(2000)),
        );
    let run = about(driver, main_branch()).run(get("id:5"));
    assert_eq!(run.repository().full_name, "PRJ/api");
    let run = data_center()
        .on("GET", &all(0), page("", None))
        .run(get("id:5"));
    assert_eq!(run.failure().code(), Code::NotFound);
    let run = data_center().run(get("id:x"));
    assert_eq!(run.failure().code(), Code::InvalidArgument);
}

/// A person's own repository is in the project with the tilde.
#[test]
fn a_personal_repository_has_a_tilde() {
    let run = data_center()
        .on(
            "GET",
            &api("/projects/~jane/repos/x"),
            error(404, "repository.NoSuchRepositoryException"),
        )
        .run(get("~jane/x"));
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// P1.8: a tag is the commit that it points to, not the tag object; names may hold slashes.
#[test]
fn trap_1_8_an_annotated_tag_is_its_commit() {
    let list = |name: &str, start: u32| api(&format!("{PATH}/{name}?start={start}&limit=100"));
    let branch = r#"{"id":"refs/heads/feature/x","displayId":"feature/x","latestCommit":"aa","isDefault":false}"#;
    let tag = r#"{"id":"refs/tags/v1","displayId":"v1","latestCommit":"bb","hash":"cc"}"#;
    let ask = |cursor: &str, kind: v1::RefKind| v1::ListRefs {
        repository: "PRJ/api".to_owned(),
        cursor: cursor.to_owned(),
        kind: kind.into(),
        ..v1::ListRefs::default()
    };
    let run = data_center()
        .on("GET", &list("branches", 0), page(branch, Some(1)))
        .on("GET", &list("branches", 1), page("", None))
        .on("GET", &list("tags", 0), page(tag, None))
        .run(ask("", v1::RefKind::Unspecified));
    let found: Vec<_> = run
        .refs()
        .iter()
        .map(|one| (one.name.clone(), one.commit.clone()))
        .collect();
    let row = |name: &str, commit: &str| (name.to_owned(), commit.to_owned());
    assert_eq!(found, [row("feature/x", "aa"), row("v1", "bb")]);
    let cursors: Vec<_> = run
        .ref_pages()
        .iter()
        .map(|page| page.next_cursor.clone())
        .collect();
    assert_eq!(cursors, ["branches:1", "tags:", ""]);
    let run = data_center()
        .on("GET", &list("tags", 7), page(tag, None))
        .run(ask("tags:7", v1::RefKind::Unspecified));
    assert_eq!(run.refs().len(), 1);
    let run = data_center()
        .on("GET", &list("branches", 0), page(branch, None))
        .run(ask("", v1::RefKind::Branch));
    assert_eq!(run.ref_pages().len(), 1);
    let run = data_center().run(ask("tags:x", v1::RefKind::Tag));
    assert_eq!(run.failure().code(), Code::InvalidArgument);
}

/// Refs of a repository that is named by id are found where it is now.
#[test]
fn refs_are_found_by_id() {
    let run = data_center()
        .on(
            "GET",
            &api("/repos?start=0&limit=1000"),
            page(&repository(5, "PRJ", "api"), None),
        )
        .on(
            "GET",
            &api(&format!("{PATH}/tags?start=0&limit=100")),
            page("", None),
        )
        .run(v1::ListRefs {
            repository: "id:5".to_owned(),
            kind: v1::RefKind::Tag.into(),
            ..v1::ListRefs::default()
        });
    assert!(run.outcome.is_ok());
}
