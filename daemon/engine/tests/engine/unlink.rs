//! DESIGN §5.2, THREATS O10: an unlink is ordered, resumable, and says what it did.

use bindery_core::{
    exchange::{RevokeOutcome, TokenHint},
    link::{Cause, Link, Stage},
    name::{HostName, NamespaceName},
    port::{Key, Record},
    problem::Reason,
    provider::{FailureCode, Input, OperationKind, Output, Revocation, RevocationOutcome},
    receipt::{Outcome, StepKind},
    secret::Secret,
};
use bindery_engine::{
    audience::Audience,
    hosts::HostUpdate,
    links::NewLink,
    unlink::{SharedGrant, UnlinkOptions},
};
use bindery_store::{Call, Fault};

use crate::support::{World, acme, failure, host_name, token_link, umbrella};

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
        world.bound(Some(3600)).await,
        world.bound_in(umbrella(), Some(3600)).await,
    );
    let secrets = ["retired", "s3cret"].map(|secret| Secret::new(secret.to_owned()));
    let mut update = HostUpdate::default();
    update.client.secrets = Some(secrets.into());
    let updated = world.engine.update_host(&host_name(), update, None).await;
    updated.expect("secrets are replaced");

    world.plugin.revokes_for("s3cret");
    let unlinked = world
        .engine
        .unlink(&acme(), &first.id, sharing(SharedGrant::Keep))
        .await;
    let receipt = unlinked.expect("receipt").record;
    assert_eq!(outcome(&receipt, StepKind::RevokeGrant), Outcome::Done);
    assert_eq!(world.plugin.count(OperationKind::Revoke), 2);

    world.plugin.revokes_for("unknown");
    let waits = world
        .engine
        .unlink(&umbrella(), &second.id, sharing(SharedGrant::Keep))
        .await;
    assert_eq!(waits.expect_err("refused").reason, Reason::ClientRefused);
    assert_eq!(world.plugin.count(OperationKind::Revoke), 4);
}

/// The grants that were asked to be ended, and whether as a whole.
pub(crate) fn whole_grants(world: &World) -> std::sync::Arc<std::sync::Mutex<Vec<bool>>> {
    let whole = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&whole);
    world.plugin.watch("Revoke", move |call| {
        if let Input::Revoke { whole_grant } = call.input {
            seen.lock().expect("lock").push(whole_grant);
        }
    });
    whole
}

fn sharing(shared: SharedGrant) -> UnlinkOptions {
    UnlinkOptions {
        shared,
        ..UnlinkOptions::default()
    }
}

/// "Every token of this user dies with the grant" is said before anything is done: the links are named to those who may know
/// them, to others they are counted, and nothing happens until somebody accepts it. A preview has them as well.
#[tokio::test]
async fn a_shared_grant_is_said_before() {
    let world = World::new().await;
    let (first, second) = (
        world.bound(Some(3600)).await,
        world.bound_in(umbrella(), Some(3600)).await,
    );
    for (audience, told, hidden) in [
        (Audience::new(|_| true), ("link", second.resource()), false),
        (
            Audience::new(|name| *name == acme()),
            ("hidden_links", "1".to_owned()),
            true,
        ),
        (Audience::default(), ("hidden_links", "1".to_owned()), true),
    ] {
        let options = UnlinkOptions {
            audience,
            ..UnlinkOptions::default()
        };
        let refused = world.engine.unlink(&acme(), &first.id, options).await;
        let refused = refused.expect_err("shared");
        assert_eq!(refused.reason, Reason::GrantShared);
        assert_eq!(refused.metadata, [told]);
        assert_eq!(!format!("{refused:?}").contains("umbrella"), hidden);
    }
    assert_eq!(world.read(&first.id).await.observed.stage, Stage::Bound);
    let preview = world.engine.preview_unlink(&acme(), &first.id).await;
    assert_eq!(preview.expect("preview").affected, [second.resource()]);
    assert_eq!(world.plugin.count(OperationKind::Revoke), 0);
    assert!(world.fetch(&first.id).await.is_ok());
}

