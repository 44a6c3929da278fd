//! Connecting and disconnecting repositories: one hook for each, never doubled, and not one left behind.

use bindery_core::{
    hook::{Hook, HookState, HookStep},
    port::{Key, Record, Vault},
    problem::Reason,
    provider::{FailureCode, OperationKind},
    receipt::{Outcome, StepKind},
};
use bindery_engine::{
    sources::Disconnect,
    unlink::{SharedGrant, UnlinkOptions},
};
use bindery_store::{Call, Fault};

use crate::support::{HookForge, World, acme, new_source, source_of, umbrella};

/// The hook of source `s` of a link.
pub(crate) async fn hook_of(world: &World, link: &bindery_core::link::Link) -> Hook {
    let view = world.engine.source(&source_of(link)).await.expect("source");
    view.hook.expect("hook")
}

/// Each hook at the forge belongs to a source here, and no other is there.
async fn assert_true(world: &World, forge: &HookForge, link: &bindery_core::link::Link) {
    let hook = hook_of(world, link).await;
    assert_eq!(forge.urls(), [world.engine.hook_url(&hook.id)]);
    assert_eq!(hook.step, None);
}

/// A connected repository has one hook with a secret of 256 bits, and its refs of that moment are known.
#[tokio::test]
async fn a_connected_repository_has_one_hook() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = world.bound(Some(3600)).await;
    let view = world.connect(&link).await.expect("source");
    assert_eq!(view.source.record.repository, "42");
    assert_true(&world, &forge, &link).await;
    let hook = view.hook.expect("hook");
    assert_eq!(hook.state, HookState::Silent);
    let sent = world.forge.hook_secrets.lock().expect("lock").clone();
    assert_eq!((sent.len(), sent[0].len()), (1, 64));
    let refs = world.vault.get(&Key::KnownRefs(hook.id)).await;
    let Some(Record::KnownRefs(refs)) = refs.expect("read").map(|entry| entry.record) else {
        panic!("no refs");
    };
    assert!(refs.complete && refs.refs["refs/heads/main"].commit == "c0ffee");
    let twin = world.connect(&link).await.expect_err("twin");
    assert_eq!(twin.reason, Reason::AlreadyExists);
    let other = bindery_engine::sources::NewSource {
        id: None,
        ..new_source(&link)
    };
    let twin = world.engine.create_source(other, None).await;
    assert_eq!(twin.expect_err("twin").reason, Reason::SourceExists);
    assert_eq!(world.plugin.count(OperationKind::CreateHook), 1);
}

/// A token that lacks the scope is told which, before a hook is attempted.
#[tokio::test]
async fn a_missing_scope_is_named_before() {
    let world = World::new().await;
    let _forge = world.hooks();
    let link = world.bound(Some(3600)).await;
    world.plugin.describe_as(|known| {
        known.permissions.last_mut().expect("webhooks").scopes = vec!["hook".to_owned()];
    });
    let refused = world.connect(&link).await.expect_err("scope");
    assert_eq!(refused.reason, Reason::ScopeMissing);
    assert!(
        refused
            .metadata
            .contains(&("missing_scope", "hook".to_owned()))
    );
    assert_eq!(world.plugin.count(OperationKind::CreateHook), 0);
}

/// The answer to a creation was lost: the hook that is there is taken over, with its secret, and none is made beside it.
#[tokio::test]
async fn a_lost_answer_is_no_second_hook() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = world.bound(Some(3600)).await;
    forge.held().loses_answer = true;
    let view = world.connect(&link).await.expect("source");
    assert_eq!(view.hook.expect("hook").state, HookState::Pending);
    world.verify(&link).await;
    assert_true(&world, &forge, &link).await;
    assert_eq!(world.plugin.count(OperationKind::CreateHook), 1);
    let sent = world.forge.hook_secrets.lock().expect("lock").clone();
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]), "one secret");
}

