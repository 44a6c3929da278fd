//! Two things at the same time, and stops in between: nothing is lost, nothing comes back, nothing is left behind.

use std::{sync::Arc, time::Duration};

use bindery_core::{
    link::Stage,
    name::LinkId,
    port::{Key, Record},
    problem::Reason,
    provider::{FailureCode, Identity, Input, OperationKind, Output, TokenFacts},
    receipt::{Outcome, StepKind},
};
use bindery_engine::{
    RequestKey,
    links::Reauthorize,
    unlink::{PATIENCE, UnlinkOptions},
};
use bindery_store::{Call, Fault};

use bindery_engine::flows::Shown;

use crate::support::{World, acme, failure, oauth_link, octo, query, token_link};

/// A callback that waits at the token endpoint.
async fn exchanging(
    world: &Arc<World>,
    flow: &str,
) -> tokio::task::JoinHandle<Result<(), bindery_core::problem::Problem>> {
    let before = world.token_calls();
    world.forge.hold();
    let (own, flow) = (Arc::clone(world), flow.to_owned());
    let callback = tokio::spawn(async move { own.consent(&flow, "cookie").await });
    while world.token_calls() == before {
        tokio::task::yield_now().await;
    }
    callback
}

/// O2: of two callbacks with the same state at the same time one is exchanged, and the other is told that it is over.
#[tokio::test]
async fn o2_two_callbacks_at_once_exchange_once() {
    let world = World::new().await;
    let (_, flow) = world.flow().await;
    let url = world.engine.leave_for_forge(&flow, "cookie").await;
    let state = query(&url.expect("URL"), "state");
    let (one, other) = (
        world.returned(&state, Some("cookie")).await,
        world.returned(&state, Some("cookie")).await,
    );
    let (one, other) = tokio::join!(world.engine.callback(one), world.engine.callback(other));
    let refused = one.and(other).expect_err("one of them");
    assert_eq!(refused.reason, Reason::FlowExpired);
    assert_eq!(world.token_calls(), 1);
}

/// A link that is disabled while its code is exchanged keeps its grant.
#[tokio::test]
async fn a_change_during_the_exchange_loses_no_token() {
    let world = Arc::new(World::new().await);
    let (link, flow) = world.flow().await;
    let callback = exchanging(&world, &flow).await;
    world
        .engine
        .disable_link(&acme(), &link, "audit", "uid:1000", None, None)
        .await
        .expect("disabled");
    world.forge.release();
    callback.await.expect("task").expect("granted");
    let stage = world.read(&link).await.observed.stage;
    assert_eq!(stage, Stage::PendingConfirmation);
}

/// O10: a link that is cancelled, or unlinked, while its code is exchanged stays ended, and the new token is revoked.
#[tokio::test]
async fn o10_an_end_during_the_exchange_leaves_no_token() {
    for unlink in [false, true] {
        let world = Arc::new(World::new().await);
        let (link, flow) = world.flow().await;
        let callback = exchanging(&world, &flow).await;
        if unlink {
            let options = UnlinkOptions::default();
            let receipt = world.engine.unlink(&acme(), &link, options).await;
            receipt.expect("receipt");
        } else {
            let cancelled = world.engine.cancel_link(&acme(), &link, None, None).await;
            cancelled.expect("cancelled");
        }
        world.forge.release();
        let over = callback.await.expect("task").expect_err("too late");
        assert_eq!(over.reason, Reason::FlowExpired);
        assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
        assert_eq!(world.plugin.count(OperationKind::Revoke), 1);
    }
}

/// A grant that the store does not take is given back; one that it took although it said no is kept.
#[tokio::test]
async fn a_grant_is_kept_or_given_back() {
    for (fault, revoked) in [(Fault::Fail, 1), (Fault::ApplyThenFail, 0)] {
        let world = World::new().await;
        let (_, flow) = world.flow().await;
        // The first write leaves for the forge, the second takes the state, the third keeps the grant.
        world.store.inject(Call::Commit, 3, fault);
        let callback = world.consent(&flow, "cookie").await;
        assert_eq!(callback.is_err(), revoked == 1, "{callback:?}");
        assert_eq!(world.plugin.count(OperationKind::Revoke), revoked);
    }
}

/// An unlink ends the flow of a pending link: nobody can go on with it and bring the link back.
#[tokio::test]
async fn an_unlinked_link_can_not_be_authorized() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    world
        .engine
        .unlink(&acme(), &link, UnlinkOptions::default())
        .await
        .expect("receipt");
    assert!(world.engine.start_view(&flow).await.is_err());
    assert!(world.consent(&flow, "cookie").await.is_err());
    assert_eq!(world.token_calls(), 0);
}

