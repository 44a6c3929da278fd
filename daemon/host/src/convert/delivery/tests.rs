//! What a plugin may make of a delivery

use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const ZEROS: &str = "0000000000000000000000000000000000000000";

fn a_push() -> v1::Push {
    v1::Push {
        r#ref: "refs/heads/main".into(),
        before: A.to_uppercase(),
        after: A.into(),
        commits: vec![v1::Commit {
            id: A.into(),
            message: "One\r\n\r\n[skip ci] \u{202e}x".into(),
            ..v1::Commit::default()
        }],
        changed_paths: vec!["src/lib.rs".into()],
        ..v1::Push::default()
    }
}

fn says(kind: happening::Kind) -> v1::Delivered {
    v1::Delivered {
        repository: Some(v1::DeliveredRepository {
            stable_id: "7".into(),
            full_name: "acme/api".into(),
        }),
        happenings: vec![v1::Happening { kind: Some(kind) }],
        ..v1::Delivered::default()
    }
}

/// A push is taken over: commits in lower case, lines of a message kept, what is invisible gone.
#[test]
fn a_push_is_read() {
    let delivered = delivered(says(happening::Kind::Push(a_push()))).unwrap();
    let [Happening::Push(push)] = delivered.happenings.as_slice() else {
        panic!("{delivered:?}");
    };
    assert_eq!((push.before.as_str(), push.after.as_str()), (A, A));
    assert_eq!(push.commits[0].message, "One\n\n[skip ci] x");
}

/// One wrong thing in a push is enough.
#[test]
fn a_push_that_makes_no_sense_is_refused() {
    let wrong: [fn(&mut v1::Push); 14] = [
        |push| push.r#ref = "main".into(),
        |push| push.r#ref = "refs/tags/v1".into(),
        |push| push.r#ref = "refs/heads/".into(),
        |push| push.r#ref = "refs/heads/a..b".into(),
        |push| push.r#ref = "refs/heads/a//b".into(),
        |push| push.r#ref = "refs/heads/a b".into(),
        |push| push.r#ref = "refs/heads/a\n".into(),
        |push| push.before = "main".into(),
        |push| push.before = ZEROS.into(),
        |push| push.after.clear(),
        |push| push.after = ZEROS.into(),
        |push| push.commits = vec![push.commits[0].clone(); 101],
        |push| push.changed_paths = vec!["a".into(); 1001],
        |push| push.commits[0].id = "short".into(),
    ];
    for (n, wrong) in wrong.into_iter().enumerate() {
        let mut push = a_push();
        wrong(&mut push);
        assert!(delivered(says(happening::Kind::Push(push))).is_err(), "{n}");
    }
}

/// A tag may come without its commit, and is a tag.
#[test]
fn a_tag_is_read() {
    let tag = |name: &str, commit: &str| {
        delivered(says(happening::Kind::TagCreated(v1::TagCreated {
            r#ref: name.into(),
            commit: commit.into(),
            ..v1::TagCreated::default()
        })))
    };
    assert!(tag("refs/tags/v1.0", "").is_ok());
    assert!(tag("refs/tags/v1.0", ZEROS).is_err());
    assert!(tag("refs/heads/v1.0", A).is_err());
}

/// A repository that was deleted has no path; one that is there has.
#[test]
fn a_changed_repository_has_a_path() {
    let changed = |kind: v1::RepositoryChange, after: &str| {
        let raw = v1::RepositoryChanged {
            kind: kind.into(),
            before: "acme/old".into(),
            after: after.into(),
        };
        delivered(says(happening::Kind::RepositoryChanged(raw))).is_ok()
    };
    assert!(changed(v1::RepositoryChange::Renamed, "acme/new"));
    assert!(!changed(v1::RepositoryChange::Renamed, ""));
    assert!(!changed(v1::RepositoryChange::Renamed, "new"));
    assert!(changed(v1::RepositoryChange::Deleted, ""));
    assert!(!changed(v1::RepositoryChange::Deleted, "acme/new"));
    assert!(!changed(v1::RepositoryChange::Unspecified, "acme/new"));
}

/// What happened happened to a repository, not more than a thousand things at once, and at a time.
#[test]
fn a_delivery_is_bounded() {
    let wrong: [fn(&mut v1::Delivered); 5] = [
        |raw| raw.repository = None,
        |raw| raw.happenings = vec![raw.happenings[0].clone(); 1001],
        |raw| raw.happenings[0].kind = None,
        |raw| raw.happened_unix_ms = u64::MAX,
        |raw| {
            let login = "\n".into();
            raw.actor = Some(v1::Person {
                login,
                ..v1::Person::default()
            });
        },
    ];
    for (n, wrong) in wrong.into_iter().enumerate() {
        let mut raw = says(happening::Kind::Push(a_push()));
        wrong(&mut raw);
        assert!(delivered(raw).is_err(), "{n}");
    }
}

/// Somebody else's hook with a strange URL does not hide ours, and a hook without an id is none.
#[test]
fn hooks_of_others_do_no_harm() {
    let raw = |hook_id: &str| v1::HookFacts {
        hook_id: hook_id.into(),
        url: "no url at all\n".into(),
        ..v1::HookFacts::default()
    };
    assert_eq!(hook(raw("1")).unwrap().url, "no url at all");
    assert!(hook(raw("")).is_err());
}

/// A status is one that HTTP has.
#[test]
fn what_was_sent_is_read() {
    let raw = |status| v1::SentDelivery {
        sent_id: "9".into(),
        status,
        ..v1::SentDelivery::default()
    };
    assert_eq!(sent(raw(502)).unwrap().status, 502);
    assert_eq!(sent(raw(0)).unwrap().sent, None);
    assert!(sent(raw(70_000)).is_err() && sent(raw(1000)).is_err());
}
