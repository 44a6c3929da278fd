//! Deliveries become events.

use std::time::Duration;

use bindery_core::{
    delivery::DeliveryState,
    event::{EventChange, EventOrigin, Verdict},
    port::{Clock as _, Key, Record},
    problem::Reason,
    provider::{FailureCode, Happening, OperationKind},
    source::{Build, Pattern, Rule},
};
use bindery_engine::{RequestKey, intake::Taken};
use bindery_store::{Call, Fault};

use crate::support::{Hooked, acme, failure, source_name, umbrella, weakly_signed};

const MAIN: &str = "refs/heads/main";
const V1: &str = "refs/tags/v1";

async fn delivery(hooked: &Hooked, number: u64) -> bindery_core::delivery::Delivery {
    match hooked.record(Key::Delivery(number)).await {
        Some(Record::Delivery(delivery)) => delivery,
        other => panic!("{other:?}"),
    }
}

async fn verdicts(hooked: &Hooked) -> Vec<(Option<Verdict>, String)> {
    let events = hooked.events_of(&acme()).await;
    let told = events.into_iter().filter(|event| event.delivery.is_some());
    told.map(|event| (event.verdict, event.rule)).collect()
}

/// Each change is told once, in order, with where it comes from.
#[tokio::test]
async fn changes_are_told_in_order() {
    let hooked = Hooked::new().await;
    let bodies = [
        format!("push {MAIN} - a"),
        format!("push {MAIN} a b\npush refs/heads/next - b"),
        format!("tag {V1} b"),
        "delete refs/heads/next b".to_owned(),
    ];
    for (n, body) in bodies.iter().enumerate() {
        hooked
            .deliver(1, &format!("id{n}"), body)
            .await
            .expect("taken");
    }
    hooked.world.engine.process_deliveries().await;
    let all = bodies.join("\n");
    let expected: Vec<_> = all.lines().collect();
    assert_eq!(hooked.told().await, expected);
    let kept = delivery(&hooked, 2).await;
    assert_eq!(kept.state, DeliveryState::Processed);
    assert_eq!(kept.events.len(), 2);
    let events = hooked.events_of(&acme()).await;
    let told = events.iter().find(|event| event.delivery == Some(2));
    let told = told.expect("event");
    assert_eq!(told.origin, EventOrigin::Delivery);
    assert_eq!(told.source.as_ref(), Some(&hooked.source.source));
    assert_eq!((told.namespace.clone(), told.sequence), kept.events[0]);
    assert_eq!(hooked.read_hook(1).await.deliveries, (1, 4));
}

/// Two deliveries tell of one tag, and one event does; so do two of one deletion.
#[tokio::test]
async fn a_tag_is_one_event() {
    let hooked = Hooked::new().await;
    hooked.remote(&[(V1, "c")]);
    hooked.happen("push", &format!("tag {V1} -")).await;
    hooked.happen("create", &format!("tag {V1} c")).await;
    assert_eq!(hooked.told().await, [format!("tag {V1} c")]);
    let second = delivery(&hooked, 2).await;
    assert_eq!(second.state, DeliveryState::Ignored);
    hooked.happen("push2", &format!("delete {V1} object")).await;
    hooked.happen("delete2", &format!("delete {V1} -")).await;
    assert_eq!(hooked.told().await.len(), 2);
}

/// A deleted ref has the commit where it was, the tag peeled, where the delivery does not tell it; so has a tag that was moved.
#[tokio::test]
async fn what_was_deleted_says_where_it_was() {
    let hooked = Hooked::new().await;
    let next = "refs/heads/next";
    let bodies = [
        format!("push {next} - a\ntag {V1} b"),
        format!("delete {next} -\ndelete {V1} -"),
        format!("tag {V1} c"),
        format!("tag {V1} d\ndelete {V1} -"),
    ];
    for (n, body) in bodies.iter().enumerate() {
        hooked.happen(&format!("id{n}"), body).await;
    }
    let wanted = [
        format!("push {next} - a"),
        format!("tag {V1} b"),
        format!("delete {next} a"),
        format!("delete {V1} b"),
        format!("tag {V1} c"),
        format!("tag {V1} d"),
        format!("delete {V1} d"),
    ];
    assert_eq!(hooked.told().await, wanted);
    let events = hooked.events_of(&acme()).await;
    let tags = events.iter().filter_map(|event| match &event.change {
        EventChange::Provider(Happening::TagCreated(tag)) => Some(tag.before.as_str()),
        _ => None,
    });
    assert_eq!(tags.collect::<Vec<_>>(), ["", "", "c"]);
}

