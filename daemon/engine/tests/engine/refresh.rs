//! DESIGN §5.1, THREATS R1-R9: refresh never loses a token, and happens once.

use std::{sync::Arc, time::Duration};

use bindery_core::{
    exchange::TokenOutcome,
    link::{Cause, Stage},
    problem::{Problem, Reason},
};
use bindery_engine::links::Severity;
use bindery_store::{Call, Fault};

use crate::support::{World, pair, wanted};

fn refused() -> TokenOutcome {
    TokenOutcome::Refused {
        error: "invalid_grant".to_owned(),
        dead: true,
    }
}

fn lost() -> TokenOutcome {
    TokenOutcome::Lost(Problem::new(Reason::HostUnreachable, "the answer was lost"))
}

async fn expired(world: &World) -> bindery_core::name::LinkId {
    let link = world.bound(Some(3600)).await.id;
    world.clock.advance(Duration::from_secs(3601));
    link
}

/// R1: ten thousand callers on an expired link cause exactly one refresh, and all get the new token.
#[tokio::test]
async fn r1_ten_thousand_callers_one_refresh() {
    let world = Arc::new(World::new().await);
    let link = expired(&world).await;
    let before = world.token_calls();
    world.forge.hold();
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let (world, link) = (Arc::clone(&world), link.clone());
            tokio::spawn(async move { world.fetch(&link).await.map(|credential| credential.token) })
        })
        .collect();
    while world.token_calls() == before {
        tokio::task::yield_now().await;
    }
    world.forge.release();
    for caller in callers {
        assert_eq!(caller.await.expect("task").expect("token").expose(), "a2");
    }
    assert_eq!(world.token_calls() - before, 1);
}

/// R2: when the request arrives at the forge, the intent is in the store already, so a stop there is noticed: the refresh
/// counts as lost, the old token is tried once more, and its refusal needs a person.
#[tokio::test]
async fn r2_the_intent_is_durable_before_the_request() {
    let mut world = World::new().await;
    let link = expired(&world).await;
    world.forge.hold();
    let (engine, target) = (world.engine.clone(), link.clone());
    let cut_off = tokio::spawn(async move { engine.fetch_credential(&wanted(&target)).await });
    while world.token_calls() < 2 {
        tokio::task::yield_now().await;
    }
    // The process ends here: a new engine starts on what is on disk.
    world.restart().await;
    world.forge.release();
    cut_off.abort();
    world.forge.answer(|_| refused());
    world.forge.answer(|_| refused());
    let outcome = world.fetch(&link).await;
    assert_eq!(
        outcome.expect_err("the rotation is lost").reason,
        Reason::LinkNeedsReauthorization
    );
    let stage = world.read(&link).await.observed.stage;
    assert_eq!(stage, Stage::NeedsReauthorization(Cause::RotationLost));
}

/// R2: when the intent can't be written, nothing is sent.
#[tokio::test]
async fn r2_no_intent_no_request() {
    let world = World::new().await;
    let link = expired(&world).await;
    let before = world.token_calls();
    world.store.inject(Call::Commit, 1, Fault::Fail);
    assert!(world.fetch(&link).await.is_err());
    assert_eq!(world.token_calls(), before);
}

/// The new pair is durable before it is used: after a restart the next refresh presents the new refresh token.
#[tokio::test]
async fn the_new_pair_survives_a_restart() {
    let mut world = World::new().await;
    let link = expired(&world).await;
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "a2"
    );
    world.restart().await;
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "a2"
    );
    world.clock.advance(Duration::from_secs(3601));
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "a3"
    );
    assert_eq!(*world.forge.presented.lock().expect("lock"), ["r1", "r2"]);
}

/// PROVIDERS trap 1.12: Gitea gives the same access token, byte for byte, for two refreshes within a second, and keeps the
/// refresh token. That is a refresh like any other: it is stored, its new end counts, and nobody asks again.
#[tokio::test]
async fn trap_1_12_the_same_token_again_is_a_refresh() {
    let world = World::new().await;
    let link = expired(&world).await;
    world.forge.answer(|_| pair(1, 3600));
    let before = world.token_calls();
    let credential = world.fetch(&link).await.expect("token");
    assert_eq!(credential.token.expose(), "a1");
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "a1"
    );
    assert_eq!(world.token_calls() - before, 1);
    assert_eq!(world.read(&link).await.observed.stage, Stage::Bound);
}

/// R3: a caller that goes away does not cancel the refresh.
#[tokio::test]
async fn r3_a_caller_that_leaves_cancels_nothing() {
    let world = World::new().await;
    let link = expired(&world).await;
    world.forge.hold();
    let (engine, target) = (world.engine.clone(), link.clone());
    let caller = tokio::spawn(async move { engine.fetch_credential(&wanted(&target)).await });
    while world.token_calls() < 2 {
        tokio::task::yield_now().await;
    }
    caller.abort();
    assert!(caller.await.expect_err("aborted").is_cancelled());
    world.forge.release();
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "a2"
    );
    assert_eq!(world.token_calls(), 2);
}

