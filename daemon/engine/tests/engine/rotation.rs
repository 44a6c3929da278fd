//! New secrets for many hooks: what the forge signs with is accepted at every moment, whatever dies in between.

use std::time::Duration;

use bindery_core::{
    hook::HookSecrets,
    link::Link,
    port::{Change, Expect, Key, Record, Vault},
    provider::FailureCode,
    rotation::{HookRotation, RotationOutcome},
};
use bindery_engine::hooks::Rotate;
use bindery_store::{Call, Fault};

use crate::{
    sources::hook_of,
    support::{World, acme, source_of},
};

async fn asked(world: &World) -> Rotate {
    let sources = world.engine.sources_of(&acme(), None).await;
    let sources = sources.expect("sources").into_iter();
    Rotate {
        sources: vec![(acme(), sources.map(|entry| entry.record).collect())],
        overlap: Duration::from_secs(600),
        actor: "uid:1000".to_owned(),
        validate_only: false,
        request: None,
    }
}

async fn secrets(world: &World, link: &Link) -> HookSecrets {
    let id = hook_of(world, link).await.id;
    let found = world.vault.get(&Key::HookSecrets(id)).await.expect("read");
    match found.map(|entry| entry.record) {
        Some(Record::HookSecrets(secrets)) => secrets,
        _ => panic!("no secrets"),
    }
}

/// What the forge signs with now.
fn signs_with(world: &World) -> String {
    let sent = world.forge.hook_secrets.lock().expect("lock");
    sent.last().expect("sent").clone()
}

async fn assert_accepted(world: &World, link: &Link) {
    let secrets = secrets(world, link).await;
    let accepted = [Some(&secrets.current), secrets.next.as_ref()];
    let known = accepted
        .iter()
        .flatten()
        .any(|secret| secret.expose() == signs_with(world));
    assert!(known, "what the forge signs with is accepted");
}

async fn ended(world: &World, rotation: &HookRotation) -> HookRotation {
    loop {
        let now = world.engine.rotation(&acme(), &rotation.id).await;
        let now = now.expect("rotation");
        if now.finished.is_some() {
            return now;
        }
        tokio::task::yield_now().await;
    }
}

/// The new secret is the current one, and the old one is accepted until the overlap ends.
#[tokio::test]
async fn old_and_new_are_accepted_during_the_overlap() {
    let world = World::new().await;
    let _forge = world.hooks();
    let link = world.bound(Some(36_000)).await;
    world.connect(&link).await.expect("source");
    let old = signs_with(&world);
    let begun = world.engine.rotate_hook_secrets(asked(&world).await).await;
    let done = ended(&world, &begun.expect("rotation")[0]).await;
    let hook = hook_of(&world, &link).await;
    let until = hook.previous_secret_until.expect("overlap");
    assert_eq!(until, done.created.after(Duration::from_secs(600)));
    assert_eq!(done.hooks[0].outcome, Some(RotationOutcome::Done(until)));
    let kept = secrets(&world, &link).await;
    assert_eq!(kept.current.expose(), signs_with(&world));
    assert_ne!(kept.current.expose(), old);
    let (previous, end) = kept.previous.expect("previous");
    assert_eq!((previous.expose(), end), (old.as_str(), until));

    world.clock.advance(Duration::from_secs(601));
    world.verify(&link).await;
    assert!(secrets(&world, &link).await.previous.is_none());
    assert_eq!(hook_of(&world, &link).await.previous_secret_until, None);
}

/// A write that fails anywhere, applied or not, or an answer that is lost: the rotation goes on after a restart, and at no
/// moment does the forge sign with what is not accepted.
#[tokio::test]
async fn a_rotation_survives_a_death_at_every_step() {
    for fault in [Fault::Fail, Fault::ApplyThenFail] {
        for nth in 2..=4 {
            for lost in [false, true] {
                let mut world = World::new().await;
                let forge = world.hooks();
                let link = world.bound(Some(36_000)).await;
                world.connect(&link).await.expect("source");
                let old = signs_with(&world);
                let asked = asked(&world).await;
                forge.held().loses_answer = lost;
                world.store.inject(Call::Commit, nth, fault);
                let begun = world.engine.rotate_hook_secrets(asked).await;
                let begun = begun.expect("rotation").remove(0);
                let id = hook_of(&world, &link).await.id;
                for _ in 0..2000 {
                    tokio::task::yield_now().await;
                }
                world.restart().await;
                assert_accepted(&world, &link).await;
                world.engine.sweep().await.expect("sweep");
                world.engine.sweep().await.expect("sweep");
                let done = ended(&world, &begun).await;
                assert_eq!(done.hooks[0].hook, id);
                assert!(matches!(
                    done.hooks[0].outcome,
                    Some(RotationOutcome::Done(_))
                ));
                assert_accepted(&world, &link).await;
                let kept = secrets(&world, &link).await;
                assert_eq!(kept.current.expose(), signs_with(&world));
                assert_eq!(kept.previous.expect("previous").0.expose(), old);
            }
        }
    }
}

