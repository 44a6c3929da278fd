//! Deliveries come in.

use std::time::Duration;

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    hook::HookState,
    port::{Clock as _, Key, Record},
    provider::{FailureCode, Output},
};
use bindery_engine::intake::{Limits, Refused, Taken};
use bindery_store::{Call, Fault};

use crate::support::{Hooked, failure, incoming, signed, weakly_signed};

const MAIN: &str = "refs/heads/main";

async fn delivery(hooked: &Hooked, number: u64) -> Option<Delivery> {
    match hooked.record(Key::Delivery(number)).await {
        Some(Record::Delivery(delivery)) => Some(delivery),
        _ => None,
    }
}

/// A delivery is stored as it was signed, with the headers that the plugin asks for and none that proves anything.
#[tokio::test]
async fn a_delivery_is_kept_as_it_was_signed() {
    let hooked = Hooked::new().await;
    let body = format!("push {MAIN} - a");
    assert_eq!(hooked.deliver(1, "id1", &body).await, Ok(Taken::Stored(1)));
    let kept = delivery(&hooked, 1).await.expect("kept");
    assert_eq!(kept.body, body.as_bytes());
    assert_eq!(
        (kept.stable_id.as_str(), kept.event.as_str()),
        ("id1", "push")
    );
    let names: Vec<_> = kept.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-forge-extra", "x-forge-event"]);
    assert_eq!(kept.state, DeliveryState::Stored);
}

/// W1, W6: what no hook has signed is refused, the same way whether there is such a hook or not, and nothing of it is kept.
#[tokio::test]
async fn w6_unknown_hook_and_wrong_signature_are_the_same() {
    let hooked = Hooked::new().await;
    let body = format!("push {MAIN} - a");
    let wrong = incoming(1, &[("x-forge-signature", "sha256=00")], &body);
    let unsigned = incoming(1, &[], &body);
    let unknown = signed(2, "id1", &body);
    let mut odd = signed(1, "id1", &body);
    odd.hook = "../HOOK-1\0".to_owned();
    for forged in [wrong, unsigned, unknown, odd] {
        let answer = hooked.world.engine.take_delivery(forged).await;
        assert_eq!(answer, Err(Refused::Forged));
    }
    hooked.world.engine.process_deliveries().await;
    assert!(delivery(&hooked, 1).await.is_none() && hooked.told().await.is_empty());
    hooked.world.engine.sweep().await.expect("sweep");
    let hook = hooked.read_hook(1).await;
    let now = hooked.world.clock.now();
    assert_eq!((hook.last_rejection, hook.verified), (Some(now), None));
}

/// W4: a hook takes its own scheme only, and a secret's end is kept to.
#[tokio::test]
async fn w4_a_hook_has_one_scheme() {
    let hooked = Hooked::new().await;
    hooked.hook(2, "time").await;
    let body = format!("push {MAIN} - a");
    let ms = hooked.world.clock.now().unix_ms();
    for (n, incoming) in [
        (1, weakly_signed(1, ms, &body)),
        (2, signed(2, "id", &body)),
        (
            2,
            incoming(2, &[("x-forge-token", crate::support::SECRET)], &body),
        ),
    ] {
        let answer = hooked.world.engine.take_delivery(incoming).await;
        assert_eq!(answer, Err(Refused::Forged), "{n}");
    }
}

/// W2: one delivery a thousand times under new ids, across a restart: one event.
#[tokio::test]
async fn w2_a_thousand_replays_are_one_event() {
    let mut hooked = Hooked::new().await;
    let body = format!("push {MAIN} - a");
    hooked.happen("first", &body).await;
    for n in 0..1000 {
        if n == 500 {
            hooked.world.restart().await;
        }
        let answer = hooked.deliver(1, &format!("replay-{n}"), &body).await;
        assert_eq!(answer, Ok(Taken::Repeated), "{n}");
    }
    hooked.world.engine.process_deliveries().await;
    assert_eq!(hooked.told().await, [body]);
    assert!(hooked.read_hook(1).await.reconcile_due);
}

