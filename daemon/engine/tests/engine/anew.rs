//! ReauthorizeLink: same id, and the old grant works until the new one is bound.

use std::{collections::BTreeSet, time::Duration};

use bindery_core::{
    link::{Cause, Link, Stage},
    name::LinkId,
    problem::Reason,
    provider::{Identity, OperationKind, Output, TokenFacts},
    secret::Secret,
};
use bindery_engine::{
    RequestKey,
    flows::Shown,
    links::{Created, Method, PermissionKey, Reauthorize},
    unlink::UnlinkOptions,
};

use crate::support::{World, acme, octo, says, token_link};

fn anew(link: &LinkId, method: Option<Method>) -> Reauthorize {
    Reauthorize {
        namespace: acme(),
        id: link.clone(),
        method,
        permissions: BTreeSet::new(),
        allow_identity_change: false,
        allow_personal_account: false,
        principal: "uid:1000".to_owned(),
        expect: None,
        validate_only: false,
    }
}

fn token(text: &str) -> Option<Method> {
    Some(Method::AccessToken {
        token: Secret::new(text.to_owned()),
        username: String::new(),
    })
}

fn flow_of(created: &Created) -> String {
    let uri = &created.authorization.as_ref().expect("authorization").uri;
    uri.rsplit('/').next().expect("flow").to_owned()
}

fn hubot(world: &World) {
    world.plugin.on("Identify", |_| {
        Ok(Output::Identity(Identity {
            stable_id: "1".to_owned(),
            login: "hubot".to_owned(),
            ..octo()
        }))
    });
}

async fn handed_out(world: &World, link: &Link) -> String {
    let credential = world.fetch(&link.id).await.expect("token");
    credential.token.expose().to_owned()
}

/// The person's way: the link stays bound and hands out its old token until the confirmation, and the new one from then on.
#[tokio::test]
async fn the_old_grant_works_until_the_new_one_is_bound() {
    let world = World::new().await;
    let whole = crate::unlink::whole_grants(&world);
    let link = world.bound(Some(3600)).await;
    assert_eq!(handed_out(&world, &link).await, "a1");
    let created = world
        .engine
        .reauthorize_link(anew(&link.id, None), None)
        .await
        .expect("started");
    let flow = flow_of(&created);
    assert!(created.link.record.flow.expect("flow").reauthorization);
    world.consent(&flow, "cookie").await.expect("callback");
    let waiting = world.read(&link.id).await;
    assert_eq!(waiting.observed.stage, Stage::Bound);
    let shown = waiting.flow.expect("flow").identity.expect("identity");
    assert_eq!(shown.login, "octo");
    assert_eq!(handed_out(&world, &link).await, "a1");
    let view = world
        .engine
        .confirm_view(&flow, "cookie")
        .await
        .expect("page");
    assert!(view.reauthorization);
    let code = view.confirm_code.expose();
    let bound = world
        .engine
        .confirm_in_browser(&flow, code, "cookie", Shown::default())
        .await
        .expect("bound")
        .link
        .record;
    assert_eq!((bound.id.clone(), bound.generation), (link.id.clone(), 2));
    assert_eq!(bound.flow, None);
    assert_eq!(handed_out(&world, &link).await, "a2");
    // The old token is ended, and it alone: this forge would end the new one with the whole grant.
    while world.plugin.count(OperationKind::Revoke) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*whole.lock().expect("lock"), [false]);
}

/// A token is looked at and bound at once, and the grant in whose place it comes is revoked.
#[tokio::test]
async fn a_token_takes_the_place_of_a_grant_at_once() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await;
    let created = world
        .engine
        .reauthorize_link(anew(&link.id, token("t0k")), None)
        .await
        .expect("bound");
    let bound = created.link.record;
    assert_eq!((bound.id.clone(), bound.generation), (link.id.clone(), 2));
    assert_eq!(handed_out(&world, &link).await, "t0k");
    while world.plugin.count(OperationKind::Revoke) == 0 {
        tokio::task::yield_now().await;
    }
}