/// A tag whose commit nobody tells, and which is gone by now, is no event; where the provider is away, it waits.
#[tokio::test]
async fn a_tag_is_looked_up() {
    let hooked = Hooked::new().await;
    hooked.happen("gone", &format!("tag {V1} -")).await;
    assert!(hooked.told().await.is_empty());
    hooked
        .world
        .plugin
        .on("ListRefs", |_| Err(failure(FailureCode::Upstream)));
    hooked.happen("later", "tag refs/tags/v2 -").await;
    assert_eq!(delivery(&hooked, 2).await.state, DeliveryState::Stored);
    for _ in 0..8 {
        hooked.world.clock.advance(Duration::from_secs(300));
        hooked.world.engine.process_deliveries().await;
    }
    let kept = delivery(&hooked, 2).await;
    assert_eq!(kept.state, DeliveryState::Unparsed);
    assert!(hooked.read_hook(1).await.reconcile_due);
}

/// Out of order nothing is lost, nothing is doubled, and the ref stays where the newest left it.
#[tokio::test]
async fn out_of_order_each_is_told_once() {
    let hooked = Hooked::new().await;
    for (n, body) in [
        format!("push {MAIN} - a"),
        format!("push {MAIN} b c"),
        format!("push {MAIN} a b"),
        format!("push {MAIN} b c\npush {MAIN} c d"),
        format!("tag {V1} d\ntag {V1} d"),
    ]
    .iter()
    .enumerate()
    {
        hooked.happen(&format!("id{n}"), body).await;
    }
    let expected = [
        format!("push {MAIN} - a"),
        format!("push {MAIN} b c"),
        format!("push {MAIN} a b"),
        format!("push {MAIN} c d"),
        format!("tag {V1} d"),
    ];
    assert_eq!(hooked.told().await, expected);
    assert_eq!(hooked.known(MAIN).await.expect("known").commit, "d");
}

/// Many refs in one delivery are as many events.
#[tokio::test]
async fn many_refs_are_many_events() {
    let hooked = Hooked::new().await;
    let lines: Vec<_> = (0..300)
        .map(|n| format!("push refs/heads/b{n} - a"))
        .collect();
    hooked.happen("id", &lines.join("\n")).await;
    assert_eq!(hooked.told().await, lines);
}

/// Sources of one hook in two namespaces: each has its own events, by its own rules, and sees no other's.
#[tokio::test]
async fn each_source_has_its_own_events() {
    let hooked = Hooked::new().await;
    let other = hooked.world.bound_in(umbrella(), None).await;
    let other = source_name(&other, "api");
    let tags = Rule {
        id: "tags".to_owned(),
        tags: vec![Pattern::Regex("v(.*)".to_owned())],
        build: Some(Build {
            tag_template: "{1}".to_owned(),
            ..Build::default()
        }),
        ..Rule::default()
    };
    hooked
        .source(other.clone(), |source| source.rules = vec![tags])
        .await;
    let names = vec![hooked.source.clone(), other.clone()];
    hooked.change_hook(1, |hook| hook.sources = names).await;
    hooked
        .happen("id", &format!("push {MAIN} - a\ntag {V1} a"))
        .await;
    assert_eq!(hooked.told().await.len(), 2);
    let events = hooked.events_of(&umbrella()).await;
    let seen: Vec<_> = events
        .iter()
        .filter(|event| event.delivery.is_some())
        .map(|event| {
            (
                event.verdict,
                event
                    .build
                    .as_ref()
                    .map(|build| build.tag_template.as_str()),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Some(Verdict::Excluded), None),
            (Some(Verdict::Trigger), Some("1"))
        ]
    );
    let engine = &hooked.world.engine;
    let shown = engine.delivery(&other, 1).await.expect("delivery");
    assert_eq!(shown.events.len(), 2);
    assert!(
        shown
            .events
            .iter()
            .all(|(namespace, _)| *namespace == umbrella())
    );
}