/// A pending link whose revocation waits can't be confirmed any more.
#[tokio::test]
async fn an_unlink_that_waits_can_not_be_confirmed() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    world.consent(&flow, "cookie").await.expect("callback");
    let view = world.engine.confirm_view(&flow, "cookie").await;
    let code = view.expect("page").confirm_code;
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Transport)));
    let options = UnlinkOptions::default();
    let waits = world.engine.unlink(&acme(), &link, options).await;
    assert!(waits.is_err());
    let confirmed = world
        .engine
        .confirm_in_browser(&flow, code.expose(), "cookie", Shown::default())
        .await;
    assert_eq!(confirmed.expect_err("over").reason, Reason::FlowExpired);
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinking);
}

/// A person who declines after somebody has confirmed is told so.
#[tokio::test]
async fn a_decline_that_comes_too_late_says_so() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    world.consent(&flow, "cookie").await.expect("callback");
    let view = world.engine.confirm_view(&flow, "cookie").await;
    let code = view.expect("page").confirm_code;
    let (confirmed, declined) = tokio::join!(
        world
            .engine
            .confirm_in_browser(&flow, code.expose(), "cookie", Shown::default()),
        world
            .engine
            .decline_in_browser(&flow, code.expose(), "cookie"),
    );
    assert_ne!(confirmed.is_ok(), declined.is_ok());
    let bound = world.read(&link).await.observed.stage == Stage::Bound;
    assert_eq!(bound, confirmed.is_ok());
}

/// A check that ends after an unlink has begun does not bring the link back.
#[tokio::test]
async fn a_check_does_not_undo_an_unlink() {
    let world = Arc::new(World::new().await);
    let link = world.bound(Some(3600)).await.id;
    let before = world.plugin.count(OperationKind::Identify);
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Transport)));
    world.plugin.hold();
    let (own, target) = (Arc::clone(&world), link.clone());
    let check = tokio::spawn(async move { own.engine.check_link(&acme(), &target, false).await });
    while world.plugin.count(OperationKind::Identify) == before {
        tokio::task::yield_now().await;
    }
    let (own, target) = (Arc::clone(&world), link.clone());
    let unlink = tokio::spawn(async move {
        let options = UnlinkOptions::default();
        own.engine.unlink(&acme(), &target, options).await
    });
    while world.plugin.count(OperationKind::Revoke) == 0 {
        tokio::task::yield_now().await;
    }
    world.plugin.release();
    check.await.expect("task").expect("checked");
    assert!(unlink.await.expect("task").is_err());
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinking);
}

/// A check that looked at the old grant says nothing about the one that the link got meanwhile: not that it is dead, not that
/// it belongs to another identity, and not that all is well.
#[tokio::test]
async fn a_check_says_nothing_about_a_newer_grant() {
    let other = || {
        let stable_id = "other".to_owned();
        Output::Identity(Identity {
            stable_id,
            ..octo()
        })
    };
    let renamed = || {
        let login = "renamed".to_owned();
        Output::Identity(Identity { login, ..octo() })
    };
    let refused = || Err(failure(FailureCode::Unauthenticated));
    for answer in [refused(), Ok(other()), Ok(renamed())] {
        let world = Arc::new(World::new().await);
        let link = world.bound(None).await.id;
        let before = world.plugin.count(OperationKind::Identify);
        world.plugin.on("Identify", move |_| answer.clone());
        world.plugin.hold();
        let (own, target) = (Arc::clone(&world), link.clone());
        let check =
            tokio::spawn(async move { own.engine.check_link(&acme(), &target, false).await });
        while world.plugin.count(OperationKind::Identify) == before {
            tokio::task::yield_now().await;
        }
        let mut anew = world.read(&link).await;
        anew.generation += 1;
        let key = Key::Link(acme(), link.clone());
        world.put(key, Record::Link(anew.clone())).await;
        world.plugin.release();
        check.await.expect("task").expect("checked");
        assert_eq!(world.read(&link).await, anew);
    }
}

/// O9: many who ask at the same time don't get past the limit together.
#[tokio::test]
async fn o9_the_limit_holds_for_many_at_once() {
    let world = Arc::new(World::new().await);
    let asked = (0..20).map(|_| world.engine.create_link(oauth_link(), None));
    let made = futures_util::future::join_all(asked).await;
    let mut open = 0;
    for made in made {
        let link = made.expect("an older one makes room").link.record.id;
        let stage = world.read(&link).await.observed.stage;
        open += usize::from(stage == Stage::PendingAuthorization);
    }
    assert_eq!(open, 5);
}

