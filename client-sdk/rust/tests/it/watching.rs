//! Following events: without a loss, in order, and with acknowledgements that hold.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_client::{
    Client, Code, Error, EventWatch, Events, ReplayRequest, Status,
    proto::v1::Event,
    testing::{FakeBindery, Refusal},
};
use futures_util::TryStreamExt as _;
use tokio::{
    task::yield_now,
    time::{Instant, timeout},
};

const NAMESPACE: &str = "namespaces/acme";

async fn scene() -> (Arc<FakeBindery>, Client) {
    let bindery = FakeBindery::start().await.unwrap();
    bindery.add_namespace("acme");
    let client = bindery.client().await.unwrap();
    (Arc::new(bindery), client)
}

fn publish(bindery: &FakeBindery, events: usize) {
    for _ in 0..events {
        bindery.publish("acme", Event::default());
    }
}

fn builder(client: &Client) -> Events {
    client.events(NAMESPACE).consumer("builder")
}

/// The numbers of the next events.
async fn numbers(watch: &mut EventWatch, events: usize) -> Vec<i64> {
    let mut numbers = Vec::new();
    for _ in 0..events {
        numbers.push(watch.next().await.unwrap().sequence);
    }
    numbers
}

fn all(numbers: RangeInclusive<i64>) -> Vec<i64> {
    numbers.collect()
}

fn daemon_says(code: Code, reason: &str) -> Refusal {
    Refusal::new(code, reason, format!("the daemon says {reason}"))
}

/// Streams that break in the middle, by a status and by a cut connection, lose nothing and double nothing:
/// without a consumer, with one that acknowledges nothing, some, and all.
#[tokio::test(start_paused = true)]
async fn three_drops_lose_and_double_nothing() {
    for acknowledged in [None, Some(0), Some(3), Some(1)] {
        let (bindery, client) = scene().await;
        publish(&bindery, 20);
        bindery.end_watch_after(3, daemon_says(Code::Unavailable, "SHUTTING_DOWN"));
        bindery.end_watch_after(9, Status::unavailable("lost"));
        let events = client.events(NAMESPACE).oldest();
        let mut watch = match acknowledged {
            None => events.watch(),
            Some(_) => events.consumer("builder").watch(),
        };
        let mut seen = Vec::new();
        while seen.len() < 20 {
            let event = watch.next().await.unwrap();
            seen.push(event.sequence);
            let every = acknowledged.unwrap_or_default();
            if every > 0 && event.sequence % every == 0 {
                watch.ack(&event).await.unwrap();
            }
            if event.sequence == 15 {
                bindery.cut_connections();
            }
        }
        assert_eq!(seen, all(1..=20), "{acknowledged:?}");
        publish(&bindery, 1);
        assert_eq!(watch.next().await.unwrap().sequence, 21);
        assert_eq!(bindery.calls("WatchEvents").len(), 4, "{acknowledged:?}");
    }
}

/// A daemon that is away is waited for, with longer and longer pauses, and what happened meanwhile comes.
#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out() {
    let (bindery, client) = scene().await;
    publish(&bindery, 1);
    let reasons: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = reasons.clone();
    let restarted = bindery.clone();
    let mut watch = builder(&client)
        .oldest()
        .on_interruption(move |error| {
            let mut heard = heard.lock().unwrap();
            heard.push(error.to_string());
            if heard.len() == 12 {
                restarted.come_up();
            }
        })
        .watch();
    assert_eq!(watch.next().await.unwrap().sequence, 1);
    bindery.go_down();
    bindery.cut_connections();
    publish(&bindery, 3);
    let started = Instant::now();
    assert_eq!(numbers(&mut watch, 3).await, all(2..=4));
    // Twelve pauses of 0.1 s, doubled each time up to 30 s; at least half of each.
    assert!(
        started.elapsed() >= Duration::from_secs(75),
        "{:?}",
        started.elapsed()
    );
    assert!(started.elapsed() <= Duration::from_secs(180));
    assert_eq!(reasons.lock().unwrap().len(), 12);
    // What was heard since makes the next pause a short one.
    bindery.cut_connections();
    publish(&bindery, 1);
    let started = Instant::now();
    assert_eq!(watch.next().await.unwrap().sequence, 5);
    assert!(started.elapsed() <= Duration::from_secs(1));
}

