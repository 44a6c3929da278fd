//! What deliveries say beyond the recordings

use serde_json::{Value, json};

use super::*;
use v1::happening::Kind;

const ZEROS: &str = "0000000000000000000000000000000000000000";
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "cccccccccccccccccccccccccccccccccccccccc";

fn parse(event: &str, body: &Value) -> v1::Delivered {
    let run = driver().run(v1::ParseDelivery {
        event: event.to_owned(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    });
    run.delivered().clone()
}

fn commit(id: &str, modified: &[&str]) -> Value {
    json!({"id": id, "message": "m", "timestamp": "2026-11-30T05:00:00+02:00", "url": "https://github.com/acme/api/commit/x",
        "author": {"name": "Ada", "email": "ada@acme.test"}, "added": [], "modified": modified, "removed": []})
}

fn push(reference: &str, before: &str, after: &str) -> Value {
    json!({"ref": reference, "before": before, "after": after, "forced": false,
        "commits": [commit(B, &["b"]), commit(C, &["c"])], "head_commit": commit(C, &["c"]),
        "repository": {"id": 42, "name": "api", "full_name": "acme/api", "pushed_at": 1_800_000_000},
        "sender": {"id": 7, "login": "ada"}})
}

fn kind(event: &str, body: &Value) -> Kind {
    let delivered = parse(event, body);
    delivered.happenings[0].kind.clone().expect("a kind")
}

fn pushed(body: &Value) -> v1::Push {
    match kind("push", body) {
        Kind::Push(push) => push,
        other => panic!("no push: {other:?}"),
    }
}

/// A push tells its commits, its time and its paths, and the repository by the id that it is listed by.
#[test]
fn a_push_is_read() {
    let body = push("refs/heads/main", A, C);
    let delivered = parse("push", &body);
    let repository = delivered.repository.as_ref().expect("a repository");
    assert_eq!(repository.stable_id, "42");
    assert_eq!(delivered.happened_unix_ms, 1_800_000_000_000);
    let push = pushed(&body);
    assert_eq!((push.before.as_str(), push.after.as_str()), (A, C));
    assert_eq!((push.commit_count, push.commits.len()), (2, 2));
    assert_eq!(push.commits[0].author_email, "ada@acme.test");
    assert_eq!(push.commits[0].time_unix_ms, 1_796_007_600_000);
    assert_eq!(push.changed_paths, ["b", "c"]);
    assert!(push.changed_paths_complete);
}

/// The list of paths is only called complete where that can be proven.
#[test]
fn paths_are_complete_where_that_is_proven() {
    let complete = |change: &dyn Fn(&mut Value)| {
        let mut body = push("refs/heads/main", A, C);
        change(&mut body);
        pushed(&body).changed_paths_complete
    };
    assert!(complete(&|_| {}));
    assert!(!complete(&|body| body["before"] = ZEROS.into()));
    assert!(!complete(&|body| body["forced"] = true.into()));
    assert!(!complete(&|body| body["after"] = A.into()));
    assert!(!complete(&|body| body["commits"][0]["modified"] = json!([])));
    assert!(!complete(&|body| body["commits"] = json!([])));
    let many: Vec<String> = (0..3000).map(|n| format!("{n}")).collect();
    assert!(!complete(&|body| body["commits"][0]["added"] = json!(many)));
}

/// Trap 1.9: GitHub leaves out what is beyond 2,048 commits, and the delivery says so.
#[test]
fn trap_1_9_a_truncated_push_says_so() {
    let mut body = push("refs/heads/main", A, C);
    let commits: Vec<_> = (0..2048).map(|_| commit(C, &["c"])).collect();
    body["commits"] = commits.into();
    let delivered = parse("push", &body);
    assert!(delivered.truncated);
    let push = pushed(&body);
    assert_eq!((push.commits.len(), push.commit_count), (100, 0));
    assert!(!push.changed_paths_complete);
}

/// Trap 1.8: `after` of an annotated tag is its object; the commit is in another member. A light tag has no object.
#[test]
fn trap_1_8_an_annotated_tag_is_peeled() {
    let tag = |after: &str, head: Value| {
        let mut body = push("refs/tags/v1", ZEROS, after);
        body["head_commit"] = head;
        match kind("push", &body) {
            Kind::TagCreated(tag) => (tag.commit, tag.tag_object),
            other => panic!("no tag: {other:?}"),
        }
    };
    assert_eq!(tag(A, commit(C, &[])), (C.to_owned(), A.to_owned()));
    assert_eq!(tag(C, commit(C, &[])), (C.to_owned(), String::new()));
    assert_eq!(tag(A, Value::Null), (String::new(), String::new()));
}

/// Trap 1.7: what a push tells as well is told once.
#[test]
fn trap_1_7_creations_and_deletions_are_told_by_pushes() {
    let repository = json!({"id": 42, "full_name": "acme/api"});
    for event in ["create", "delete"] {
        let body = json!({"ref": "v1", "ref_type": "tag", "repository": repository});
        assert!(parse(event, &body).happenings.is_empty());
    }
    let gone = kind("push", &push("refs/tags/v1", A, ZEROS));
    assert!(matches!(gone, Kind::RefDeleted(gone) if gone.r#ref == "refs/tags/v1"));
}

/// A change of the repository tells what it was, where GitHub tells.
#[test]
fn changes_of_the_repository_are_told() {
    let change = |action: &str, changes: Value| {
        let body = json!({"action": action, "changes": changes,
            "repository": {"id": 42, "name": "api", "full_name": "acme/api"}});
        match kind("repository", &body) {
            Kind::RepositoryChanged(change) => (change.kind(), change.before, change.after),
            other => panic!("no change: {other:?}"),
        }
    };
    let told = |kind, before: &str, after: &str| (kind, before.to_owned(), after.to_owned());
    use v1::RepositoryChange as Change;
    assert_eq!(
        change("renamed", json!({"repository": {"name": {"from": "old"}}})),
        told(Change::Renamed, "acme/old", "acme/api")
    );
    let from = json!({"owner": {"from": {"organization": {"login": "beta"}}}});
    assert_eq!(
        change("transferred", from),
        told(Change::Transferred, "beta/api", "acme/api")
    );
    assert_eq!(
        change("transferred", json!({})),
        told(Change::Transferred, "", "acme/api")
    );
    assert_eq!(
        change("deleted", json!({})),
        told(Change::Deleted, "acme/api", "")
    );
    for (action, kind) in [
        ("archived", Change::Archived),
        ("unarchived", Change::Unarchived),
        ("privatized", Change::VisibilityChanged),
    ] {
        assert_eq!(
            change(action, json!({})),
            told(kind, "acme/api", "acme/api")
        );
    }
    let edited = json!({"action": "edited", "repository": {"id": 42, "name": "api", "full_name": "acme/api"}});
    assert!(parse("repository", &edited).happenings.is_empty());
}

/// An authorization that a person revokes is a reason to look at the link.
#[test]
fn a_revoked_authorization_is_noticed() {
    let body = json!({"action": "revoked", "sender": {"id": 7, "login": "ada"}});
    assert!(parse("github_app_authorization", &body).access_changed);
    assert!(!parse("star", &body).access_changed);
}

/// What an installation brings names it, whatever became of it; a person's authorization is the person's own.
#[test]
fn an_installation_is_named() {
    let sender = json!({"id": 7, "login": "ada"});
    for (event, action) in [
        ("installation", "deleted"),
        ("installation", "unsuspend"),
        ("installation_repositories", "added"),
        ("installation_repositories", "removed"),
    ] {
        let body = json!({"action": action, "installation": {"id": 12}, "sender": sender});
        let told = parse(event, &body);
        assert!(told.access_changed, "{event} {action}");
        assert_eq!(told.installation_id, "12");
    }
    let body = json!({"action": "created", "installation": {"id": 12}, "sender": sender});
    let told = parse("installation", &body);
    assert!(!told.access_changed && told.installation_id.is_empty());
    let body = json!({"action": "revoked", "installation": {"id": 12}, "sender": sender});
    let told = parse("github_app_authorization", &body);
    assert!(told.installation_id.is_empty());
    assert_eq!(told.actor.unwrap_or_default().stable_id, "7");
}
