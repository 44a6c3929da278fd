//! Events: numbered without gaps, read by number and time, followed, acknowledged, and forgotten in the end.

use std::{collections::BTreeSet, time::Duration};

use bindery_core::{
    event::{AccessChange, Event, EventChange, EventHead, EventOrigin},
    name::{ConsumerId, NamespaceName},
    port::{Key, Record},
    problem::Reason,
    time::Timestamp,
};
use bindery_engine::{
    Engine, RequestKey,
    events::{Draft, EventRetention},
};

use crate::support::{World, acme, host_name, umbrella};

/// An event without anything about a source.
pub(crate) fn draft(namespace: NamespaceName, received: Timestamp) -> Draft {
    Draft::from(Event {
        namespace,
        sequence: 0,
        link: bindery_core::name::LinkId::parse("l").expect("name"),
        source: None,
        host: host_name(),
        repository: String::new(),
        full_name: String::new(),
        happened: None,
        received,
        origin: EventOrigin::Daemon,
        delivery: None,
        actor: None,
        change: EventChange::Access(AccessChange {
            lost: true,
            organization: "acme".to_owned(),
            reason: "ORGANIZATION_LOST".to_owned(),
            message: String::new(),
            who: None,
            action_uri: String::new(),
        }),
        verdict: None,
        rule: String::new(),
        build: None,
    })
}

/// Appends so many, a second apart.
async fn append(world: &World, count: u64) {
    for _ in 0..count {
        let draft = draft(acme(), world.engine.time());
        world
            .engine
            .append_events(vec![draft], |_| Vec::new())
            .await
            .expect("appended");
        world.clock.advance(Duration::from_secs(1));
    }
}

fn builder() -> ConsumerId {
    ConsumerId::parse("builder").expect("name")
}

async fn numbers(engine: &Engine, mut after: u64) -> Vec<u64> {
    let mut all = Vec::new();
    while let Some(event) = engine.event_after(&acme(), after).await.expect("read") {
        after = event.sequence;
        all.push(after);
    }
    all
}

/// Sixty-four appenders at once, to two namespaces: each has the numbers from one on, all of them, once.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_have_no_gaps_among_many_appenders() {
    let world = World::new().await;
    let now = world.engine.time();
    let appenders = (0..64).map(|_| {
        let engine = world.engine.clone();
        tokio::spawn(async move {
            let drafts = vec![
                draft(acme(), now),
                draft(umbrella(), now),
                draft(acme(), now),
            ];
            engine
                .append_events(drafts, |_| Vec::new())
                .await
                .expect("appended")
        })
    });
    let mut given = BTreeSet::new();
    for appender in appenders.collect::<Vec<_>>() {
        given.extend(appender.await.expect("task"));
    }
    assert_eq!(given.len(), 192);
    assert_eq!(
        numbers(&world.engine, 0).await,
        (1..=128).collect::<Vec<_>>()
    );
    let other = world.engine.event_numbers(&umbrella()).await.expect("head");
    assert_eq!((other.first, other.last), (1, 64));
}

/// What can't be written leaves no number behind, and a restart goes on after the last one.
#[tokio::test]
async fn a_failed_write_takes_no_number() {
    let mut world = World::new().await;
    append(&world, 2).await;
    let conflict = world
        .engine
        .append_events(vec![draft(acme(), Timestamp::default())], |_| {
            let key = Key::Namespace(acme());
            let expect = bindery_core::port::Expect::Absent;
            vec![bindery_core::port::Change {
                key,
                expect,
                write: None,
            }]
        })
        .await;
    assert_eq!(conflict.expect_err("refused").reason, Reason::StoreConflict);
    world.restart().await;
    append(&world, 1).await;
    assert_eq!(numbers(&world.engine, 0).await, [1, 2, 3]);
}

/// A watcher is woken, resumes after its cursor, and another one takes over.
#[tokio::test]
async fn followers_are_woken_resume_and_are_taken_over() {
    let world = World::new().await;
    append(&world, 3).await;
    let (consumer, mut first) = world
        .engine
        .follow_as(&acme(), &builder(), "uid:1", 0)
        .await
        .expect("follows");
    assert_eq!(consumer.acknowledged, None);
    let mut calls = world.engine.event_calls(&acme());
    calls.mark_unchanged();
    append(&world, 1).await;
    calls.changed().await.expect("woken");
    assert_eq!(numbers(&world.engine, 2).await, [3, 4]);
    assert!(first.state().is_some());
    let (_, mut second) = world
        .engine
        .follow_as(&acme(), &builder(), "uid:2", 0)
        .await
        .expect("follows");
    first.changed().await;
    assert_eq!(first.state(), None);
    drop(first);
    assert!(second.state().is_some());
    let now = world
        .engine
        .consumer(&acme(), &builder())
        .await
        .expect("consumer");
    assert!(now.connected);
    assert_eq!(now.consumer.principal, "uid:2");
    drop(second);
    let now = world
        .engine
        .consumer(&acme(), &builder())
        .await
        .expect("consumer");
    assert!(!now.connected);
}