/// A write that fails anywhere, applied or not, leaves what the next start makes good: one source, one hook.
#[tokio::test]
async fn creation_survives_a_death_at_every_step() {
    for fault in [Fault::Fail, Fault::ApplyThenFail] {
        for nth in 1..=3 {
            let mut world = World::new().await;
            let forge = world.hooks();
            let link = world.bound(Some(3600)).await;
            world.store.inject(Call::Commit, nth, fault);
            let _ = world.connect(&link).await;
            world.restart().await;
            if world.engine.source(&source_of(&link)).await.is_err() {
                world.connect(&link).await.expect("source");
            }
            world.verify(&link).await;
            assert_true(&world, &forge, &link).await;
        }
    }
}

/// What the provider refuses leaves nothing, here or there.
#[tokio::test]
async fn a_refused_creation_leaves_nothing() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = world.bound(Some(3600)).await;
    forge.held().refuses = Some(FailureCode::PermissionDenied);
    let refused = world.connect(&link).await.expect_err("refused");
    assert_eq!(refused.reason, Reason::ProviderDenied);
    let absent = world.engine.source(&source_of(&link)).await;
    assert_eq!(absent.expect_err("nothing").reason, Reason::NotFound);
    forge.held().refuses = None;
    world.connect(&link).await.expect("source");
    assert_true(&world, &forge, &link).await;
}

/// A hook of ours that leads nowhere is taken over instead of doubled, and a full repository is said.
#[tokio::test]
async fn what_was_left_behind_is_taken_over() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = world.bound(Some(3600)).await;
    forge
        .held()
        .create("https://bindery.example/hooks/aaaaaaaaaaaaaaaaaaaaaaaaaa");
    world.connect(&link).await.expect("source");
    assert_true(&world, &forge, &link).await;
    assert_eq!(world.plugin.count(OperationKind::CreateHook), 0);

    let full = World::new().await;
    let forge = full.hooks();
    let link = full.bound(Some(3600)).await;
    for n in 0..20 {
        forge.held().create(&format!("https://other.example/{n}"));
    }
    let refused = full.connect(&link).await.expect_err("full");
    assert_eq!(refused.reason, Reason::ProviderLimitReached);
}

/// Two namespaces share one hook; the first to go leaves it to the other, the last one takes it away.
#[tokio::test]
async fn the_last_one_takes_the_hook_away() {
    let world = World::new().await;
    let forge = world.hooks();
    let one = world.bound(Some(3600)).await;
    let two = world.bound_in(umbrella(), Some(3600)).await;
    world.connect(&one).await.expect("source");
    world.connect(&two).await.expect("source");
    assert_eq!(hook_of(&world, &one).await, hook_of(&world, &two).await);
    assert_eq!(world.plugin.count(OperationKind::CreateHook), 1);
    let gone = |link| {
        let world = &world;
        async move {
            let name = source_of(link);
            let steps = world
                .engine
                .delete_source(&name, Disconnect::default())
                .await;
            steps.expect("steps").remove(0)
        }
    };
    assert_eq!(gone(&one).await.outcome, Some(Outcome::Done));
    assert_true(&world, &forge, &two).await;
    assert_eq!(gone(&two).await.outcome, Some(Outcome::Done));
    assert!(forge.urls().is_empty());
}

/// A forge that is away delays the deletion, which goes on by itself.
#[tokio::test]
async fn a_forge_that_is_away_delays_the_deletion() {
    let mut world = World::new().await;
    let forge = world.hooks();
    let link = world.bound(Some(36_000)).await;
    world.connect(&link).await.expect("source");
    let id = hook_of(&world, &link).await.id;
    forge.held().refuses = Some(FailureCode::Transport);
    let name = source_of(&link);
    let steps = world
        .engine
        .delete_source(&name, Disconnect::default())
        .await;
    let reason = "HOST_UNREACHABLE".to_owned();
    assert_eq!(
        steps.expect("steps")[0].outcome,
        Some(Outcome::Failed { reason })
    );
    let hook = world.engine.hook(&id).await.expect("read").expect("hook");
    assert_eq!(hook.record.step, Some(HookStep::Delete));
    forge.held().refuses = None;
    world.restart().await;
    world.engine.schedule_hooks().await.expect("schedule");
    world.clock.advance(std::time::Duration::from_secs(600));
    world.engine.check_hooks_due().await;
    while world.engine.hook(&id).await.expect("read").is_some() {
        tokio::task::yield_now().await;
    }
    assert!(forge.urls().is_empty());
}