/// R4: a lost answer is unknown, not invalid: callers are told to wait, the old token is tried once more after five
/// seconds, and if the forge takes it nothing was lost.
#[tokio::test]
async fn r4_a_lost_answer_is_tried_once_more() {
    let world = World::new().await;
    let link = expired(&world).await;
    world.forge.answer(|_| lost());
    let problem = world.fetch(&link).await.expect_err("lost");
    assert_eq!(problem.retry_after, Some(Duration::from_secs(5)));
    let early = world.fetch(&link).await.expect_err("too early");
    assert_eq!(early.reason, Reason::RefreshOutcomeUnknown);
    assert_eq!(world.token_calls(), 2);
    world.clock.advance(Duration::from_secs(5));
    assert!(world.fetch(&link).await.is_ok());
    assert_eq!(world.read(&link).await.observed.stage, Stage::Bound);
}

/// R5: one refusal marks no grant dead; a second one a minute later does, and says who must act.
#[tokio::test]
async fn r5_a_grant_is_dead_after_two_verdicts() {
    let world = World::new().await;
    let link = expired(&world).await;
    world.forge.answer(|_| refused());
    world.forge.answer(|_| refused());
    let first = world.fetch(&link).await.expect_err("refused");
    assert_eq!(
        (first.reason, first.retry_after),
        (Reason::TokenRefused, Some(Duration::from_secs(60)))
    );
    assert_eq!(world.read(&link).await.observed.stage, Stage::Bound);
    world.clock.advance(Duration::from_secs(60));
    let second = world.fetch(&link).await.expect_err("dead");
    assert_eq!(second.reason, Reason::LinkNeedsReauthorization);
    let stage = world.read(&link).await.observed.stage;
    assert_eq!(stage, Stage::NeedsReauthorization(Cause::GrantRevoked));
}

/// R7: a rate limit is not a revocation: nothing is sent before `Retry-After`, and then the token is refreshed.
#[tokio::test]
async fn r7_a_rate_limit_is_waited_for() {
    let world = World::new().await;
    let link = expired(&world).await;
    world.forge.answer(|_| {
        let limited = Problem::new(Reason::ProviderRateLimited, "slow down");
        TokenOutcome::NotNow(limited.retry(Some(Duration::from_secs(120))))
    });
    assert_eq!(
        world.fetch(&link).await.expect_err("limited").reason,
        Reason::ProviderRateLimited
    );
    world.clock.advance(Duration::from_secs(119));
    assert!(world.fetch(&link).await.is_err());
    assert_eq!(world.token_calls(), 2);
    world.clock.advance(Duration::from_secs(1));
    assert!(world.fetch(&link).await.is_ok());
}

/// A token that is still good is handed out when the forge can't be asked for a longer one.
#[tokio::test]
async fn a_good_token_is_served_while_the_forge_is_away() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world.clock.advance(Duration::from_secs(3550));
    world
        .forge
        .answer(|_| TokenOutcome::NotNow(Problem::new(Reason::HostUnreachable, "away")));
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "a1"
    );
}

/// The caller's wish for a lifetime is met by a refresh.
#[tokio::test]
async fn min_remaining_refreshes_early() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world.clock.advance(Duration::from_secs(600));
    let mut wish = wanted(&link);
    wish.min_remaining = Duration::from_secs(3300);
    let credential = world.engine.fetch_credential(&wish).await.expect("token");
    assert_eq!(credential.token.expose(), "a2");
}

/// A token that never expires is never refreshed.
#[tokio::test]
async fn a_token_without_end_is_left_alone() {
    let world = World::new().await;
    let link = world.bound(None).await.id;
    world.clock.advance(Duration::from_secs(400 * 86_400));
    assert_eq!(world.fetch(&link).await.expect("token").expires, None);
    assert_eq!(world.token_calls(), 1);
}

/// A new pair that the store does not take is kept, and stored by the next call: the forge is not asked again.
#[tokio::test]
async fn a_pair_that_could_not_be_stored_is_not_lost() {
    for fault in [Fault::Fail, Fault::ApplyThenFail] {
        let world = World::new().await;
        let link = expired(&world).await;
        // The first write is the intent, the second the pair.
        world.store.inject(Call::Commit, 2, fault);
        let first = world.fetch(&link).await;
        assert_eq!(first.is_err(), fault == Fault::Fail);
        assert_eq!(
            world.fetch(&link).await.expect("token").token.expose(),
            "a2"
        );
        assert_eq!(world.token_calls(), 2);
        world.clock.advance(Duration::from_secs(3601));
        assert_eq!(
            world.fetch(&link).await.expect("token").token.expose(),
            "a3"
        );
        assert_eq!(*world.forge.presented.lock().expect("lock"), ["r1", "r2"]);
    }
}

/// The sweep stores such a pair as well, so that a stop does not lose it.
#[tokio::test]
async fn the_sweep_stores_what_could_not_be_stored() {
    let mut world = World::new().await;
    let link = expired(&world).await;
    world.store.inject(Call::Commit, 2, Fault::Fail);
    assert!(world.fetch(&link).await.is_err());
    world.engine.sweep().await.expect("sweep");
    world.restart().await;
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "a2"
    );
    assert_eq!(world.token_calls(), 2);
}