/// Accepted, the grant ends as a whole, and the other links say at once that theirs is gone.
#[tokio::test]
async fn who_lost_a_shared_grant_says_so() {
    let world = World::new().await;
    let (first, second) = (
        world.bound(Some(3600)).await,
        world.bound_in(umbrella(), Some(3600)).await,
    );
    let whole = whole_grants(&world);
    let options = sharing(SharedGrant::End);
    let receipt = world.engine.unlink(&acme(), &first.id, options).await;
    assert_eq!(
        receipt.expect("receipt").record.affected,
        [second.resource()]
    );
    assert_eq!(*whole.lock().expect("lock"), [true]);
    assert_eq!(
        world
            .engine
            .link(&umbrella(), &second.id)
            .await
            .expect("link")
            .record
            .observed
            .stage,
        Stage::NeedsReauthorization(Cause::GrantRevoked)
    );
}

/// Where the grant is kept for the others only the token is revoked; the last one ends it.
#[tokio::test]
async fn siblings_survive() {
    let world = World::new().await;
    let (first, second) = (
        world.bound(Some(3600)).await,
        world.bound_in(umbrella(), Some(3600)).await,
    );
    let whole = whole_grants(&world);
    for link in [first, second.clone()] {
        let options = sharing(SharedGrant::Keep);
        let receipt = world
            .engine
            .unlink(&link.namespace, &link.id, options)
            .await;
        receipt.expect("receipt");
    }
    assert_eq!(*whole.lock().expect("lock"), [false, true]);
}

/// A link of another namespace by a token that a person made.
async fn by_token(world: &World, namespace: NamespaceName, token: &str) -> Link {
    let new = NewLink {
        namespace,
        ..token_link(token)
    };
    let created = world.engine.create_link(new, None).await;
    created.expect("link").link.record
}

/// A provider that ends tokens of persons by API.
async fn ending_tokens() -> World {
    let world = World::new().await;
    world
        .plugin
        .describe_as(|known| known.revocation.access_token = true);
    world
}

/// The same token in two namespaces is a shared grant: that the other link loses it is said before anything is done. Another
/// token of the same person is none.
#[tokio::test]
async fn a_token_of_two_links_is_said_before() {
    let world = ending_tokens().await;
    let first = by_token(&world, acme(), "ghp_1").await;
    let other = by_token(&world, umbrella(), "ghp_2").await;
    let unlink = |link: &Link, shared| {
        let (world, link) = (&world, link.clone());
        async move {
            let options = sharing(shared);
            world
                .engine
                .unlink(&link.namespace, &link.id, options)
                .await
        }
    };
    assert!(unlink(&other, SharedGrant::Refuse).await.is_ok());
    let second = by_token(&world, umbrella(), "ghp_1").await;
    let refused = unlink(&first, SharedGrant::Refuse).await;
    let refused = refused.expect_err("shared");
    assert_eq!(refused.reason, Reason::GrantShared);
    assert!(refused.metadata.contains(&("hidden_links", "1".to_owned())));
    assert!(!format!("{refused:?}").contains("ghp_1"));
    let preview = world.engine.preview_unlink(&acme(), &first.id).await;
    assert_eq!(preview.expect("preview").affected, [second.resource()]);
    assert!(world.fetch(&first.id).await.is_ok());
    let receipt = unlink(&first, SharedGrant::End).await.expect("receipt");
    assert_eq!(receipt.record.affected, [second.resource()]);
    assert_eq!(world.plugin.count(OperationKind::Revoke), 2);
    let second = world.engine.link(&umbrella(), &second.id).await;
    assert_eq!(
        second.expect("link").record.observed.stage,
        Stage::NeedsReauthorization(Cause::GrantRevoked)
    );
}

