//! Links that are installations of the host's app: their tokens are minted, and end after an hour.

use std::{sync::atomic::Ordering, time::Duration};

use bindery_core::{
    link::{Cause, Stage},
    name::LinkId,
    problem::{Reason, Who},
    provider::{FailureCode, OperationKind},
};

use crate::support::{World, acme, failure};

/// Looks at the link with its broad token, and says what was found.
async fn check(world: &World, link: &LinkId) -> Vec<Reason> {
    let checked = world.engine.check_link(&acme(), link, false).await;
    let findings = checked.expect("checked").findings.into_iter();
    findings.map(|finding| finding.problem.reason).collect()
}

/// A broad token is minted anew when it ends, once for all callers, with the app's key at hand and not before it is due.
#[tokio::test]
async fn the_token_of_an_installation_is_minted_anew() {
    let world = World::new().await;
    world.give_app().await;
    let link = world.installed("l1", "42").await;
    check(&world, &link).await;
    assert_eq!(world.plugin.count(OperationKind::MintToken), 0);
    world.clock.advance(Duration::from_secs(3600));
    tokio::join!(check(&world, &link), check(&world, &link));
    assert_eq!(world.plugin.count(OperationKind::MintToken), 1);
    let named = world.forge.named.lock().expect("lock").clone();
    assert_eq!(named, [["app_private_key"]]);
    let shown = world.read(&link).await;
    assert!(shown.refreshable && shown.refreshed.is_some());
}

/// R7: a provider that is away is no death of an installation: the link stays bound, says so, waits, and recovers.
#[tokio::test]
async fn r7_a_failed_minting_is_no_death() {
    let world = World::new().await;
    world.give_app().await;
    let link = world.installed("l1", "42").await;
    world.clock.advance(Duration::from_secs(3600));
    world
        .plugin
        .on("MintToken", |_| Err(failure(FailureCode::Upstream)));
    for _ in 0..2 {
        let found = check(&world, &link).await;
        assert_eq!(found.first(), Some(&Reason::ProviderUnavailable));
    }
    assert_eq!(world.plugin.count(OperationKind::MintToken), 1);
    let observed = world.read(&link).await.observed;
    assert_eq!(observed.stage, Stage::Bound);
    assert_eq!(observed.trouble, Some(Cause::ProviderUnavailable));
    world.plugin.forget("MintToken");
    world.clock.advance(Duration::from_secs(900));
    let found = check(&world, &link).await;
    assert!(!found.contains(&Reason::ProviderUnavailable), "{found:?}");
    assert_eq!(world.read(&link).await.observed.trouble, None);
}

/// An app that was uninstalled needs a person again; one that is suspended comes back by itself.
#[tokio::test]
async fn an_uninstalled_app_is_told_from_a_suspended_one() {
    for (code, stage, trouble) in [
        (
            FailureCode::NotInstalled,
            Stage::NeedsReauthorization(Cause::AppUninstalled),
            None,
        ),
        (
            FailureCode::Suspended,
            Stage::Bound,
            Some(Cause::AppSuspended),
        ),
    ] {
        let world = World::new().await;
        world.give_app().await;
        let link = world.installed("l1", "42").await;
        world.clock.advance(Duration::from_secs(3600));
        world.plugin.on("MintToken", move |_| Err(failure(code)));
        assert!(world.fetch(&link).await.is_err());
        let observed = world.read(&link).await.observed;
        assert_eq!((observed.stage, observed.trouble), (stage, trouble));
        assert_eq!(observed.who, Some(Who::OrganizationOwner));
    }
}

/// A host without the app's key says so, and who can mend it.
#[tokio::test]
async fn without_a_key_nothing_is_minted() {
    let world = World::new().await;
    let link = world.installed("l1", "42").await;
    world.clock.advance(Duration::from_secs(3600));
    let problem = world.fetch(&link).await.expect_err("no key");
    assert_eq!(problem.reason, Reason::MethodNotSupported);
    assert_eq!(problem.who, Some(Who::HostOperator));
    assert_eq!(world.forge.minted.load(Ordering::SeqCst), 0);
}