/// The same request asked twice at the same time makes one link.
#[tokio::test]
async fn one_request_at_once_makes_one_link() {
    let world = World::new().await;
    let key = RequestKey::new("uid:1000", "CreateLink", "6c5f", b"one");
    let create = || world.engine.create_link(token_link("ghp_1"), key.as_ref());
    let (one, other) = tokio::join!(create(), create());
    assert_eq!(
        one.expect("link").link.record.id,
        other.expect("link").link.record.id
    );
}

/// O8: what the forge granted less, or more, than was asked for is told while the link is pending.
#[tokio::test]
async fn o8_other_scopes_than_asked_for_are_told() {
    for (scopes, said, extra) in [
        (vec!["user"], "must confirm", vec![]),
        (vec!["user", "admin"], "granted more", vec!["admin"]),
        (
            vec!["repo"],
            "granted less than was asked for (user)",
            vec!["repo"],
        ),
    ] {
        let world = World::new().await;
        let (link, flow) = world.flow().await;
        let scopes: Vec<_> = scopes.into_iter().map(str::to_owned).collect();
        world.plugin.on("InspectToken", move |_| {
            Ok(Output::TokenFacts(TokenFacts {
                scopes: Some(scopes.clone()),
                expires: None,
                active: true,
            }))
        });
        world.consent(&flow, "cookie").await.expect("callback");
        let observed = world.read(&link).await.observed;
        assert_eq!(observed.stage, Stage::PendingConfirmation);
        assert!(observed.message.contains(said), "{}", observed.message);
        let view = world.engine.confirm_view(&flow, "cookie").await;
        assert_eq!(view.expect("page").extra, extra);
    }
}

/// A token that the forge calls inactive, and one whose prefix says that no person made it, are not kept.
#[tokio::test]
async fn a_token_of_the_wrong_kind_is_not_kept() {
    let world = World::new().await;
    let app = world.engine.create_link(token_link("fa_1"), None).await;
    assert_eq!(app.expect_err("kind").reason, Reason::InvalidArgument);
    world.plugin.on("InspectToken", |_| {
        Ok(Output::TokenFacts(TokenFacts::default()))
    });
    let dead = world.engine.create_link(token_link("ghp_1"), None).await;
    assert_eq!(dead.expect_err("inactive").reason, Reason::TokenRefused);
}

/// O10: that an expired token is not known does not prove that the grant is gone: while it can't be refreshed the unlink
/// waits, and it goes on with a good token.
#[tokio::test]
async fn o10_an_old_token_proves_nothing() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world.clock.advance(Duration::from_secs(3601));
    let limited = || bindery_core::problem::Problem::new(Reason::ProviderRateLimited, "slow down");
    world
        .forge
        .answer(move |_| bindery_core::exchange::TokenOutcome::NotNow(limited()));
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Unauthenticated)));
    let options = UnlinkOptions::default();
    let waits = world.engine.unlink(&acme(), &link, options).await;
    assert_eq!(
        waits.expect_err("waits").reason,
        Reason::ProviderRateLimited
    );
    world.clock.advance(Duration::from_secs(60));
    world.engine.sweep().await.expect("sweep");
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
}

/// O10: an unlink that can't revoke is tried less and less often, and given up after a week, with a receipt that says so.
#[tokio::test]
async fn o10_an_unlink_is_not_tried_for_ever() {
    let world = World::new().await;
    let link = world.bound(None).await.id;
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Transport)));
    let options = UnlinkOptions::default();
    assert!(world.engine.unlink(&acme(), &link, options).await.is_err());
    for _ in 0..2 * 3600 / 30 {
        world.clock.advance(Duration::from_secs(30));
        world.engine.sweep().await.expect("sweep");
    }
    let tries = world.plugin.count(OperationKind::Revoke);
    assert!((3..40).contains(&tries), "{tries}");
    world.clock.advance(PATIENCE);
    world.engine.sweep().await.expect("sweep");
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
    let receipt = world.engine.receipt(&acme(), &link).await.expect("receipt");
    let reason = "HOST_UNREACHABLE".to_owned();
    let revoke = receipt
        .record
        .steps
        .into_iter()
        .find(|step| step.kind == StepKind::RevokeGrant);
    assert_eq!(
        revoke.expect("step").outcome,
        Some(Outcome::Failed { reason })
    );
}