/// What no link may delete is said, with the page where a person does it.
#[tokio::test]
async fn what_stays_is_said_with_its_page() {
    let world = World::new().await;
    let forge = world.hooks();
    let link = world.bound(Some(3600)).await;
    world.connect(&link).await.expect("source");
    forge.held().refuses = Some(FailureCode::PermissionDenied);
    let name = source_of(&link);
    let steps = world
        .engine
        .delete_source(&name, Disconnect::default())
        .await;
    let action_uri = "https://forge.example/acme/api/hooks/1".to_owned();
    assert_eq!(
        steps.expect("steps")[0].outcome,
        Some(Outcome::Impossible { action_uri })
    );
}

/// O10: an unlink takes the hooks away before the grant, whatever write fails, and the receipt names the repository.
#[tokio::test]
async fn o10_an_unlink_leaves_no_hook() {
    for nth in 1..=6 {
        let mut world = World::new().await;
        let forge = world.hooks();
        let link = world.bound(Some(3600)).await;
        world.connect(&link).await.expect("source");
        world.store.inject(Call::Commit, nth, Fault::Fail);
        let _ = world
            .engine
            .unlink(&acme(), &link.id, UnlinkOptions::default())
            .await;
        world.restart().await;
        let receipt = world
            .engine
            .unlink(&acme(), &link.id, UnlinkOptions::default())
            .await;
        let receipt = receipt.expect("receipt").record;
        assert!(forge.urls().is_empty(), "write {nth}");
        let step = receipt.steps.iter().find(|step| step.subject == "acme/api");
        let step = step.expect("the repository is named");
        assert_eq!(step.kind, StepKind::DeleteHooks);
        assert!(matches!(
            step.outcome,
            Some(Outcome::Done | Outcome::AlreadyAbsent)
        ));
        let absent = world.engine.source(&source_of(&link)).await;
        assert_eq!(absent.expect_err("gone").reason, Reason::NotFound);
    }
}

/// O10: a hook that others use is left to them, one that can't go is named with its page, and one that is to stay as well.
#[tokio::test]
async fn o10_the_receipt_names_what_stays() {
    let world = World::new().await;
    let forge = world.hooks();
    let one = world.bound(Some(3600)).await;
    let two = world.bound_in(umbrella(), Some(3600)).await;
    world.connect(&one).await.expect("source");
    world.connect(&two).await.expect("source");
    let options = |keep_hooks| UnlinkOptions {
        keep_hooks,
        shared: SharedGrant::Keep,
        ..UnlinkOptions::default()
    };
    let named = |receipt: bindery_core::receipt::Receipt| {
        let mut steps = receipt.steps.into_iter();
        let step = steps.find(|step| step.subject == "acme/api");
        step.expect("named").outcome
    };
    let receipt = world.engine.unlink(&acme(), &one.id, options(false)).await;
    assert_eq!(named(receipt.expect("receipt").record), Some(Outcome::Done));
    assert_true(&world, &forge, &two).await;
    let receipt = world
        .engine
        .unlink(&umbrella(), &two.id, options(true))
        .await;
    let action_uri = "https://forge.example/acme/api/hooks/1".to_owned();
    assert_eq!(
        named(receipt.expect("receipt").record),
        Some(Outcome::Impossible { action_uri })
    );
    assert_eq!(forge.urls().len(), 1);
    let again = world.bound(Some(3600)).await;
    world.connect(&again).await.expect("source");
    assert_true(&world, &forge, &again).await;
}