/// The verdicts: skip marks, a pause, and what is over the limit of a minute. All are told.
#[tokio::test]
async fn what_does_not_trigger_is_told_too() {
    let hooked = Hooked::new().await;
    hooked
        .source(hooked.source.clone(), |source| {
            source.max_triggers_per_minute = 2
        })
        .await;
    let push = |n: usize, message: &str| format!("push refs/heads/b{n} - a {message}");
    hooked.happen("id0", &push(0, "x [skip ci]")).await;
    hooked
        .happen("id1", &[push(1, ""), push(2, ""), push(3, "")].join("\n"))
        .await;
    hooked.world.clock.advance(Duration::from_secs(60));
    hooked.happen("id4", &push(4, "")).await;
    hooked
        .source(hooked.source.clone(), |source| source.paused = true)
        .await;
    hooked.happen("id5", &push(5, "")).await;
    let verdicts: Vec<_> = verdicts(&hooked)
        .await
        .into_iter()
        .map(|(one, _)| one)
        .collect();
    let expected = [
        Verdict::Skipped,
        Verdict::Trigger,
        Verdict::Trigger,
        Verdict::HeldBack,
        Verdict::Trigger,
        Verdict::Paused,
    ];
    assert_eq!(verdicts, expected.map(Some));
    let deleted = "delete refs/heads/b5 a";
    hooked.happen("id6", deleted).await;
    let events = hooked.events_of(&acme()).await;
    assert_eq!(events.last().expect("event").verdict, None);
}

/// What the plugin can't read is kept and visible, holds no other back, and can be processed again.
#[tokio::test]
async fn what_can_not_be_read_is_kept() {
    let hooked = Hooked::new().await;
    hooked.happen("bad", "what is this").await;
    hooked.happen("good", &format!("push {MAIN} - a")).await;
    let engine = &hooked.world.engine;
    let listed = engine
        .list_deliveries(&hooked.source, None, None, 10)
        .await
        .expect("list");
    let states: Vec<_> = listed.items.iter().map(|(one, _)| one.state).collect();
    assert_eq!(states, [DeliveryState::Processed, DeliveryState::Unparsed]);
    assert!(
        listed
            .items
            .iter()
            .all(|(one, size)| one.body.is_empty() && *size > 0)
    );
    assert!(listed.next.is_none());
    let kept = engine.delivery(&hooked.source, 1).await.expect("kept");
    assert_eq!(kept.body, b"what is this");
    assert!(!kept.message.is_empty());
    assert!(hooked.read_hook(1).await.reconcile_due, "refs are compared");
    hooked.world.plugin.on("ParseDelivery", |_| {
        Ok(bindery_core::provider::Output::Delivered(
            bindery_core::provider::Delivered {
                happenings: vec![Happening::TagCreated(bindery_core::provider::TagCreated {
                    reference: V1.to_owned(),
                    commit: "a".to_owned(),
                    ..Default::default()
                })],
                ..Default::default()
            },
        ))
    });
    let again = engine
        .retry_delivery(&hooked.source, 1, None)
        .await
        .expect("retry");
    assert_eq!(again.state, DeliveryState::Processed);
    let again = engine
        .retry_delivery(&hooked.source, 1, None)
        .await
        .expect("retry");
    assert_eq!(again.events.len(), 1, "what it became stays");
    assert_eq!(
        hooked.told().await,
        [format!("push {MAIN} - a"), format!("tag {V1} a")]
    );
    let none = source_name(&hooked.link, "none");
    assert!(engine.retry_delivery(&none, 1, None).await.is_err());
    assert!(engine.delivery(&hooked.source, 9).await.is_err());
}

