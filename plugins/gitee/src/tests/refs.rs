//! Branches and tags, and their pages

use super::*;

const BRANCHES: &str = r#"[{"name":"master","commit":{"sha":"c1","url":"u"},"protected":true}]"#;
const TAGS: &str = r#"[{"name":"1.1","message":"annotated","commit":{"sha":"c1","date":"d"}}]"#;

fn page(kind: &str, n: u32) -> String {
    url(&format!("/repos/a/b/{kind}?page={n}&per_page=100"))
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

/// Trap 1.8: branches come first, tags after them, annotated tags as the commit that they point to.
#[test]
fn trap_1_8_refs_are_branches_then_peeled_tags() {
    let run = driver()
        .on("GET", &page("branches", 1), counted(BRANCHES, 1))
        .on("GET", &page("tags", 1), counted(TAGS, 1))
        .run(refs(v1::RefKind::Unspecified, "", 0));
    let refs = run.refs();
    let found: Vec<_> = refs
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
            ("master", v1::RefKind::Branch, "c1", true),
            ("1.1", v1::RefKind::Tag, "c1", false),
        ]
    );
}

/// A server that knows no pages of tags gives all at once and tells nothing; that is the end.
#[test]
fn tags_without_pages_end() {
    let run = driver()
        .on("GET", &page("tags", 1), Reply::json(200, TAGS))
        .run(refs(v1::RefKind::Tag, "", 0));
    assert_eq!(run.refs().len(), 1);
    assert_eq!(run.ref_pages()[0].next_cursor, "");
}

/// A cursor remembers the list and the page.
#[test]
fn a_cursor_of_refs_goes_on() {
    let run = driver()
        .on("GET", &page("branches", 1), counted(BRANCHES, 1))
        .run(refs(v1::RefKind::Unspecified, "", 1));
    assert_eq!(run.ref_pages()[0].next_cursor, "tags:1");
    let run = driver()
        .on("GET", &page("tags", 1), counted(TAGS, 2))
        .run(refs(v1::RefKind::Unspecified, "tags:1", 1));
    assert_eq!(run.ref_pages()[0].next_cursor, "tags:2");
    for bad in ["stashes:1", "tags:0", "tags:x"] {
        let run = driver().run(refs(v1::RefKind::Tag, bad, 0));
        assert_eq!(run.failure().code(), Code::InvalidArgument);
    }
}

/// An empty repository has no refs, however the server says so; a repository is found by its id.
#[test]
fn an_empty_repository_has_no_refs() {
    for body in ["[]", r#"[{"name":"master","commit":null}]"#] {
        let run = driver()
            .on("GET", &page("branches", 1), counted(body, 1))
            .run(refs(v1::RefKind::Branch, "", 0));
        assert!(run.outcome.is_ok() && run.refs().is_empty());
    }
    let listed = r#"[{"id":7,"full_name":"a/b","html_url":"https://gitee.test/a/b.git"}]"#;
    let input = v1::ListRefs {
        repository: "id:7".to_owned(),
        ..refs(v1::RefKind::Branch, "", 0)
    };
    let run = driver()
        .on(
            "GET",
            &url("/user/repos?page=1&per_page=100"),
            counted(listed, 1),
        )
        .on("GET", &page("branches", 1), counted(BRANCHES, 1))
        .run(input);
    assert_eq!(run.refs().len(), 1);
}

/// Trap of hidden repositories: a private one is a 404 and not a 403, and not an empty list.
#[test]
fn a_hidden_repository_is_not_found() {
    let run = driver()
        .on(
            "GET",
            &page("branches", 1),
            refusal(404, "404 Project Not Found"),
        )
        .run(refs(v1::RefKind::Branch, "", 0));
    assert_eq!(run.failure().code(), Code::NotFound);
    assert!(run.ref_pages().is_empty());
}