/// The same id is the same delivery; at the same time as well.
#[tokio::test]
async fn one_id_is_one_delivery() {
    let hooked = Hooked::new().await;
    let body = format!("push {MAIN} - a");
    let other = format!("push {MAIN} a b");
    let all = (0..8).map(|_| hooked.deliver(1, "id", &body));
    let taken = futures_util::future::join_all(all).await;
    let stored = taken
        .iter()
        .filter(|one| matches!(one, Ok(Taken::Stored(_))));
    assert_eq!(stored.count(), 1);
    assert!(taken.iter().all(Result::is_ok));
    assert_eq!(hooked.deliver(1, "id", &other).await, Ok(Taken::Repeated));
    hooked.world.engine.process_deliveries().await;
    assert_eq!(hooked.told().await, [body]);
}

/// It is taken once it is durable, and not before: a commit that fails is a failure, and leaves nothing, not even a mark.
#[tokio::test]
async fn what_was_not_stored_is_not_promised() {
    let hooked = Hooked::new().await;
    let body = format!("push {MAIN} - a");
    hooked.happen("warm", "tag refs/tags/v0 a").await;
    hooked.world.store.inject(Call::Commit, 1, Fault::Fail);
    let answer = hooked.deliver(1, "id", &body).await;
    assert!(matches!(answer, Err(Refused::Failed(_))), "{answer:?}");
    hooked.world.engine.process_deliveries().await;
    assert_eq!(hooked.told().await.len(), 1);
    let stall = hooked.world.store.stall(Call::Commit, 1);
    let asked = tokio::spawn({
        let engine = hooked.world.engine.clone();
        let incoming = signed(1, "id", &body);
        async move { engine.take_delivery(incoming).await }
    });
    tokio::task::yield_now().await;
    assert!(!asked.is_finished());
    stall.release();
    assert!(matches!(asked.await.expect("task"), Ok(Taken::Stored(_))));
    hooked.world.engine.process_deliveries().await;
    assert_eq!(hooked.told().await.len(), 2);
}

/// A sender gives up while the store stalls, and sends again: what was held goes on to its end, and both are one event.
#[tokio::test]
async fn a_delivery_whose_sender_gave_up_is_one_event() {
    let hooked = Hooked::new().await;
    let body = format!("push {MAIN} - a");
    hooked.happen("warm", "tag refs/tags/v0 a").await;
    let mut stall = hooked.world.store.stall(Call::Commit, 1);
    tokio::select! {
        answer = hooked.deliver(1, "id", &body) => panic!("{answer:?}"),
        () = stall.reached() => {}
    }
    let again = tokio::spawn({
        let engine = hooked.world.engine.clone();
        let incoming = signed(1, "id", &body);
        async move { engine.take_delivery(incoming).await }
    });
    tokio::task::yield_now().await;
    stall.release();
    // It is known, or is to come again.
    _ = again.await.expect("task");
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hooked.deliver(1, "id", &body).await, Ok(Taken::Repeated));
    hooked.world.engine.process_deliveries().await;
    assert_eq!(hooked.told().await, ["tag refs/tags/v0 a", &body]);
}

/// Numbers are never given out twice, whatever the store did and however often the daemon started.
#[tokio::test]
async fn numbers_are_given_out_once() {
    let mut hooked = Hooked::new().await;
    let mut numbers = Vec::new();
    for n in 0..12 {
        if n % 4 == 3 {
            hooked.world.restart().await;
        }
        if n % 5 == 4 {
            hooked.world.store.inject(Call::Commit, 1, Fault::Fail);
        }
        let body = format!("tag refs/tags/v{n} a");
        if let Ok(Taken::Stored(number)) = hooked.deliver(1, &format!("id{n}"), &body).await {
            numbers.push(number);
        }
    }
    let sorted = numbers.is_sorted_by(|a, b| a < b);
    assert!(sorted && numbers.len() == 10, "{numbers:?}");
    hooked.world.engine.process_deliveries().await;
    assert_eq!(hooked.told().await.len(), 10);
}

