//! The truth about hooks: compared with the forge, put right in place, told to their sources.

use std::time::Duration;

use bindery_core::{
    event::EventChange,
    hook::HookState,
    link::Link,
    port::{Change, Expect, Key, Record, Vault},
    problem::{Reason, Who},
    provider::{FailureCode, OperationKind},
    receipt::Outcome,
};
use bindery_engine::repositories::Paging;

use crate::{
    sources::hook_of,
    support::{World, acme, source_of},
};

/// What a look may take of a stack of 2 MiB, in a build without optimisation.
const STACK: usize = 1 << 20;

/// The states that events of `acme` tell of, in order.
async fn told(world: &World) -> Vec<HookState> {
    let mut states = Vec::new();
    for n in 1.. {
        let event = world.vault.get(&Key::Event(acme(), n)).await.expect("read");
        let Some(Record::Event(event)) = event.map(|entry| entry.record) else {
            break;
        };
        if let EventChange::Hook(change) = event.change {
            states.push(change.after);
        }
    }
    states
}

async fn connected(world: &World) -> Link {
    let link = world.bound(Some(360_000)).await;
    world.connect(&link).await.expect("source");
    link
}

/// One that was removed is made again, and both are told.
#[tokio::test]
async fn a_removed_hook_is_made_again() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = connected(&world).await;
    forge.held().hooks.clear();
    world.verify(&link).await;
    let hook = hook_of(&world, &link).await;
    assert_eq!(forge.urls(), [world.engine.hook_url(&hook.id)]);
    assert_eq!(hook.provider_id, "2");
    assert_eq!(
        told(&world).await,
        [HookState::Silent, HookState::Missing, HookState::Silent]
    );
}

/// Looking at a hook, and making it again, goes deep. It leaves most of the stack that a thread of the daemon has to those who call.
#[test]
fn a_look_takes_little_of_the_stack() {
    let look = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("runtime").block_on(async {
            let world = World::new().await;
            let forge = world.hooks();
            let link = connected(&world).await;
            forge.held().hooks.clear();
            world.verify(&link).await;
            assert_eq!(forge.urls().len(), 1);
        });
    };
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(look).expect("thread").join().expect("looked");
}

/// One that was changed is put right in place, with its secret, and never deleted and made anew. A changed URL loses the
/// secret on some forges (PROVIDERS: GitLab), an update without one on others (GitHub), so it is sent each time.
#[tokio::test]
async fn trap_hooks_a_changed_hook_is_put_right_in_place() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = connected(&world).await;
    let url = forge.urls().remove(0);
    let spoil: [fn(&mut bindery_core::provider::HookFacts); 3] = [
        |facts| facts.url = "https://elsewhere.example".to_owned(),
        |facts| facts.active = false,
        |facts| facts.deviations = vec!["events".to_owned()],
    ];
    for spoil in spoil {
        spoil(&mut forge.held().hooks[0]);
        world.verify(&link).await;
        assert_eq!(forge.urls(), std::slice::from_ref(&url));
        assert!(forge.held().hooks[0].active);
    }
    assert_eq!(world.plugin.count(OperationKind::CreateHook), 1);
    assert_eq!(world.plugin.count(OperationKind::DeleteHook), 0);
    assert_eq!(world.plugin.count(OperationKind::UpdateHook), 3);
    let sent = world.forge.hook_secrets.lock().expect("lock").clone();
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|secret| *secret == sent[0]));
    assert!(told(&world).await.contains(&HookState::Changed));
}

/// A second hook of ours delivers all twice, so it goes.
#[tokio::test]
async fn a_double_is_removed() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = connected(&world).await;
    let url = forge.urls().remove(0);
    forge.held().create(&url);
    world.verify(&link).await;
    assert_eq!(forge.urls(), [url]);
    assert_eq!(hook_of(&world, &link).await.provider_id, "1");
}

/// A link that lost its rights says so, with who can act and where, and is back by itself.
#[tokio::test]
async fn lost_rights_are_said_with_the_page() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = connected(&world).await;
    forge.held().refuses = Some(FailureCode::PermissionDenied);
    world.verify(&link).await;
    let hook = hook_of(&world, &link).await;
    assert_eq!(
        (hook.state, hook.who),
        (HookState::Forbidden, Some(Who::User))
    );
    assert_eq!(hook.action_uri, "https://forge.example/acme/api/settings");
    forge.held().refuses = None;
    world.verify(&link).await;
    assert_eq!(hook_of(&world, &link).await.state, HookState::Silent);
}

/// A hook that the provider switched off, and one whose deliveries are rejected, say so.
#[tokio::test]
async fn what_the_provider_shows_is_said() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = connected(&world).await;
    forge.held().hooks[0].disabled = true;
    world.verify(&link).await;
    let hook = hook_of(&world, &link).await;
    assert_eq!(hook.state, HookState::DisabledByProvider);
    forge.held().hooks[0].disabled = false;
    arrived(&world, &link, |hook, now| hook.last_rejection = Some(now)).await;
    world.verify(&link).await;
    assert_eq!(hook_of(&world, &link).await.state, HookState::Rejecting);
    world
        .engine
        .repair_source(&source_of(&link), None)
        .await
        .expect("repaired");
    assert_eq!(world.plugin.count(OperationKind::UpdateHook), 1);
}

