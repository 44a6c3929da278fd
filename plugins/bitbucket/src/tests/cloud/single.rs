//! One repository, and its refs

use super::*;

fn get(name: &str) -> v1::GetRepository {
    v1::GetRepository {
        repository: name.to_owned(),
    }
}

fn permissions(full_name: &str) -> String {
    let name = full_name.replace('/', "%2F");
    api(&format!(
        "/user/workspaces/acme/permissions/repositories?q=repository.full_name%3D%22{name}%22&pagelen=100"
    ))
}

/// P4: the braces of an id are encoded, an empty pair stands for the workspace, and the name that comes back is the
/// current one.
#[test]
fn trap_4_a_repository_is_found_by_uuid_after_a_rename() {
    let run = cloud()
        .on(
            "GET",
            &api("/repositories/%7B%7D/%7B1%7D"),
            Reply::json(200, repository("1", "acme/renamed")),
        )
        .on(
            "GET",
            &permissions("acme/renamed"),
            page(&permission("1", "write"), ""),
        )
        .run(get("id:{1}"));
    let found = run.repository();
    assert_eq!(found.full_name, "acme/renamed");
    assert!(found.can_write && !found.can_administer);
}

/// A redirect after a rename is gone after, a few times.
#[test]
fn a_redirect_is_gone_after() {
    let moved = || Reply::status(301).header("location", "/2.0/repositories/acme/new");
    let run = cloud()
        .on("GET", &api("/repositories/acme/old"), moved())
        .on(
            "GET",
            &api("/repositories/acme/new"),
            Reply::json(200, repository("1", "acme/new")),
        )
        .on("GET", &permissions("acme/new"), page("", ""))
        .run(get("acme/old"));
    assert_eq!(run.repository().full_name, "acme/new");
    let run = cloud()
        .on("GET", &api("/repositories/acme/new"), moved())
        .on("GET", &api("/repositories/acme/new"), moved())
        .on("GET", &api("/repositories/acme/new"), moved())
        .run(get("acme/new"));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
}

/// A public repository of somebody else's workspace is read, and no more than that.
#[test]
fn a_foreign_repository_is_only_read() {
    let run = cloud()
        .on(
            "GET",
            &api("/repositories/acme/api"),
            Reply::json(200, repository("1", "acme/api")),
        )
        .on("GET", &permissions("acme/api"), Reply::json(403, "{}"))
        .run(get("acme/api"));
    assert!(run.repository().can_read && !run.repository().can_write);
}

/// What is not there and what is hidden look the same; what is no name is not asked for.
#[test]
fn a_hidden_repository_is_not_found() {
    let run = cloud()
        .on(
            "GET",
            &api("/repositories/acme/api"),
            Reply::json(404, "{}"),
        )
        .run(get("acme/api"));
    assert_eq!(run.failure().code(), Code::NotFound);
    for bad in ["acme", "a/b/c", "/b", "id:", "acme/.."] {
        let run = cloud().run(get(bad));
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{bad}");
    }
}

fn refs(kind: v1::RefKind, cursor: &str) -> v1::ListRefs {
    v1::ListRefs {
        repository: "acme/api".to_owned(),
        kind: kind.into(),
        cursor: cursor.to_owned(),
        ..v1::ListRefs::default()
    }
}

const BRANCHES: &str = "/repositories/acme/api/refs/branches";
const TAGS: &str = "/repositories/acme/api/refs/tags";

fn first(list: &str) -> String {
    api(&format!("{list}?pagelen=100"))
}

/// P1.8: a tag is the commit that it points to, not the tag object; branches come first.
#[test]
fn trap_1_8_an_annotated_tag_is_its_commit() {
    let second = format!("{BRANCHES}?page=2");
    let run = cloud()
        .on(
            "GET",
            &first(BRANCHES),
            page(r#"{"name":"main","target":{"hash":"aa"}}"#, &api(&second)),
        )
        .on("GET", &api(&second), page("", ""))
        .on(
            "GET",
            &first(TAGS),
            page(
                r#"{"name":"v1","message":"m","tagger":{},"target":{"hash":"bb","type":"commit"}}"#,
                "",
            ),
        )
        .run(refs(v1::RefKind::Unspecified, ""));
    let found: Vec<_> = run
        .refs()
        .iter()
        .map(|one| (one.name.clone(), one.kind(), one.commit.clone()))
        .collect();
    assert_eq!(
        found,
        [
            ("main".to_owned(), v1::RefKind::Branch, "aa".to_owned()),
            ("v1".to_owned(), v1::RefKind::Tag, "bb".to_owned()),
        ]
    );
    let cursors: Vec<_> = run
        .ref_pages()
        .iter()
        .map(|page| page.next_cursor.clone())
        .collect();
    assert_eq!(cursors, ["branches:page=2", "tags:", ""]);
}

/// A listing goes on where a cursor says, and a cursor that is none is refused.
#[test]
fn refs_go_on_at_a_cursor() {
    let run = cloud()
        .on("GET", &api(&format!("{TAGS}?page=3")), page("", ""))
        .run(refs(v1::RefKind::Unspecified, "tags:page=3"));
    assert!(run.refs().is_empty());
    for bad in ["x", "heads:1", "tags:a b"] {
        let run = cloud().run(refs(v1::RefKind::Unspecified, bad));
        assert_eq!(run.failure().code(), Code::InvalidArgument, "{bad}");
    }
}