/// W7: a hook over its share waits, and hears for how long; one whose provider would switch it off is told yes, and refs are
/// compared. Deliveries of other hooks pass, and forged ones take nobody's share.
#[tokio::test]
async fn w7_a_storm_stops_no_other_hook() {
    let hooked = Hooked::new().await;
    hooked.hook(2, "hmac").await;
    let body = |n: usize| format!("tag refs/tags/v{n} a");
    for _ in 0..5000 {
        let forged = incoming(1, &[("x-forge-signature", "sha256=00")], "x");
        let answer = hooked.world.engine.take_delivery(forged).await;
        assert_eq!(answer, Err(Refused::Forged));
    }
    let mut taken = 0;
    for n in 0..80 {
        match hooked.deliver(1, &format!("id{n}"), &body(n)).await {
            Ok(Taken::Stored(_)) => taken += 1,
            other => assert_eq!(other, Err(Refused::TooMany(Duration::from_millis(20)))),
        }
    }
    assert_eq!(taken, 50);
    assert!(
        hooked.read_hook(1).await.reconcile_due,
        "most providers never try again"
    );
    hooked
        .change_hook(1, |hook| hook.reconcile_due = false)
        .await;
    assert!(hooked.deliver(2, "id", "ping").await.is_ok());
    hooked
        .world
        .plugin
        .describe_as(|all| all.hooks.failures_disable = true);
    let answer = hooked.deliver(1, "last", &body(100)).await;
    assert_eq!(answer, Ok(Taken::Dropped));
    assert!(hooked.read_hook(1).await.reconcile_due);
    hooked.world.clock.advance(Duration::from_secs(1));
    assert!(matches!(
        hooked.deliver(1, "last", &body(100)).await,
        Ok(Taken::Stored(_))
    ));
}

/// W7: when too many wait to be processed the next one is to come again, and is taken then.
#[tokio::test]
async fn w7_a_full_queue_says_so() {
    let hooked = Hooked::new().await;
    hooked.world.engine.set_intake_limits(Limits {
        waiting: 2,
        ..Limits::default()
    });
    let body = |n: usize| format!("tag refs/tags/v{n} a");
    for n in 0..2 {
        assert!(hooked.deliver(1, &format!("id{n}"), &body(n)).await.is_ok());
    }
    let full = hooked.deliver(1, "id2", &body(2)).await;
    assert!(matches!(full, Err(Refused::Full(_))), "{full:?}");
    assert!(hooked.read_hook(1).await.reconcile_due);
    assert_eq!(
        hooked.deliver(1, "id1", &body(1)).await,
        Ok(Taken::Repeated)
    );
    hooked.world.engine.process_deliveries().await;
    assert!(hooked.deliver(1, "id2", &body(2)).await.is_ok());
}

/// A signed delivery, and nothing else, shows that a hook works; one that repeats another shows it anew.
#[tokio::test]
async fn a_signed_delivery_verifies_the_hook() {
    let hooked = Hooked::new().await;
    hooked.happen("ping1", "ping").await;
    let hook = hooked.read_hook(1).await;
    assert_eq!(hook.state, HookState::Verified);
    assert_eq!(hook.verified, Some(hooked.world.clock.now()));
    let events = hooked.events_of(&crate::support::acme()).await;
    assert_eq!(events.len(), 1, "{events:?}");
    hooked.world.clock.advance(Duration::from_secs(60));
    assert_eq!(
        hooked.deliver(1, "ping2", "ping").await,
        Ok(Taken::Repeated)
    );
    let hook = hooked.read_hook(1).await;
    assert_eq!(hook.verified, Some(hooked.world.clock.now()));
}

/// Deliveries are forgotten after their time, and with them what they were known by; those that wait are not.
#[tokio::test]
async fn old_deliveries_are_forgotten() {
    let hooked = Hooked::new().await;
    hooked.happen("id1", &format!("push {MAIN} - a")).await;
    hooked.deliver(1, "id2", "unreadable").await.expect("taken");
    hooked.world.clock.advance(Limits::default().kept);
    hooked.world.engine.sweep().await.expect("sweep");
    assert!(delivery(&hooked, 1).await.is_none());
    assert!(delivery(&hooked, 2).await.is_some(), "it waits");
    let again = hooked.deliver(1, "id1", &format!("push {MAIN} - a")).await;
    assert!(matches!(again, Ok(Taken::Stored(_))), "{again:?}");
    hooked.world.engine.process_deliveries().await;
    assert_eq!(hooked.told().await.len(), 1, "its refs are known still");
}