/// Writes what intake would.
async fn arrived(
    world: &World,
    link: &Link,
    change: impl FnOnce(&mut bindery_core::hook::Hook, bindery_core::time::Timestamp),
) {
    use bindery_core::port::Clock;
    let id = hook_of(world, link).await.id;
    let entry = world.engine.hook(&id).await.expect("read").expect("hook");
    let mut hook = entry.record;
    change(&mut hook, world.clock.now());
    let put = Change {
        key: Key::Hook(id),
        expect: Expect::Version(entry.version),
        write: Some(Record::Hook(hook)),
    };
    world.vault.commit(vec![put]).await.expect("written");
}

/// A ping that arrives is the proof; one that does not within 30 seconds is said, with what to look at.
#[tokio::test]
async fn a_ping_proves_the_hook() {
    let world = World::new().await;
    let _forge = world.hooks();
    world
        .plugin
        .describe_as(|known| known.operations.push(OperationKind::PingHook));
    let link = connected(&world).await;
    let verify = || {
        let (engine, name) = (world.engine.clone(), source_of(&link));
        tokio::spawn(async move { engine.verify_source(&name).await })
    };
    let pinged = |count| {
        let world = &world;
        async move {
            while world.plugin.count(OperationKind::PingHook) < count {
                tokio::task::yield_now().await;
            }
        }
    };
    let waits = verify();
    pinged(1).await;
    arrived(&world, &link, |hook, now| {
        hook.verified = Some(now);
        hook.state = HookState::Verified;
    })
    .await;
    world.clock.advance(Duration::from_secs(1));
    let view = waits.await.expect("no panic").expect("verified");
    assert_eq!(view.hook.expect("hook").state, HookState::Verified);

    world.clock.advance(Duration::from_secs(1));
    let waits = verify();
    pinged(2).await;
    while !waits.is_finished() {
        world.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    let view = waits.await.expect("no panic").expect("looked at");
    let hook = view.hook.expect("hook");
    assert_eq!(
        (hook.state, hook.who),
        (HookState::Silent, Some(Who::HostOperator))
    );
    assert!(hook.message.contains(&world.engine.hook_url(&hook.id)));
}

/// A repository that was renamed keeps its id; hook and source follow the name.
#[tokio::test]
async fn a_rename_is_followed() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = connected(&world).await;
    "acme/renamed".clone_into(&mut forge.held().full_name);
    world.verify(&link).await;
    let view = world
        .engine
        .source(&source_of(&link))
        .await
        .expect("source");
    assert_eq!(view.source.record.full_name, "acme/renamed");
    assert_eq!(view.hook.expect("hook").full_name, "acme/renamed");
    assert_eq!(world.plugin.count(OperationKind::UpdateHook), 0);
}

/// What people disabled is not touched at the provider, and is as it was when it is enabled again.
#[tokio::test]
async fn a_disabled_link_touches_nothing() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = connected(&world).await;
    let namespace = acme();
    let disable = world
        .engine
        .disable_link(&namespace, &link.id, "", "uid:1", None, None);
    disable.await.expect("disabled");
    let before = world.plugin.calls.lock().expect("lock").len();
    forge.held().hooks.clear();
    let refused = world.engine.verify_source(&source_of(&link)).await;
    assert_eq!(refused.expect_err("disabled").reason, Reason::LinkDisabled);
    assert_eq!(world.plugin.calls.lock().expect("lock").len(), before);
    assert_eq!(hook_of(&world, &link).await.state, HookState::Silent);
}

/// Hooks are looked at by themselves, within one interval of the last time.
#[tokio::test]
async fn hooks_are_looked_at_by_themselves() {
    let mut world = World::new().await;
    let forge = world.hooks();
    let link = connected(&world).await;
    world.restart().await;
    world
        .engine
        .set_hook_check_interval(Duration::from_secs(3600));
    world.engine.schedule_hooks().await.expect("schedule");
    forge.held().hooks.clear();
    world.clock.advance(Duration::from_secs(3600));
    world.engine.check_hooks_due().await;
    while forge.urls().is_empty() || hook_of(&world, &link).await.step.is_some() {
        tokio::task::yield_now().await;
    }
}

/// Hooks with a URL of ours and no source are found, and removed on request; those of sources are left alone.
#[tokio::test]
async fn orphans_are_found_and_removed() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = connected(&world).await;
    let own = forge.urls().remove(0);
    let lost = "https://bindery.example/hooks/aaaaaaaaaaaaaaaaaaaaaaaaaa";
    forge.held().create(lost);
    forge.held().create("https://other.example/hooks/a");
    let look = || async {
        let page = Paging {
            cursor: String::new(),
            size: 50,
        };
        let found = world.engine.orphans_of(&acme(), &link.id, page).await;
        found.expect("found").0
    };
    let mut orphans = look().await;
    assert_eq!(orphans.len(), 1);
    let orphan = orphans.remove(0);
    assert_eq!(orphan.url, lost);
    let mut owned = orphan.clone();
    "1".clone_into(&mut owned.hook_id);
    let step = world.engine.remove_orphan(&owned).await.expect("step");
    assert!(matches!(step.outcome, Some(Outcome::Failed { .. })));
    let step = world.engine.remove_orphan(&orphan).await.expect("step");
    assert_eq!(step.outcome, Some(Outcome::Done));
    assert_eq!(
        forge.urls(),
        [own, "https://other.example/hooks/a".to_owned()]
    );
    assert!(look().await.is_empty());
}
