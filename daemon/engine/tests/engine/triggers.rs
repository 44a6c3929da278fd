//! Triggers: their tokens, and what firing does.

use std::time::Duration;

use bindery_core::{
    event::{EventChange, EventOrigin, Verdict},
    name::TriggerId,
    port::Key,
    problem::Reason,
    provider::OperationKind,
    secret::Secret,
    source::{Build, Pattern, Rule},
    trigger::Trigger,
};
use bindery_engine::{
    RequestKey,
    sources::Disconnect,
    triggers::{NewTrigger, OVERLAP, TriggerChange, TriggerSettings, WithToken},
};

use crate::support::{Hooked, acme};

const MAIN: &str = "refs/heads/main";
const V1: &str = "refs/tags/v1";

fn new(hooked: &Hooked, id: &str) -> NewTrigger {
    NewTrigger {
        source: hooked.source.clone(),
        id: Some(TriggerId::parse(id).expect("name")),
        settings: TriggerSettings {
            default_ref: MAIN.to_owned(),
            ..TriggerSettings::default()
        },
        validate_only: false,
    }
}

fn request(id: &str) -> Option<RequestKey> {
    RequestKey::new("uid:1000", "Trigger", id, id.as_bytes())
}

/// A world with branch `main` at `a` and tag `v1` at `b`, and a trigger.
async fn armed() -> (Hooked, WithToken) {
    let hooked = Hooked::new().await;
    hooked.remote(&[(MAIN, "a"), (V1, "b")]);
    let made = hooked
        .world
        .engine
        .create_trigger(new(&hooked, "nightly"), None);
    let made = made.await.expect("trigger");
    (hooked, made)
}

async fn admits(hooked: &Hooked, trigger: &Trigger, token: &Secret) -> bool {
    let engine = &hooked.world.engine;
    let admitted = engine.admit_trigger(&trigger.place, token).await;
    let name = admitted.expect("vault");
    assert!(name.as_ref().is_none_or(|name| *name == trigger.name()));
    name.is_some()
}

/// The token leads to its trigger, and nothing else does: no other token, no other place, no switched off trigger.
#[tokio::test]
async fn only_the_token_opens_the_place() {
    let (hooked, made) = armed().await;
    let engine = &hooked.world.engine;
    let other = engine.create_trigger(new(&hooked, "other"), None).await;
    let (other, trigger) = (other.expect("trigger"), made.trigger.record);
    assert_eq!(made.token.expose().len(), 43);
    assert!(admits(&hooked, &trigger, &made.token).await);
    for wrong in ["", "x", other.token.expose()] {
        assert!(!admits(&hooked, &trigger, &Secret::new(wrong.to_owned())).await);
    }
    let nowhere = engine.admit_trigger("nowhere", &made.token).await;
    assert_eq!(nowhere.expect("vault"), None);
    let off = TriggerChange {
        disabled: Some(true),
        ..TriggerChange::default()
    };
    let name = trigger.name();
    engine
        .update_trigger(&name, &off, None, None)
        .await
        .expect("off");
    assert!(!admits(&hooked, &trigger, &made.token).await);
    let refused = engine.fire_trigger(&name, "", "uid:1", None).await;
    assert_eq!(refused.expect_err("off").reason, Reason::InvalidArgument);
    engine
        .delete_trigger(&name, None, None)
        .await
        .expect("gone");
    assert!(!admits(&hooked, &trigger, &made.token).await);
    assert!(
        hooked
            .record(Key::TriggerPlace(trigger.place))
            .await
            .is_none()
    );
}

/// No record that can be listed or shown holds a token.
#[tokio::test]
async fn l1_no_listed_record_holds_a_token() {
    let (hooked, made) = armed().await;
    let engine = &hooked.world.engine;
    let name = made.trigger.record.name();
    engine
        .fire_trigger(&name, "", "", None)
        .await
        .expect("fired");
    let listed = engine.triggers_of(&hooked.source).await.expect("list");
    let events = hooked.events_of(&acme()).await;
    let shown = format!("{listed:?} {events:?}");
    assert_eq!((listed.len(), events.len()), (1, 1));
    assert!(!shown.contains(made.token.expose()));
}

