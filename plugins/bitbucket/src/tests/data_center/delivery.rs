//! What deliveries say beyond the recordings

use serde_json::{Value, json};

use super::*;
use v1::happening::Kind;

const ZEROS: &str = "0000000000000000000000000000000000000000";
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn parse(event: &str, body: &Value) -> v1::Delivered {
    let run = data_center().run(v1::ParseDelivery {
        event: event.to_owned(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    });
    run.delivered().clone()
}

fn repository(key: &str, slug: &str) -> Value {
    json!({"id": 9, "slug": slug, "project": {"key": key}, "public": false, "archived": false})
}

fn change(reference: &str, from: &str, to: &str) -> Value {
    json!({"ref": {"id": reference}, "refId": reference, "fromHash": from, "toHash": to})
}

fn push(date: Value, changes: Value, more: Value) -> v1::Delivered {
    let mut body = json!({"eventKey": "repo:refs_changed", "date": date, "changes": changes,
        "actor": {"id": 1, "name": "ada", "displayName": "Ada"}, "repository": repository("PRJ", "api")});
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    parse("repo:refs_changed", &body)
}

/// Section 5: several refs come in one delivery, and what is told of one commit belongs to none of them for certain.
#[test]
fn trap_5_one_push_has_several_refs() {
    let head =
        json!({"toCommit": {"id": B, "message": "m"}, "commits": [{"id": B, "message": "m"}]});
    let changes = json!([
        change("refs/heads/main", A, B),
        change("refs/tags/v1", ZEROS, A),
        change("refs/heads/old", A, ZEROS),
    ]);
    let delivered = push("2026-11-30T05:00:00+0200".into(), changes, head);
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
    assert!(push.commits.is_empty() && push.after == B);
    assert_eq!((tag.commit.as_str(), tag.tag_object.as_str()), ("", ""));
    assert_eq!(gone.before, A);
}

/// Section 5: times are written in two ways.
#[test]
fn trap_5_times_are_read_in_both_ways() {
    let at = |date: Value| push(date, json!([]), json!({})).happened_unix_ms;
    assert_eq!(at("2026-11-30T05:00:00+0200".into()), 1_796_007_600_000);
    assert_eq!(at(1_796_007_600_000_u64.into()), 1_796_007_600_000);
    assert_eq!(at(Value::Null), 0);
}

/// Trap 1.8: where a newer server tells the commit, a tag is peeled; else the daemon looks it up.
#[test]
fn trap_1_8_an_annotated_tag_is_peeled() {
    let tag = |to: &str, more: Value| {
        let delivered = push(
            Value::Null,
            json!([change("refs/tags/v1", ZEROS, to)]),
            more,
        );
        match delivered.happenings[0].kind.clone() {
            Some(Kind::TagCreated(tag)) => (tag.commit, tag.tag_object),
            other => panic!("no tag: {other:?}"),
        }
    };
    let head = json!({"toCommit": {"id": B, "message": "m"}});
    assert_eq!(tag(A, head.clone()), (B.to_owned(), A.to_owned()));
    assert_eq!(tag(B, head), (B.to_owned(), String::new()));
    assert_eq!(tag(A, json!({})), (String::new(), String::new()));
}

/// Section 5: the test of a hook has a key of its own, and no repository.
#[test]
fn trap_5_a_ping_is_one() {
    let delivered = parse("diagnostics:ping", &json!({"test": true}));
    assert!(delivered.ping && delivered.repository.is_none() && delivered.happenings.is_empty());
}

/// A changed repository tells what it was and what it is, and its id.
#[test]
fn changes_of_the_repository_are_told() {
    let change = |old: Value, new: Value| {
        let delivered = parse("repo:modified", &json!({"old": old, "new": new}));
        assert_eq!(delivered.repository.expect("a repository").stable_id, "9");
        match delivered
            .happenings
            .first()
            .and_then(|one| one.kind.clone())
        {
            Some(Kind::RepositoryChanged(one)) => Some((one.kind(), one.before, one.after)),
            _ => None,
        }
    };
    let told = |kind, before: &str| Some((kind, before.to_owned(), "PRJ/api".to_owned()));
    let now = || repository("PRJ", "api");
    use v1::RepositoryChange as Change;
    assert_eq!(
        change(repository("PRJ", "old"), now()),
        told(Change::Renamed, "PRJ/old")
    );
    assert_eq!(
        change(repository("OLD", "api"), now()),
        told(Change::Transferred, "OLD/api")
    );
    let with = |name: &str| {
        let mut one = now();
        one[name] = true.into();
        one
    };
    assert_eq!(
        change(with("archived"), now()),
        told(Change::Unarchived, "PRJ/api")
    );
    assert_eq!(
        change(now(), with("archived")),
        told(Change::Archived, "PRJ/api")
    );
    assert_eq!(
        change(now(), with("public")),
        told(Change::VisibilityChanged, "PRJ/api")
    );
    assert_eq!(change(now(), now()), None);
}
