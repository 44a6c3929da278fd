//! Following events, end to end.

use bindery_core::{
    event::{AccessChange, Event, EventChange, EventHead, EventOrigin},
    name::{ConsumerId, HostName, LinkId, NamespaceName},
    port::{Change, Expect, Key, Record, Vault},
    time::Timestamp,
};
use bindery_proto::v1::{
    self as wire, event_service_client::EventServiceClient, watch_events_response::Message,
};
use prost_types::Duration;
use tonic::{Streaming, transport::Channel};

use crate::{client::reason, world::World};

const ACME: &str = "namespaces/acme";

/// An event of link `bound` for even numbers, and of link `other` for odd ones.
pub(crate) fn event(sequence: u64) -> Event {
    let link = if sequence.is_multiple_of(2) {
        "bound"
    } else {
        "other"
    };
    Event {
        namespace: NamespaceName::parse("acme").expect("name"),
        sequence,
        link: LinkId::parse(link).expect("name"),
        source: None,
        host: HostName::parse("forge").expect("name"),
        repository: String::new(),
        full_name: String::new(),
        happened: None,
        received: Timestamp::from_unix_ms(sequence),
        origin: EventOrigin::Daemon,
        delivery: None,
        actor: None,
        change: EventChange::Access(AccessChange {
            lost: true,
            organization: String::new(),
            reason: "ORGANIZATION_LOST".to_owned(),
            message: String::new(),
            who: None,
            action_uri: String::new(),
        }),
        verdict: None,
        rule: String::new(),
        build: None,
    }
}

/// Puts the events up to `last` there, as if all before `first` had been forgotten.
pub(crate) async fn put(world: &World, first: u64, last: u64) {
    put_made(world, first, last, event).await;
}

pub(crate) async fn put_made(world: &World, first: u64, last: u64, event: impl Fn(u64) -> Event) {
    let acme = || NamespaceName::parse("acme").expect("name");
    let any = |key, record| Change {
        key,
        expect: Expect::Any,
        write: Some(record),
    };
    let events =
        (first..=last).map(|number| any(Key::Event(acme(), number), Record::Event(event(number))));
    let head = EventHead {
        first,
        last,
        bytes: (first..=last).map(|number| event(number).size()).sum(),
        sized_from: first,
    };
    let head = any(Key::EventHead(acme()), Record::EventHead(head));
    let changes = events.chain([head]).collect();
    world.vault.commit(changes).await.expect("events");
}

async fn client(world: &World) -> EventServiceClient<Channel> {
    EventServiceClient::new(world.caller("owner").await)
}