/// A connection that gives no sign of life for two and a half heartbeats is dead; one that gives heartbeats
/// is not.
#[tokio::test(start_paused = true)]
async fn silence_is_death() {
    let (bindery, client) = scene().await;
    publish(&bindery, 1);
    bindery.mute_next_watch();
    let interval = Duration::from_secs(10);
    let mut watch = builder(&client).oldest().heartbeat(interval).watch();
    let started = Instant::now();
    assert_eq!(watch.next().await.unwrap().sequence, 1);
    let silence = started.elapsed();
    assert!(silence >= interval * 5 / 2, "{silence:?}");
    assert!(silence <= interval * 3, "{silence:?}");
    assert_eq!(bindery.calls("WatchEvents").len(), 2);
    let quiet = timeout(interval * 1_000, watch.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert_eq!(bindery.calls("WatchEvents").len(), 2);
}

/// A caller who is slow to ask finds what was sent meanwhile, and no dead connection.
#[tokio::test(start_paused = true)]
async fn a_slow_caller_is_not_a_dead_connection() {
    let (bindery, client) = scene().await;
    publish(&bindery, 1);
    let mut watch = builder(&client).oldest().watch();
    assert_eq!(watch.next().await.unwrap().sequence, 1);
    publish(&bindery, 1);
    // The runtime hands over what has arrived while nobody asks.
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(watch.next().await.unwrap().sequence, 2);
    assert_eq!(bindery.calls("WatchEvents").len(), 1);
}

/// The pause that a busy daemon asks for is kept.
#[tokio::test(start_paused = true)]
async fn an_overloaded_daemon_is_left_alone() {
    let (bindery, client) = scene().await;
    publish(&bindery, 1);
    let pause = Duration::from_secs(77);
    let busy = daemon_says(Code::ResourceExhausted, "OVERLOADED").retry_after(pause);
    bindery.fail_next("WatchEvents", busy);
    let started = Instant::now();
    let mut watch = builder(&client).oldest().watch();
    assert_eq!(watch.next().await.unwrap().sequence, 1);
    assert!(started.elapsed() >= pause);
}

/// What passes is connected again, before and in the middle of a stream.
#[tokio::test(start_paused = true)]
async fn what_passes_is_waited_out() {
    let passing = [
        Status::from(daemon_says(Code::Unavailable, "SHUTTING_DOWN")),
        daemon_says(Code::Unavailable, "WATCHER_TOO_SLOW").into(),
        daemon_says(Code::Unavailable, "SEALED").into(),
        daemon_says(Code::ResourceExhausted, "OVERLOADED").into(),
        daemon_says(Code::DeadlineExceeded, "DEADLINE_PASSED").into(),
        Status::unavailable("a proxy says no"),
        Status::internal("the stream was reset"),
        Status::unknown("a proxy is confused"),
        Status::cancelled("the stream was reset"),
    ];
    for status in passing {
        let (bindery, client) = scene().await;
        publish(&bindery, 4);
        bindery.fail_next("WatchEvents", status.clone());
        bindery.end_watch_after(2, status.clone());
        let mut watch = builder(&client).oldest().watch();
        assert_eq!(numbers(&mut watch, 4).await, all(1..=4), "{status:?}");
        assert_eq!(bindery.calls("WatchEvents").len(), 3, "{status:?}");
    }
}

/// What does not pass ends a watch, before and in the middle of a stream, with its reason, for good.
#[tokio::test(start_paused = true)]
async fn what_does_not_pass_ends_a_watch() {
    let ends = [
        (Code::NotFound, "NOT_FOUND"),
        (Code::OutOfRange, "CURSOR_TOO_OLD"),
        (Code::InvalidArgument, "FILTER_INVALID"),
        (Code::InvalidArgument, "INVALID_ARGUMENT"),
        (Code::Aborted, "CONSUMER_TAKEN_OVER"),
        (Code::PermissionDenied, "PERMISSION_DENIED"),
        (Code::Unauthenticated, "UNAUTHENTICATED"),
        (Code::Unimplemented, "NOT_SERVED_YET"),
        (Code::Internal, "INTERNAL"),
        (Code::Unavailable, "STORE_READ_ONLY"),
    ];
    for (code, reason) in ends {
        for before in [true, false] {
            let (bindery, client) = scene().await;
            publish(&bindery, 2);
            if before {
                bindery.fail_next("WatchEvents", daemon_says(code, reason));
            } else {
                bindery.end_watch_after(0, daemon_says(code, reason));
            }
            let mut watch = builder(&client).oldest().watch();
            for _ in 0..2 {
                let error = watch.next().await.unwrap_err();
                assert_eq!((error.code(), error.reason()), (code, reason));
            }
            assert_eq!(bindery.calls("WatchEvents").len(), 1, "{reason}");
        }
    }
}

/// A cursor before the oldest event that is kept ends a watch, and the error says where to go on.
#[tokio::test]
async fn an_old_cursor_is_told() {
    let (bindery, client) = scene().await;
    publish(&bindery, 9);
    bindery.forget_events("acme", 6);
    let mut watch = builder(&client).after(3).watch();
    let error = watch.next().await.unwrap_err();
    let facts = error.failure().unwrap();
    assert_eq!(facts.reason, "CURSOR_TOO_OLD");
    assert_eq!(facts.metadata["oldest_sequence"], "7");
    let mut watch = builder(&client).oldest().watch();
    assert_eq!(numbers(&mut watch, 3).await, all(7..=9));
}

/// A second watch of a consumer takes over: the first one ends, and what it did not acknowledge comes to the
/// second.
#[tokio::test]
async fn a_consumer_is_taken_over() {
    let (bindery, client) = scene().await;
    publish(&bindery, 4);
    let mut first = builder(&client).oldest().watch();
    let event = first.next().await.unwrap();
    first.ack(&event).await.unwrap();
    let mut second = builder(&client).watch();
    assert_eq!(numbers(&mut second, 3).await, all(2..=4));
    let mut handed = 0;
    let error = loop {
        match first.next().await {
            Ok(_) => handed += 1,
            Err(error) => break error,
        }
    };
    assert!(handed <= 3);
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    assert_eq!(error.reason(), "CONSUMER_TAKEN_OVER");
}

/// A busy consumer acknowledges many events with one call, and a flush makes sure of all of them.
#[tokio::test]
async fn many_are_acknowledged_with_one_call() {
    let (bindery, client) = scene().await;
    publish(&bindery, 500);
    let mut watch = builder(&client).oldest().watch();
    for _ in 0..500 {
        let event = watch.next().await.unwrap();
        drop(watch.ack(&event));
    }
    watch.flush().await.unwrap();
    assert_eq!(bindery.acknowledged("acme", "builder"), 500);
    let calls = bindery.calls("AckEvents").len();
    assert!(calls <= 100, "{calls} calls for 500 events");
    watch.flush().await.unwrap();
    assert_eq!(bindery.calls("AckEvents").len(), calls, "nothing was left");
}

/// An acknowledgement that returned is durable; while one call is under way the others wait for the next.
#[tokio::test]
async fn an_acknowledgement_that_returned_is_durable() {
    let (bindery, client) = scene().await;
    publish(&bindery, 6);
    let mut watch = builder(&client).oldest().watch();
    for sequence in 1..=3 {
        let event = watch.next().await.unwrap();
        watch.ack(&event).await.unwrap();
        assert_eq!(bindery.acknowledged("acme", "builder"), sequence);
    }
    let acker = watch.acker();
    let together = (4..=6).map(|sequence| acker.ack_until(sequence));
    let together = futures_util::future::join_all(together);
    let elsewhere = tokio::spawn(together);
    assert!(elsewhere.await.unwrap().into_iter().all(|one| one.is_ok()));
    assert_eq!(bindery.acknowledged("acme", "builder"), 6);
    assert_eq!(bindery.calls("AckEvents").len(), 4);
}

/// A watch that is dropped still sends what was acknowledged.
#[tokio::test]
async fn a_dropped_watch_sends_what_is_left() {
    let (bindery, client) = scene().await;
    publish(&bindery, 1);
    let mut watch = builder(&client).oldest().watch();
    let event = watch.next().await.unwrap();
    let acknowledged = watch.ack(&event);
    drop(watch);
    assert_eq!(bindery.acknowledged("acme", "builder"), 0);
    acknowledged.await.unwrap();
    assert_eq!(bindery.acknowledged("acme", "builder"), 1);
}

/// An acknowledgement waits out what passes, far longer than one call would; a dropped watch gives up.
#[tokio::test(start_paused = true)]
async fn acknowledgements_wait_out_an_outage() {
    let (bindery, client) = scene().await;
    publish(&bindery, 2);
    let mut watch = builder(&client).oldest().watch();
    let first = watch.next().await.unwrap();
    bindery.fail_times("AckEvents", 40, Status::unavailable("lost"));
    watch.ack(&first).await.unwrap();
    assert_eq!(bindery.calls("AckEvents").len(), 41);
    let second = watch.next().await.unwrap();
    bindery.fail_times("AckEvents", 40, Status::unavailable("lost"));
    let acknowledged = watch.ack(&second);
    drop(watch);
    let error = acknowledged.await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert_eq!(bindery.acknowledged("acme", "builder"), 1);
}

/// A failure that does not pass reaches whoever waits, else the next call of the watch, once.
#[tokio::test]
async fn a_failed_acknowledgement_is_told() {
    let (bindery, client) = scene().await;
    publish(&bindery, 3);
    let mut watch = builder(&client).oldest().watch();
    let event = watch.next().await.unwrap();
    let refusal = || daemon_says(Code::Unavailable, "STORE_READ_ONLY");
    bindery.fail_next("AckEvents", refusal());
    let error = watch.ack(&event).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_READ_ONLY");
    assert_eq!(watch.next().await.unwrap().sequence, 2);
    bindery.fail_next("AckEvents", refusal());
    drop(watch.ack(&event));
    while bindery.calls("AckEvents").len() < 2 {
        yield_now().await;
    }
    let mut told = 0;
    let third = loop {
        match watch.next().await {
            Ok(event) => break event,
            Err(error) => {
                assert_eq!(error.reason(), "STORE_READ_ONLY");
                told += 1;
            }
        }
    };
    publish(&bindery, 1);
    while told == 0 {
        told += usize::from(watch.next().await.is_err());
    }
    assert_eq!((told, third.sequence), (1, 3));
    watch.flush().await.unwrap();
    assert_eq!(
        bindery.acknowledged("acme", "builder"),
        1,
        "a flush tries again"
    );
}

/// Without a consumer there is no place to keep.
#[tokio::test]
async fn only_consumers_acknowledge() {
    let (bindery, client) = scene().await;
    publish(&bindery, 1);
    let mut watch = client.events(NAMESPACE).oldest().watch();
    let event = watch.next().await.unwrap();
    let error = watch.ack(&event).await.unwrap_err();
    assert!(matches!(error, Error::Configuration(_)), "{error:?}");
    watch.flush().await.unwrap();
    assert!(bindery.calls("AckEvents").is_empty());
}

/// A consumer that comes back goes on after its acknowledgement; one that is new starts with what is to come.
#[tokio::test]
async fn a_consumer_has_a_place() {
    let (bindery, client) = scene().await;
    publish(&bindery, 5);
    let mut watch = builder(&client).watch();
    // Nothing comes until the watch has begun.
    let first = tokio::spawn(async move { watch.next().await.map(|event| (event, watch)) });
    while bindery.calls("WatchEvents").is_empty() {
        yield_now().await;
    }
    publish(&bindery, 2);
    let (event, watch) = first.await.unwrap().unwrap();
    assert_eq!(event.sequence, 6);
    watch.ack(&event).await.unwrap();
    drop(watch);
    let mut back = builder(&client).watch();
    assert_eq!(back.next().await.unwrap().sequence, 7);
}

/// A stream that breaks before its first message does not move the start: what came in between is not lost,
/// and what a consumer did not acknowledge before is not either.
#[tokio::test(start_paused = true)]
async fn a_start_does_not_move() {
    for (consumer, acknowledged) in [("", 0), ("builder", 0), ("builder", 2)] {
        let (bindery, client) = scene().await;
        publish(&bindery, 4);
        if acknowledged > 0 {
            let mut before = builder(&client).oldest().watch();
            before.next().await.unwrap();
            before.acker().ack_until(acknowledged).await.unwrap();
        }
        bindery.end_watch_after(0, Status::unavailable("lost"));
        bindery.end_watch_after(0, Status::unavailable("lost"));
        let source = bindery.clone();
        let events = client.events(NAMESPACE).consumer(consumer);
        let mut watch = events.on_interruption(move |_| publish(&source, 1)).watch();
        let first = if acknowledged > 0 {
            acknowledged + 1
        } else {
            5
        };
        let expected = all(first..=6);
        let seen = numbers(&mut watch, expected.len()).await;
        assert_eq!(seen, expected, "{consumer:?} {acknowledged}");
    }
}

/// A watch that starts before the acknowledgement of its consumer does not jump to it when it connects again.
#[tokio::test(start_paused = true)]
async fn an_earlier_start_is_kept() {
    let (bindery, client) = scene().await;
    publish(&bindery, 9);
    let mut before = builder(&client).oldest().watch();
    before.next().await.unwrap();
    before.acker().ack_until(8).await.unwrap();
    drop(before);
    bindery.end_watch_after(2, Status::unavailable("lost"));
    let mut watch = builder(&client).after(3).watch();
    for sequence in 4..=9 {
        let event = watch.next().await.unwrap();
        assert_eq!(event.sequence, sequence);
        watch.ack(&event).await.unwrap();
    }
}

/// Events that are replayed are handed over again, on the running stream as well as after a break, and are
/// acknowledged again.
#[tokio::test(start_paused = true)]
async fn a_replay_is_handed_over() {
    let (bindery, client) = scene().await;
    publish(&bindery, 5);
    let mut watch = builder(&client).oldest().watch();
    assert_eq!(numbers(&mut watch, 5).await, all(1..=5));
    watch.acker().ack_until(5).await.unwrap();
    let replay = |since| ReplayRequest::to_consumer(NAMESPACE, "builder").since_sequence(since);
    client.replay_events(replay(3)).await.unwrap();
    assert_eq!(numbers(&mut watch, 3).await, all(3..=5));
    watch.acker().ack_until(4).await.unwrap();
    assert_eq!(bindery.acknowledged("acme", "builder"), 4);
    watch.acker().ack_until(5).await.unwrap();
    bindery.cut_connections();
    client.replay_events(replay(2)).await.unwrap();
    publish(&bindery, 1);
    assert_eq!(numbers(&mut watch, 5).await, all(2..=6));
}

/// Events that a filter leaves out do not hold up the place of a consumer that has acknowledged the rest.
#[tokio::test(start_paused = true)]
async fn a_place_moves_over_what_is_left_out() {
    let (bindery, client) = scene().await;
    let of = |link: &str| Event {
        link: link.to_owned(),
        ..Event::default()
    };
    bindery.publish("acme", of("a"));
    for _ in 0..5 {
        bindery.publish("acme", of("b"));
    }
    let events = builder(&client).oldest().filter("link = \"a\"");
    let mut watch = events.watch();
    let event = watch.next().await.unwrap();
    assert!(
        timeout(Duration::from_secs(100), watch.next())
            .await
            .is_err()
    );
    assert_eq!(
        bindery.acknowledged("acme", "builder"),
        0,
        "not before the caller"
    );
    watch.ack(&event).await.unwrap();
    assert!(
        timeout(Duration::from_secs(100), watch.next())
            .await
            .is_err()
    );
    assert_eq!(bindery.acknowledged("acme", "builder"), 6);
}

/// A caller who stops waiting again and again still gets every event, over one stream.
#[tokio::test]
async fn an_impatient_caller_loses_nothing() {
    let (bindery, client) = scene().await;
    let mut watch = builder(&client).oldest().watch();
    let mut seen = Vec::new();
    let mut dropped = 0;
    while seen.len() < 50 {
        if dropped % 7 == 0 && bindery.calls("WatchEvents").len() == 1 && seen.len() < 50 {
            publish(&bindery, 1);
        }
        let next = std::pin::pin!(watch.next());
        match futures_util::future::poll_immediate(next).await {
            Some(event) => seen.push(event.unwrap().sequence),
            None => dropped += 1,
        }
        yield_now().await;
    }
    assert_eq!(seen, all(1..=50));
    assert!(dropped > 50, "{dropped}");
    assert_eq!(bindery.calls("WatchEvents").len(), 1);
}

/// A watch is a stream as well, which ends after its error.
#[tokio::test]
async fn a_watch_is_a_stream() {
    let (bindery, client) = scene().await;
    publish(&bindery, 3);
    bindery.end_watch_after(3, daemon_says(Code::NotFound, "NOT_FOUND"));
    let watch = builder(&client).oldest().watch();
    let acker = watch.acker();
    let mut stream = std::pin::pin!(watch.into_stream());
    let mut seen = BTreeSet::new();
    let error = loop {
        match stream.try_next().await {
            Ok(Some(event)) => {
                acker.ack(&event).await.unwrap();
                seen.insert(event.sequence);
            }
            Ok(None) => panic!("the error is missing"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    assert_eq!(stream.try_next().await.unwrap(), None);
    assert_eq!(seen.len(), 3);
}

/// The limit on unacknowledged events is the daemon's to keep: acknowledging lets the next ones come.
#[tokio::test]
async fn acknowledging_lets_the_next_ones_come() {
    let (bindery, client) = scene().await;
    publish(&bindery, 10);
    let mut watch = builder(&client).after(1).max_unacknowledged(2).watch();
    for sequence in 2..=10 {
        let event = watch.next().await.unwrap();
        assert_eq!(event.sequence, sequence);
        drop(watch.ack(&event));
    }
}

/// A payload as large as providers send them fits into a stream.
#[tokio::test]
async fn large_payloads_fit() {
    let (bindery, client) = scene().await;
    let event = Event {
        payload: vec![b'x'; 25 << 20],
        ..Event::default()
    };
    bindery.publish("acme", event);
    let mut watch = builder(&client).oldest().include_payload(true).watch();
    assert_eq!(watch.next().await.unwrap().payload.len(), 25 << 20);
}