/// Both tokens count during the overlap, the old one not a moment longer; zero ends it at once, and eight days are refused.
#[tokio::test]
async fn a_rotation_overlaps_as_long_as_it_says() {
    let (hooked, made) = armed().await;
    let engine = &hooked.world.engine;
    let name = made.trigger.record.name();
    let second = engine.rotate_trigger_token(&name, OVERLAP, None).await;
    let second = second.expect("rotated");
    let trigger = second.trigger.record;
    assert!(trigger.previous_token_until.is_some());
    hooked
        .world
        .clock
        .advance(OVERLAP - Duration::from_millis(1));
    assert!(admits(&hooked, &trigger, &made.token).await);
    assert!(admits(&hooked, &trigger, &second.token).await);
    hooked.world.clock.advance(Duration::from_millis(1));
    assert!(!admits(&hooked, &trigger, &made.token).await);
    assert!(admits(&hooked, &trigger, &second.token).await);
    let read = engine.trigger(&name).await.expect("trigger").record;
    assert_eq!(read.previous_token_until, None);
    let third = engine
        .rotate_trigger_token(&name, Duration::ZERO, None)
        .await;
    let third = third.expect("rotated");
    assert!(!admits(&hooked, &trigger, &second.token).await);
    assert!(admits(&hooked, &trigger, &third.token).await);
    let long = Duration::from_secs(7 * 86_400 + 1);
    let refused = engine.rotate_trigger_token(&name, long, None).await;
    assert_eq!(refused.expect_err("long").reason, Reason::InvalidArgument);
}

/// A repetition shows the same token, and only what it made: not the token that came after it.
#[tokio::test]
async fn a_repetition_shows_the_same_token() {
    let (hooked, _) = armed().await;
    let engine = &hooked.world.engine;
    let create = async || {
        let key = request("a");
        engine
            .create_trigger(new(&hooked, "twice"), key.as_ref())
            .await
    };
    let first = create().await.expect("made");
    let again = create().await.expect("the same");
    assert_eq!(first.token.expose(), again.token.expose());
    let name = first.trigger.record.name();
    let rotate = async || {
        let key = request("b");
        engine
            .rotate_trigger_token(&name, Duration::ZERO, key.as_ref())
            .await
    };
    let second = rotate().await.expect("rotated");
    let once_more = rotate().await.expect("the same");
    assert_ne!(first.token.expose(), second.token.expose());
    assert_eq!(second.token.expose(), once_more.token.expose());
    assert_eq!(
        create().await.expect_err("replaced").reason,
        Reason::NotFound
    );
    let taken = engine.create_trigger(new(&hooked, "twice"), None).await;
    assert_eq!(taken.expect_err("taken").reason, Reason::AlreadyExists);
}

/// A firing becomes an event with the commit of its ref and the build of the rule that matches, once for each request.
#[tokio::test]
async fn a_firing_becomes_one_event() {
    let (hooked, made) = armed().await;
    let build = Build {
        tag_template: "{tag}-{short_commit}".to_owned(),
        ..Build::default()
    };
    let rule = Rule {
        id: "releases".to_owned(),
        tags: vec![Pattern::Glob("v*".to_owned())],
        build: Some(build),
        ..Rule::default()
    };
    hooked
        .source(hooked.source.clone(), |source| source.rules = vec![rule])
        .await;
    let (engine, name) = (&hooked.world.engine, made.trigger.record.name());
    let key = request("fire");
    let event = engine
        .fire_trigger(&name, V1, "uid:1000", key.as_ref())
        .await;
    let event = event.expect("fired");
    let again = engine
        .fire_trigger(&name, V1, "uid:1000", key.as_ref())
        .await;
    assert_eq!(again.expect("the same"), event);
    assert_eq!(hooked.world.plugin.count(OperationKind::ListRefs), 1);
    assert_eq!(
        hooked.events_of(&acme()).await,
        std::slice::from_ref(&event)
    );
    assert_eq!((event.sequence, event.origin), (1, EventOrigin::Trigger));
    assert_eq!(
        (event.verdict, event.rule.as_str()),
        (Some(Verdict::Trigger), "releases")
    );
    assert_eq!(event.build.expect("build").tag_template, "v1-b");
    let EventChange::Trigger(firing) = event.change else {
        panic!("{:?}", event.change);
    };
    assert_eq!(
        (firing.reference.as_str(), firing.commit.as_str()),
        (V1, "b")
    );
    assert_eq!(firing.principal, "uid:1000");
    let excluded = engine
        .fire_trigger(&name, "", "", None)
        .await
        .expect("fired");
    assert_eq!(excluded.verdict, Some(Verdict::Excluded));
    assert!(
        engine
            .trigger(&name)
            .await
            .expect("trigger")
            .record
            .fired
            .is_some()
    );
}

