//! Tokens that are replaced by themselves, and hosts that are left in peace.

use std::time::Duration;

use bindery_core::{
    breaker::FAILURES,
    exchange::{TokenOutcome, Tokens},
    link::{Cause, Stage},
    name::LinkId,
    problem::{Problem, Reason},
    secret::Secret,
};

use crate::support::{World, acme};

fn away() -> TokenOutcome {
    TokenOutcome::NotNow(Problem::new(Reason::HostUnreachable, "away"))
}

fn dead() -> TokenOutcome {
    TokenOutcome::Refused {
        error: "invalid_grant".to_owned(),
        dead: true,
    }
}

/// Lets the tasks that were started come to their end.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Moves the clock and lets the schedule work, step by step.
async fn pass(world: &World, seconds: u64, step: u64) {
    for _ in 0..seconds / step {
        world.clock.advance(Duration::from_secs(step));
        world.engine.keep_up().await;
        settle().await;
    }
}

/// R6: a token is replaced between 70 and 85 % of its life, without anybody asking, and again and again.
#[tokio::test]
async fn r6_tokens_are_replaced_before_they_end() {
    let world = World::new().await;
    let link = world.bound(Some(1000)).await.id;
    let due = world.read(&link).await.upkeep.next_refresh;
    let due = due
        .expect("a deadline")
        .since(world.read(&link).await.created);
    assert!((700..=850).contains(&due.as_secs()), "{due:?}");
    pass(&world, 690, 10).await;
    assert_eq!(world.token_calls(), 1);
    pass(&world, 170, 10).await;
    assert_eq!(world.token_calls(), 2);
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "a2"
    );
    // The second pair lives an hour.
    pass(&world, 3600, 60).await;
    assert_eq!(world.token_calls(), 3);
}

/// Deadlines survive a restart, and are read from the store.
#[tokio::test]
async fn deadlines_survive_a_restart() {
    let mut world = World::new().await;
    world.bound(Some(1000)).await;
    world.restart().await;
    world.engine.rebuild_schedule().await.expect("schedule");
    pass(&world, 860, 10).await;
    assert_eq!(world.token_calls(), 2);
}

/// Nothing is touched at the provider for a disabled link; enabled again, it is kept up again.
#[tokio::test]
async fn a_disabled_link_is_left_alone() {
    let world = World::new().await;
    let link = world.bound(Some(1000)).await.id;
    let disabled = world
        .engine
        .disable_link(&acme(), &link, "", "uid:0", None, None)
        .await;
    disabled.expect("disabled");
    pass(&world, 990, 30).await;
    assert_eq!(world.token_calls(), 1);
    let enabled = world
        .engine
        .enable_link(&acme(), &link, "", "uid:1", None, None)
        .await;
    enabled.expect("enabled");
    pass(&world, 60, 10).await;
    assert_eq!(world.token_calls(), 2);
}

/// A refresh token that dies when idle is used well before, also where the access token never ends.
#[tokio::test]
async fn an_idle_refresh_token_is_kept_alive() {
    let world = World::new().await;
    let month = Duration::from_secs(30 * 86_400);
    world
        .plugin
        .describe_as(|known| known.auth_methods[0].refresh_idle = Some(month));
    let endless = |n| {
        TokenOutcome::Granted(Tokens {
            access_token: Secret::new(format!("a{n}")),
            refresh_token: Some(Secret::new(format!("r{n}"))),
            expires_in: None,
            scopes: None,
        })
    };
    let link = world.bound_with(endless).await;
    world.forge.answer(endless);
    let end = world.read(&link).await.upkeep.refresh_expires;
    assert!(end.is_some());
    pass(&world, 26 * 86_400, 6 * 3600).await;
    assert_eq!(world.token_calls(), 2);
    assert!(world.read(&link).await.upkeep.refresh_expires > end);
}

/// A refresh token that died of age was not revoked by anybody, and the link says which it was.
#[tokio::test]
async fn a_refresh_token_that_died_of_age_says_so() {
    let world = World::new().await;
    world.plugin.describe_as(|known| {
        known.auth_methods[0].refresh_idle = Some(Duration::from_secs(86_400));
    });
    let link = world.bound(Some(3600)).await.id;
    world.clock.advance(Duration::from_secs(2 * 86_400));
    world.forge.answer(|_| dead());
    world.forge.answer(|_| dead());
    assert!(world.fetch(&link).await.is_err());
    world.clock.advance(Duration::from_secs(60));
    assert!(world.fetch(&link).await.is_err());
    assert_eq!(
        world.read(&link).await.observed.stage,
        Stage::NeedsReauthorization(Cause::RefreshTokenExpired)
    );
}