/// An acknowledgement outlives a restart, never goes back by itself, and goes no further than the events.
#[tokio::test]
async fn acknowledgements_last() {
    let mut world = World::new().await;
    append(&world, 5).await;
    let absent = world.engine.acknowledge(&acme(), &builder(), 1).await;
    assert_eq!(absent.expect_err("never followed").reason, Reason::NotFound);
    let follow = world
        .engine
        .follow_as(&acme(), &builder(), "uid:1", 0)
        .await;
    drop(follow.expect("follows"));
    for sequence in [4, 2] {
        let now = world
            .engine
            .acknowledge(&acme(), &builder(), sequence)
            .await;
        let now = now.expect("acknowledged");
        assert_eq!((now.consumer.acknowledged, now.backlog), (Some(4), 1));
    }
    let ahead = world.engine.acknowledge(&acme(), &builder(), 6).await;
    assert_eq!(ahead.expect_err("ahead").reason, Reason::InvalidArgument);
    world.restart().await;
    let follow = world
        .engine
        .follow_as(&acme(), &builder(), "uid:1", 0)
        .await;
    assert_eq!(follow.expect("follows").0.acknowledged, Some(4));
}

/// A replay sets the acknowledgement back, and whoever follows learns of it.
#[tokio::test]
async fn a_replay_is_told_to_the_follower() {
    let world = World::new().await;
    append(&world, 5).await;
    let follow = world
        .engine
        .follow_as(&acme(), &builder(), "uid:1", 0)
        .await;
    let (_, mut following) = follow.expect("follows");
    let acknowledged = world.engine.acknowledge(&acme(), &builder(), 5).await;
    acknowledged.expect("acknowledged");
    assert_eq!(following.state().expect("follows").acknowledged, 5);
    world
        .engine
        .rewind(&acme(), &builder(), 2, None)
        .await
        .expect("set back");
    let state = following.state().expect("follows");
    assert_eq!((state.acknowledged, state.rewinds), (1, 1));
    let found = world.engine.event_at(&acme(), Timestamp::default()).await;
    assert_eq!(found.expect("found"), 1);
    world
        .engine
        .forget_consumer(&acme(), &builder())
        .await
        .expect("forgotten");
    assert_eq!(following.state(), None);
}

/// Events go when they are too old or too many; a cursor before them is told what is left.
#[tokio::test]
async fn old_events_are_forgotten_and_old_cursors_told() {
    let world = World::new().await;
    append(&world, 500).await;
    let third = world.engine.event(&acme(), 3).await.expect("event");
    let at = world.engine.event_at(&acme(), third.received).await;
    assert_eq!(at.expect("found"), 3);
    let retention = |time, count| EventRetention {
        time: Duration::from_secs(time),
        count,
        ..EventRetention::default()
    };
    world.engine.set_event_retention(retention(1_000_000, 300));
    world.engine.sweep().await.expect("swept");
    let head = world.engine.event_numbers(&acme()).await.expect("head");
    assert_eq!((head.first, head.last), (201, 500));
    world.engine.set_event_retention(retention(100, 300));
    world.engine.sweep().await.expect("swept");
    let head = world.engine.event_numbers(&acme()).await.expect("head");
    assert_eq!((head.first, head.last), (401, 500));
    let gone = world.engine.event(&acme(), 400).await.expect_err("gone");
    assert_eq!(gone.reason, Reason::NotFound);
    let old = world.engine.event_after(&acme(), 3).await.expect_err("old");
    assert_eq!(old.reason, Reason::CursorTooOld);
    assert!(
        old.metadata
            .contains(&("oldest_sequence", "401".to_owned()))
    );
    assert_eq!(numbers(&world.engine, 400).await.len(), 100);
    world.clock.advance(Duration::from_secs(1_000));
    world.engine.sweep().await.expect("swept");
    append(&world, 1).await;
    assert_eq!(numbers(&world.engine, 500).await, [501]);
}

/// Events that say too much go, the oldest first, and what is kept is counted right whatever came and went; the newest stays.
#[tokio::test]
async fn events_that_say_too_much_are_forgotten() {
    let mut world = World::new().await;
    append(&world, 500).await;
    let one = world
        .engine
        .event(&acme(), 500)
        .await
        .expect("event")
        .size();
    let before = world.engine.event_numbers(&acme()).await.expect("head");
    assert_eq!(before.bytes, 500 * one);
    let retention = |bytes| EventRetention {
        bytes,
        ..EventRetention::default()
    };
    world.engine.set_event_retention(retention(10 * one + 1));
    world.engine.sweep().await.expect("swept");
    let head = world.engine.event_numbers(&acme()).await.expect("head");
    assert_eq!((head.first, head.last, head.bytes), (491, 500, 10 * one));
    let old = world.engine.event_after(&acme(), 7).await.expect_err("old");
    assert_eq!(old.reason, Reason::CursorTooOld);
    world.restart().await;
    append(&world, 3).await;
    world.engine.set_event_retention(retention(1));
    world.engine.sweep().await.expect("swept");
    let head = world.engine.event_numbers(&acme()).await.expect("head");
    assert_eq!((head.first, head.last, head.bytes), (503, 503, one));
    assert_eq!(numbers(&world.engine, 502).await, [503]);
}

