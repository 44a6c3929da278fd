//! What becomes of what is in a namespace when it is deleted.

use std::time::Duration;

use bindery_core::{
    name::{ConsumerId, NamespaceName, RotationId, SubscriptionId},
    port::{Key, Record},
    problem::Reason,
    rotation::HookRotation,
    time::Timestamp,
};
use bindery_engine::{
    namespaces::NewNamespace, sources::Disconnect, subscriptions::NewSubscription,
    unlink::UnlinkOptions,
};
use bindery_store::{Store, Tree};

use crate::events::draft;
use crate::support::{World, acme, source_of, umbrella};

/// Where what lives in a namespace is kept. Unlinked links and receipts stay on purpose, as is said.
const TREES: [Tree; 14] = [
    Tree::new("grants"),
    Tree::new("intents"),
    Tree::new("leases"),
    Tree::new("lease-tokens"),
    Tree::new("sources"),
    Tree::new("events"),
    Tree::new("event-heads"),
    Tree::new("consumers"),
    Tree::new("triggers"),
    Tree::new("trigger-secrets"),
    Tree::new("subscriptions"),
    Tree::new("subscription-secrets"),
    Tree::new("outgoing"),
    Tree::new("hook-rotations"),
];

async fn left(world: &World) -> Vec<(Tree, usize)> {
    let mut all = Vec::new();
    for tree in TREES {
        let page = world.store.page(tree, b"", None, 1000).await.expect("page");
        all.push((tree, page.len()));
    }
    all.retain(|(_, count)| *count > 0);
    all
}

async fn append(world: &World, namespace: NamespaceName, count: usize) {
    for _ in 0..count {
        let event = draft(namespace.clone(), world.engine.time());
        let appended = world.engine.append_events(vec![event], |_| Vec::new());
        appended.await.expect("appended");
    }
}

fn subscription(namespace: NamespaceName) -> NewSubscription {
    NewSubscription {
        namespace,
        id: Some(SubscriptionId::parse("registry").expect("name")),
        display_name: String::new(),
        endpoint_uri: "https://registry.example/events".to_owned(),
        filter: String::new(),
        include_payload: false,
        payload_for: Vec::new(),
        paused: false,
        validate_only: false,
    }
}

/// Events, consumers, rotations, the traces of sources and what subscriptions left go with a namespace, and nobody follows any
/// more; another namespace keeps all of its own.
#[tokio::test]
async fn nothing_is_left_of_a_deleted_namespace() {
    let world = World::new().await;
    let (_forge, engine) = (world.hooks(), &world.engine);
    let link = world.bound(Some(3600)).await;
    world.connect(&link).await.expect("source");
    let source = source_of(&link);
    let gone = engine.delete_source(&source, Disconnect::default()).await;
    gone.expect("disconnected");
    append(&world, acme(), 450).await;
    let builder = ConsumerId::parse("builder").expect("name");
    let follow = engine.follow_as(&acme(), &builder, "uid:1", 0).await;
    let (_, mut following) = follow.expect("follows");
    let rotation = HookRotation {
        namespace: acme(),
        id: RotationId::parse("r1").expect("name"),
        overlap: Duration::ZERO,
        actor: String::new(),
        created: Timestamp::default(),
        finished: Some(Timestamp::default()),
        hooks: Vec::new(),
    };
    let key = Key::HookRotation(acme(), rotation.id.clone());
    world.put(key, Record::HookRotation(rotation)).await;
    let made = engine.create_subscription(subscription(acme()), None).await;
    let id = made.expect("made").subscription.id;
    world.forge.registry.always(500);
    append(&world, acme(), 1).await;
    engine.deliver_due().await.expect("delivered");

    let held = engine.delete_namespace(&acme(), None).await;
    let held = held.expect_err("link");
    assert_eq!(held.reason, Reason::HasChildren);
    assert!(held.message.contains("links"), "{held}");
    let options = UnlinkOptions::default();
    let unlinked = engine.unlink(&acme(), &link.id, options).await;
    unlinked.expect("unlinked");
    let held = engine.delete_namespace(&acme(), None).await;
    let held = held.expect_err("subscription");
    assert_eq!(held.reason, Reason::HasChildren);
    assert!(held.message.contains("subscriptions"), "{held}");
    assert!(engine.event(&acme(), 1).await.is_ok(), "nothing went yet");
    let deleted = engine.delete_subscription(&acme(), &id, None).await;
    deleted.expect("deleted");

    let mut calls = engine.event_calls(&acme());
    calls.mark_unchanged();
    let deleted = engine.delete_namespace(&acme(), None).await;
    deleted.expect("deleted");
    assert_eq!(left(&world).await, []);
    assert_eq!(following.state(), None);
    assert!(calls.has_changed().expect("open"), "watchers look");
    let again = engine.follow_as(&acme(), &builder, "uid:1", 0).await;
    assert_eq!(again.expect_err("gone").reason, Reason::NotFound);
    let again = engine.create_subscription(subscription(acme()), None).await;
    assert_eq!(again.expect_err("gone").reason, Reason::NotFound);
}

/// A namespace keeps its events when another one is deleted, and one that is made again under a free name numbers from one.
#[tokio::test]
async fn others_keep_theirs_and_a_free_name_starts_anew() {
    let world = World::new().await;
    let engine = &world.engine;
    append(&world, acme(), 3).await;
    append(&world, umbrella(), 2).await;
    let deleted = engine.delete_namespace(&umbrella(), None).await;
    deleted.expect("deleted");
    assert_eq!(engine.event_numbers(&acme()).await.expect("head").last, 3);
    assert!(engine.event(&acme(), 3).await.is_ok());
    let kind = bindery_core::namespace::NamespaceKind::User;
    let made = engine.create_namespace(NewNamespace::new(umbrella(), kind), None);
    made.await.expect("made");
    append(&world, umbrella(), 1).await;
    let numbers = engine.event_numbers(&umbrella()).await.expect("head");
    assert_eq!((numbers.first, numbers.last), (1, 1));
    let made = engine.create_subscription(subscription(umbrella()), None);
    made.await.expect("made");
    append(&world, umbrella(), 1).await;
    engine.deliver_due().await.expect("delivered");
    world.forge.registry.posted(1).await;
}
