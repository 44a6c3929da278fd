//! THREATS K15: after a restore or an accepted rollback, refresh tokens may have been used since. A forge that sees one
//! again revokes the family, so each is tried once at most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_core::{
    exchange::TokenOutcome,
    link::{Cause, Link, Stage},
    name::LinkId,
    port::{Clock, Key, Record, Vault},
    problem::{Problem, Reason},
    provider::{Output, TokenFacts},
    refresh::Intent,
};

use crate::support::{World, acme, pair};

/// When each request for a new token came, in milliseconds.
type Times = Arc<Mutex<Vec<u64>>>;

/// What a restore leaves of these links; `bindery_vault` shows that it does.
async fn restore(world: &mut World, links: &[LinkId]) {
    for id in links {
        let link: Link = world.read(id).await;
        let intent = Intent::restored(&link).expect("its token rotates");
        world
            .put(Key::Intent(acme(), id.clone()), Record::Intent(intent))
            .await;
    }
    world.restart().await;
}

/// Every refresh token is dead, and the forge notes who comes and when.
fn revoke_families(world: &World, answers: usize) -> Times {
    let times = Times::default();
    for _ in 0..answers {
        let (times, clock) = (Arc::clone(&times), Arc::clone(&world.clock));
        world.forge.answer(move |_| {
            times.lock().expect("lock").push(clock.now().unix_ms());
            TokenOutcome::Refused {
                error: "invalid_grant".to_owned(),
                dead: true,
            }
        });
    }
    times
}

/// K15: a forge that revokes families sees each restored refresh token once at most, and at most one a second, however
/// many callers ask and whatever the schedule does; each link then says what it needs.
#[tokio::test]
async fn k15_restored_grants_are_tried_once_and_slowly() {
    let mut world = World::new().await;
    let mut links = Vec::new();
    for n in 0..12 {
        links.push(world.bound_as(&format!("p{n}"), Some(3600)).await.id);
    }
    world.clock.advance(Duration::from_secs(7200));
    restore(&mut world, &links).await;
    let times = revoke_families(&world, 60);
    world.forge.presented.lock().expect("lock").clear();
    for _ in 0..40 {
        for id in &links {
            assert!(
                world.fetch(id).await.is_err(),
                "a dead token was handed out"
            );
        }
        world.engine.keep_up().await;
        world.clock.advance(Duration::from_millis(500));
    }
    let mut presented: HashMap<String, usize> = HashMap::new();
    for token in world.forge.presented.lock().expect("lock").iter() {
        *presented.entry(token.clone()).or_default() += 1;
    }
    assert_eq!(presented.len(), links.len());
    assert!(presented.values().all(|count| *count == 1), "{presented:?}");
    let times = times.lock().expect("lock").clone();
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] >= 1000),
        "{times:?}"
    );
    for id in &links {
        let stage = world.read(id).await.observed.stage;
        assert_eq!(stage, Stage::NeedsReauthorization(Cause::RotationLost));
    }
    println!(
        "K15: {} restored grants, {} attempts",
        links.len(),
        times.len()
    );
}

/// K15: a lost answer is no reason for a second attempt either.
#[tokio::test]
async fn k15_a_lost_answer_ends_a_restored_grant() {
    let mut world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world.clock.advance(Duration::from_secs(7200));
    restore(&mut world, std::slice::from_ref(&link)).await;
    let before = world.token_calls();
    world.forge.answer(|_| {
        TokenOutcome::Lost(Problem::new(Reason::HostUnreachable, "the answer was lost"))
    });
    for _ in 0..5 {
        assert!(world.fetch(&link).await.is_err());
        world.clock.advance(Duration::from_secs(600));
        world.engine.keep_up().await;
    }
    assert_eq!(world.token_calls() - before, 1);
    let stage = world.read(&link).await.observed.stage;
    assert_eq!(stage, Stage::NeedsReauthorization(Cause::RotationLost));
}

/// K15: as long as the forge takes the access token, it is used, also in its last minute, and the refresh token is not
/// touched; a refresh that works after it ends makes the grant one like any other.
#[tokio::test]
async fn k15_the_access_token_is_used_first() {
    let mut world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world.clock.advance(Duration::from_secs(3570));
    restore(&mut world, std::slice::from_ref(&link)).await;
    world.plugin.on("InspectToken", |_| {
        Ok(Output::TokenFacts(TokenFacts {
            active: true,
            ..TokenFacts::default()
        }))
    });
    let before = world.token_calls();
    let token = world.fetch(&link).await.expect("still good").token;
    assert_eq!(token.expose(), "a1");
    assert_eq!(world.token_calls(), before);
    world.clock.advance(Duration::from_secs(60));
    world.forge.answer(|n| pair(n, 3600));
    let token = world.fetch(&link).await.expect("refreshed").token;
    assert_eq!(token.expose(), "a2");
    let intent = world.vault.get(&Key::Intent(acme(), link.clone())).await;
    assert!(
        intent.expect("read").is_none(),
        "the mark stays after a refresh that worked"
    );
}
