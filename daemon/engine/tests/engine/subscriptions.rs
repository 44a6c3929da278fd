//! Subscriptions: posted, signed, tried again by the published schedule, dead in the end, and replayed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_core::{
    event::{AccessChange, Event, EventChange, EventOrigin},
    name::{LinkId, NamespaceName, SubscriptionId},
    port::Rights,
    problem::{Problem, Reason},
    provider::{Happening, Push},
    time::Timestamp,
    trigger::Subscription,
};
use bindery_engine::{
    RequestKey,
    events::{Draft, EventRetention},
    subscriptions::{NewSubscription, Replay, SCHEDULE, Signing, SubscriptionChange, signature},
};

use data_encoding::BASE64;

use crate::support::{Hooked, World, acme, host_name};

fn registry() -> SubscriptionId {
    SubscriptionId::parse("registry").expect("name")
}

fn wanted() -> NewSubscription {
    NewSubscription {
        namespace: acme(),
        id: Some(registry()),
        display_name: "Registry".to_owned(),
        endpoint_uri: "https://registry.example/events".to_owned(),
        filter: String::new(),
        include_payload: false,
        payload_for: Vec::new(),
        paused: false,
        validate_only: false,
    }
}

async fn subscribed(world: &World, new: NewSubscription) -> Signing {
    world
        .engine
        .create_subscription(new, None)
        .await
        .expect("made")
}

fn event(change: EventChange, received: Timestamp) -> Event {
    Event {
        namespace: acme(),
        sequence: 0,
        link: LinkId::parse("l").expect("name"),
        source: None,
        host: host_name(),
        repository: "42".to_owned(),
        full_name: "acme/api".to_owned(),
        happened: None,
        received,
        origin: EventOrigin::Delivery,
        delivery: None,
        actor: None,
        change,
        verdict: None,
        rule: String::new(),
        build: None,
    }
}

fn pushed(reference: &str) -> EventChange {
    EventChange::Provider(Happening::Push(Push {
        reference: reference.to_owned(),
        after: "c0ffee".to_owned(),
        ..Push::default()
    }))
}

fn lost() -> EventChange {
    EventChange::Access(AccessChange {
        lost: true,
        organization: "acme".to_owned(),
        reason: "ORGANIZATION_LOST".to_owned(),
        message: String::new(),
        who: None,
        action_uri: String::new(),
    })
}

async fn append(world: &World, change: EventChange) {
    let draft = Draft::from(event(change, world.engine.time()));
    let appended = world
        .engine
        .append_events(vec![draft], |_| Vec::new())
        .await;
    appended.expect("appended");
}

async fn read(world: &World) -> Subscription {
    let found = world.engine.subscription(&acme(), &registry()).await;
    found.expect("subscription")
}

/// Delivers what is due, and says which events were posted.
async fn delivered(world: &World) -> Vec<u64> {
    world.engine.deliver_due().await.expect("delivered");
    let posted = world.forge.registry.take();
    posted.iter().map(|posted| posted.sequence()).collect()
}

fn replay(first: u64, last: u64, missing_only: bool) -> Replay {
    Replay {
        first,
        last,
        missing_only,
        validate_only: false,
    }
}

/// What comes after the subscription is posted in order, as documented, with a signature that its secret makes.
#[tokio::test]
async fn events_are_posted_in_order_and_signed() {
    let world = World::new().await;
    append(&world, lost()).await;
    let made = subscribed(&world, wanted()).await;
    append(&world, pushed("refs/heads/main")).await;
    append(&world, lost()).await;
    world.engine.deliver_due().await.expect("delivered");
    let posted = world.forge.registry.take();
    assert_eq!(posted.len(), 2);
    let first = &posted[0];
    assert_eq!(first.url, "https://registry.example/events");
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(first.header("webhook-id"), "evt_acme_2");
    let seconds = first.header("webhook-timestamp").parse().expect("seconds");
    assert_eq!(seconds, world.engine.time().unix_seconds());
    let signed = signature(&made.secret, "evt_acme_2", seconds, &first.body);
    assert_eq!(first.header("webhook-signature"), signed.expect("signed"));
    let body = first.json();
    assert_eq!(body["type"], "push");
    assert_eq!(body["timestamp"], "1970-01-12T13:46:40.000Z");
    assert_eq!(body["data"]["name"], "namespaces/acme/events/2");
    assert_eq!(body["data"]["push"]["ref"], "refs/heads/main");
    assert_eq!(body["data"]["push"]["after_commit_id"], "c0ffee");
    assert_eq!(body["data"]["payload"], serde_json::Value::Null);
    assert_eq!(posted[1].sequence(), 3);
    assert_eq!(posted[1].json()["type"], "access_changed");
    let now = read(&world).await;
    assert_eq!((now.taken, now.delivered), (3, 3));
    assert_eq!(now.succeeded, Some(world.engine.time()));
}