/// What can't be built is no event: a ref that is none or that there is not, and a link that is disabled, which is not asked.
#[tokio::test]
async fn what_cannot_be_built_is_no_event() {
    let (hooked, made) = armed().await;
    let (engine, name) = (&hooked.world.engine, made.trigger.record.name());
    for reference in ["main", "refs/heads/gone", "refs/heads/../x"] {
        let refused = engine.fire_trigger(&name, reference, "", None).await;
        assert_eq!(
            refused.expect_err(reference).reason,
            Reason::InvalidArgument
        );
    }
    let link = &hooked.link;
    let disabled = engine.disable_link(&link.namespace, &link.id, "", "uid:1", None, None);
    disabled.await.expect("disabled");
    let asked = hooked.world.plugin.count(OperationKind::ListRefs);
    let refused = engine.fire_trigger(&name, "", "", None).await;
    assert_eq!(refused.expect_err("disabled").reason, Reason::LinkDisabled);
    assert_eq!(hooked.world.plugin.count(OperationKind::ListRefs), asked);
    assert!(hooked.events_of(&acme()).await.is_empty());
}

/// A source triggers so often a minute, whoever fires; a paused one tells that it is paused.
#[tokio::test]
async fn the_limit_of_the_source_holds() {
    let (hooked, made) = armed().await;
    hooked
        .source(hooked.source.clone(), |source| {
            source.max_triggers_per_minute = 2
        })
        .await;
    let (engine, name) = (&hooked.world.engine, made.trigger.record.name());
    let other = engine.create_trigger(new(&hooked, "other"), None).await;
    let other = other.expect("trigger").trigger.record.name();
    let fire = async |name| engine.fire_trigger(name, "", "", None).await;
    fire(&name).await.expect("first");
    fire(&other).await.expect("second");
    let held = fire(&name).await.expect_err("third");
    assert_eq!(held.reason, Reason::TriggerLimitReached);
    assert!(held.retry_after.is_some());
    hooked.world.clock.advance(Duration::from_secs(60));
    fire(&name).await.expect("a minute later");
    hooked
        .source(hooked.source.clone(), |source| source.paused = true)
        .await;
    let paused = fire(&name).await.expect("told");
    assert_eq!(paused.verdict, Some(Verdict::Paused));
    assert_eq!(hooked.events_of(&acme()).await.len(), 4);
}

/// Only the version that was read is changed or deleted, and a source takes its triggers with it.
#[tokio::test]
async fn a_source_takes_its_triggers_with_it() {
    let (hooked, made) = armed().await;
    let (engine, trigger) = (&hooked.world.engine, made.trigger.record);
    let (name, stale) = (trigger.name(), Some(made.trigger.version + 7));
    let wanted = TriggerChange::default();
    let refused = engine.update_trigger(&name, &wanted, stale, None).await;
    assert_eq!(refused.expect_err("stale").reason, Reason::EtagMismatch);
    let refused = engine.delete_trigger(&name, stale, None).await;
    assert_eq!(refused.expect_err("stale").reason, Reason::EtagMismatch);
    let keep = Disconnect {
        keep_hook: true,
        ..Disconnect::default()
    };
    engine
        .delete_source(&hooked.source, keep)
        .await
        .expect("gone");
    assert!(!admits(&hooked, &trigger, &made.token).await);
    let secret = Key::TriggerSecret(hooked.source.clone(), trigger.id.clone());
    for key in [Key::TriggerPlace(trigger.place), secret] {
        assert!(hooked.record(key).await.is_none());
    }
    assert_eq!(
        engine.trigger(&name).await.expect_err("gone").reason,
        Reason::NotFound
    );
    let made = engine.create_trigger(new(&hooked, "late"), None).await;
    assert_eq!(made.expect_err("no source").reason, Reason::NotFound);
}

