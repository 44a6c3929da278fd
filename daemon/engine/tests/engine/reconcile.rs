//! What deliveries left out is found.

use std::time::Duration;

use bindery_core::{
    event::EventOrigin,
    hook::HookState,
    port::{Clock as _, Key, Record},
    problem::Who,
    provider::{FailureCode, OperationKind, SentDelivery},
    time::Timestamp,
};
use bindery_engine::{RequestKey, intake::Taken, reconcile::CaughtUp};

use crate::support::{Hooked, acme, failure, hook_id};

const MAIN: &str = "refs/heads/main";
const V1: &str = "refs/tags/v1";

fn sent(n: usize, status: u16, at: Timestamp) -> SentDelivery {
    SentDelivery {
        sent_id: format!("sent{n}"),
        stable_id: format!("id{n}"),
        event: "push".to_owned(),
        sent: Some(at),
        status,
    }
}

/// What was missed is told once, also when its delivery arrives afterwards, and in one commit with what is known.
#[tokio::test]
async fn what_was_missed_is_told_once() {
    let hooked = Hooked::new().await;
    let engine = &hooked.world.engine;
    hooked.happen("id1", &format!("push {MAIN} - a")).await;
    hooked.remote(&[(MAIN, "c"), (V1, "c")]);
    let caught = engine
        .catch_up(&hooked.source, None, None)
        .await
        .expect("caught up");
    assert_eq!(caught.changed_refs, 2);
    assert_eq!(caught.events.len(), 2);
    let again = engine
        .catch_up(&hooked.source, None, None)
        .await
        .expect("caught up");
    assert_eq!(again, CaughtUp::default());
    hooked.happen("late1", &format!("tag {V1} c")).await;
    hooked.happen("late2", &format!("push {MAIN} a c")).await;
    let expected = [
        format!("push {MAIN} - a"),
        format!("push {MAIN} a c"),
        format!("tag {V1} c"),
    ];
    assert_eq!(hooked.told().await, expected);
    let events = hooked.events_of(&acme()).await;
    assert_eq!(
        events.last().expect("event").origin,
        EventOrigin::Reconciliation
    );
    hooked.remote(&[(MAIN, "c")]);
    let gone = engine
        .catch_up(&hooked.source, None, None)
        .await
        .expect("caught up");
    assert_eq!(gone.changed_refs, 1);
    hooked.happen("late3", &format!("delete {V1} c")).await;
    assert_eq!(hooked.told().await.len(), 4);
}

/// The first comparison fills in what was there before, and tells nothing.
#[tokio::test]
async fn the_first_comparison_tells_nothing() {
    let hooked = Hooked::new().await;
    let known = bindery_core::hook::KnownRefs::default();
    hooked
        .world
        .put(Key::KnownRefs(hook_id(1)), Record::KnownRefs(known))
        .await;
    hooked.remote(&[(MAIN, "a"), (V1, "a")]);
    let engine = &hooked.world.engine;
    let first = engine
        .catch_up(&hooked.source, None, None)
        .await
        .expect("caught up");
    assert_eq!(first, CaughtUp::default());
    hooked.remote(&[(MAIN, "b"), (V1, "a")]);
    let second = engine
        .catch_up(&hooked.source, None, None)
        .await
        .expect("caught up");
    assert_eq!(second.changed_refs, 1);
    assert_eq!(hooked.told().await, [format!("push {MAIN} a b")]);
}

/// Refs are compared at the interval, and at once where something hints at a gap; a provider that is away is left alone for a
/// while.
#[tokio::test]
async fn refs_are_compared_when_due() {
    let hooked = Hooked::new().await;
    let engine = &hooked.world.engine;
    let asked = || hooked.world.plugin.count(OperationKind::ListRefs);
    engine.reconcile_due().await.expect("looked");
    assert_eq!(asked(), 0);
    hooked.world.clock.advance(Duration::from_secs(15 * 60));
    engine.reconcile_due().await.expect("looked");
    engine.reconcile_due().await.expect("looked");
    assert_eq!(asked(), 1);
    hooked.happen("id", "truncated").await;
    hooked
        .world
        .plugin
        .on("ListRefs", |_| Err(failure(FailureCode::Upstream)));
    engine.reconcile_due().await.expect("looked");
    engine.reconcile_due().await.expect("looked");
    assert_eq!(asked(), 2);
    hooked.world.clock.advance(Duration::from_secs(300));
    engine.reconcile_due().await.expect("looked");
    assert_eq!(asked(), 3);
    assert!(hooked.read_hook(1).await.reconcile_due);
}