/// A token that others keep is not ended, and the receipt says so; the last link that holds it ends it.
#[tokio::test]
async fn a_token_that_others_hold_stays() {
    let world = ending_tokens().await;
    let first = by_token(&world, acme(), "ghp_1").await;
    let second = by_token(&world, umbrella(), "ghp_1").await;
    let mut told = Vec::new();
    for link in [&first, &second] {
        let options = sharing(SharedGrant::Keep);
        let receipt = world
            .engine
            .unlink(&link.namespace, &link.id, options)
            .await;
        let receipt = receipt.expect("receipt").record;
        assert_eq!(outcome(&receipt, StepKind::RevokeGrant), Outcome::Done);
        let mut steps = receipt.steps.into_iter();
        let step = steps.find(|step| step.kind == StepKind::RevokeGrant);
        told.push((
            step.expect("step").message.contains("other links hold"),
            world.plugin.count(OperationKind::Revoke),
        ));
    }
    assert_eq!(told, [(true, 0), (false, 1)]);
}

/// Where no API ends a token nobody loses it, and nobody is sent to a page to delete what others hold.
#[tokio::test]
async fn a_token_that_a_person_deletes_ends_for_nobody_else() {
    let world = World::new().await;
    let first = by_token(&world, acme(), "ghp_1").await;
    by_token(&world, umbrella(), "ghp_1").await;
    let preview = world.engine.preview_unlink(&acme(), &first.id).await;
    let preview = preview.expect("preview");
    assert!(preview.affected.is_empty());
    assert!(preview.steps.iter().all(|step| step.outcome.is_none()));
    let options = UnlinkOptions::default();
    let receipt = world.engine.unlink(&acme(), &first.id, options).await;
    let receipt = receipt.expect("receipt").record;
    assert_eq!(outcome(&receipt, StepKind::RevokeGrant), Outcome::Done);
    assert_eq!(world.plugin.count(OperationKind::Revoke), 0);
}

/// A forge that was configured twice gives one grant to one client, whichever of both hosts a link is on; another client, or
/// another forge, has grants of its own.
#[tokio::test]
async fn one_forge_under_two_names_shares_grants() {
    let world = World::new().await;
    let first = world.bound(Some(3600)).await;
    let mut second = world.bound_in(umbrella(), Some(3600)).await;
    let here = world.engine.host(&host_name()).await.expect("host").record;
    let inside = HostName::parse("inside").expect("name");
    second.host = inside.clone();
    let key = Key::Link(umbrella(), second.id.clone());
    world.put(key, Record::Link(second.clone())).await;
    let cases = [
        ("https://forge.example", "client", true),
        ("https://forge.example", "another", false),
        ("https://other.example", "client", false),
    ];
    for (internal, client, shared) in cases {
        let mut twin = here.clone();
        twin.name = inside.clone();
        twin.web_url = "https://forge.internal".to_owned();
        twin.api_url = "https://forge.internal/api".to_owned();
        twin.internal_web_url = internal.to_owned();
        twin.oauth_client_id = Some(client.to_owned());
        world
            .put(Key::Host(inside.clone()), Record::Host(twin))
            .await;
        let preview = world.engine.preview_unlink(&acme(), &first.id).await;
        let expected: Vec<_> = shared.then(|| second.resource()).into_iter().collect();
        assert_eq!(
            preview.expect("preview").affected,
            expected,
            "{internal} {client}"
        );
    }
}

