//! What is asked again and again reads what it is about, however much else is kept.

use std::{sync::Arc, time::Duration};

use bindery_core::port::{Change, Expect, Key, Record, RequestMemory, Vault};
use bindery_engine::{Engine, credentials::Asked, unlink::UnlinkOptions};

use crate::support::{Reads, World, acme, host_name, oauth_link};

const MINUTE: Duration = Duration::from_secs(60);

/// A request that may be forgotten in so many minutes.
async fn remembered(world: &World, key: &str, minutes: u32) {
    let memory = RequestMemory {
        key: key.to_owned(),
        request_digest: [0; 32],
        resource: "namespaces/acme".to_owned(),
        expires: world.engine.time().after(MINUTE * minutes),
    };
    let put = Change {
        key: Key::Request(key.to_owned()),
        expect: Expect::Any,
        write: Some(Record::Request(memory)),
    };
    world.vault.commit(vec![put]).await.expect("request");
}

async fn is_remembered(world: &World, key: &str) -> bool {
    let key = Key::Request(key.to_owned());
    world.vault.get(&key).await.expect("vault").is_some()
}

/// A sweep reads the requests that are due and no others, once it has looked through what the last stop left. One that was used
/// again since stays.
#[tokio::test]
async fn a_sweep_reads_the_requests_that_are_due() {
    let world = World::new().await;
    for n in 0..300 {
        remembered(&world, &format!("later-{n}"), 60).await;
    }
    for key in ["soon", "again"] {
        remembered(&world, key, 10).await;
    }
    remembered(&world, "over", 0).await;
    let reads = Reads::over(&world.vault);
    let engine = world.engine_over(Arc::clone(&reads) as _);
    engine.sweep().await.expect("sweep");
    assert_eq!(reads.count_of("page Requests"), 2);
    assert!(!is_remembered(&world, "over").await);
    remembered(&world, "again", 60).await;
    engine.sweep().await.expect("sweep");
    assert_eq!(reads.count_of("page Requests"), 0);
    world.clock.advance(MINUTE * 10);
    engine.sweep().await.expect("sweep");
    assert_eq!(reads.count_of("get Request("), 2);
    assert!(!is_remembered(&world, "soon").await);
    assert!(is_remembered(&world, "again").await && is_remembered(&world, "later-0").await);
    world.clock.advance(MINUTE * 50);
    engine.sweep().await.expect("sweep");
    assert_eq!(reads.count_of("page Requests"), 0);
    assert!(!is_remembered(&world, "later-299").await);
}

/// After an unseal or a restored backup there may be requests that nobody knows of: they are looked for again.
#[tokio::test]
async fn recovery_looks_for_requests_again() {
    let world = World::new().await;
    world.engine.sweep().await.expect("sweep");
    remembered(&world, "restored", 10).await;
    world.engine.recover().await.expect("recovered");
    world.engine.sweep().await.expect("sweep");
    world.clock.advance(MINUTE * 10);
    world.engine.sweep().await.expect("sweep");
    assert!(!is_remembered(&world, "restored").await);
}

async fn links(engine: &Engine) -> usize {
    engine.links_on(&host_name()).await.expect("count")
}

/// Links of a host are counted once. From then on each write keeps the count, and no link is read for it; whoever counts anew
/// finds the same.
#[tokio::test]
async fn links_of_a_host_are_counted_once() {
    let mut world = World::new().await;
    let first = world.bound(Some(3600)).await.id;
    let reads = Reads::over(&world.vault);
    world.engine = world.engine_over(Arc::clone(&reads) as _);
    assert_eq!(links(&world.engine).await, 1);
    assert!(reads.count_of("page Links") >= 1);
    world.bound_as("2", Some(3600)).await;
    let pending = world.engine.create_link(oauth_link(), None).await;
    let pending = pending.expect("link").link.record.id;
    assert_eq!(links(&world.engine).await, 3);
    let (namespace, options) = (acme(), UnlinkOptions::default());
    let unlinked = world.engine.unlink(&namespace, &first, options);
    unlinked.await.expect("unlinked");
    assert_eq!(links(&world.engine).await, 2);
    let cancelled = world.engine.cancel_link(&namespace, &pending, None, None);
    cancelled.await.expect("cancelled");
    let kept = links(&world.engine).await;
    let fresh = world.engine_over(Arc::clone(&world.vault) as _);
    assert_eq!(kept, links(&fresh).await);
    reads.count();
    assert_eq!(links(&world.engine).await, kept);
    assert_eq!(reads.count(), 0);
}

/// What a caller says of a repository is part of what leases are told apart by, and is stored: nothing long, nothing odd.
#[test]
fn leases_are_not_told_apart_by_any_text() {
    let long = format!("acme/{}", "a".repeat(1000));
    for odd in ["", "acme", "a/../b", "acme/a b", "id:", "id:a/b", &long] {
        assert!(Asked::new(odd).is_err(), "{odd}");
    }
    for plain in ["acme/api", "group/sub/project", "id:{8d}"] {
        assert!(Asked::new(plain).is_ok(), "{plain}");
    }
}
