//! What links stand on: the names of namespaces, and the OAuth client of a host.

use bindery_core::{
    name::NamespaceName, namespace::NamespaceKind, problem::Reason, provider::OperationKind,
};
use bindery_engine::{
    RequestKey, hosts::HostUpdate, namespaces::NewNamespace, unlink::UnlinkOptions,
};

use crate::support::{World, acme, host_name, token_link};

fn namespace(name: NamespaceName) -> NewNamespace {
    NewNamespace::new(name, NamespaceKind::User)
}

fn client(id: &str) -> HostUpdate {
    let mut update = HostUpdate::default();
    update.client.id = Some(id.to_owned());
    update
}

/// The name of a deleted namespace that had links is not given to somebody else, who would see its receipts; they stay.
#[tokio::test]
async fn a_name_with_receipts_is_never_used_again() {
    let world = World::new().await;
    let engine = &world.engine;
    let link = world.bound(Some(3600)).await.id;
    let held = engine.delete_namespace(&acme(), None).await;
    assert_eq!(held.expect_err("links").reason, Reason::HasChildren);
    let unlinked = engine
        .unlink(&acme(), &link, UnlinkOptions::default())
        .await;
    let receipt = unlinked.expect("receipt").record;
    engine
        .delete_namespace(&acme(), None)
        .await
        .expect("deleted");
    let again = engine.create_namespace(namespace(acme()), None).await;
    let problem = again.expect_err("used before");
    assert_eq!(problem.reason, Reason::AlreadyExists);
    assert!(problem.message.contains("was deleted"), "{problem}");
    let gone = engine.namespace(&acme()).await;
    assert_eq!(gone.expect_err("deleted").reason, Reason::NotFound);
    let kept = engine.receipt(&acme(), &link).await.expect("receipt");
    assert_eq!(kept.record, receipt);
}

/// A namespace that never had a link leaves nothing behind, so its name is free again.
#[tokio::test]
async fn a_name_without_links_is_free_again() {
    let world = World::new().await;
    let engine = &world.engine;
    engine
        .delete_namespace(&acme(), None)
        .await
        .expect("deleted");
    let again = engine.create_namespace(namespace(acme()), None).await;
    again.expect("made again");
}

/// A namespace that lives says that it exists, and the request that made it is answered again, with links in it as well.
#[tokio::test]
async fn a_name_in_use_is_no_deleted_one() {
    let world = World::new().await;
    let engine = &world.engine;
    let name = NamespaceName::parse("octo").expect("name");
    let request = RequestKey::new("uid:1000", "CreateNamespace", "1", b"octo");
    let made = engine.create_namespace(namespace(name.clone()), request.as_ref());
    let made = made.await.expect("made");
    world.bound(Some(3600)).await;
    let taken = engine.create_namespace(namespace(acme()), None).await;
    let problem = taken.expect_err("exists");
    assert_eq!(problem.reason, Reason::AlreadyExists);
    assert!(problem.message.contains("exists already"), "{problem}");
    let repeated = engine.create_namespace(namespace(name), request.as_ref());
    assert_eq!(repeated.await.expect("the same").record, made.record);
}

/// A refresh token is good for the client that it was given to, so a host keeps its client as long as links by OAuth are
/// on it. Nothing is sent to find that out.
#[tokio::test]
async fn a_host_with_oauth_links_keeps_its_client() {
    let world = World::new().await;
    let engine = &world.engine;
    let link = world.bound(Some(3600)).await.id;
    let calls = world.token_calls();
    for id in ["other", ""] {
        let refused = engine.update_host(&host_name(), client(id), None).await;
        assert_eq!(refused.expect_err("links").reason, Reason::HasChildren);
    }
    let host = engine.host(&host_name()).await.expect("host").record;
    assert_eq!(host.oauth_client_id.as_deref(), Some("client"));
    assert_eq!(world.token_calls(), calls);
    let same = engine
        .update_host(&host_name(), client("client"), None)
        .await;
    same.expect("nothing changes");

    let unlinked = engine
        .unlink(&acme(), &link, UnlinkOptions::default())
        .await;
    unlinked.expect("receipt");
    assert_eq!(world.plugin.count(OperationKind::Revoke), 1);
    let changed = engine
        .update_host(&host_name(), client("other"), None)
        .await;
    let changed = changed.expect("no links").record;
    assert_eq!(changed.oauth_client_id.as_deref(), Some("other"));
}

/// A link by access token does not know the client, so the host may get another one, or its first.
#[tokio::test]
async fn a_token_link_does_not_hold_the_client() {
    let world = World::new().await;
    let engine = &world.engine;
    let linked = engine.create_link(token_link("secret"), None).await;
    linked.expect("link");
    for id in ["", "other"] {
        let changed = engine.update_host(&host_name(), client(id), None).await;
        changed.expect("changed");
    }
}