/// One installation of an app that several links stand on is a shared grant as well.
#[tokio::test]
async fn a_shared_installation_is_said_before() {
    let world = World::new().await;
    world.give_app().await;
    let (one, two, other) = (
        world.installed("l1", "42").await,
        world.installed("l2", "42").await,
        world.installed("l3", "43").await,
    );
    let unlink = |link, shared| {
        let world = &world;
        async move { world.engine.unlink(&acme(), link, sharing(shared)).await }
    };
    let refused = unlink(&one, SharedGrant::Refuse).await.expect_err("shared");
    assert_eq!(refused.reason, Reason::GrantShared);
    assert!(unlink(&other, SharedGrant::Refuse).await.is_ok());
    let whole = whole_grants(&world);
    assert!(unlink(&one, SharedGrant::End).await.is_ok());
    assert_eq!(*whole.lock().expect("lock"), [true]);
    assert_eq!(
        world.read(&two).await.observed.stage,
        Stage::NeedsReauthorization(Cause::GrantRevoked)
    );
}

/// A provider with a revocation endpoint: the refresh token ends first, then the access token, and the plugin is not asked.
#[tokio::test]
async fn o10_the_revocation_endpoint_ends_both_tokens() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world
        .plugin
        .describe_as(|known| known.endpoints.revoke = "{web}/oauth/revoke".to_owned());
    let receipt = world
        .engine
        .unlink(&acme(), &link, UnlinkOptions::default())
        .await
        .expect("receipt")
        .record;
    assert_eq!(outcome(&receipt, StepKind::RevokeGrant), Outcome::Done);
    let ended = world.forge.ended.lock().expect("lock").clone();
    let pair = [
        (TokenHint::Refresh, "r1".to_owned()),
        (TokenHint::Access, "a1".to_owned()),
    ];
    assert_eq!(ended, pair);
    assert_eq!(world.plugin.count(OperationKind::Revoke), 0);
}

/// A client that the endpoint refuses has revoked nothing, and the receipt says what it waits for, and until when.
#[tokio::test]
async fn o10_a_refused_client_has_revoked_nothing() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world
        .plugin
        .describe_as(|known| known.endpoints.revoke = "{web}/oauth/revoke".to_owned());
    let answers = [RevokeOutcome::ClientRefused, RevokeOutcome::ClientRefused];
    world
        .forge
        .revocations
        .lock()
        .expect("lock")
        .extend(answers);
    let options = || UnlinkOptions {
        actor: "uid:7".to_owned(),
        ..UnlinkOptions::default()
    };
    let waits = world.engine.unlink(&acme(), &link, options()).await;
    assert_eq!(waits.expect_err("refused").reason, Reason::ClientRefused);
    let receipt = world.engine.receipt(&acme(), &link).await.expect("receipt");
    let receipt = receipt.record;
    assert_eq!(receipt.actor, "uid:7");
    let step = |kind| receipt.steps.iter().find(|step| step.kind == kind);
    let waiting = step(StepKind::RevokeGrant).expect("step");
    assert!(waiting.retry.is_some() && waiting.finished.is_none());
    assert!(
        step(StepKind::StopHandOut)
            .expect("step")
            .finished
            .is_some()
    );
    let forced = UnlinkOptions {
        force: true,
        ..options()
    };
    let left = world.engine.unlink(&acme(), &link, forced).await;
    let reason = "CLIENT_REFUSED".to_owned();
    assert_eq!(
        outcome(&left.expect("receipt").record, StepKind::RevokeGrant),
        Outcome::Failed { reason }
    );
}

/// A preview of what no API can do names the page, and does nothing.
#[tokio::test]
async fn a_preview_names_the_page() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world.plugin.describe_as(|known| {
        known.revocation.oauth = false;
        known.revocation.oauth_page = "{web}/settings/applications/{client_id}".to_owned();
    });
    let preview = world.engine.preview_unlink(&acme(), &link).await;
    let host = world.engine.host(&host_name()).await.expect("host").record;
    let client = host.oauth_client_id.expect("client");
    let action_uri = format!("https://forge.example/settings/applications/{client}");
    assert_eq!(
        outcome(&preview.expect("preview"), StepKind::RevokeGrant),
        Outcome::Impossible { action_uri }
    );
    assert_eq!(world.read(&link).await.observed.stage, Stage::Bound);
}
