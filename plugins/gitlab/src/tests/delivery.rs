//! What deliveries say beyond the recordings

use serde_json::{Value, json};

use super::*;
use v1::happening::Kind;

const ZEROS: &str = "0000000000000000000000000000000000000000";
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn parse(event: &str, body: &Value) -> v1::Delivered {
    let run = driver().run(v1::ParseDelivery {
        event: event.to_owned(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    });
    run.delivered().clone()
}

fn push(reference: &str, before: &str, after: &str, checkout: Value) -> Value {
    json!({"object_kind": "push", "ref": reference, "before": before, "after": after, "checkout_sha": checkout, "message": "release",
        "user_id": 7, "user_username": "ada", "user_name": "Ada", "project_id": 3,
        "project": {"id": 3, "path_with_namespace": "acme/sub/api"},
        "commits": [{"id": B, "message": "m", "timestamp": "2026-11-30T05:00:00+02:00", "url": "https://git.test/c",
            "author": {"name": "Ada", "email": "ada@acme.test"}, "added": ["a"], "modified": ["m"], "removed": []}],
        "total_commits_count": 1})
}

/// A push tells its commits and its project by the number that it is listed by; that no path is missing can't be proven.
#[test]
fn a_push_is_read() {
    let delivered = parse("Push Hook", &push("refs/heads/main", A, B, B.into()));
    let repository = delivered.repository.expect("a project");
    assert_eq!(
        (repository.stable_id.as_str(), repository.full_name.as_str()),
        ("3", "acme/sub/api")
    );
    let actor = delivered.actor.expect("an actor");
    assert_eq!(
        (actor.stable_id.as_str(), actor.login.as_str()),
        ("7", "ada")
    );
    let Some(Kind::Push(push)) = &delivered.happenings[0].kind else {
        panic!("no push");
    };
    assert_eq!((push.before.as_str(), push.after.as_str()), (A, B));
    assert_eq!(push.changed_paths, ["a", "m"]);
    assert!(!push.changed_paths_complete && !delivered.truncated);
    assert_eq!(push.commits[0].time_unix_ms, 1_796_007_600_000);
}

/// Trap 1.9: more commits than are told is a truncated delivery.
#[test]
fn trap_1_9_a_truncated_push_says_so() {
    let mut body = push("refs/heads/main", A, B, B.into());
    body["total_commits_count"] = 21.into();
    assert!(parse("Push Hook", &body).truncated);
}

/// Trap 1.8: the commit of a tag is `checkout_sha`; a tag that was moved is told as one that is there.
#[test]
fn trap_1_8_an_annotated_tag_is_peeled() {
    let tag = |before: &str, after: &str| {
        let body = push("refs/tags/v1", before, after, B.into());
        match parse("Tag Push Hook", &body).happenings[0].kind.clone() {
            Some(Kind::TagCreated(tag)) => (tag.commit, tag.tag_object, tag.message),
            other => panic!("no tag: {other:?}"),
        }
    };
    let (b, none) = (B.to_owned(), String::new());
    assert_eq!(
        tag(ZEROS, A),
        (b.clone(), A.to_owned(), "release".to_owned())
    );
    assert_eq!(tag(ZEROS, B), (b.clone(), none.clone(), none.clone()));
    assert_eq!(tag(A, B), (b, none.clone(), none));
}

/// Section 3: zeros are a deletion, of a branch as of a tag, and then there is no commit.
#[test]
fn trap_3_zeros_are_a_deletion() {
    for (event, reference, before) in [
        ("Push Hook", "refs/heads/old", A),
        ("Tag Push Hook", "refs/tags/v1", ""),
    ] {
        let delivered = parse(event, &push(reference, A, ZEROS, Value::Null));
        let Some(Kind::RefDeleted(gone)) = &delivered.happenings[0].kind else {
            panic!("no deletion");
        };
        assert_eq!(
            (gone.r#ref.as_str(), gone.before.as_str()),
            (reference, before)
        );
    }
}

/// The header says what it is, whatever the body says: a template can replace the body.
#[test]
fn another_event_says_nothing() {
    let body = push("refs/heads/main", A, B, B.into());
    for event in ["System Hook", "Job Hook", ""] {
        assert!(parse(event, &body).happenings.is_empty());
    }
}

/// Section 3: a template replaces a body whole. Such a body is not understood, and nothing is made of half a push.
#[test]
fn trap_3_a_body_of_a_template_says_nothing() {
    let mut half = push("refs/heads/main", A, B, B.into());
    half.as_object_mut().expect("members").remove("ref");
    for body in [
        json!({}),
        json!([]),
        json!({"text": "refs/heads/main"}),
        half,
    ] {
        let run = driver().run(v1::ParseDelivery {
            event: "Push Hook".to_owned(),
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        });
        assert_eq!(run.failure().code(), Code::MalformedResponse, "{body}");
    }
}
