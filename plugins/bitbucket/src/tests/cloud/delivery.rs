//! What deliveries say beyond the recordings

use serde_json::{Value, json};

use super::*;
use v1::happening::Kind;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn parse(event: &str, more: &Value) -> v1::Delivered {
    let mut body = json!({
        "actor": {"uuid": "{a-1}", "nickname": "ada", "display_name": "Ada L"},
        "repository": {"uuid": "{r-1}", "full_name": "acme/api"},
    });
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    let run = cloud().run(v1::ParseDelivery {
        event: event.to_owned(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    });
    run.delivered().clone()
}

fn at(kind: &str, name: &str, hash: &str) -> Value {
    json!({"type": kind, "name": name, "target": {"hash": hash, "message": "m"}, "message": "release"})
}

fn commit(hash: &str) -> Value {
    json!({"hash": hash, "message": "m", "date": "2026-11-30T05:00:00+02:00", "author": {"raw": "Ada <ada@acme.test>"},
        "links": {"html": {"href": "https://bitbucket.org/c"}}})
}

/// Section 4: one push changes several refs, branches and tags mixed, and each is told, in order.
#[test]
fn trap_4_one_push_has_several_refs() {
    let changes = json!({"push": {"changes": [
        {"old": at("branch", "main", A), "new": at("branch", "main", B), "forced": true, "truncated": true,
            "commits": [commit(B), commit(A)]},
        {"old": null, "new": at("tag", "v1", B), "created": true},
        {"old": at("tag", "v0", A), "new": null, "closed": true},
        {"old": null, "new": at("bookmark", "odd", B)},
    ]}});
    let delivered = parse("repo:push", &changes);
    assert!(delivered.truncated);
    let kinds: Vec<_> = delivered
        .happenings
        .iter()
        .map(|one| one.kind.clone())
        .collect();
    let [
        Some(Kind::Push(push)),
        Some(Kind::TagCreated(tag)),
        Some(Kind::RefDeleted(gone)),
    ] = &kinds[..]
    else {
        panic!("{kinds:?}");
    };
    assert_eq!((push.before.as_str(), push.after.as_str()), (A, B));
    assert!(push.forced && !push.changed_paths_complete);
    assert_eq!((push.commit_count, push.commits[1].id.as_str()), (0, B));
    assert_eq!(push.commits[0].author_email, "ada@acme.test");
    assert_eq!((tag.commit.as_str(), tag.message.as_str()), (B, "release"));
    assert_eq!(
        (gone.r#ref.as_str(), gone.before.as_str()),
        ("refs/tags/v0", A)
    );
    let actor = delivered.actor.expect("an actor");
    assert_eq!(
        (actor.stable_id.as_str(), actor.login.as_str()),
        ("{a-1}", "ada")
    );
}

/// A changed name is told with both; a changed description is no event. A transfer tells where to, a deletion what.
#[test]
fn changes_of_the_repository_are_told() {
    let change = |event: &str, more: Value| match parse(event, &more).happenings.first() {
        Some(v1::Happening {
            kind: Some(Kind::RepositoryChanged(change)),
        }) => Some((change.kind(), change.before.clone(), change.after.clone())),
        _ => None,
    };
    let told = |kind, before: &str, after: &str| Some((kind, before.to_owned(), after.to_owned()));
    let renamed = json!({"changes": {"full_name": {"old": "acme/old", "new": "acme/api"}, "name": {"old": "old", "new": "api"}}});
    assert_eq!(
        change("repo:updated", renamed),
        told(v1::RepositoryChange::Renamed, "acme/old", "acme/api")
    );
    assert_eq!(
        change(
            "repo:updated",
            json!({"changes": {"description": {"old": "", "new": "x"}}})
        ),
        None
    );
    assert_eq!(
        change(
            "repo:transfer",
            json!({"previous_owner": {"nickname": "beta"}})
        ),
        told(v1::RepositoryChange::Transferred, "", "acme/api")
    );
    assert_eq!(
        change("repo:deleted", json!({})),
        told(v1::RepositoryChange::Deleted, "acme/api", "")
    );
    assert_eq!(change("repo:fork", json!({})), None);
}
