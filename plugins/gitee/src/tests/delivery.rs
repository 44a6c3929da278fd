//! What deliveries say beyond the recordings

use serde_json::{Value, json};

use super::*;
use v1::happening::Kind;

const ZEROS: &str = "0000000000000000000000000000000000000000";
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "cccccccccccccccccccccccccccccccccccccccc";

fn parse(event: &str, ping: &str, body: &Value) -> v1::Delivered {
    let run = driver().run(v1::ParseDelivery {
        event: event.to_owned(),
        headers: vec![v1::PlainHeader {
            name: "x-gitee-ping".to_owned(),
            value: ping.to_owned(),
        }],
        body: body.to_string().into_bytes(),
    });
    run.delivered().clone()
}

fn commit(id: &str, parents: &[&str], modified: &[&str]) -> Value {
    json!({"id": id, "message": "m", "timestamp": "2026-11-30T05:00:00+08:00", "parent_ids": parents,
        "author": {"name": "Ada", "email": "ada@acme.test"}, "added": null, "modified": modified, "removed": []})
}

fn push(reference: &str, before: &str, after: &str) -> Value {
    json!({"ref": reference, "before": before, "after": after, "hook_name": "push_hooks", "password": "in clear",
        "timestamp": "1796014800000", "total_commits_count": 2, "commits_more_than_ten": false,
        "commits": [commit(B, &[A], &["b"]), commit(C, &[B], &["c"])], "head_commit": commit(C, &[B], &["c"]),
        "repository": {"id": 42, "path_with_namespace": "acme/api"}, "sender": {"id": 7, "login": "ada", "name": "Ada"}})
}

fn pushed(body: &Value) -> v1::Push {
    match parse("Push Hook", "false", body).happenings[0].kind.clone() {
        Some(Kind::Push(push)) => push,
        other => panic!("no push: {other:?}"),
    }
}

/// A push tells its commits, in the order in which they were made whichever way they come, its time, and its repository.
#[test]
fn a_push_is_read() {
    let body = push("refs/heads/main", A, C);
    let delivered = parse("Push Hook", "false", &body);
    assert_eq!(delivered.happened_unix_ms, 1_796_014_800_000);
    assert_eq!(delivered.repository.as_ref().expect("one").stable_id, "42");
    assert!(!format!("{delivered:?}").contains("in clear"));
    let mut turned = body.clone();
    turned["commits"].as_array_mut().expect("commits").reverse();
    for push in [pushed(&body), pushed(&turned)] {
        assert_eq!((push.commits[0].id.as_str(), push.commit_count), (B, 2));
        assert_eq!(push.changed_paths, ["b", "c"]);
        assert!(push.changed_paths_complete);
    }
}

/// The list of paths is only called complete where the commits lead from one to the other in one line.
#[test]
fn paths_are_complete_where_that_is_proven() {
    let complete = |change: &dyn Fn(&mut Value)| {
        let mut body = push("refs/heads/main", A, C);
        change(&mut body);
        pushed(&body).changed_paths_complete
    };
    assert!(complete(&|_| {}));
    assert!(!complete(&|body| body["before"] = ZEROS.into()));
    assert!(!complete(
        &|body| body["commits"][0]["parent_ids"] = json!([C])
    ));
    assert!(!complete(
        &|body| body["commits"][1]["parent_ids"] = json!([B, A])
    ));
    assert!(!complete(
        &|body| body["commits"][1]["parent_ids"] = Value::Null
    ));
    assert!(!complete(&|body| body["commits"][0]["modified"] = json!([])));
    assert!(!complete(&|body| body["commits"] = Value::Null));
    assert!(!complete(
        &|body| body["commits_more_than_ten"] = true.into()
    ));
}

/// Trap 1.9: more than ten commits are cut off, and the delivery says so.
#[test]
fn trap_1_9_a_truncated_push_says_so() {
    let mut body = push("refs/heads/main", A, C);
    assert!(!parse("Push Hook", "false", &body).truncated);
    body["total_commits_count"] = 11.into();
    assert!(parse("Push Hook", "false", &body).truncated);
}

/// Trap 1.8: an annotated tag is peeled by the head commit.
#[test]
fn trap_1_8_an_annotated_tag_is_peeled() {
    let tag = |after: &str, head: Value| {
        let mut body = push("refs/tags/v1", ZEROS, after);
        body["head_commit"] = head;
        match parse("Tag Push Hook", "", &body).happenings[0].kind.clone() {
            Some(Kind::TagCreated(tag)) => (tag.commit, tag.tag_object),
            other => panic!("no tag: {other:?}"),
        }
    };
    assert_eq!(tag(A, commit(C, &[], &[])), (C.to_owned(), A.to_owned()));
    assert_eq!(tag(C, commit(C, &[], &[])), (C.to_owned(), String::new()));
    assert_eq!(tag(A, Value::Null), (String::new(), String::new()));
}

/// A test repeats the latest push and says that it is one: nothing happened.
#[test]
fn trap_6_a_test_is_a_ping() {
    let delivered = parse("Push Hook", "true", &push("refs/heads/main", A, C));
    assert!(delivered.ping && delivered.happenings.is_empty());
    let other = parse("Issue Hook", "false", &push("refs/heads/main", A, C));
    assert!(!other.ping && other.happenings.is_empty());
}