/// A dead link comes back to life, with nothing left of the old grant's journal.
#[tokio::test]
async fn a_dead_link_is_bound_again() {
    let world = World::new().await;
    let link = world.bound(None).await;
    world.plugin.on("Identify", |_| {
        Err(crate::support::failure(
            bindery_core::provider::FailureCode::Unauthenticated,
        ))
    });
    world
        .engine
        .check_link(&acme(), &link.id, false)
        .await
        .expect("checked");
    let dead = world.read(&link.id).await.observed.stage;
    assert_eq!(dead, Stage::NeedsReauthorization(Cause::TokenRefused));
    world.plugin.forget("Identify");
    let created = world
        .engine
        .reauthorize_link(anew(&link.id, token("t0k")), None)
        .await
        .expect("bound");
    assert_eq!(created.link.record.observed.stage, Stage::Bound);
    assert_eq!(handed_out(&world, &link).await, "t0k");
}

/// O7: another identity is refused, by token and by consent, and the link stays as it was; where the caller wants it, it
/// takes the place of the old one.
#[tokio::test]
async fn o7_another_identity_is_refused_unless_it_is_wanted() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await;
    hubot(&world);
    let by_token = world
        .engine
        .reauthorize_link(anew(&link.id, token("t0k")), None)
        .await;
    assert_eq!(
        by_token.expect_err("other").reason,
        Reason::IdentityMismatch
    );
    let created = world
        .engine
        .reauthorize_link(anew(&link.id, None), None)
        .await
        .expect("started");
    let consent = world.consent(&flow_of(&created), "cookie").await;
    assert_eq!(consent.expect_err("other").reason, Reason::IdentityMismatch);
    let same = world.read(&link.id).await;
    assert_eq!((same.observed.stage, same.flow), (Stage::Bound, None));
    assert_eq!(same.identity.expect("identity").login, "octo");
    assert_eq!(handed_out(&world, &link).await, "a1");
    let wanted = Reauthorize {
        allow_identity_change: true,
        ..anew(&link.id, token("t0k"))
    };
    let changed = world.engine.reauthorize_link(wanted, None).await;
    let changed = changed.expect("bound").link.record;
    assert_eq!(changed.identity.expect("identity").login, "hubot");
}

/// Step-up: more permissions on the same link; the forge is asked for their scopes, and the link keeps them.
#[tokio::test]
async fn step_up_asks_for_more_on_the_same_link() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await;
    assert_eq!(link.permissions.len(), 1);
    let more = Reauthorize {
        permissions: [PermissionKey::ReadCode].into(),
        ..anew(&link.id, None)
    };
    let created = world.engine.reauthorize_link(more, None).await;
    let created = created.expect("started");
    let flow = flow_of(&created);
    let url = world
        .engine
        .leave_for_forge(&flow, "cookie")
        .await
        .expect("URL");
    assert_eq!(crate::support::query(&url, "scope"), "user repo");
    assert_eq!(world.read(&link.id).await.permissions.len(), 1);
    world.consent(&flow, "cookie").await.expect("callback");
    let code = world
        .engine
        .confirm_view(&flow, "cookie")
        .await
        .expect("page")
        .confirm_code;
    world
        .engine
        .confirm_in_browser(&flow, code.expose(), "cookie", Shown::default())
        .await
        .expect("bound");
    let bound = world.read(&link.id).await;
    assert_eq!(bound.permissions.len(), 2);
    assert_eq!(bound.requested_scopes, ["user", "repo"]);
}

/// A token that lacks what the link needs changes nothing.
#[tokio::test]
async fn a_weaker_token_changes_nothing() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await;
    world.plugin.on("InspectToken", |_| {
        Ok(Output::TokenFacts(TokenFacts {
            scopes: Some(vec!["user".to_owned()]),
            expires: None,
            active: true,
        }))
    });
    let more = Reauthorize {
        permissions: [PermissionKey::ReadCode].into(),
        ..anew(&link.id, token("t0k"))
    };
    let refused = world.engine.reauthorize_link(more, None).await;
    assert_eq!(refused.expect_err("scope").reason, Reason::ScopeMissing);
    assert_eq!(world.read(&link.id).await, link);
}