/// One that was never processed, as a store that failed leaves it behind.
async fn stick(hooked: &Hooked, number: u64) {
    let mut stuck = delivery(hooked, number).await.expect("kept");
    stuck.state = DeliveryState::Stored;
    let key = Key::Delivery(number);
    hooked.world.put(key, Record::Delivery(stuck)).await;
}

/// A delivery that waits for ever holds up no other one that is old; when it is processed it goes as well.
#[tokio::test]
async fn one_that_waits_holds_up_no_old_ones() {
    let hooked = Hooked::new().await;
    hooked.hook(2, "hmac").await;
    let away = |_: &_| Err(failure(FailureCode::Upstream));
    hooked.world.plugin.on("ListRefs", away);
    for (n, hook, commit) in [(1, 1, "a"), (2, 2, "-"), (3, 1, "a")] {
        let body = format!("tag refs/tags/v{n} {commit}");
        let taken = hooked.deliver(hook, &format!("id{n}"), &body).await;
        assert_eq!(taken, Ok(Taken::Stored(n)));
        hooked.world.engine.process_deliveries().await;
    }
    hooked.world.clock.advance(Limits::default().kept);
    hooked.world.engine.sweep().await.expect("sweep");
    let there = async |n| delivery(&hooked, n).await.is_some();
    assert_eq!(
        (there(1).await, there(2).await, there(3).await),
        (false, true, false)
    );
    hooked.world.plugin.on("ListRefs", |_| {
        Ok(Output::Refs {
            items: Vec::new(),
            next_cursor: String::new(),
        })
    });
    hooked.world.engine.process_deliveries().await;
    hooked.world.engine.sweep().await.expect("sweep");
    assert!(delivery(&hooked, 2).await.is_none());
}

/// Deliveries that take too much are forgotten sooner, the oldest first, also those from before a restart; but not one that
/// waits. Where those that wait take it all, nothing more is taken.
#[tokio::test]
async fn deliveries_are_kept_by_bytes() {
    let mut hooked = Hooked::new().await;
    let message = "m".repeat(8 << 10);
    let push = |n: usize| format!("push refs/heads/b{n} - a {message}");
    for n in 1..=9 {
        hooked.happen(&format!("id{n}"), &push(n)).await;
    }
    stick(&hooked, 1).await;
    let keep = |bytes| Limits {
        kept_bytes: bytes,
        ..Limits::default()
    };
    let there = async |hooked: &Hooked| {
        let mut there = Vec::new();
        for n in 1..=9 {
            there.extend(delivery(hooked, n).await.map(|found| found.number));
        }
        there
    };
    for (restart, bytes, left) in [
        (false, 70_000, vec![1, 4, 5, 6, 7, 8, 9]),
        (true, 40_000, vec![1, 7, 8, 9]),
    ] {
        if restart {
            let engine = hooked.world.engine.clone();
            hooked.world.restart().await;
            drop(engine);
            stick(&hooked, 1).await;
        }
        hooked.world.engine.set_intake_limits(keep(bytes));
        for _ in 0..2 {
            hooked.world.engine.sweep().await.expect("sweep");
        }
        assert_eq!(there(&hooked).await, left);
    }
    hooked.world.engine.set_intake_limits(keep(20_000));
    let full = hooked.deliver(1, "id10", &push(10)).await;
    assert!(matches!(full, Err(Refused::Full(_))), "{full:?}");
    hooked.world.engine.sweep().await.expect("sweep");
    let taken = hooked.deliver(1, "id10", &push(10)).await;
    assert!(matches!(taken, Ok(Taken::Stored(_))), "{taken:?}");
}