/// A source that wants no comparison has none by itself; one that wants it sooner has it sooner.
#[tokio::test]
async fn sources_say_how_often() {
    let hooked = Hooked::new().await;
    let engine = &hooked.world.engine;
    let asked = || hooked.world.plugin.count(OperationKind::ListRefs);
    hooked
        .source(hooked.source.clone(), |source| {
            source.reconcile = Some(Duration::ZERO)
        })
        .await;
    hooked.world.clock.advance(Duration::from_secs(86_400));
    engine.reconcile_due().await.expect("looked");
    assert_eq!(asked(), 0);
    hooked
        .source(hooked.source.clone(), |source| {
            source.reconcile = Some(Duration::from_secs(60));
        })
        .await;
    engine.reconcile_due().await.expect("looked");
    hooked.world.clock.advance(Duration::from_secs(60));
    engine.reconcile_due().await.expect("looked");
    assert_eq!(asked(), 2);
}

/// Deliveries that failed are asked for once, come as redeliveries, and refs are compared once they had their time.
#[tokio::test]
async fn failed_deliveries_are_asked_for_again() {
    let hooked = Hooked::new().await;
    let engine = &hooked.world.engine;
    hooked.happen("id1", &format!("push {MAIN} - a")).await;
    let at = hooked.world.clock.now();
    hooked.remote(&[(MAIN, "b")]);
    *hooked.sent.lock().expect("lock") = vec![
        sent(3, 502, at),
        sent(2, 503, at),
        sent(2, 0, at),
        sent(1, 500, at),
    ];
    hooked.world.clock.advance(Duration::from_secs(120));
    let caught = engine
        .catch_up(&hooked.source, None, None)
        .await
        .expect("caught up");
    assert_eq!((caught.recovered_deliveries, caught.changed_refs), (2, 0));
    assert_eq!(*hooked.again.lock().expect("lock"), ["sent2", "sent3"]);
    let body = format!("push {MAIN} a b");
    assert!(matches!(
        hooked.deliver(1, "id2", &body).await,
        Ok(Taken::Stored(_))
    ));
    engine.process_deliveries().await;
    // What never came is not asked for for ever.
    engine.reconcile_due().await.expect("compared");
    assert_eq!(hooked.again.lock().expect("lock").len(), 2);
    assert!(hooked.read_hook(1).await.reconciled > Some(at));
    assert_eq!(hooked.told().await, [format!("push {MAIN} - a"), body]);
    let events = hooked.events_of(&acme()).await;
    assert_eq!(
        events.last().expect("event").origin,
        EventOrigin::Redelivery
    );
}

/// A provider that can't list what it sent is no loss: refs are compared.
#[tokio::test]
async fn refs_are_compared_without_a_list() {
    let hooked = Hooked::new().await;
    hooked.world.plugin.on("ListDeliveries", |_| {
        Err(failure(FailureCode::PermissionDenied))
    });
    hooked.remote(&[(MAIN, "a")]);
    let caught = hooked
        .world
        .engine
        .catch_up(&hooked.source, None, None)
        .await
        .expect("caught up");
    assert_eq!(caught.changed_refs, 1);
}

/// A repetition of a request to catch up answers as the first did, and asks nobody.
#[tokio::test]
async fn a_repeated_request_asks_nobody() {
    let hooked = Hooked::new().await;
    hooked.remote(&[(MAIN, "c"), (V1, "c")]);
    let catch_up = async || {
        let key = RequestKey::new("uid:1", "CatchUpSource", "1", b"a");
        let engine = &hooked.world.engine;
        let caught = engine.catch_up(&hooked.source, None, key.as_ref()).await;
        caught.expect("caught up")
    };
    let first = catch_up().await;
    assert_eq!((first.changed_refs, first.events.len()), (2, 2));
    let asked = hooked.world.plugin.count(OperationKind::ListRefs);
    hooked.remote(&[(MAIN, "d")]);
    assert_eq!(catch_up().await, first);
    assert_eq!(hooked.world.plugin.count(OperationKind::ListRefs), asked);
}