fn watching(consumer: &str) -> wire::WatchEventsRequest {
    wire::WatchEventsRequest {
        parent: ACME.into(),
        consumer_id: consumer.into(),
        heartbeat_interval: Some(Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..Default::default()
    }
}

async fn watch(
    client: &mut EventServiceClient<Channel>,
    request: wire::WatchEventsRequest,
) -> Streaming<wire::WatchEventsResponse> {
    client
        .watch_events(request)
        .await
        .expect("watch")
        .into_inner()
}

/// The next event's number; heartbeats are passed over.
async fn next(stream: &mut Streaming<wire::WatchEventsResponse>) -> Result<i64, String> {
    loop {
        let message = stream.message().await.map_err(|status| reason(&status))?;
        if let Some(Message::Event(event)) = message.expect("more").message {
            return Ok(event.sequence);
        }
    }
}

/// The position of the next heartbeat; there must be no event before it.
async fn beat(stream: &mut Streaming<wire::WatchEventsResponse>) -> i64 {
    match stream.message().await.expect("open").expect("more").message {
        Some(Message::Heartbeat(heartbeat)) => heartbeat.sequence,
        other => panic!("{other:?}"),
    }
}

async fn acknowledge(client: &mut EventServiceClient<Channel>, sequence: i64) {
    let request = wire::AckEventsRequest {
        parent: ACME.into(),
        consumer_id: "builder".into(),
        sequence,
    };
    client.ack_events(request).await.expect("acknowledged");
}

/// A new consumer of an old namespace is not full before it got anything, however many events there were before it.
#[tokio::test]
async fn a_new_consumer_begins_with_what_comes() {
    let world = World::new().await;
    put(&world, 4_990, 5_000).await;
    let mut client = client(&world).await;
    let mut stream = watch(&mut client, watching("builder")).await;
    assert_eq!(beat(&mut stream).await, 5_000);
    put(&world, 4_990, 5_002).await;
    assert_eq!(next(&mut stream).await, Ok(5_001));
    assert_eq!(next(&mut stream).await, Ok(5_002));
    // Sent and not acknowledged: sent again.
    drop(stream);
    let mut stream = watch(&mut client, watching("builder")).await;
    assert_eq!(next(&mut stream).await, Ok(5_001));
}

/// The window holds what was sent and not acknowledged; what a filter leaves out takes no place in it, and moves heartbeats.
#[tokio::test]
async fn the_window_counts_what_was_sent() {
    let world = World::new().await;
    put(&world, 1, 40).await;
    let mut client = client(&world).await;
    let request = wire::WatchEventsRequest {
        filter: r#"link = "namespaces/acme/links/bound""#.into(),
        after_sequence: Some(0),
        max_unacknowledged: 3,
        ..watching("builder")
    };
    let mut stream = watch(&mut client, request).await;
    for number in [2, 4, 6] {
        assert_eq!(next(&mut stream).await, Ok(number));
    }
    assert_eq!(beat(&mut stream).await, 6);
    acknowledge(&mut client, 4).await;
    assert_eq!(next(&mut stream).await, Ok(8));
    assert_eq!(next(&mut stream).await, Ok(10));
    acknowledge(&mut client, 10).await;
    for number in [12, 14, 16] {
        assert_eq!(next(&mut stream).await, Ok(number));
    }
    let nothing = wire::WatchEventsRequest {
        filter: r#"link = "namespaces/acme/links/none""#.into(),
        after_sequence: Some(0),
        max_unacknowledged: 3,
        ..watching("nothing")
    };
    let mut stream = watch(&mut client, nothing).await;
    assert_eq!(beat(&mut stream).await, 40);
}

/// A second watcher takes over, the first is told; a replay gives the second one its events again; a cursor that is too old
/// is told what is left.
#[tokio::test]
async fn takeover_replay_and_old_cursors() {
    let world = World::new().await;
    put(&world, 3, 9).await;
    let mut client = client(&world).await;
    let from_start = wire::WatchEventsRequest {
        after_sequence: Some(0),
        ..watching("builder")
    };
    let mut first = watch(&mut client, from_start.clone()).await;
    assert_eq!(next(&mut first).await, Ok(3));
    let mut second = watch(&mut client, from_start).await;
    for number in 3..=9 {
        assert_eq!(next(&mut second).await, Ok(number));
    }
    let end = loop {
        match next(&mut first).await {
            Ok(number) => assert!(number <= 9),
            Err(reason) => break reason,
        }
    };
    assert_eq!(end, "CONSUMER_TAKEN_OVER");
    acknowledge(&mut client, 9).await;
    let replay = wire::ReplayEventsRequest {
        parent: ACME.into(),
        target: Some(wire::replay_events_request::Target::ConsumerId(
            "builder".into(),
        )),
        since_sequence: 7,
        ..Default::default()
    };
    let replayed = client
        .replay_events(replay)
        .await
        .expect("replay")
        .into_inner();
    assert_eq!((replayed.first_sequence, replayed.event_count), (7, 3));
    for number in 7..=9 {
        assert_eq!(next(&mut second).await, Ok(number));
    }
    let old = wire::WatchEventsRequest {
        after_sequence: Some(1),
        ..watching("")
    };
    let refused = client.watch_events(old).await.expect_err("old");
    assert_eq!(reason(&refused), "CURSOR_TOO_OLD");
}

/// Pages go on where the one before ended, also when what stood there was forgotten in between.
#[tokio::test]
async fn pages_go_on_behind_what_was_forgotten() {
    let world = World::new().await;
    put(&world, 1, 9).await;
    let mut client = client(&world).await;
    let list = wire::ListEventsRequest {
        parent: ACME.into(),
        page_size: 2,
        ..Default::default()
    };
    let page = client
        .list_events(list.clone())
        .await
        .expect("page")
        .into_inner();
    assert_eq!(page.events[1].sequence, 2);
    put(&world, 6, 9).await;
    let rest = wire::ListEventsRequest {
        page_token: page.next_page_token,
        ..list
    };
    let page = client.list_events(rest).await.expect("page").into_inner();
    let numbers: Vec<_> = page.events.iter().map(|event| event.sequence).collect();
    assert_eq!((numbers, page.oldest_sequence), (vec![6, 7], 6));
}

/// A thousand watchers get each event once, in order, and each from its own place.
#[tokio::test]
async fn a_thousand_watchers_get_each_event_once() {
    let world = World::new().await;
    put(&world, 1, 3).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut client = client(&world).await;
        for _ in 0..100 {
            let after = i64::try_from(streams.len() % 4).expect("fits");
            let request = wire::WatchEventsRequest {
                after_sequence: Some(after),
                ..watching("")
            };
            streams.push((after, watch(&mut client, request).await));
        }
    }
    put(&world, 1, 8).await;
    for (after, stream) in &mut streams {
        for number in *after + 1..=8 {
            assert_eq!(next(stream).await, Ok(number));
        }
    }
}