/// A hook that can't get its new secret keeps the old one, and the report says why; one whose forge is away is tried again.
#[tokio::test]
async fn a_failure_is_told_and_costs_no_delivery() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = world.bound(Some(36_000)).await;
    world.connect(&link).await.expect("source");
    let old = signs_with(&world);
    forge.held().refuses = Some(FailureCode::Transport);
    let begun = world.engine.rotate_hook_secrets(asked(&world).await).await;
    let begun = begun.expect("rotation").remove(0);
    world.engine.sweep().await.expect("sweep");
    let waits = world.engine.rotation(&acme(), &begun.id).await;
    assert!(waits.expect("rotation").finished.is_none());
    forge.held().refuses = Some(FailureCode::PermissionDenied);
    loop {
        world.engine.sweep().await.expect("sweep");
        let now = world.engine.rotation(&acme(), &begun.id).await;
        if now.expect("rotation").finished.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let done = ended(&world, &begun).await;
    assert!(matches!(
        done.hooks[0].outcome,
        Some(RotationOutcome::Failed(_))
    ));
    assert_eq!(secrets(&world, &link).await.current.expose(), old);
    let view = world.engine.source(&source_of(&link)).await;
    assert!(view.is_ok());
}

/// A hook that needs no new secret is none that has one: its repository is served by the app's webhook, or it is gone.
#[tokio::test]
async fn what_needs_no_secret_is_not_done() {
    let world = World::new().await;
    let _forge = world.hooks();
    let link = world.bound(Some(36_000)).await;
    world.connect(&link).await.expect("source");
    let (wanted, old) = (asked(&world).await, secrets(&world, &link).await);
    let mut hook = hook_of(&world, &link).await;
    let key = Key::Hook(hook.id.clone());
    hook.by_app = true;
    world.put(key.clone(), Record::Hook(hook)).await;
    let begun = world.engine.rotate_hook_secrets(wanted.clone()).await;
    let served = ended(&world, &begun.expect("rotation")[0]).await;
    assert_eq!(served.hooks[0].outcome, Some(RotationOutcome::Skipped));
    assert!(served.hooks[0].message.contains("the app"));
    let now = secrets(&world, &link).await;
    assert_eq!(now.current.expose(), old.current.expose());
    let remove = Change {
        key,
        expect: Expect::Any,
        write: None,
    };
    world.vault.commit(vec![remove]).await.expect("removed");
    let begun = world.engine.rotate_hook_secrets(wanted).await;
    let gone = ended(&world, &begun.expect("rotation")[0]).await;
    assert_eq!(gone.hooks[0].outcome, Some(RotationOutcome::Skipped));
}

/// A rotation that was cut off goes on beside the sweep, which does not wait for a provider that takes its time.
#[tokio::test]
async fn a_rotation_holds_up_no_sweep() {
    let mut world = World::new().await;
    let forge = world.hooks();
    let link = world.bound(Some(36_000)).await;
    world.connect(&link).await.expect("source");
    forge.held().refuses = Some(FailureCode::Transport);
    let begun = world.engine.rotate_hook_secrets(asked(&world).await).await;
    let begun = begun.expect("rotation").remove(0);
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
    world.restart().await;
    forge.held().refuses = None;
    world.plugin.hold();
    let swept = tokio::time::timeout(Duration::from_secs(20), world.engine.sweep()).await;
    swept.expect("the sweep ends").expect("sweep");
    let waits = world.engine.rotation(&acme(), &begun.id).await;
    assert!(waits.expect("rotation").finished.is_none());
    world.plugin.release();
    let done = ended(&world, &begun).await;
    assert!(matches!(
        done.hooks[0].outcome,
        Some(RotationOutcome::Done(_))
    ));
}