/// R4: an answer whose loss could not be written is lost all the same: the old token's refusal then means that the rotation
/// was lost, not that somebody revoked the grant.
#[tokio::test]
async fn r4_a_loss_that_was_not_written_is_known() {
    let world = World::new().await;
    let link = expired(&world).await;
    world.store.inject(Call::Commit, 2, Fault::Fail);
    world.forge.answer(|_| lost());
    world.forge.answer(|_| refused());
    assert!(world.fetch(&link).await.is_err());
    assert!(world.fetch(&link).await.is_err());
    let stage = world.read(&link).await.observed.stage;
    assert_eq!(stage, Stage::NeedsReauthorization(Cause::RotationLost));
}

/// A wish for more than a token ever has does not refresh it with every call.
#[tokio::test]
async fn a_wish_beyond_the_lifetime_refreshes_once() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world.clock.advance(Duration::from_secs(600));
    let mut wish = wanted(&link);
    wish.min_remaining = Duration::from_secs(86_400);
    for _ in 0..3 {
        let credential = world.engine.fetch_credential(&wish).await.expect("token");
        assert_eq!(credential.token.expose(), "a2");
    }
}

/// A token that lives shorter than the usual margin is used more than once.
#[tokio::test]
async fn a_short_token_is_used() {
    let world = World::new().await;
    let link = world.bound(Some(30)).await.id;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(5));
        assert_eq!(
            world.fetch(&link).await.expect("token").token.expose(),
            "a1"
        );
    }
}

/// R5: a check does not call the grant dead on one refusal of the token endpoint, whether it was told to refresh or had to,
/// because the provider refused the token.
#[tokio::test]
async fn r5_a_check_keeps_to_two_verdicts() {
    for force in [true, false] {
        let world = World::new().await;
        let link = world.bound(Some(3600)).await.id;
        world.forge.answer(|_| refused());
        world.plugin.on("Identify", |_| {
            let code = bindery_core::provider::FailureCode::Unauthenticated;
            Err(crate::support::failure(code))
        });
        let checked = world
            .engine
            .check_link(&NAMESPACE, &link, force)
            .await
            .expect("checked");
        assert_eq!(checked.findings[0].problem.reason, Reason::TokenRefused);
        assert_eq!(world.read(&link).await.observed.stage, Stage::Bound);
    }
}

/// A check that asks for a refresh gets one although the token is good, and a token without end as well.
#[tokio::test]
async fn a_forced_check_refreshes() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    let check = || world.engine.check_link(&NAMESPACE, &link, true);
    let findings = check().await.expect("checked").findings;
    assert!(
        findings
            .iter()
            .all(|found| found.severity < Severity::Error)
    );
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "a2"
    );
}

static NAMESPACE: std::sync::LazyLock<bindery_core::name::NamespaceName> =
    std::sync::LazyLock::new(crate::support::acme);

/// GitHub's refresh kills the old token at once: an operation that read it just before goes on with the new one, and
/// does not refresh again.
#[tokio::test]
async fn a_token_that_was_replaced_meanwhile_is_read_again() {
    let world = Arc::new(World::new().await);
    let link = world.bound(Some(3600)).await.id;
    world.plugin.hold();
    let (own, target) = (Arc::clone(&world), link.clone());
    let list =
        tokio::spawn(async move { own.engine.list_organizations(&NAMESPACE, &target).await });
    let asked = || {
        world
            .plugin
            .count(bindery_core::provider::OperationKind::ListOrganizations)
    };
    while asked() == 0 {
        tokio::task::yield_now().await;
    }
    let mut wish = wanted(&link);
    wish.min_remaining = Duration::from_secs(3600);
    world.clock.advance(Duration::from_secs(100));
    world.engine.fetch_credential(&wish).await.expect("token");
    let first = std::sync::atomic::AtomicBool::new(true);
    world.plugin.on("ListOrganizations", move |_| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Err(crate::support::failure(
                bindery_core::provider::FailureCode::Unauthenticated,
            ));
        }
        Ok(bindery_core::provider::Output::Empty)
    });
    world.plugin.release();
    list.await.expect("task").expect("organizations");
    assert_eq!((asked(), world.token_calls()), (2, 2));
}

/// Nothing is touched at the provider for a disabled link, not even by a caller that was let through just before.
#[tokio::test]
async fn a_link_disabled_in_between_is_not_refreshed() {
    let mut world = World::new().await;
    let link = expired(&world).await;
    // What was read before is not at hand any more, so the caller's reads are the store's: link, host, grant.
    world.restart().await;
    let mut stall = world.store.stall(Call::Get, 3);
    let (engine, target) = (world.engine.clone(), link.clone());
    let caller = tokio::spawn(async move { engine.fetch_credential(&wanted(&target)).await });
    stall.reached().await;
    world
        .engine
        .disable_link(&NAMESPACE, &link, "audit", "uid:1000", None, None)
        .await
        .expect("disabled");
    drop(stall);
    let refused = caller.await.expect("task").expect_err("disabled");
    assert_eq!(refused.reason, Reason::LinkDisabled);
    assert_eq!(world.token_calls(), 1);
}