/// A refresh that fails is told in the link: how often, why, and when it is tried again. It stays bound, says what is in the
/// way, and forgets it when it works again.
#[tokio::test]
async fn failures_are_told_and_forgotten() {
    let world = World::new().await;
    let link = world.bound(Some(1000)).await.id;
    world.forge.answer(|_| away());
    world.forge.answer(|_| away());
    while world.token_calls() < 3 {
        pass(&world, 10, 10).await;
    }
    let shown = world.read(&link).await;
    assert_eq!(shown.upkeep.failures, 2);
    assert_eq!(shown.upkeep.failure_reason, "HOST_UNREACHABLE");
    assert!(shown.upkeep.next_refresh.is_some());
    assert_eq!(shown.observed.stage, Stage::Bound);
    assert_eq!(shown.observed.trouble, Some(Cause::HostUnreachable));
    while world.token_calls() < 4 {
        pass(&world, 10, 10).await;
    }
    let shown = world.read(&link).await;
    assert_eq!((shown.upkeep.failures, shown.observed.trouble), (0, None));
    assert!(shown.upkeep.failure_reason.is_empty());
}

async fn many(world: &World, count: usize) -> Vec<LinkId> {
    let mut links = Vec::new();
    for n in 0..count {
        links.push(world.bound_as(&n.to_string(), Some(1000)).await.id);
    }
    links
}

/// R7: a host that is away is called by one link after a while, not by each: after failures in a row nothing is sent, and
/// one probe goes first.
#[tokio::test]
async fn r7_a_broken_host_is_left_alone() {
    let world = World::new().await;
    let links = many(&world, 10).await;
    world.clock.advance(Duration::from_secs(1001));
    for _ in 0..FAILURES + 1 {
        world.forge.answer(|_| away());
    }
    let before = world.token_calls();
    for link in &links {
        assert!(world.fetch(link).await.is_err());
    }
    assert_eq!(world.token_calls() - before, FAILURES as usize);
    world.clock.advance(Duration::from_secs(30));
    for link in &links {
        assert!(world.fetch(link).await.is_err());
    }
    // The probe has failed as well.
    assert_eq!(world.token_calls() - before, FAILURES as usize + 1);
    world.clock.advance(Duration::from_secs(900));
    for link in &links {
        assert!(world.fetch(link).await.is_ok());
    }
}

/// R7: what one link is told of a limit holds for all links of the host: nothing is sent in that time.
#[tokio::test]
async fn r7_a_limit_holds_for_the_host() {
    let world = World::new().await;
    let links = many(&world, 3).await;
    world.clock.advance(Duration::from_secs(1001));
    world.forge.answer(|_| {
        let limited = Problem::new(Reason::ProviderRateLimited, "slow down");
        TokenOutcome::NotNow(limited.retry(Some(Duration::from_secs(3000))))
    });
    let before = world.token_calls();
    for _ in 0..30 {
        for link in &links {
            assert!(world.fetch(link).await.is_err());
        }
        world.engine.keep_up().await;
        settle().await;
        world.clock.advance(Duration::from_secs(99));
    }
    assert_eq!(world.token_calls() - before, 1);
    world.clock.advance(Duration::from_secs(99));
    assert!(world.fetch(&links[0]).await.is_ok());
}

/// R6: after an outage the schedule calls a host five times in a second at most, and never more than its places at once.
#[tokio::test]
async fn r6_no_thundering_herd() {
    let world = World::new().await;
    many(&world, 30).await;
    world.clock.advance(Duration::from_secs(1001));
    let before = world.token_calls();
    world.forge.hold();
    for _ in 0..50 {
        world.engine.keep_up().await;
        settle().await;
        world.clock.advance(Duration::from_millis(200));
    }
    assert_eq!(world.token_calls() - before, 4);
    world.forge.release();
    settle().await;
    let mut last = world.token_calls();
    for _ in 0..60 {
        world.engine.keep_up().await;
        settle().await;
        assert!(world.token_calls() - last <= 1, "more than five a second");
        last = world.token_calls();
        world.clock.advance(Duration::from_millis(200));
    }
    assert_eq!(last - before, 30);
}