/// Cancelling, declining and waiting too long give the pending grant back; the link is as it was.
#[tokio::test]
async fn what_is_not_confirmed_leaves_the_link_as_it_was() {
    for how in ["cancel", "decline", "wait"] {
        let world = World::new().await;
        let link = world
            .engine
            .create_link(token_link("t0k"), None)
            .await
            .expect("link")
            .link
            .record;
        let by_oauth = Some(Method::OAuthCode { return_to: None });
        let created = world
            .engine
            .reauthorize_link(anew(&link.id, by_oauth), None)
            .await
            .expect("started");
        let flow = flow_of(&created);
        world.consent(&flow, "cookie").await.expect("callback");
        let view = world.engine.confirm_view(&flow, "cookie").await;
        let code = view.expect("page").confirm_code;
        let engine = &world.engine;
        match how {
            "cancel" => {
                let cancelled = engine.cancel_link(&acme(), &link.id, None, None).await;
                cancelled.expect("cancelled");
                let again = engine.cancel_link(&acme(), &link.id, None, None).await;
                assert_eq!(again.expect_err("over").reason, Reason::FlowUsed);
            }
            "decline" => engine
                .decline_in_browser(&flow, code.expose(), "cookie")
                .await
                .expect("declined"),
            _ => {
                world.clock.advance(Duration::from_secs(601));
                engine.sweep().await.expect("sweep");
            }
        }
        while world.plugin.count(OperationKind::Revoke) == 0 {
            tokio::task::yield_now().await;
        }
        let same = world.read(&link.id).await;
        assert_eq!(
            (same.observed.stage, same.flow),
            (Stage::Bound, None),
            "{how}"
        );
        assert_eq!(same.generation, 1);
        let late = engine
            .confirm_in_browser(&flow, code.expose(), "cookie", Shown::default())
            .await;
        assert_eq!(late.expect_err(how).reason, Reason::FlowExpired);
        let credential = world.fetch(&link.id).await.expect("token");
        assert_eq!(credential.token.expose(), "t0k");
    }
}

/// A forge that is away is asked again by the sweep to revoke what was not confirmed, also after a restart.
#[tokio::test]
async fn what_was_not_revoked_is_tried_again() {
    let mut world = World::new().await;
    let created = world.engine.create_link(token_link("t0k"), None).await;
    let link = created.expect("link").link.record;
    let by_oauth = Some(Method::OAuthCode { return_to: None });
    let created = world
        .engine
        .reauthorize_link(anew(&link.id, by_oauth), None)
        .await
        .expect("started");
    world
        .consent(&flow_of(&created), "cookie")
        .await
        .expect("callback");
    world.plugin.on("Revoke", |_| {
        Err(crate::support::failure(
            bindery_core::provider::FailureCode::Upstream,
        ))
    });
    world
        .engine
        .cancel_link(&acme(), &link.id, None, None)
        .await
        .expect("cancelled");
    while world.plugin.count(OperationKind::Revoke) == 0 {
        tokio::task::yield_now().await;
    }
    world.restart().await;
    world.plugin.forget("Revoke");
    world.engine.sweep().await.expect("sweep");
    assert_eq!(world.plugin.count(OperationKind::Revoke), 2);
    world.engine.sweep().await.expect("sweep");
    assert_eq!(world.plugin.count(OperationKind::Revoke), 2);
}

/// One authorization of a link at a time; a pending link has nothing to authorize anew, and an unlinked one no more.
#[tokio::test]
async fn only_a_link_that_was_bound_is_authorized_anew() {
    let world = World::new().await;
    let (pending, _) = world.flow().await;
    let start = |id: LinkId| world.engine.reauthorize_link(anew(&id, None), None);
    let asked = world
        .engine
        .reauthorize_link(anew(&pending, None), None)
        .await;
    assert_eq!(asked.expect_err("pending").reason, Reason::LinkNotBound);
    let link = world.bound(Some(3600)).await.id;
    start(link.clone()).await.expect("started");
    let second = start(link.clone()).await.expect_err("second");
    assert_eq!(second.reason, Reason::FlowPending);
    let by_token = world
        .engine
        .reauthorize_link(anew(&link, token("t0k")), None)
        .await;
    assert_eq!(by_token.expect_err("second").reason, Reason::FlowPending);
    world.clock.advance(Duration::from_secs(601));
    start(link.clone()).await.expect("the first one is over");
    world
        .engine
        .unlink(&acme(), &link, UnlinkOptions::default())
        .await
        .expect("receipt");
    let over = start(link).await.expect_err("unlinked");
    assert_eq!(over.reason, Reason::LinkUnlinked);
}