/// A watcher that does not read for a while loses nothing.
#[tokio::test]
async fn a_slow_watcher_loses_nothing() {
    let world = World::new().await;
    put(&world, 1, 1_000).await;
    let mut client = client(&world).await;
    let request = wire::WatchEventsRequest {
        after_sequence: Some(0),
        ..watching("")
    };
    let mut slow = watch(&mut client, request.clone()).await;
    let mut quick = watch(&mut client, request).await;
    for stream in [&mut quick, &mut slow] {
        for number in 1..=1_000 {
            assert_eq!(next(stream).await, Ok(number));
        }
    }
}

/// An event that takes more than a few of fit into what a connection holds.
fn large(sequence: u64) -> Event {
    let mut event = event(sequence);
    event.full_name = "x".repeat(8 << 10);
    event
}

/// Waits until nobody follows as `builder`. Returns the most that was sent until then.
async fn given_up(world: &World) -> u64 {
    let id = ConsumerId::parse("builder").expect("id");
    let acme = NamespaceName::parse("acme").expect("name");
    let mut most = 0;
    let wait = async {
        loop {
            let now = world.engine.consumer(&acme, &id).await.expect("consumer");
            most = most.max(now.sent);
            if !now.connected {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let deadline = std::time::Duration::from_secs(60);
    tokio::time::timeout(deadline, wait).await.expect("ended");
    most
}

/// A watcher that stops reading is sent no more than its connection holds, is ended with a reason, and gets the rest when it
/// comes again.
#[tokio::test]
async fn a_watcher_that_stops_reading_is_ended_and_loses_nothing() {
    let world = World::new().await;
    let patience = |milliseconds| std::time::Duration::from_millis(milliseconds);
    world.api.set_watch_patience(patience(200));
    put_made(&world, 1, 900, large).await;
    let mut client = client(&world).await;
    let request = wire::WatchEventsRequest {
        after_sequence: Some(0),
        ..watching("builder")
    };
    let mut stream = watch(&mut client, request).await;
    // Seven mebibytes are there, and a connection holds two that are not read.
    let sent = given_up(&world).await;
    assert!((1..500).contains(&sent), "{sent}");
    let mut last = 0;
    let end = loop {
        match next(&mut stream).await {
            Ok(number) => {
                assert_eq!(number, last + 1);
                last = number;
            }
            Err(reason) => break reason,
        }
    };
    assert_eq!(end, "WATCHER_TOO_SLOW");
    assert!(last <= i64::try_from(sent).expect("fits"), "{last}");
    world.api.set_watch_patience(patience(120_000));
    acknowledge(&mut client, last).await;
    let mut again = watch(&mut client, watching("builder")).await;
    for number in last + 1..=900 {
        assert_eq!(next(&mut again).await, Ok(number));
    }
}

/// A watch of a namespace that is deleted ends, and says why.
#[tokio::test]
async fn a_watch_ends_with_its_namespace() {
    let world = World::new().await;
    let name = NamespaceName::parse("fresh").expect("name");
    let kind = bindery_core::namespace::NamespaceKind::User;
    let made = bindery_engine::namespaces::NewNamespace::new(name.clone(), kind);
    let made = world.engine.create_namespace(made, None).await;
    made.expect("made");
    let mut client = client(&world).await;
    let request = wire::WatchEventsRequest {
        parent: "namespaces/fresh".into(),
        ..watching("")
    };
    let mut stream = watch(&mut client, request).await;
    let deleted = world.engine.delete_namespace(&name, None).await;
    deleted.expect("deleted");
    let deadline = std::time::Duration::from_secs(60);
    let end = tokio::time::timeout(deadline, next(&mut stream)).await;
    assert_eq!(end.expect("in time"), Err("NOT_FOUND".to_owned()));
}

/// A repetition of a replay with the same id sets nothing back.
#[tokio::test]
async fn a_repeated_replay_answers_the_same() {
    let world = World::new().await;
    put(&world, 1, 5).await;
    let mut client = client(&world).await;
    drop(watch(&mut client, watching("builder")).await);
    acknowledge(&mut client, 5).await;
    let replay = wire::ReplayEventsRequest {
        parent: ACME.into(),
        target: Some(wire::replay_events_request::Target::ConsumerId(
            "builder".into(),
        )),
        since_sequence: 4,
        request_id: "0b7e5f9c-2f4f-4a51-9c88-0d2f9a2d7a11".into(),
        ..Default::default()
    };
    let first = client.replay_events(replay.clone()).await;
    acknowledge(&mut client, 5).await;
    let again = client.replay_events(replay.clone()).await;
    assert_eq!(
        first.expect("replayed").into_inner(),
        again.expect("the same").into_inner()
    );
    let builder = ConsumerId::parse("builder").expect("id");
    let acme = NamespaceName::parse("acme").expect("name");
    let now = world.engine.consumer(&acme, &builder).await;
    assert_eq!(now.expect("consumer").backlog, 0);
    let other = wire::ReplayEventsRequest {
        since_sequence: 5,
        ..replay
    };
    let refused = client.replay_events(other).await.expect_err("another one");
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
}

/// The place of a consumer is one number: what would send it a part of what follows is refused with its field, and nothing is
/// set back.
#[tokio::test]
async fn a_consumer_is_sent_no_part() {
    let world = World::new().await;
    put(&world, 1, 5).await;
    let mut client = client(&world).await;
    drop(watch(&mut client, watching("builder")).await);
    acknowledge(&mut client, 5).await;
    let all = wire::ReplayEventsRequest {
        parent: ACME.into(),
        target: Some(wire::replay_events_request::Target::ConsumerId(
            "builder".into(),
        )),
        since_sequence: 2,
        ..Default::default()
    };
    for preview in [true, false] {
        let until = wire::ReplayEventsRequest {
            until_time: Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 0,
            }),
            validate_only: preview,
            ..all.clone()
        };
        let missing = wire::ReplayEventsRequest {
            missing_only: true,
            validate_only: preview,
            ..all.clone()
        };
        for (request, field) in [(until, "until_time"), (missing, "missing_only")] {
            let refused = client.replay_events(request).await.expect_err("refused");
            assert_eq!(reason(&refused), "INVALID_ARGUMENT");
            assert!(refused.message().contains(field), "{}", refused.message());
        }
    }
    let builder = ConsumerId::parse("builder").expect("id");
    let acme = NamespaceName::parse("acme").expect("name");
    let now = world.engine.consumer(&acme, &builder).await;
    assert_eq!(now.expect("consumer").backlog, 0);
    let replayed = client.replay_events(all).await.expect("replay");
    assert_eq!(replayed.into_inner().event_count, 4);
}