/// O10: a hook that stayed when its source was disconnected is tried once more by the unlink, and named where it stays still;
/// one that somebody has connected again since then is left to them.
#[tokio::test]
async fn o10_the_receipt_knows_what_disconnecting_left() {
    let page = "https://forge.example/acme/api/hooks/1".to_owned();
    let stays = Some(Outcome::Impossible { action_uri: page });
    for (keep_hook, refused_still, wanted) in [
        (false, false, Some(Outcome::Done)),
        (false, true, stays.clone()),
        (true, false, stays),
    ] {
        let mut world = World::new().await;
        let forge = world.hooks();
        let link = world.bound(Some(3600)).await;
        world.connect(&link).await.expect("source");
        forge.held().refuses = Some(FailureCode::PermissionDenied);
        let options = Disconnect {
            keep_hook,
            ..Disconnect::default()
        };
        let name = source_of(&link);
        let disconnected = world.engine.delete_source(&name, options);
        disconnected.await.expect("steps");
        if !refused_still {
            forge.held().refuses = None;
        }
        world.restart().await;
        let options = UnlinkOptions::default();
        let receipt = world.engine.unlink(&acme(), &link.id, options).await;
        let mut steps = receipt.expect("receipt").record.steps.into_iter();
        let step = steps.find(|step| step.subject == "acme/api");
        let gone = wanted == Some(Outcome::Done);
        assert_eq!(step.expect("it is named").outcome, wanted);
        assert_eq!(forge.urls().is_empty(), gone);
    }

    let world = World::new().await;
    let forge = world.hooks();
    let one = world.bound(Some(3600)).await;
    let two = world.bound_in(umbrella(), Some(3600)).await;
    world.connect(&one).await.expect("source");
    let options = Disconnect {
        keep_hook: true,
        ..Disconnect::default()
    };
    let name = source_of(&one);
    let disconnected = world.engine.delete_source(&name, options);
    disconnected.await.expect("steps");
    world.connect(&two).await.expect("source");
    let options = UnlinkOptions {
        shared: SharedGrant::Keep,
        ..UnlinkOptions::default()
    };
    let receipt = world.engine.unlink(&acme(), &one.id, options).await;
    let mut steps = receipt.expect("receipt").record.steps.into_iter();
    assert!(steps.all(|step| step.subject.is_empty()), "it is another's");
    assert_true(&world, &forge, &two).await;
}

/// The id of a disconnected source is never another repository's, after a restart neither; one that was refused is free.
#[tokio::test]
async fn an_id_is_never_used_again() {
    let mut world = World::new().await;
    let forge = world.hooks();
    let link = world.bound(Some(3600)).await;
    forge.held().refuses = Some(FailureCode::PermissionDenied);
    assert!(world.connect(&link).await.is_err());
    forge.held().refuses = None;
    world.connect(&link).await.expect("the id is free");
    let name = source_of(&link);
    let gone = world.engine.delete_source(&name, Disconnect::default());
    gone.await.expect("disconnected");
    world.restart().await;
    for validate_only in [true, false] {
        let again = bindery_engine::sources::NewSource {
            validate_only,
            ..new_source(&link)
        };
        let refused = world.engine.create_source(again, None).await;
        let refused = refused.expect_err("used before");
        assert_eq!(refused.reason, Reason::AlreadyExists);
        assert!(refused.message.contains("never used again"), "{refused}");
    }
    let absent = world.engine.source(&name).await;
    assert_eq!(absent.expect_err("gone").reason, Reason::NotFound);
    let none = world.engine.sources_of(&acme(), None).await.expect("list");
    assert!(none.is_empty());
    let again = world.engine.delete_source(&name, Disconnect::default());
    assert_eq!(again.await.expect_err("gone").reason, Reason::NotFound);
    let other = bindery_engine::sources::NewSource {
        id: None,
        ..new_source(&link)
    };
    let other = world.engine.create_source(other, None).await;
    other.expect("another id");
    assert_eq!(forge.urls().len(), 1);
}
