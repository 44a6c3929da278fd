//! The hook of a host's app: set by the daemon itself, proven, given new secrets; and what it brings goes to the repositories,
//! links and people that it is about.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_core::{
    delivery::DeliveryState,
    event::{EventChange, HookChange},
    hook::{Hook, HookPlace, HookSecrets, HookState},
    link::{Cause, Link, Stage},
    name::LinkId,
    port::{Clock as _, Key, Record, Vault as _},
    problem::{Reason, Who},
    provider::{
        Call, Delivered, DeliveredRepository, Failure, FailureCode, Happening, HookFacts, Input,
        OperationKind, Output, Push, Ref, RefKind, SentDelivery,
    },
    receipt::Outcome,
    secret::Secret,
};
use bindery_engine::{
    deliveries::Whose,
    hooks::AppHookSetUp,
    intake::{Incoming, Limits, Refused, Taken},
    sources::Disconnect,
};
use data_encoding::HEXLOWER;
use ring::hmac;

use crate::support::{
    HookForge, Hooked, World, acme, failure, hook_id, host_name, new_source, source_name, source_of,
};

/// Lets what was started come to its end.
async fn settle(world: &World) {
    for _ in 0..4 {
        world.engine.check_due().await;
        world.engine.check_hooks_due().await;
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
}

/// Lets time pass until it is so: looks at hooks go on beside this.
async fn until(world: &World, is: impl AsyncFn() -> bool) {
    for _ in 0..500 {
        settle(world).await;
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        world.clock.advance(Duration::from_secs(660));
    }
    panic!("it does not become so");
}

/// What the forge knows of the app's hook.
#[derive(Clone)]
struct AppForge(Arc<Mutex<Option<HookFacts>>>);

impl AppForge {
    /// A forge whose app has a hook without an address, beside the hooks of repositories.
    fn new(world: &World) -> (Self, HookForge) {
        let hooks = world.hooks();
        let facts = HookFacts {
            hook_id: "app".to_owned(),
            active: true,
            web_uri: "https://forge.example/settings/apps/bindery".to_owned(),
            ..HookFacts::default()
        };
        let app = Self(Arc::new(Mutex::new(Some(facts))));
        for operation in ["ListHooks", "UpdateHook", "PingHook"] {
            let (app, hooks) = (app.clone(), hooks.clone());
            world.plugin.on(operation, move |call| {
                app.answer(call).unwrap_or_else(|| hooks.answer(call))
            });
        }
        (app, hooks)
    }

    fn answer(&self, call: &Call) -> Option<Result<Output, Failure>> {
        let mut facts = self.0.lock().expect("lock");
        match &call.input {
            Input::ListHooks { repository, .. } if repository.is_empty() => {
                Some(Ok(Output::Hooks(facts.iter().cloned().collect())))
            }
            Input::UpdateHook {
                repository, hook, ..
            } if repository.is_empty() => Some(match facts.as_mut() {
                Some(facts) => {
                    facts.url.clone_from(&hook.url);
                    facts.deviations.retain(|one| one == "events");
                    Ok(Output::Hook(facts.clone()))
                }
                None => Err(failure(FailureCode::PermissionDenied)),
            }),
            Input::PingHook { repository, .. } if repository.is_empty() => Some(Ok(Output::Empty)),
            _ => None,
        }
    }

    fn change(&self, change: impl FnOnce(&mut HookFacts)) {
        change(self.0.lock().expect("lock").as_mut().expect("facts"));
    }

    fn url(&self) -> String {
        let facts = self.0.lock().expect("lock");
        facts
            .as_ref()
            .map(|facts| facts.url.clone())
            .unwrap_or_default()
    }
}

/// A world whose host has an app with a hook that is set.
async fn with_app() -> (World, AppForge, HookForge) {
    let world = World::new().await;
    let (app, hooks) = AppForge::new(&world);
    world.give_app().await;
    world.engine.schedule_hooks().await.expect("hooks");
    settle(&world).await;
    (world, app, hooks)
}

async fn app_hook(world: &World) -> Hook {
    let hook = world.engine.app_hook(&host_name()).await;
    hook.expect("read").expect("hook")
}

async fn secrets(world: &World, hook: &Hook) -> HookSecrets {
    let found = world.vault.get(&Key::HookSecrets(hook.id.clone())).await;
    match found.expect("read").map(|entry| entry.record) {
        Some(Record::HookSecrets(secrets)) => secrets,
        other => panic!("{other:?}"),
    }
}

fn signed(hook: &Hook, secret: &str, body: &str) -> Incoming {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let sign = HEXLOWER.encode(hmac::sign(&key, body.as_bytes()).as_ref());
    Incoming {
        hook: hook.id.to_string(),
        headers: vec![("x-forge-signature".to_owned(), sign.into_bytes())],
        body: body.as_bytes().to_vec(),
    }
}

/// An app's hook that leads nowhere is led here with a secret of 256 bits, by itself; a signed delivery proves it, and the
/// provider's is then as it should be.
#[tokio::test]
async fn an_apps_hook_is_set_by_itself() {
    let (world, app, _) = with_app().await;
    let hook = app_hook(&world).await;
    assert_eq!(app.url(), world.engine.hook_url(&hook.id));
    assert_eq!(hook.state, HookState::Silent);
    let sent = world.forge.hook_secrets.lock().expect("lock").clone();
    assert_eq!((sent.len(), sent[0].len()), (1, 64));
    assert_eq!(secrets(&world, &hook).await.current.expose(), sent[0]);
    assert_eq!(hook.secret_fingerprint.len(), 16);
    world.plugin.on("ParseDelivery", |_| {
        Ok(Output::Delivered(Delivered {
            ping: true,
            ..Delivered::default()
        }))
    });
    let delivery = signed(&hook, &sent[0], "ping");
    assert_eq!(
        world.engine.take_delivery(delivery).await,
        Ok(Taken::Stored(1))
    );
    world.engine.process_deliveries().await;
    assert_eq!(app_hook(&world).await.state, HookState::Verified);
    assert_eq!(world.plugin.count(OperationKind::UpdateHook), 1);
    world.clock.advance(Duration::from_secs(7 * 3600));
    settle(&world).await;
    assert_eq!(world.plugin.count(OperationKind::UpdateHook), 1);
    assert_eq!(app_hook(&world).await.state, HookState::Verified);
}

/// One that leads elsewhere is somebody's: it is left until the operator says so, and then taken over.
#[tokio::test]
async fn an_apps_hook_elsewhere_is_left_alone() {
    let world = World::new().await;
    let (app, _) = AppForge::new(&world);
    app.change(|facts| "https://elsewhere.example/hook".clone_into(&mut facts.url));
    world.give_app().await;
    world.engine.schedule_hooks().await.expect("hooks");
    settle(&world).await;
    let hook = app_hook(&world).await;
    assert_eq!(
        (hook.state, hook.who),
        (HookState::Changed, Some(Who::HostOperator))
    );
    assert!(hook.message.contains("elsewhere.example"));
    assert_eq!(
        hook.action_uri,
        "https://forge.example/settings/apps/bindery"
    );
    assert_eq!(app.url(), "https://elsewhere.example/hook");
    let set = world
        .engine
        .set_up_app_hook(&host_name(), AppHookSetUp::default())
        .await;
    assert_eq!(set.expect("set up").state, HookState::Silent);
    assert_eq!(app.url(), world.engine.hook_url(&hook.id));
}

/// What the app may not change itself is said: that it is switched off, and that it is not told of pushes.
#[tokio::test]
async fn what_a_person_must_set_is_said() {
    let (world, app, _) = with_app().await;
    app.change(|facts| facts.deviations = vec!["events".to_owned()]);
    world.clock.advance(Duration::from_secs(7 * 3600));
    settle(&world).await;
    let hook = app_hook(&world).await;
    assert_eq!(
        (hook.state, hook.who),
        (HookState::Changed, Some(Who::HostOperator))
    );
    assert!(hook.message.contains("subscribe to the events"));
    assert_eq!(world.plugin.count(OperationKind::UpdateHook), 1);
    app.0.lock().expect("lock").take();
    world.clock.advance(Duration::from_secs(7 * 3600));
    settle(&world).await;
    let hook = app_hook(&world).await;
    assert_eq!(hook.state, HookState::Missing);
    assert!(hook.message.contains("not active"));
}

/// A new secret, made here or given: the old one is accepted for a while beside it. By hand nothing is asked of the provider.
#[tokio::test]
async fn the_secret_of_an_app_rotates_with_an_overlap() {
    let (world, _, _) = with_app().await;
    let hook = app_hook(&world).await;
    let old = secrets(&world, &hook).await.current.duplicate();
    let asked = || AppHookSetUp {
        secret: Some(Secret::new("given-by-the-operator".to_owned())),
        overlap: Some(Duration::from_secs(600)),
        by_hand: true,
    };
    let missing = AppHookSetUp {
        secret: None,
        ..asked()
    };
    let refused = world.engine.set_up_app_hook(&host_name(), missing).await;
    assert_eq!(refused.expect_err("none").reason, Reason::InvalidArgument);
    let calls = world.plugin.calls.lock().expect("lock").len();
    let set = world.engine.set_up_app_hook(&host_name(), asked()).await;
    let set = set.expect("set up");
    assert_eq!(world.plugin.calls.lock().expect("lock").len(), calls);
    assert_ne!(set.secret_fingerprint, hook.secret_fingerprint);
    let take = async |secret: &str, body: &str| {
        world
            .engine
            .take_delivery(signed(&hook, secret, body))
            .await
    };
    assert!(take(old.expose(), "one").await.is_ok());
    assert!(take("given-by-the-operator", "two").await.is_ok());
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(take(old.expose(), "three").await, Err(Refused::Forged));
    assert!(take("given-by-the-operator", "four").await.is_ok());
}

/// A host without an app has no such hook, and one that loses its app loses it.
#[tokio::test]
async fn without_an_app_there_is_no_hook() {
    let (world, _, _) = with_app().await;
    let mut host = world.engine.host(&host_name()).await.expect("host").record;
    host.app = None;
    world.put(Key::Host(host_name()), Record::Host(host)).await;
    world.engine.schedule_hooks().await.expect("hooks");
    assert_eq!(world.engine.app_hook(&host_name()).await, Ok(None));
    let set = world
        .engine
        .set_up_app_hook(&host_name(), AppHookSetUp::default())
        .await;
    assert_eq!(set.expect_err("no app").reason, Reason::MethodNotSupported);
}

async fn installed(world: &World, id: &str, installation: &str) -> Link {
    let id = world.installed(id, installation).await;
    world.read(&id).await
}

/// A repository of an installation gets no hook of its own where the app's works. It goes, with nothing to take away; and it
/// gets one of its own when the app's hook does not serve it any more.
#[tokio::test]
async fn a_source_of_an_installation_needs_no_hook() {
    let (world, app, hooks) = with_app().await;
    let link = installed(&world, "l1", "42").await;
    let view = world.connect(&link).await.expect("source");
    let hook = view.hook.expect("hook");
    assert!(hook.by_app && hook.step.is_none());
    assert_eq!(hook.state, HookState::Silent);
    assert!(hooks.urls().is_empty());
    let gone = world
        .engine
        .delete_source(&source_of(&link), Disconnect::default())
        .await;
    let gone = gone.expect("gone");
    assert_eq!(gone[0].outcome, Some(Outcome::AlreadyAbsent));
    assert!(gone[0].message.contains("webhook of the app"));
    assert_eq!(world.plugin.count(OperationKind::DeleteHook), 0);
    // Under another id: that of a source that was disconnected is never used again.
    let again = bindery_engine::sources::NewSource {
        id: None,
        ..new_source(&link)
    };
    let again = world.engine.create_source(again, None).await;
    let again = again.expect("source").source.record.name();
    app.change(|facts| "https://elsewhere.example/hook".clone_into(&mut facts.url));
    // The app's hook is looked at first, and the repository's at its next time; what they start goes on beside this.
    let mut rounds = 0;
    let hook = loop {
        world.clock.advance(Duration::from_secs(7 * 3600));
        settle(&world).await;
        let view = world.engine.source(&again).await.expect("source");
        let hook = view.hook.expect("hook");
        if !hook.by_app && hook.step.is_none() {
            break hook;
        }
        rounds += 1;
        assert!(rounds < 20, "the app's hook still stands for it");
    };
    assert_eq!(hooks.urls(), [world.engine.hook_url(&hook.id)]);
}

/// Where the app's hook does not work, and for a link that is no installation, the repository has a hook of its own.
#[tokio::test]
async fn without_the_apps_hook_a_repository_has_its_own() {
    let (world, app, hooks) = with_app().await;
    let person = world.bound_in(crate::support::umbrella(), Some(3600)).await;
    let view = world.connect(&person).await.expect("source");
    assert!(!view.hook.expect("hook").by_app);
    assert_eq!(hooks.urls().len(), 1);
    // What is there serves the installation as well.
    let link = installed(&world, "l1", "42").await;
    let view = world.connect(&link).await.expect("source");
    let hook = view.hook.expect("hook");
    assert!(!hook.by_app && hook.sources.len() == 2);
    let (world, app) = {
        drop((world, app));
        let (world, app, _) = with_app().await;
        (world, app)
    };
    app.change(|facts| facts.deviations = vec!["events".to_owned()]);
    world.clock.advance(Duration::from_secs(7 * 3600));
    settle(&world).await;
    let link = installed(&world, "l1", "42").await;
    let view = world.engine.create_source(new_source(&link), None).await;
    assert!(!view.expect("source").hook.expect("hook").by_app);
}

const MAIN: &str = "refs/heads/main";

/// A push that the app's hook brings is an event of the sources of its repository, once, whatever comes twice.
#[tokio::test]
async fn a_push_by_the_app_is_told_once() {
    let hooked = Hooked::new().await;
    hooked.serve_by_app().await;
    let push = format!("repository 1\npush {MAIN} - a");
    for id in ["id1", "id1", "id2"] {
        hooked.deliver(9, id, &push).await.expect("taken");
        hooked.world.engine.process_deliveries().await;
    }
    assert_eq!(hooked.told().await, [format!("push {MAIN} - a")]);
    let engine = &hooked.world.engine;
    let shown = engine.delivery(&hooked.source, 1).await.expect("delivery");
    assert_eq!(shown.state, DeliveryState::Processed);
    assert_eq!(hooked.read_hook(1).await.state, HookState::Verified);
    assert_eq!(hooked.read_hook(9).await.state, HookState::Verified);
    // Processed again it becomes what it became.
    let again = engine
        .retry_delivery(&hooked.source, 1, None)
        .await
        .expect("again");
    assert_eq!(again.events, shown.events);
    assert_eq!(hooked.told().await.len(), 1);
}

/// A repository with a hook of its own is told by that one: what the app's brings as well is nothing, and so is what it
/// brings of a repository that nobody uses.
#[tokio::test]
async fn nobody_gets_a_push_twice() {
    let hooked = Hooked::new().await;
    hooked.serve_by_app().await;
    hooked.change_hook(1, |hook| hook.by_app = false).await;
    let body = |n: usize| format!("repository {n}\npush {MAIN} - a");
    hooked.deliver(9, "by-app", &body(1)).await.expect("taken");
    hooked.deliver(9, "nobody", &body(5)).await.expect("taken");
    hooked.deliver(1, "own", &body(1)).await.expect("taken");
    hooked.world.engine.process_deliveries().await;
    assert_eq!(hooked.told().await, [format!("push {MAIN} - a")]);
    for number in [1, 2] {
        match hooked.record(Key::Delivery(number)).await {
            Some(Record::Delivery(delivery)) => {
                assert_eq!(delivery.state, DeliveryState::Ignored);
                assert!(delivery.message.contains("no source is served"), "{number}");
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn stage(world: &World, link: &LinkId) -> Stage {
    world.read(link).await.observed.stage
}

/// An installation that ends is looked into for its own links, and a person's revocation for that person's; what is found
/// shows at once, and their sources are looked at.
#[tokio::test]
async fn installations_and_revocations_find_their_links() {
    let hooked = Hooked::new().await;
    hooked.serve_by_app().await;
    let world = &hooked.world;
    world.give_app().await;
    let (ended, other) = (
        world.installed("l1", "42").await,
        world.installed("l2", "43").await,
    );
    world
        .plugin
        .on("Identify", |_| Err(failure(FailureCode::NotInstalled)));
    hooked
        .deliver(9, "id1", "installation 42")
        .await
        .expect("taken");
    world.engine.process_deliveries().await;
    settle(world).await;
    assert_eq!(
        stage(world, &ended).await,
        Stage::NeedsReauthorization(Cause::AppUninstalled)
    );
    assert_eq!(stage(world, &other).await, Stage::Bound);
    assert_eq!(stage(world, &hooked.link.id).await, Stage::Bound);
    world
        .plugin
        .on("Identify", |_| Err(failure(FailureCode::Unauthenticated)));
    hooked
        .deliver(9, "id2", "revoked 583231")
        .await
        .expect("taken");
    hooked.deliver(9, "id3", "revoked 1").await.expect("taken");
    world.engine.process_deliveries().await;
    let hook = hooked.read_hook(1).await;
    assert!(hook.checked.is_none() && hook.reconcile_due);
    world.clock.advance(Duration::from_secs(60));
    settle(world).await;
    assert_eq!(
        stage(world, &hooked.link.id).await,
        Stage::NeedsReauthorization(Cause::TokenRefused)
    );
    assert_eq!(stage(world, &other).await, Stage::Bound);
}

/// The app's own list of deliveries is gone through, and what never came is asked for again, once.
#[tokio::test]
async fn what_the_apps_hook_missed_is_sent_again() {
    let hooked = Hooked::new().await;
    hooked.serve_by_app().await;
    hooked
        .change_hook(9, |hook| hook.provider_id = "app".to_owned())
        .await;
    let push = format!("repository 1\npush {MAIN} - a");
    hooked.deliver(9, "came", &push).await.expect("taken");
    let now = hooked.world.clock.now();
    let sent = |id: &str, status| SentDelivery {
        sent_id: format!("sent-{id}"),
        stable_id: id.to_owned(),
        event: "push".to_owned(),
        sent: Some(now),
        status,
    };
    *hooked.sent.lock().expect("lock") = vec![sent("missed", 502), sent("came", 200)];
    hooked.world.clock.advance(Duration::from_secs(3600));
    for _ in 0..2 {
        hooked
            .world
            .engine
            .reconcile_due()
            .await
            .expect("reconciled");
    }
    assert_eq!(*hooked.again.lock().expect("lock"), ["sent-missed"]);
}

/// The hook of an app brings what all of its repositories would: only the limit for all hooks holds it.
#[tokio::test]
async fn an_apps_hook_may_bring_more_than_one_repositorys() {
    let hooked = Hooked::new().await;
    hooked.serve_by_app().await;
    let limits = Limits {
        per_hook: 2,
        in_all: 8,
        ..Limits::default()
    };
    hooked.world.engine.set_intake_limits(limits);
    for n in 0..8 {
        let taken = hooked
            .deliver(9, &format!("id{n}"), &format!("push {MAIN} - a{n}"))
            .await;
        assert!(taken.is_ok(), "{n}");
    }
    let more = hooked.deliver(9, "more", "ping").await;
    assert!(matches!(more, Err(Refused::TooMany(_))));
}

/// A delivery to the app's hook that proves it.
async fn prove(world: &World) {
    world.plugin.on("ParseDelivery", |_| {
        Ok(Output::Delivered(Delivered {
            ping: true,
            ..Delivered::default()
        }))
    });
    let hook = app_hook(world).await;
    let secret = secrets(world, &hook).await.current.duplicate();
    let body = format!("ping {}", world.clock.now().unix_ms());
    let delivery = signed(&hook, secret.expose(), &body);
    world.engine.take_delivery(delivery).await.expect("taken");
    world.engine.process_deliveries().await;
    assert_eq!(app_hook(world).await.state, HookState::Verified);
}

async fn app_hook_becomes(world: &World, state: HookState) {
    until(world, async || app_hook(world).await.state == state).await;
}

/// A repository of an installation with a hook of its own, and the app's hook, which can't serve it yet.
async fn with_own() -> (World, AppForge, HookForge, Link) {
    let (world, app, hooks) = with_app().await;
    app.change(|facts| facts.deviations = vec!["events".to_owned()]);
    app_hook_becomes(&world, HookState::Changed).await;
    let link = installed(&world, "l1", "42").await;
    let view = world.connect(&link).await.expect("source");
    assert!(!view.hook.expect("hook").by_app);
    app.change(|facts| facts.deviations.clear());
    app_hook_becomes(&world, HookState::Silent).await;
    (world, app, hooks, link)
}

async fn hook_of(world: &World, link: &Link) -> Hook {
    let view = world.engine.source(&source_of(link)).await.expect("source");
    view.hook.expect("hook")
}

/// What `hook_changed` events say, and of which states.
async fn hook_events(world: &World) -> Vec<HookChange> {
    let (mut all, mut after) = (Vec::new(), 0);
    while let Some(event) = world
        .engine
        .event_after(&acme(), after)
        .await
        .expect("read")
    {
        after = event.sequence;
        if let EventChange::Hook(change) = event.change {
            all.push(change);
        }
    }
    all
}

/// A repository of installations that has a hook of its own keeps it until the app's hook has proven that it works; then the own
/// one is taken away, and its sources are told so once.
#[tokio::test]
async fn a_repository_moves_to_the_apps_hook_once_that_is_proven() {
    let (world, _, hooks, link) = with_own().await;
    assert_eq!(hooks.urls().len(), 1);
    assert!(!hook_of(&world, &link).await.by_app);
    prove(&world).await;
    until(&world, async || !hook_of(&world, &link).await.has_own()).await;
    assert!(hook_of(&world, &link).await.reconcile_due);
    assert_eq!(hooks.urls(), Vec::<String>::new());
    assert_eq!(world.plugin.count(OperationKind::DeleteHook), 1);
    let told = || async {
        let all = hook_events(&world).await.into_iter();
        all.filter(|change| change.message.contains("was removed at the provider"))
            .count()
    };
    assert_eq!(told().await, 1);
    // It is looked at once more, and that is all.
    until(&world, async || {
        hook_of(&world, &link).await.message
            == "deliveries come through the webhook of the host's app"
    })
    .await;
    assert_eq!(told().await, 1);
    assert_eq!(world.plugin.count(OperationKind::DeleteHook), 1);
}

/// What a person's link uses as well keeps its hook: that link does not depend on an installation.
#[tokio::test]
async fn a_repository_of_a_person_keeps_its_own_hook() {
    let (world, _, hooks, link) = with_own().await;
    let person = world.bound_in(crate::support::umbrella(), Some(3600)).await;
    world.connect(&person).await.expect("source");
    let before = hook_of(&world, &link).await.checked;
    prove(&world).await;
    until(&world, async || {
        hook_of(&world, &link).await.checked > before
    })
    .await;
    assert!(!hook_of(&world, &link).await.by_app);
    assert_eq!(hooks.urls().len(), 1);
}

/// An own hook that no link may take away stays, with the page where a person does it; it is tried again, and is a part of what
/// disconnecting takes away.
#[tokio::test]
async fn an_own_hook_that_stays_is_said() {
    let (world, _, hooks, link) = with_own().await;
    hooks.held().refuses = Some(FailureCode::PermissionDenied);
    prove(&world).await;
    until(&world, async || hook_of(&world, &link).await.who.is_some()).await;
    let hook = hook_of(&world, &link).await;
    assert!(hook.by_app && hook.has_own());
    assert_eq!(
        (hook.state, hook.who),
        (HookState::Verified, Some(Who::User))
    );
    assert!(
        hook.message
            .contains("a person removes it at https://forge.example")
    );
    assert_eq!(hooks.urls().len(), 1);
    hooks.held().refuses = None;
    let gone = world
        .engine
        .delete_source(&source_of(&link), Disconnect::default())
        .await
        .expect("gone");
    assert_eq!(gone[0].outcome, Some(Outcome::Done));
    assert!(hooks.urls().is_empty());
}

/// A death between the two steps of the move leaves a hook that goes by itself, and an app's hook that stops to work meanwhile
/// leaves it to be taken over, without a second one.
#[tokio::test]
async fn a_move_that_was_cut_off_is_finished() {
    let (world, app, hooks, link) = with_own().await;
    hooks.held().refuses = Some(FailureCode::Upstream);
    prove(&world).await;
    until(&world, async || hook_of(&world, &link).await.by_app).await;
    let hook = hook_of(&world, &link).await;
    assert!(hook.has_own());
    app.change(|facts| facts.deviations = vec!["events".to_owned()]);
    app_hook_becomes(&world, HookState::Changed).await;
    hooks.held().refuses = None;
    until(&world, async || !hook_of(&world, &link).await.by_app).await;
    assert_eq!(hooks.urls(), [world.engine.hook_url(&hook.id)]);
    assert_eq!(world.plugin.count(OperationKind::CreateHook), 1);
    app.change(|facts| facts.deviations.clear());
    until(&world, async || !hook_of(&world, &link).await.has_own()).await;
    assert!(hooks.urls().is_empty());
}

/// While both hooks deliver, each change is one event, that of the repository as a whole too.
#[tokio::test]
async fn two_hooks_of_one_repository_tell_once() {
    let hooked = Hooked::new().await;
    hooked.serve_by_app().await;
    hooked
        .change_hook(1, |hook| hook.provider_id = "7".to_owned())
        .await;
    let changes = [
        format!("push {MAIN} - a"),
        "rename acme/web".to_owned(),
        format!("push {MAIN} a b"),
    ];
    for (n, change) in changes.iter().enumerate() {
        // What comes after the new name was said bears it.
        let name = if n < 2 { "acme/api1" } else { "acme/web" };
        let body = format!("repository 1\nnamed {name}\n{change}");
        let (own, app) = (format!("own-{n}"), format!("app-{n}"));
        hooked.deliver(1, &own, &body).await.expect("taken");
        hooked.deliver(9, &app, &body).await.expect("taken");
        hooked.world.engine.process_deliveries().await;
    }
    assert_eq!(hooked.told().await, changes);
}

/// Repository 2 with a source and without a hook of its own, beside repository 1.
async fn two_served() -> Hooked {
    let hooked = Hooked::new().await;
    hooked.serve_by_app().await;
    let second = source_name(&hooked.link, "web");
    hooked.hook(2, "hmac").await;
    hooked
        .source(second.clone(), |source| {
            "2".clone_into(&mut source.repository);
            source.hook = hook_id(2);
        })
        .await;
    hooked
        .change_hook(2, |hook| {
            hook.by_app = true;
            hook.provider_id.clear();
            hook.sources = vec![second];
        })
        .await;
    let place = HookPlace {
        host: host_name(),
        repository: "2".to_owned(),
        hook: hook_id(2),
    };
    let key = Key::HookPlace(host_name(), "2".to_owned());
    hooked.world.put(key, Record::HookPlace(place)).await;
    hooked
}

/// Of what the app's hook brings and nobody can read nobody knows whose it is: refs of all that it serves are compared, the
/// operator sees it and has it processed again, and nobody else does.
#[tokio::test]
async fn what_can_not_be_read_is_the_operators() {
    let hooked = two_served().await;
    let engine = &hooked.world.engine;
    hooked
        .deliver(9, "bad", "what is this")
        .await
        .expect("taken");
    engine.process_deliveries().await;
    for line in [1, 2] {
        assert!(hooked.read_hook(line).await.reconcile_due, "{line}");
    }
    let page = engine.list_deliveries(&hooked.source, None, None, 10).await;
    assert!(page.expect("page").items.is_empty());
    assert!(engine.delivery(&hooked.source, 1).await.is_err());
    let retried = engine.retry_delivery(&hooked.source, 1, None).await;
    assert!(retried.is_err());

    let operator = Whose::by_operator(&hooked.source);
    let page = engine.list_deliveries(operator, None, None, 10).await;
    let items = page.expect("page").items.into_iter();
    let states: Vec<_> = items.map(|(one, _)| one.state).collect();
    assert_eq!(states, [DeliveryState::Unparsed]);
    let kept = engine.delivery(operator, 1).await.expect("kept");
    assert_eq!(kept.body, b"what is this");
    hooked.world.plugin.on("ParseDelivery", |_| {
        Ok(Output::Delivered(Delivered {
            repository: Some(DeliveredRepository {
                stable_id: "1".to_owned(),
                full_name: String::new(),
            }),
            happenings: vec![Happening::Push(Push {
                reference: MAIN.to_owned(),
                after: "a".to_owned(),
                ..Push::default()
            })],
            ..Delivered::default()
        }))
    });
    let again = engine
        .retry_delivery(operator, 1, None)
        .await
        .expect("retry");
    assert_eq!(again.state, DeliveryState::Processed);
    assert_eq!(hooked.told().await, [format!("push {MAIN} - a")]);
    assert!(engine.delivery(&hooked.source, 1).await.is_ok());
}

/// What the app's hook brings and there is no room for may be of any repository that it serves: refs of all are compared, once
/// until it was asked for again.
#[tokio::test]
async fn what_there_is_no_room_for_is_compared() {
    let hooked = two_served().await;
    hooked.world.engine.set_intake_limits(Limits {
        waiting: 0,
        ..Limits::default()
    });
    let full = hooked.deliver(9, "one", "push refs/heads/main a b").await;
    assert!(matches!(full, Err(Refused::Full(_))), "{full:?}");
    for line in [1, 2] {
        assert!(hooked.read_hook(line).await.reconcile_due, "{line}");
        hooked
            .change_hook(line, |hook| hook.reconcile_due = false)
            .await;
    }
    let full = hooked.deliver(9, "two", "push refs/heads/main b c").await;
    assert!(matches!(full, Err(Refused::Full(_))), "{full:?}");
    assert!(!hooked.read_hook(1).await.reconcile_due);
}

/// What can't be looked up for one repository holds up no other one that the same app's hook serves; and it comes in its order,
/// after a restart too.
#[tokio::test]
async fn a_repository_that_fails_holds_no_other_up() {
    let mut hooked = two_served().await;
    hooked
        .world
        .plugin
        .on("ListRefs", |_| Err(failure(FailureCode::Upstream)));
    // Its commit has to be asked for.
    let bodies = [
        "repository 1\ntag refs/tags/v1 -".to_owned(),
        format!("repository 1\npush {MAIN} - a"),
        format!("repository 2\nnamed acme/api2\npush {MAIN} - b"),
        format!("repository 2\nnamed acme/api2\npush {MAIN} b c"),
    ];
    for (n, body) in bodies.iter().enumerate() {
        hooked
            .deliver(9, &format!("id{n}"), body)
            .await
            .expect("taken");
    }
    hooked.world.engine.process_deliveries().await;
    let second = [format!("push {MAIN} - b"), format!("push {MAIN} b c")];
    assert_eq!(hooked.told().await, second);
    hooked.world.restart().await;
    hooked.world.plugin.on("ListRefs", |_| {
        Ok(Output::Refs {
            items: vec![Ref {
                name: "v1".to_owned(),
                kind: RefKind::Tag,
                commit: "d".to_owned(),
                protected: false,
            }],
            next_cursor: String::new(),
        })
    });
    hooked.world.engine.process_deliveries().await;
    let first = ["tag refs/tags/v1 d".to_owned(), format!("push {MAIN} - a")];
    assert_eq!(hooked.told().await, [second, first].concat());
}
