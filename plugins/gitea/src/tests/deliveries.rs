//! What a delivery says. The bodies are recordings of Gitea 1.26.0, whose host was renamed

use bindery_plugin_sdk::v1::happening::Kind;

use super::*;

const ANNOTATED: &str = include_str!("../../fixtures/deliveries/annotated-tag.json");
const LIGHT: &str = include_str!("../../fixtures/deliveries/light-tag.json");
const CREATE: &str = include_str!("../../fixtures/deliveries/create-tag.json");
const TAG_GONE: &str = include_str!("../../fixtures/deliveries/tag-deletion.json");
const DELETE_TAG: &str = include_str!("../../fixtures/deliveries/delete-tag.json");
const PUSH: &str = include_str!("../../fixtures/deliveries/push.json");
const NEW_BRANCH: &str = include_str!("../../fixtures/deliveries/new-branch.json");
const WITHOUT_COMMITS: &str = include_str!("../../fixtures/deliveries/branch-without-commits.json");
const TEST: &str = include_str!("../../fixtures/deliveries/test.json");

const COMMIT: &str = "c4ebf24795296788fd50be831a10762688e7d4a8";
const TAG_OBJECT: &str = "70452bf43685424dd98ccff87ca197ba4d643289";

fn delivered(event: &str, body: &str) -> v1::Delivered {
    let run = driver().run(v1::ParseDelivery {
        event: event.to_owned(),
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    });
    assert!(run.requests.is_empty());
    run.delivered().clone()
}

fn kinds(event: &str, body: &str) -> Vec<Kind> {
    let happenings = delivered(event, body).happenings;
    happenings.into_iter().filter_map(|one| one.kind).collect()
}

fn push(body: &str) -> v1::Push {
    match kinds("push", body).as_slice() {
        [Kind::Push(push)] => push.clone(),
        other => panic!("no push: {other:?}"),
    }
}

fn tag(body: &str) -> v1::TagCreated {
    match kinds("push", body).as_slice() {
        [Kind::TagCreated(tag)] => tag.clone(),
        other => panic!("no tag: {other:?}"),
    }
}

/// Section 7: the id after the push of an annotated tag is the tag's object; the commit is the head commit's.
#[test]
fn trap_7_an_annotated_tag_is_peeled() {
    let found = tag(ANNOTATED);
    assert_eq!(found.r#ref, "refs/tags/v1.0.0");
    assert_eq!(
        (found.commit.as_str(), found.tag_object.as_str()),
        (COMMIT, TAG_OBJECT)
    );
    assert_eq!(found.commit_message, "Feature\n");
    let light = tag(LIGHT);
    assert_eq!(
        (light.commit.as_str(), light.tag_object.as_str()),
        (COMMIT, "")
    );
}

/// A server that sends no head commit leaves open what the id is: nothing is claimed, and the daemon looks it up.
#[test]
fn trap_7_an_id_that_may_be_a_tag_object_is_no_commit() {
    let mut body: serde_json::Value = serde_json::from_str(ANNOTATED).unwrap();
    body["head_commit"] = serde_json::Value::Null;
    let found = tag(&body.to_string());
    assert_eq!((found.commit.as_str(), found.tag_object.as_str()), ("", ""));
}

/// Section 7: of the two deliveries that a new tag makes, and of the two that its deletion makes, one says it.
#[test]
fn trap_7_one_of_two_deliveries_tells_of_a_tag() {
    assert_eq!(kinds("push", ANNOTATED).len(), 1);
    assert_eq!(kinds("create", CREATE), []);
    assert_eq!(kinds("push", TAG_GONE), []);
    match kinds("delete", DELETE_TAG).as_slice() {
        [Kind::RefDeleted(gone)] => assert_eq!(gone.r#ref, "refs/tags/v1.0.0"),
        other => panic!("{other:?}"),
    }
}

/// Section 7: a test looks like a push; in no real one before and after are the same.
#[test]
fn trap_7_a_test_is_no_push() {
    let said = delivered("push", TEST);
    assert!(said.ping && said.happenings.is_empty());
    assert!(!delivered("push", PUSH).ping);
}

/// Commits come the newest first, and go out the oldest first; paths are those of all of them.
#[test]
fn a_push_is_read() {
    let said = delivered("push", PUSH);
    let repository = said.repository.as_ref().unwrap();
    assert_eq!(
        (repository.stable_id.as_str(), repository.full_name.as_str()),
        ("1", "ada/app")
    );
    assert_eq!(said.actor.unwrap().login, "ada");
    let push = push(PUSH);
    let messages: Vec<_> = push.commits.iter().map(|one| &one.message).collect();
    assert_eq!(messages, ["Add files\n", "Add c\n\n[skip ci]\n"]);
    assert_eq!(push.commits[1].id, push.after);
    assert_eq!(push.commits[0].time_unix_ms, 1_796_015_516_000);
    assert_eq!(push.changed_paths, ["a", "c", "s/b"]);
    assert!(push.changed_paths_complete && push.commit_count == 2);
}

/// A server shows five commits of a push; its paths are then not all of them.
#[test]
fn paths_of_a_long_push_are_not_complete() {
    let push = push(&PUSH.replace("\"total_commits\": 2", "\"total_commits\": 9"));
    assert!(!push.changed_paths_complete);
    assert_eq!((push.commit_count, push.commits.len()), (9, 2));
}

/// What a new branch changed nobody says, and its last commit is told where it brought none, for its skip marks.
#[test]
fn a_new_branch_has_no_before() {
    let made = push(NEW_BRANCH);
    assert_eq!((made.before.as_str(), made.commit_count), ("", 0));
    assert!(!made.changed_paths_complete);
    let moved = push(WITHOUT_COMMITS);
    assert_eq!(moved.commits.len(), 1);
    assert_eq!(moved.commits[0].id, moved.after);
    assert!(!moved.changed_paths_complete && moved.changed_paths.is_empty());
}

/// Section 7: 1.14 writes the secret into the body. Nothing of it comes out.
#[test]
fn trap_7_a_secret_in_a_body_does_not_come_out() {
    let body = PUSH.replacen('{', "{\"secret\":\"hunter2\",", 1);
    let run = driver().run(v1::ParseDelivery {
        event: "push".to_owned(),
        headers: Vec::new(),
        body: body.into_bytes(),
    });
    assert!(!format!("{run:?}").contains("hunter2"));
}

/// A repository that was deleted says so; a new one says nothing.
#[test]
fn a_deleted_repository_is_told() {
    let body = |action: &str| {
        format!(r#"{{"action":"{action}","repository":{{"id":1,"full_name":"ada/app"}}}}"#)
    };
    match kinds("repository", &body("deleted")).as_slice() {
        [Kind::RepositoryChanged(changed)] => {
            assert_eq!(changed.kind(), v1::RepositoryChange::Deleted);
            assert_eq!(
                (changed.before.as_str(), changed.after.as_str()),
                ("ada/app", "")
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(kinds("repository", &body("created")), []);
}