/// As the document writes a time.
fn written(time: &Duration) -> String {
    match time.as_secs() {
        0 => "0 s".to_owned(),
        seconds if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// The schedule that the document publishes is the one that is kept to.
#[test]
fn the_schedule_is_the_published_one() {
    let document = include_str!("../../../docs/subscriptions.md");
    let times: Vec<_> = SCHEDULE.iter().map(written).collect();
    let published = format!("**{}**", times.join(", "));
    assert!(document.contains(&published), "{published}");
}

/// The published schedule, to the millisecond; a later event does not wait for the one that fails; the last failure makes a
/// dead letter that nobody tries again.
#[tokio::test]
async fn failures_come_again_by_the_published_schedule() {
    let world = World::new().await;
    subscribed(&world, wanted()).await;
    let published = [0, 5, 30, 120, 900, 3600, 21_600, 86_400].map(Duration::from_secs);
    assert_eq!(SCHEDULE, published);
    let unreachable = Problem::new(Reason::HostUnreachable, "it refuses the connection");
    world.forge.registry.answer(Err(unreachable));
    append(&world, lost()).await;
    append(&world, lost()).await;
    assert_eq!(delivered(&world).await, [1, 2]);
    assert_eq!(read(&world).await.failure, "it refuses the connection");
    world.forge.registry.always(503);
    for wait in &published[1..] {
        world.clock.advance(*wait - Duration::from_millis(1));
        assert!(delivered(&world).await.is_empty());
        world.clock.advance(Duration::from_millis(1));
        assert_eq!(delivered(&world).await, [1]);
    }
    world.clock.advance(Duration::from_secs(1_000_000));
    assert!(delivered(&world).await.is_empty());
    let now = read(&world).await;
    assert_eq!((now.dead_letters, now.delivered), (1, 2));
    let dead = world.engine.dead_letters(&acme(), &registry()).await;
    let dead = dead.expect("dead letters");
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].sequence, dead[0].attempts), (1, 8));
    assert_eq!(dead[0].status, 503);
    assert_eq!(dead[0].message, "the endpoint answered 503");
}