/// A hook that was verified once and tells nothing any more is silent, in words, and not for ever verified (PROVIDERS §2: GitHub
/// keeps deliveries back until an organization approves the app). A delivery that was on its way is no silence, a known gap
/// neither, and the next delivery ends it.
#[tokio::test]
async fn trap_2_a_hook_that_tells_nothing_is_silent() {
    let hooked = Hooked::new().await;
    let engine = &hooked.world.engine;
    let state = async || {
        let hook = hooked.read_hook(1).await;
        (hook.state, hook.message)
    };
    let later = async || {
        hooked.world.clock.advance(Duration::from_secs(60));
        engine.reconcile_due().await.expect("looked");
    };
    let compare = async || {
        let caught = engine.catch_up(&hooked.source, None, None).await;
        caught.expect("caught up").changed_refs
    };
    let verified = (HookState::Verified, String::new());
    hooked.happen("id1", &format!("push {MAIN} - a")).await;
    hooked.remote(&[(MAIN, "b")]);
    assert_eq!(compare().await, 1);
    hooked.happen("id2", &format!("push {MAIN} a b")).await;
    later().await;
    assert_eq!(state().await, verified, "it was on its way");
    let many = [(MAIN, "b"), (V1, "b"), ("refs/tags/v2", "b")];
    let more = [("refs/tags/v3", "b"), ("refs/tags/v4", "b")];
    hooked.remote(&[&many[..], &more[..]].concat());
    assert_eq!(compare().await, 4);
    later().await;
    assert_eq!(state().await, verified, "many at once are told nowhere");
    hooked.happen("id3", "truncated").await;
    hooked.remote(&[&many[..], &more[..1]].concat());
    assert_eq!(compare().await, 1);
    later().await;
    assert_eq!(state().await, verified, "it was known to be cut short");
    hooked.remote(&many);
    assert_eq!(compare().await, 1);
    assert_eq!(state().await, verified);
    later().await;
    let (silent, words) = state().await;
    assert_eq!(silent, HookState::Silent);
    assert!(words.contains("no delivery told"), "{words}");
    hooked.happen("id4", &format!("push {MAIN} b c")).await;
    assert_eq!(state().await, verified);
}

/// A repository that the hook of the host's app serves is silent where the app's hook tells nothing of it, also while that tells
/// of others. Where it brings nothing at all, it is silent itself. What waits to be
/// processed is no silence, and the next delivery ends it.
#[tokio::test]
async fn an_apps_hook_that_tells_nothing_is_silent() {
    let hooked = Hooked::new().await;
    hooked.serve_by_app().await;
    let engine = &hooked.world.engine;
    let states = async || {
        let (line, app) = (hooked.read_hook(1).await, hooked.read_hook(9).await);
        (line.state, app.state)
    };
    let later = async || {
        hooked.world.clock.advance(Duration::from_secs(60));
        engine.reconcile_due().await.expect("looked");
    };
    let told = async |id: &str, repository: usize, change: &str| {
        let body = format!("repository {repository}\n{change}");
        hooked.deliver(9, id, &body).await.expect("taken");
    };
    let found = async |commit: &str| {
        hooked.remote(&[(MAIN, commit)]);
        let caught = engine.catch_up(&hooked.source, None, None).await;
        assert_eq!(caught.expect("caught up").changed_refs, 1);
    };
    let both = (HookState::Verified, HookState::Verified);
    told("id1", 1, &format!("push {MAIN} - a")).await;
    engine.process_deliveries().await;
    assert_eq!(states().await, both);

    hooked.world.clock.advance(Duration::from_secs(3600));
    found("b").await;
    told("id2", 1, &format!("push {MAIN} a b")).await;
    later().await;
    assert_eq!(states().await, both, "it came, and waits");
    engine.process_deliveries().await;
    later().await;
    assert_eq!(states().await, both, "it was on its way");

    hooked.world.clock.advance(Duration::from_secs(3600));
    found("c").await;
    told("id3", 5, "ping").await;
    engine.process_deliveries().await;
    later().await;
    let only_it = (HookState::Silent, HookState::Verified);
    assert_eq!(states().await, only_it, "others are told");
    let line = hooked.read_hook(1).await;
    assert!(line.message.contains("did not tell of"), "{line:?}");
    assert_eq!(line.who, Some(Who::User));

    hooked.world.clock.advance(Duration::from_secs(3600));
    found("d").await;
    later().await;
    assert_eq!(states().await, (HookState::Silent, HookState::Silent));
    let app = hooked.read_hook(9).await;
    assert_eq!(app.who, Some(Who::HostOperator));
    told("id4", 1, &format!("push {MAIN} d e")).await;
    engine.process_deliveries().await;
    assert_eq!(states().await, both);
}