/// A page holds so many, and says where the next one begins.
#[tokio::test]
async fn deliveries_are_listed_in_pages() {
    let hooked = Hooked::new().await;
    hooked.hook(2, "hmac").await;
    for n in 0..5 {
        hooked
            .happen(&format!("id{n}"), &format!("tag refs/tags/v{n} a"))
            .await;
        let other = format!("tag refs/tags/w{n} a");
        hooked
            .deliver(2, &format!("id{n}"), &other)
            .await
            .expect("taken");
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = hooked
            .world
            .engine
            .list_deliveries(&hooked.source, Some(DeliveryState::Processed), before, 2)
            .await
            .expect("page");
        assert!(page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|(one, _)| one.stable_id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["id4", "id3", "id2", "id1", "id0"]);
}

/// W5: a bomb of brackets does not reach the plugin.
#[tokio::test]
async fn w5_depth_is_bounded() {
    let hooked = Hooked::new().await;
    hooked.happen("bomb", &"[".repeat(100_000)).await;
    assert_eq!(delivery(&hooked, 1).await.state, DeliveryState::Unparsed);
    assert_eq!(hooked.world.plugin.count(OperationKind::ParseDelivery), 0);
}

/// A disabled link is not acted on; once it is enabled, what changed meanwhile is found.
#[tokio::test]
async fn a_disabled_link_is_not_acted_on() {
    let hooked = Hooked::new().await;
    let engine = &hooked.world.engine;
    engine
        .disable_link(&acme(), &hooked.link.id, "", "uid:1000", None, None)
        .await
        .expect("disabled");
    hooked.remote(&[(MAIN, "a")]);
    hooked.happen("id", &format!("push {MAIN} - a")).await;
    let kept = delivery(&hooked, 1).await;
    assert_eq!(kept.state, DeliveryState::Ignored);
    assert!(kept.message.contains("disabled"), "{}", kept.message);
    engine.reconcile_due().await.expect("looked");
    assert!(hooked.told().await.is_empty());
    engine
        .enable_link(&acme(), &hooked.link.id, "", "uid:1000", None, None)
        .await
        .expect("enabled");
    engine.reconcile_due().await.expect("compared");
    engine.reconcile_due().await.expect("compared");
    assert_eq!(hooked.told().await, [format!("push {MAIN} - a")]);
}

/// A delivery of another repository, whoever signed it, says nothing of this one.
#[tokio::test]
async fn another_repository_is_not_this_one() {
    let hooked = Hooked::new().await;
    hooked
        .happen("id", &format!("repository 2\npush {MAIN} - a"))
        .await;
    assert!(hooked.told().await.is_empty());
    hooked
        .happen("own", &format!("repository 1\npush {MAIN} - a"))
        .await;
    assert_eq!(hooked.told().await.len(), 1);
}

/// A new name is told, and hook and source have it.
#[tokio::test]
async fn a_new_name_is_followed() {
    let hooked = Hooked::new().await;
    hooked.happen("id", "rename acme/web").await;
    assert_eq!(hooked.told().await, ["rename acme/web"]);
    assert_eq!(hooked.read_hook(1).await.full_name, "acme/web");
    let name = &hooked.source;
    let key = Key::Source(
        name.namespace.clone(),
        name.link.clone(),
        name.source.clone(),
    );
    let Some(Record::Source(source)) = hooked.record(key).await else {
        panic!("no source");
    };
    assert_eq!(source.full_name, "acme/web");
    let engine = &hooked.world.engine;
    engine.retry_delivery(name, 1, None).await.expect("retry");
    assert_eq!(hooked.told().await.len(), 1);
}

/// A stop between storing and processing: each delivery is processed once, by whoever comes next.
#[tokio::test]
async fn a_stop_before_processing_loses_nothing() {
    let mut hooked = Hooked::new().await;
    let bodies: Vec<_> = (0..20).map(|n| format!("tag refs/tags/v{n} a")).collect();
    for (n, body) in bodies.iter().enumerate() {
        hooked
            .deliver(1, &format!("id{n}"), body)
            .await
            .expect("taken");
        if n == 9 {
            hooked.world.engine.process_deliveries().await;
            hooked.world.engine.sweep().await.expect("sweep");
        }
    }
    hooked.world.restart().await;
    hooked.world.engine.process_deliveries().await;
    hooked.world.restart().await;
    hooked.world.engine.process_deliveries().await;
    assert_eq!(hooked.told().await, bodies);
}

/// Whoever processes at the same time, and again while one is at work: each delivery is one event.
#[tokio::test]
async fn many_at_work_make_one_event() {
    let hooked = Hooked::new().await;
    hooked.world.plugin.hold();
    let body = format!("push {MAIN} - a");
    hooked.deliver(1, "id", &body).await.expect("taken");
    let work = || {
        let engine = hooked.world.engine.clone();
        tokio::spawn(async move { engine.process_deliveries().await })
    };
    let all = [work(), work(), work()];
    while hooked.world.plugin.count(OperationKind::ParseDelivery) == 0 {
        tokio::task::yield_now().await;
    }
    let engine = &hooked.world.engine;
    engine
        .retry_delivery(&hooked.source, 1, None)
        .await
        .expect("retry");
    hooked.world.plugin.release();
    for one in all {
        one.await.expect("task");
    }
    engine.process_deliveries().await;
    assert_eq!(hooked.told().await, [body]);
}

/// A store that fails at any commit of the way leaves a delivery processed or not: never half, never twice.
#[tokio::test]
async fn a_failing_store_leaves_nothing_half() {
    for nth in 1..=4 {
        let mut hooked = Hooked::new().await;
        let body = format!("push {MAIN} - a\ntag {V1} a");
        hooked.deliver(1, "id", &body).await.expect("taken");
        hooked.world.store.inject(Call::Commit, nth, Fault::Fail);
        hooked.world.engine.process_deliveries().await;
        let told = hooked.told().await.len();
        let known = hooked.known(MAIN).await.is_some();
        let state = delivery(&hooked, 1).await.state;
        assert_eq!(told == 2, known, "{nth}");
        assert_eq!(told == 2, state == DeliveryState::Processed, "{nth}");
        hooked.world.restart().await;
        hooked.world.clock.advance(Duration::from_secs(300));
        hooked.world.engine.process_deliveries().await;
        assert_eq!(hooked.told().await.len(), 2, "{nth}");
    }
}

/// A change that nothing covers is read from the provider before it is told: what it does not say is not told, and what it
/// says is.
#[tokio::test]
async fn trap_6_a_weak_signature_is_a_hint_only() {
    let hooked = Hooked::new().await;
    hooked.hook(1, "time").await;
    let engine = &hooked.world.engine;
    let ms = hooked.world.clock.now().unix_ms();
    hooked.remote(&[(MAIN, "a")]);
    let forged = format!("push {MAIN} - evil\ntag {V1} evil\ndelete {MAIN} a");
    let taken = engine.take_delivery(weakly_signed(1, ms, &forged)).await;
    assert_eq!(taken, Ok(Taken::Stored(1)));
    engine.process_deliveries().await;
    assert_eq!(hooked.told().await, [format!("push {MAIN} - a")]);
    // The same proof with another body is no second delivery; refs are compared.
    let other = format!("push {MAIN} a b");
    let taken = engine.take_delivery(weakly_signed(1, ms, &other)).await;
    assert_eq!(taken, Ok(Taken::Repeated));
    assert!(hooked.read_hook(1).await.reconcile_due);
    hooked.remote(&[(MAIN, "b")]);
    let good = engine.take_delivery(weakly_signed(1, ms + 1, &other)).await;
    assert!(matches!(good, Ok(Taken::Repeated | Taken::Stored(_))));
    engine.process_deliveries().await;
    let told = hooked.told().await;
    assert_eq!(told.last(), Some(&other), "{told:?}");
    assert_eq!(told.len(), 2);
    let old = weakly_signed(1, ms - 3_600_001, "ping");
    assert!(engine.take_delivery(old).await.is_err());
}

/// A source whose link is disabled while others of its hook are told is told later what it missed, once and in its own
/// namespace, and then goes on with the others. It survives a restart.
#[tokio::test]
async fn what_a_disabled_link_missed_is_told_later() {
    let mut hooked = Hooked::new().await;
    let link = hooked.world.bound_in(umbrella(), None).await;
    let other = source_name(&link, "api");
    hooked.source(other.clone(), |_| {}).await;
    let names = vec![hooked.source.clone(), other.clone()];
    hooked.change_hook(1, |hook| hook.sources = names).await;
    hooked.happen("id1", &format!("push {MAIN} - a")).await;
    let engine = hooked.world.engine.clone();
    let (namespace, id) = (umbrella(), link.id.clone());
    let disabled = engine.disable_link(&namespace, &id, "", "uid:1000", None, None);
    disabled.await.expect("disabled");
    hooked.happen("id2", &format!("push {MAIN} a b")).await;
    hooked
        .happen("id3", &format!("push {MAIN} b c\ntag {V1} c"))
        .await;
    hooked.remote(&[(MAIN, "c"), (V1, "c")]);
    let missed = [format!("push {MAIN} - a")];
    assert_eq!(hooked.told_in(&namespace).await, missed);
    hooked.world.restart().await;
    let engine = hooked.world.engine.clone();
    let enabled = engine.enable_link(&namespace, &id, "", "uid:1000", None, None);
    enabled.await.expect("enabled");
    // What comes before the comparison is part of it.
    hooked.happen("id4", &format!("push {MAIN} c d")).await;
    hooked.remote(&[(MAIN, "d"), (V1, "c")]);
    assert_eq!(hooked.told_in(&namespace).await, missed);
    for _ in 0..2 {
        engine.reconcile_due().await.expect("compared");
    }
    let caught_up = [
        format!("push {MAIN} - a"),
        format!("push {MAIN} a d"),
        format!("tag {V1} c"),
    ];
    assert_eq!(hooked.told_in(&namespace).await, caught_up);
    hooked.happen("id5", &format!("push {MAIN} d e")).await;
    let told = hooked.told_in(&namespace).await;
    assert_eq!(told[3..], [format!("push {MAIN} d e")]);
    let acme = [
        format!("push {MAIN} - a"),
        format!("push {MAIN} a b"),
        format!("push {MAIN} b c"),
        format!("tag {V1} c"),
        format!("push {MAIN} c d"),
        format!("push {MAIN} d e"),
    ];
    assert_eq!(hooked.told().await, acme);
}

/// A repetition of a request to process again looks only.
#[tokio::test]
async fn a_repeated_retry_processes_once() {
    let hooked = Hooked::new().await;
    let engine = &hooked.world.engine;
    hooked.happen("id1", &format!("push {MAIN} - a")).await;
    let parsed = hooked.world.plugin.count(OperationKind::ParseDelivery);
    for _ in 0..2 {
        let key = RequestKey::new("uid:1", "RetryDelivery", "1", b"a");
        let again = engine.retry_delivery(&hooked.source, 1, key.as_ref()).await;
        again.expect("retry");
    }
    let now = hooked.world.plugin.count(OperationKind::ParseDelivery);
    assert_eq!(now, parsed + 1);
    let key = RequestKey::new("uid:1", "RetryDelivery", "1", b"b");
    let other = engine.retry_delivery(&hooked.source, 1, key.as_ref()).await;
    assert_eq!(
        other.expect_err("another one").reason,
        Reason::RequestIdReused
    );
}

/// The deliveries of a quiet hook are on the first page, however many others came since.
#[tokio::test]
async fn a_quiet_hook_is_listed_at_once() {
    let mut hooked = Hooked::new().await;
    hooked.happen("id1", &format!("push {MAIN} - a")).await;
    let head = bindery_core::delivery::DeliveryHead {
        reserved: 1_000_000,
        processed: 1_000_000,
        first: 1,
    };
    let world = &hooked.world;
    world
        .put(Key::DeliveryHead, Record::DeliveryHead(head))
        .await;
    hooked.world.restart().await;
    let engine = &hooked.world.engine;
    let page = engine.list_deliveries(&hooked.source, None, None, 10).await;
    let page = page.expect("page");
    assert_eq!((page.items.len(), page.next), (1, None));
}