/// Killed while a delivery has no answer, and while another waits to be tried again: the loop of the next start delivers
/// both, under the same ids, and forgets none.
#[tokio::test]
async fn a_restart_in_the_middle_loses_nothing() {
    let mut world = World::new().await;
    subscribed(&world, wanted()).await;
    world.forge.registry.answer(Ok(500));
    append(&world, lost()).await;
    assert_eq!(delivered(&world).await, [1]);
    world.forge.registry.hang(true);
    append(&world, lost()).await;
    let engine = world.engine.clone();
    let first = tokio::spawn(async move { engine.sweep_forever().await });
    world.forge.registry.posted(2).await;
    first.abort();
    assert!(first.await.expect_err("killed").is_cancelled());
    let before = world.forge.registry.take();
    assert_eq!(before[0].sequence(), 2);
    world.forge.registry.hang(false);
    world.restart().await;
    append(&world, lost()).await;
    world.clock.advance(SCHEDULE[1]);
    let engine = world.engine.clone();
    let second = tokio::spawn(async move { engine.sweep_forever().await });
    world.forge.registry.posted(5).await;
    let mut after = BTreeMap::new();
    for posted in world.forge.registry.take() {
        after.insert(posted.sequence(), posted.header("webhook-id").to_owned());
    }
    second.abort();
    assert_eq!(after.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(after[&2], before[0].header("webhook-id"));
}

/// An event that comes while nothing is due wakes the loop, and so does a time that comes.
#[tokio::test]
async fn the_loop_is_woken_by_events_and_by_time() {
    let world = World::new().await;
    subscribed(&world, wanted()).await;
    let engine = world.engine.clone();
    let running = tokio::spawn(async move { engine.sweep_forever().await });
    world.forge.registry.answer(Ok(500));
    append(&world, lost()).await;
    world.forge.registry.posted(1).await;
    while read(&world).await.failed.is_none() {
        tokio::task::yield_now().await;
    }
    world.clock.advance(SCHEDULE[1]);
    world.forge.registry.posted(2).await;
    running.abort();
    let posted = world.forge.registry.take();
    assert_eq!(posted[0].sequence(), posted[1].sequence());
    assert_eq!(posted[0].body, posted[1].body);
}

/// Only what the filter admits is posted, and a filter that is not understood is refused.
#[tokio::test]
async fn filters_hold() {
    let world = World::new().await;
    let filtered = |filter: &str| NewSubscription {
        filter: filter.to_owned(),
        ..wanted()
    };
    let odd = filtered("branch = main");
    let odd = world.engine.create_subscription(odd, None).await;
    assert_eq!(odd.expect_err("refused").reason, Reason::FilterInvalid);
    let main = filtered("change = push AND ref = \"refs/heads/main\"");
    subscribed(&world, main).await;
    append(&world, lost()).await;
    append(&world, pushed("refs/heads/main")).await;
    append(&world, pushed("refs/heads/next")).await;
    assert_eq!(delivered(&world).await, [2]);
    assert_eq!(read(&world).await.taken, 3);
}

/// During the overlap there are two signatures, the new one first; after it, one.
#[tokio::test]
async fn a_rotation_signs_twice_during_the_overlap() {
    let world = World::new().await;
    let old = subscribed(&world, wanted()).await.secret;
    let overlap = Duration::from_secs(60);
    let rotated = world
        .engine
        .rotate_subscription_secret(&acme(), &registry(), overlap, None)
        .await
        .expect("rotated");
    assert_ne!(old.expose(), rotated.secret.expose());
    append(&world, lost()).await;
    world.engine.deliver_due().await.expect("delivered");
    let both = world.forge.registry.take().remove(0);
    let sign = |secret, posted: &crate::support::Posted| {
        let seconds = posted.header("webhook-timestamp").parse().expect("number");
        signature(secret, posted.header("webhook-id"), seconds, &posted.body).expect("signed")
    };
    let (new, before) = (sign(&rotated.secret, &both), sign(&old, &both));
    assert_eq!(both.header("webhook-signature"), format!("{new} {before}"));
    world.clock.advance(overlap);
    append(&world, lost()).await;
    world.engine.deliver_due().await.expect("delivered");
    let one = world.forge.registry.take().remove(0);
    assert_eq!(one.header("webhook-signature"), sign(&rotated.secret, &one));
}

/// 410 pauses: nothing more is posted, nothing is lost, and switching it on again delivers what waited.
#[tokio::test]
async fn gone_pauses_and_loses_nothing() {
    let world = World::new().await;
    subscribed(&world, wanted()).await;
    world.forge.registry.answer(Ok(410));
    append(&world, lost()).await;
    append(&world, lost()).await;
    assert_eq!(delivered(&world).await, [1]);
    let paused = read(&world).await;
    assert!(paused.paused && paused.failure.contains("410"));
    assert!(delivered(&world).await.is_empty());
    let on = SubscriptionChange {
        paused: Some(false),
        ..SubscriptionChange::default()
    };
    let stale = world
        .engine
        .update_subscription(&acme(), &registry(), &on, Some(7), None)
        .await;
    assert_eq!(stale.expect_err("stale").reason, Reason::EtagMismatch);
    let etag = bindery_engine::subscriptions::etag(&paused);
    let on = world
        .engine
        .update_subscription(&acme(), &registry(), &on, Some(etag), None)
        .await;
    assert!(!on.expect("on").paused);
    assert_eq!(delivered(&world).await, [1, 2]);
}

/// A replay of what is missing takes dead letters and what waits; a full one takes all that the filter admits.
#[tokio::test]
async fn replays_deliver_again() {
    let world = World::new().await;
    subscribed(&world, wanted()).await;
    for status in [204, 500, 204] {
        world.forge.registry.answer(Ok(status));
        append(&world, lost()).await;
    }
    assert_eq!(delivered(&world).await, [1, 2, 3]);
    world.forge.registry.always(500);
    for wait in &SCHEDULE[1..] {
        world.clock.advance(*wait);
        assert_eq!(delivered(&world).await, [2]);
    }
    world.forge.registry.always(204);
    let again = |wanted| {
        let engine = world.engine.clone();
        async move {
            let replayed = engine
                .replay_to_subscription(&acme(), &registry(), wanted, None)
                .await;
            let replayed = replayed.expect("replayed");
            (replayed.first, replayed.last, replayed.count)
        }
    };
    let dry = Replay {
        validate_only: true,
        ..replay(1, u64::MAX, true)
    };
    assert_eq!(again(dry).await, (2, 2, 1));
    assert!(delivered(&world).await.is_empty());
    assert_eq!(again(replay(1, u64::MAX, true)).await, (2, 2, 1));
    assert_eq!(read(&world).await.dead_letters, 0);
    assert_eq!(delivered(&world).await, [2]);
    assert_eq!(again(replay(1, u64::MAX, true)).await, (0, 0, 0));
    assert_eq!(again(replay(2, 3, false)).await, (2, 3, 2));
    let mut all = delivered(&world).await;
    all.sort_unstable();
    assert_eq!(all, [2, 3]);
    assert_eq!(read(&world).await.delivered, 3);
}

/// The secret is shown again to the same request only, and what is deleted is gone with all that waited for it.
#[tokio::test]
async fn the_secret_is_for_the_request_that_made_it() {
    let world = World::new().await;
    let key = RequestKey::new("uid:1", "CreateSubscription", "id", b"request").expect("key");
    let make = || world.engine.create_subscription(wanted(), Some(&key));
    let (one, two) = (make().await.expect("made"), make().await.expect("again"));
    assert_eq!(one.secret.expose(), two.secret.expose());
    assert!(one.secret.expose().starts_with("whsec_"));
    let other = world.engine.create_subscription(wanted(), None).await;
    assert_eq!(other.expect_err("exists").reason, Reason::AlreadyExists);
    world.forge.registry.answer(Ok(500));
    append(&world, lost()).await;
    assert_eq!(delivered(&world).await, [1]);
    let deleted = world
        .engine
        .delete_subscription(&acme(), &registry(), None)
        .await;
    deleted.expect("deleted");
    let gone = world.engine.subscription(&acme(), &registry()).await;
    assert_eq!(gone.expect_err("gone").reason, Reason::NotFound);
    world.clock.advance(SCHEDULE[1]);
    subscribed(&world, wanted()).await;
    assert!(delivered(&world).await.is_empty());
}

/// Dead letters go with their events, and what waited longer than events are kept is passed over.
#[tokio::test]
async fn nothing_outlives_the_events() {
    let world = World::new().await;
    subscribed(&world, wanted()).await;
    world.forge.registry.always(500);
    append(&world, lost()).await;
    for wait in &SCHEDULE {
        world.clock.advance(*wait);
        assert_eq!(delivered(&world).await, [1]);
    }
    assert_eq!(read(&world).await.dead_letters, 1);
    world.forge.registry.always(204);
    append(&world, lost()).await;
    append(&world, lost()).await;
    append(&world, lost()).await;
    world.engine.set_event_retention(EventRetention {
        time: Duration::from_secs(1_000_000),
        count: 1,
        ..EventRetention::default()
    });
    world.engine.sweep().await.expect("swept");
    assert_eq!(read(&world).await.dead_letters, 0);
    assert_eq!(delivered(&world).await, [4]);
}

/// A repetition of a replay answers as the first did, and posts nothing.
#[tokio::test]
async fn a_repeated_replay_posts_nothing() {
    let world = World::new().await;
    subscribed(&world, wanted()).await;
    for _ in 0..3 {
        append(&world, lost()).await;
    }
    assert_eq!(delivered(&world).await, [1, 2, 3]);
    let again = async || {
        let key = RequestKey::new("uid:1", "ReplayEvents", "1", b"a");
        let all = replay(2, u64::MAX, false);
        let replayed = world
            .engine
            .replay_to_subscription(&acme(), &registry(), all, key.as_ref())
            .await;
        let replayed = replayed.expect("replayed");
        (replayed.first, replayed.last, replayed.count)
    };
    assert_eq!(again().await, (2, 3, 2));
    assert_eq!(delivered(&world).await.len(), 2);
    append(&world, lost()).await;
    assert_eq!(again().await, (2, 3, 2));
    assert_eq!(delivered(&world).await, [4]);
}

/// Deliveries are signed with every secret whose overlap lasts, the newest first.
#[tokio::test]
async fn all_secrets_sign_whose_overlap_lasts() {
    let world = World::new().await;
    let mut secrets = vec![subscribed(&world, wanted()).await.secret];
    for overlap in [120, 60] {
        let overlap = Duration::from_secs(overlap);
        let rotated = world
            .engine
            .rotate_subscription_secret(&acme(), &registry(), overlap, None)
            .await;
        secrets.push(rotated.expect("rotated").secret);
    }
    let signed = async |by: &[usize]| {
        append(&world, lost()).await;
        world.engine.deliver_due().await.expect("delivered");
        let posted = world.forge.registry.take().remove(0);
        let seconds = posted.header("webhook-timestamp").parse().expect("number");
        let sign = |at: &usize| {
            let id = posted.header("webhook-id");
            signature(&secrets[*at], id, seconds, &posted.body).expect("signed")
        };
        let all: Vec<_> = by.iter().map(sign).collect();
        assert_eq!(posted.header("webhook-signature"), all.join(" "));
    };
    signed(&[2, 1, 0]).await;
    world.clock.advance(Duration::from_secs(60));
    signed(&[2, 0]).await;
    world.clock.advance(Duration::from_secs(60));
    signed(&[2]).await;
}

/// A subscription that is made while others are delivered to, in a namespace that had none, gets its events, after a restart
/// too.
#[tokio::test]
async fn a_namespace_with_its_first_subscription_is_looked_at() {
    let mut world = World::new().await;
    append(&world, lost()).await;
    assert!(delivered(&world).await.is_empty());
    subscribed(&world, wanted()).await;
    append(&world, lost()).await;
    assert_eq!(delivered(&world).await, [2]);
    world.restart().await;
    append(&world, lost()).await;
    assert_eq!(delivered(&world).await, [3]);
}

/// Who may see bodies, until that ends.
#[derive(Default)]
struct Policy(Mutex<BTreeSet<String>>);

impl Rights for Policy {
    fn may_see_payloads(&self, names: &[String], namespace: &NamespaceName) -> bool {
        let allowed = self.0.lock().expect("lock");
        *namespace == acme() && names.iter().any(|name| allowed.contains(name))
    }
}

/// G1: bodies that providers delivered are posted as long as one of those who asked for them may see them; events are posted all
/// the same, say that a body is withheld, and the subscription says what to do.
#[tokio::test]
async fn g1_bodies_are_posted_as_long_as_their_right_lasts() {
    let hooked = Hooked::new().await;
    let (world, policy) = (&hooked.world, Arc::new(Policy::default()));
    world.engine.set_rights(policy.clone());
    let allow = |names: &[&str]| {
        *policy.0.lock().expect("lock") = names.iter().map(|&name| name.to_owned()).collect();
    };
    let asked = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    let new = NewSubscription {
        include_payload: true,
        payload_for: asked(&["uid:1000", "gid:100"]),
        filter: "change = push".to_owned(),
        ..wanted()
    };
    subscribed(world, new).await;
    let mut commits = 0..;
    let mut post = async || {
        let n = commits.next().unwrap_or(0);
        let body = format!("push refs/heads/b{n} - c{n}");
        hooked.happen(&format!("id{n}"), &body).await;
        world.engine.deliver_due().await.expect("delivered");
        let posted = world.forge.registry.take();
        assert_eq!(posted.len(), 1, "{n}");
        let data = posted[0].json()["data"].clone();
        let whole = data["payload"] == BASE64.encode(body.as_bytes());
        (
            whole,
            data["payload_withheld"] == true,
            data["payload"].clone(),
        )
    };
    allow(&["gid:100"]);
    assert!(matches!(post().await, (true, false, _)));
    allow(&["uid:7"]);
    let (whole, withheld, shown) = post().await;
    assert!(!whole && withheld && shown == "");
    assert!(read(world).await.failure.contains("event:payload"));
    // Somebody who may has it sent on.
    let change = SubscriptionChange {
        include_payload: Some(true),
        payload_for: Some(asked(&["uid:7"])),
        ..SubscriptionChange::default()
    };
    world
        .engine
        .update_subscription(&acme(), &registry(), &change, None, None)
        .await
        .expect("changed");
    assert!(matches!(post().await, (true, false, _)));
}

/// G1: a subscription from before it was noted who asked for bodies carries none.
#[tokio::test]
async fn g1_nobody_asked_is_nobody_with_a_right() {
    let hooked = Hooked::new().await;
    let world = &hooked.world;
    let new = NewSubscription {
        include_payload: true,
        filter: "change = push".to_owned(),
        ..wanted()
    };
    subscribed(world, new).await;
    hooked.happen("id1", "push refs/heads/main - a").await;
    world.engine.deliver_due().await.expect("delivered");
    let posted = world.forge.registry.take();
    assert_eq!(posted[0].json()["data"]["payload_withheld"], true);
}