/// A forced unlink does not settle for the one that is under way without force.
#[tokio::test]
async fn force_goes_beyond_the_unlink_that_runs() {
    let world = Arc::new(World::new().await);
    let link = world.bound(Some(3600)).await.id;
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Transport)));
    world.plugin.hold();
    let (own, target) = (Arc::clone(&world), link.clone());
    let patient = tokio::spawn(async move {
        let options = UnlinkOptions::default();
        own.engine.unlink(&acme(), &target, options).await
    });
    while world.plugin.count(OperationKind::Revoke) == 0 {
        tokio::task::yield_now().await;
    }
    let options = UnlinkOptions {
        force: true,
        ..UnlinkOptions::default()
    };
    let target = acme();
    let forced = world.engine.unlink(&target, &link, options);
    let release = async {
        tokio::task::yield_now().await;
        world.plugin.release();
    };
    let (forced, ()) = tokio::join!(forced, release);
    assert!(patient.await.expect("task").is_err());
    assert!(forced.expect("receipt").record.finished.is_some());
}

/// A defect in one try of an unlink does not block the next.
#[tokio::test]
async fn a_panic_blocks_nothing() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world.plugin.on("Revoke", |_| panic!("a defect"));
    let unlink = || {
        let options = UnlinkOptions::default();
        world.engine.unlink(&NAMESPACE, &link, options)
    };
    assert_eq!(unlink().await.expect_err("defect").reason, Reason::Internal);
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Unauthenticated)));
    assert!(unlink().await.expect("receipt").record.finished.is_some());
}

static NAMESPACE: std::sync::LazyLock<bindery_core::name::NamespaceName> =
    std::sync::LazyLock::new(acme);

/// A pending link whose identity is not known may be a sibling's, so its end leaves the authorization as a whole alone.
#[tokio::test]
async fn an_unknown_identity_may_be_a_siblings() {
    let world = World::new().await;
    world.bound(Some(3600)).await;
    let (_, flow) = world.flow().await;
    world
        .plugin
        .on("Identify", |_| Err(failure(FailureCode::Upstream)));
    world.consent(&flow, "cookie").await.expect("callback");
    let (whole, seen) = std::sync::mpsc::channel();
    world.plugin.on("Revoke", move |call| {
        if let Input::Revoke { whole_grant } = call.input {
            whole.send(whole_grant).expect("test");
        }
        Err(failure(FailureCode::Unauthenticated))
    });
    world.clock.advance(Duration::from_secs(601));
    world.engine.sweep().await.expect("sweep");
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [false]);
}

/// An unlink of a link that ended before it was authorized answers with a receipt, not with an error.
#[tokio::test]
async fn a_link_that_never_was_has_a_receipt() {
    let world = World::new().await;
    let (link, _) = world.flow().await;
    world
        .engine
        .cancel_link(&acme(), &link, None, None)
        .await
        .expect("cancelled");
    let options = UnlinkOptions::default();
    let receipt = world.engine.unlink(&acme(), &link, options).await;
    assert!(receipt.expect("receipt").record.finished.is_some());
}

/// O10: the daemon stops between presenting a code and keeping what came of it. The grant may be at the forge and nowhere
/// else, so the link says so, with the page where a person removes it; one that was bound before goes on.
#[tokio::test]
async fn o10_a_stop_during_the_exchange_says_what_may_be_left() {
    for anew in [false, true] {
        let mut world = Arc::new(World::new().await);
        world.plugin.describe_as(|known| {
            known.revocation.oauth_page = "{web}/applications/{client_id}".to_owned();
        });
        let (link, flow) = if anew {
            being_authorized_anew(&world).await
        } else {
            world.flow().await
        };
        let callback = exchanging(&world, &flow).await;
        callback.abort();
        assert!(callback.await.is_err());
        Arc::get_mut(&mut world).expect("alone").restart().await;
        let link = world.read(&link).await;
        let stage = if anew { Stage::Bound } else { Stage::Unlinked };
        assert_eq!((link.observed.stage, link.flow), (stage, None));
        assert_eq!(
            link.observed.action_uri,
            "https://forge.example/applications/client"
        );
        let message = link.observed.message;
        assert!(message.contains("may hold an authorization"), "{message}");
    }
}

/// A bound link and the flow that is to authorize it anew.
async fn being_authorized_anew(world: &World) -> (LinkId, String) {
    let id = world.bound(Some(3600)).await.id;
    let ask = Reauthorize {
        namespace: acme(),
        id: id.clone(),
        method: None,
        permissions: std::collections::BTreeSet::new(),
        allow_identity_change: false,
        allow_personal_account: false,
        principal: "uid:1000".to_owned(),
        expect: None,
        validate_only: false,
    };
    let started = world.engine.reauthorize_link(ask, None).await;
    let uri = started.expect("started").authorization.expect("URL").uri;
    (id, uri.rsplit('/').next().expect("flow").to_owned())
}