/// All tokens whose overlap lasts count, however often it was rotated within it; more than four old ones do not, and without an
/// overlap none does.
#[tokio::test]
async fn all_tokens_count_whose_overlap_lasts() {
    let (hooked, made) = armed().await;
    let (engine, name) = (&hooked.world.engine, made.trigger.record.name());
    let rotate = async |overlap: u64| {
        let overlap = Duration::from_secs(overlap);
        let rotated = engine.rotate_trigger_token(&name, overlap, None).await;
        rotated.expect("rotated")
    };
    let mut tokens = vec![made.token];
    for overlap in [600, 60, 300, 300] {
        tokens.push(rotate(overlap).await.token);
    }
    let trigger = engine.trigger(&name).await.expect("trigger").record;
    let until = engine.time().after(Duration::from_secs(600));
    assert_eq!(trigger.previous_token_until, Some(until));
    for token in &tokens {
        assert!(admits(&hooked, &trigger, token).await);
    }
    hooked.world.clock.advance(Duration::from_secs(60));
    assert!(!admits(&hooked, &trigger, &tokens[1]).await);
    for still in [0, 2, 3, 4] {
        assert!(admits(&hooked, &trigger, &tokens[still]).await);
    }
    for _ in 0..4 {
        tokens.push(rotate(60).await.token);
    }
    assert!(!admits(&hooked, &trigger, &tokens[3]).await);
    assert!(admits(&hooked, &trigger, &tokens[4]).await);
    tokens.push(rotate(0).await.token);
    assert!(admits(&hooked, &trigger, &tokens[9]).await);
    for ended in &tokens[..9] {
        assert!(!admits(&hooked, &trigger, ended).await);
    }
}

/// A restart gives a source no minute of its own.
#[tokio::test]
async fn the_limit_holds_over_a_restart() {
    let (mut hooked, made) = armed().await;
    let limited = |source: &mut bindery_core::source::Source| source.max_triggers_per_minute = 2;
    hooked.source(hooked.source.clone(), limited).await;
    let name = made.trigger.record.name();
    for _ in 0..2 {
        let fired = hooked.world.engine.fire_trigger(&name, "", "", None).await;
        fired.expect("fired");
        hooked.world.clock.advance(Duration::from_secs(20));
    }
    hooked.world.restart().await;
    let held = hooked.world.engine.fire_trigger(&name, "", "", None).await;
    assert_eq!(held.expect_err("third").reason, Reason::TriggerLimitReached);
    hooked.world.clock.advance(Duration::from_secs(20));
    let fired = hooked.world.engine.fire_trigger(&name, "", "", None).await;
    fired.expect("a minute after the first");
}

/// A source takes a hundred triggers and no more; one that goes makes room.
#[tokio::test]
async fn a_source_takes_so_many_triggers() {
    let (hooked, made) = armed().await;
    let engine = &hooked.world.engine;
    for n in 1..100 {
        let one = engine.create_trigger(new(&hooked, &format!("t{n}")), None);
        one.await.expect("trigger");
    }
    let refused = engine.create_trigger(new(&hooked, "more"), None).await;
    let refused = refused.expect_err("too many");
    assert_eq!(refused.reason, Reason::InvalidArgument);
    assert!(refused.message.contains("100 triggers"), "{refused}");
    let name = made.trigger.record.name();
    engine
        .delete_trigger(&name, None, None)
        .await
        .expect("gone");
    let made = engine.create_trigger(new(&hooked, "more"), None).await;
    made.expect("there is room");
}