/// A link that was authorized by a token can't be authorized "as the last time": nobody keeps a token to give it again.
#[tokio::test]
async fn tokens_are_not_given_twice() {
    let world = World::new().await;
    let created = world.engine.create_link(token_link("t0k"), None).await;
    let link = created.expect("link").link.record.id;
    let refused = world.engine.reauthorize_link(anew(&link, None), None).await;
    assert_eq!(refused.expect_err("token").reason, Reason::InvalidArgument);
}

/// An unlink in the middle ends the flow, and revokes both grants.
#[tokio::test]
async fn an_unlink_ends_it() {
    let world = World::new().await;
    let created = world.engine.create_link(token_link("t0k"), None).await;
    let link = created.expect("link").link.record;
    let by_oauth = Some(Method::OAuthCode { return_to: None });
    let created = world
        .engine
        .reauthorize_link(anew(&link.id, by_oauth), None)
        .await
        .expect("started");
    let flow = flow_of(&created);
    world.consent(&flow, "cookie").await.expect("callback");
    world
        .engine
        .unlink(&acme(), &link.id, UnlinkOptions::default())
        .await
        .expect("receipt");
    while world.plugin.count(OperationKind::Revoke) < 2 {
        tokio::task::yield_now().await;
    }
    assert!(world.engine.confirm_view(&flow, "cookie").await.is_err());
    let confirm = world
        .engine
        .confirm_by_starter(&acme(), &link.id, says("uid:1000"), None)
        .await;
    assert!(confirm.is_err());
}

/// R1, R5: a refresh of the old pair that is under way is waited for, so that its answer is not taken for one about the new.
#[tokio::test]
async fn r5_a_refresh_under_way_is_waited_for() {
    let world = World::new().await;
    let link = world.bound(Some(30)).await;
    world.clock.advance(Duration::from_secs(31));
    world.forge.hold();
    world
        .forge
        .answer(|_| bindery_core::exchange::TokenOutcome::Refused {
            error: "invalid_grant".to_owned(),
            dead: true,
        });
    let (engine, id) = (world.engine.clone(), link.id.clone());
    let wanted = crate::support::wanted(&id);
    let fetch = tokio::spawn(async move { engine.fetch_credential(&wanted).await.map(drop) });
    while world.token_calls() < 2 {
        tokio::task::yield_now().await;
    }
    let engine = world.engine.clone();
    let renewing =
        tokio::spawn(async move { engine.reauthorize_link(anew(&id, token("t0k")), None).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!renewing.is_finished());
    world.forge.release();
    renewing.await.expect("no panic").expect("bound");
    let _ = fetch.await.expect("no panic");
    let bound = world.read(&link.id).await;
    assert_eq!(bound.observed.stage, Stage::Bound);
    assert_eq!(handed_out(&world, &link).await, "t0k");
}

/// Checking stores nothing, asks for nothing that can be used, and says what would be found.
#[tokio::test]
async fn validation_changes_nothing() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await;
    for method in [None, token("t0k")] {
        let only = Reauthorize {
            validate_only: true,
            ..anew(&link.id, method)
        };
        let checked = world.engine.reauthorize_link(only, None).await;
        let checked = checked.expect("checked");
        assert!(checked.authorization.is_none());
        assert!(!checked.findings.is_empty());
        assert_eq!(world.read(&link.id).await, link);
    }
    assert_eq!(handed_out(&world, &link).await, "a1");
}

/// The same request asked twice starts one flow, and replaces one grant.
#[tokio::test]
async fn repeated_requests_act_once() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await;
    let key = |id: &str| RequestKey::new("uid:1000", "ReauthorizeLink", id, b"one");
    let start = async || {
        let ask = anew(&link.id, None);
        let created = world.engine.reauthorize_link(ask, key("1").as_ref()).await;
        flow_of(&created.expect("started"))
    };
    assert_eq!(start().await, start().await);
    world
        .engine
        .cancel_link(&acme(), &link.id, None, None)
        .await
        .expect("cancelled");
    for _ in 0..2 {
        let ask = anew(&link.id, token("t0k"));
        let bound = world.engine.reauthorize_link(ask, key("2").as_ref()).await;
        assert_eq!(bound.expect("bound").link.record.generation, 2);
    }
}