/// Events whose sizes were not noted when they were stored are counted by the next sweep, however many there are, and go by size
/// like others.
#[tokio::test]
async fn events_from_before_sizes_were_noted_are_counted() {
    let world = World::new().await;
    append(&world, 500).await;
    let noted = world.engine.event_numbers(&acme()).await.expect("head");
    let one = noted.bytes / 500;
    let before = EventHead {
        bytes: 0,
        sized_from: noted.last + 1,
        ..noted
    };
    let key = Key::EventHead(acme());
    world.put(key, Record::EventHead(before)).await;
    append(&world, 3).await;
    let numbers = || async { world.engine.event_numbers(&acme()).await.expect("head") };
    assert_eq!(numbers().await.bytes, 3 * one);
    world.engine.sweep().await.expect("swept");
    let head = numbers().await;
    assert_eq!((head.first, head.sized_from, head.bytes), (1, 1, 503 * one));
    let retention = EventRetention {
        bytes: 10 * one,
        ..EventRetention::default()
    };
    let before = EventHead {
        last: 503,
        sized_from: 504,
        ..before
    };
    world
        .put(Key::EventHead(acme()), Record::EventHead(before))
        .await;
    world.engine.set_event_retention(retention);
    world.engine.sweep().await.expect("swept");
    let head = numbers().await;
    assert_eq!((head.first, head.last, head.bytes), (494, 503, 10 * one));
}

/// A consumer that never acknowledged starts again where it started first, so that nothing that was sent is lost.
#[tokio::test]
async fn a_consumer_that_never_acknowledged_starts_where_it_started() {
    let mut world = World::new().await;
    append(&world, 3).await;
    let first = world
        .engine
        .follow_as(&acme(), &builder(), "uid:1", 3)
        .await;
    drop(first.expect("follows"));
    append(&world, 2).await;
    world.restart().await;
    let again = world
        .engine
        .follow_as(&acme(), &builder(), "uid:1", 5)
        .await;
    let (consumer, mut following) = again.expect("follows");
    assert_eq!((consumer.acknowledged, consumer.settled()), (None, 3));
    assert_eq!(following.state().expect("follows").acknowledged, 3);
    let now = world.engine.consumer(&acme(), &builder()).await;
    assert_eq!(now.expect("consumer").backlog, 2);
}

/// Times of receipt never go back from one number to the next, whatever the clock did, also across a restart.
#[tokio::test]
async fn times_of_receipt_never_go_back() {
    let mut world = World::new().await;
    append(&world, 1).await;
    let late = world
        .engine
        .event(&acme(), 1)
        .await
        .expect("event")
        .received;
    for sequence in 2..=3 {
        let early = draft(acme(), Timestamp::from_unix_ms(5));
        let appended = world
            .engine
            .append_events(vec![early], |_| Vec::new())
            .await;
        assert_eq!(appended.expect("appended"), [(acme(), sequence)]);
        let event = world.engine.event(&acme(), sequence).await.expect("event");
        assert_eq!(event.received, late);
        world.restart().await;
    }
}

/// A repetition of a replay answers as the first did and sets nothing back; another request with its id is refused.
#[tokio::test]
async fn a_repeated_replay_sets_nothing_back() {
    let world = World::new().await;
    let engine = &world.engine;
    append(&world, 5).await;
    let follow = engine.follow_as(&acme(), &builder(), "uid:1", 0).await;
    let (_, mut following) = follow.expect("follows");
    let acknowledge = async || {
        let done = engine.acknowledge(&acme(), &builder(), 5).await;
        done.expect("acknowledged");
    };
    let key = |body: &[u8]| RequestKey::new("uid:1", "ReplayEvents", "1", body);
    let rewind = async |body: &[u8]| {
        let key = key(body);
        let replayed = engine.rewind(&acme(), &builder(), 3, key.as_ref()).await;
        replayed.map(|all| (all.first, all.last, all.count))
    };
    acknowledge().await;
    assert_eq!(rewind(b"a").await.expect("set back"), (3, 5, 3));
    assert_eq!(following.state().expect("follows").acknowledged, 2);
    acknowledge().await;
    append(&world, 1).await;
    assert_eq!(rewind(b"a").await.expect("the same"), (3, 5, 3));
    assert_eq!(following.state().expect("follows").acknowledged, 5);
    let other = rewind(b"b").await.expect_err("another one");
    assert_eq!(other.reason, Reason::RequestIdReused);
}
