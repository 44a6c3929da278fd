//! DESIGN §5.2, THREATS O10: an unlink is ordered, resumable, and says what it did.

use bindery_core::{
    link::Stage,
    problem::Reason,
    provider::{FailureCode, Input, OperationKind, Output, Revocation, RevocationOutcome},
    receipt::{Outcome, StepKind},
    secret::Secret,
};
use bindery_engine::{hosts::HostUpdate, unlink::UnlinkOptions};
use bindery_store::{Call, Fault};

use crate::support::{World, acme, failure, host_name};

fn outcome(receipt: &bindery_core::receipt::Receipt, kind: StepKind) -> Outcome {
    let step = receipt
        .steps
        .iter()
        .find(|step| step.kind == kind)
        .expect("step");
    step.outcome.clone().expect("outcome")
}

/// A link is revoked at the provider, erased here, and its receipt outlives it; unlinking twice answers the same.
#[tokio::test]
async fn o10_unlink_revokes_and_erases() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    let receipt = world
        .engine
        .unlink(&acme(), &link, UnlinkOptions::default())
        .await
        .expect("receipt")
        .record;
    assert_eq!(outcome(&receipt, StepKind::RevokeGrant), Outcome::Done);
    assert_eq!(outcome(&receipt, StepKind::Erase), Outcome::Done);
    assert!(receipt.finished.is_some());
    assert_eq!(
        world.fetch(&link).await.expect_err("unlinked").reason,
        Reason::LinkUnlinked
    );
    let again = world
        .engine
        .unlink(&acme(), &link, UnlinkOptions::default())
        .await
        .expect("receipt")
        .record;
    assert_eq!(again, receipt);
    let revokes = world
        .plugin
        .calls
        .lock()
        .expect("lock")
        .iter()
        .filter(|kind| **kind == OperationKind::Revoke)
        .count();
    assert_eq!(revokes, 1);
}

/// What no API can do is said, with the page where a person does it.
#[tokio::test]
async fn what_is_impossible_is_said() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world.plugin.on("Revoke", |_| {
        Ok(Output::Revocation(Revocation {
            outcome: RevocationOutcome::Impossible,
            message: "the forge has no API for it".to_owned(),
            action_uri: "https://forge.example/user/settings/applications".to_owned(),
        }))
    });
    let receipt = world
        .engine
        .unlink(&acme(), &link, UnlinkOptions::default())
        .await
        .expect("receipt")
        .record;
    let action_uri = "https://forge.example/user/settings/applications".to_owned();
    assert_eq!(
        outcome(&receipt, StepKind::RevokeGrant),
        Outcome::Impossible { action_uri }
    );
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
}

/// While the forge is away nothing is erased and nothing handed out; later the saga goes on where it was.
#[tokio::test]
async fn a_forge_that_is_away_delays_the_unlink() {
    let mut world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Transport)));
    let waits = world
        .engine
        .unlink(&acme(), &link, UnlinkOptions::default())
        .await;
    assert_eq!(waits.expect_err("away").reason, Reason::HostUnreachable);
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinking);
    assert_eq!(
        world.fetch(&link).await.expect_err("unlinking").reason,
        Reason::LinkUnlinked
    );
    world.plugin.on("Revoke", |_| {
        let done = Revocation {
            outcome: RevocationOutcome::Done,
            message: String::new(),
            action_uri: String::new(),
        };
        Ok(Output::Revocation(done))
    });
    world.restart().await;
    world.engine.sweep().await.expect("sweep");
    let receipt = world
        .engine
        .receipt(&acme(), &link)
        .await
        .expect("receipt")
        .record;
    assert_eq!(outcome(&receipt, StepKind::RevokeGrant), Outcome::Done);
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
}

/// Forced, it erases all the same, and the receipt says what is left behind.
#[tokio::test]
async fn a_forced_unlink_says_what_is_left() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Transport)));
    let options = UnlinkOptions {
        force: true,
        ..UnlinkOptions::default()
    };
    let receipt = world
        .engine
        .unlink(&acme(), &link, options)
        .await
        .expect("receipt")
        .record;
    let reason = "HOST_UNREACHABLE".to_owned();
    assert_eq!(
        outcome(&receipt, StepKind::RevokeGrant),
        Outcome::Failed { reason }
    );
    assert_eq!(outcome(&receipt, StepKind::Erase), Outcome::Done);
}

/// A write that fails at any step leaves a saga that the next start finishes.
#[tokio::test]
async fn the_saga_survives_a_failed_write_at_every_step() {
    for nth in 1..=5 {
        let mut world = World::new().await;
        let link = world.bound(Some(3600)).await.id;
        world.store.inject(Call::Commit, nth, Fault::Fail);
        let first = world
            .engine
            .unlink(&acme(), &link, UnlinkOptions::default())
            .await;
        assert!(first.is_err(), "write {nth} was not reached");
        world.restart().await;
        let receipt = world
            .engine
            .unlink(&acme(), &link, UnlinkOptions::default())
            .await
            .expect("receipt")
            .record;
        assert_eq!(
            outcome(&receipt, StepKind::Erase),
            Outcome::Done,
            "write {nth}"
        );
        assert_eq!(
            world.read(&link).await.observed.stage,
            Stage::Unlinked,
            "write {nth}"
        );
    }
}

/// While one client secret replaces another the forge may take either, so each is tried; when it takes none, the unlink
/// waits and says so.
#[tokio::test]
async fn o10_every_client_secret_is_tried() {
    let world = World::new().await;
    let (first, second) = (
        world.bound(Some(3600)).await.id,
        world.bound(Some(3600)).await.id,
    );
    let secrets = ["retired", "s3cret"].map(|secret| Secret::new(secret.to_owned()));
    let update = HostUpdate {
        client_secrets: Some(secrets.into()),
        ..HostUpdate::default()
    };
    let updated = world.engine.update_host(&host_name(), update, None).await;
    updated.expect("secrets are replaced");

    world.plugin.revokes_for("s3cret");
    let unlinked = world
        .engine
        .unlink(&acme(), &first, UnlinkOptions::default())
        .await;
    let receipt = unlinked.expect("receipt").record;
    assert_eq!(outcome(&receipt, StepKind::RevokeGrant), Outcome::Done);
    assert_eq!(world.plugin.count(OperationKind::Revoke), 2);

    world.plugin.revokes_for("unknown");
    let waits = world
        .engine
        .unlink(&acme(), &second, UnlinkOptions::default())
        .await;
    assert_eq!(waits.expect_err("refused").reason, Reason::ClientRefused);
    assert_eq!(world.plugin.count(OperationKind::Revoke), 4);
}

/// Revoking the whole authorization would kill another link of the same identity, so only the token is revoked then.
#[tokio::test]
async fn siblings_survive() {
    let world = World::new().await;
    let (first, second) = (
        world.bound(Some(3600)).await.id,
        world.bound(Some(3600)).await.id,
    );
    let whole = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&whole);
    world.plugin.on("Revoke", move |call| {
        if let Input::Revoke { whole_grant } = call.input {
            seen.lock().expect("lock").push(whole_grant);
        }
        let done = Revocation {
            outcome: RevocationOutcome::Done,
            message: String::new(),
            action_uri: String::new(),
        };
        Ok(Output::Revocation(done))
    });
    for link in [first, second] {
        world
            .engine
            .unlink(&acme(), &link, UnlinkOptions::default())
            .await
            .expect("receipt");
    }
    assert_eq!(*whole.lock().expect("lock"), [false, true]);
}
