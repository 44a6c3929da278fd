//! THREATS O1-O9: whose link it becomes, and who may say so; what a token must be able to do before it is kept.

use std::{collections::BTreeSet, time::Duration};

use bindery_core::{
    link::{Cause, Desired, Stage, Wish},
    problem::{Problem, Reason},
    provider::{FailureCode, OperationKind, Output, TokenFacts},
};
use bindery_engine::{
    RequestKey,
    flows::{Shown, StarterSays},
    hosts::HostUpdate,
    links::{Created, Method, PermissionKey},
};

use crate::support::{
    World, acme, failure, host_name, oauth_link, query, says, token_link, umbrella,
};

/// The whole way: pending, at the forge, pending confirmation, bound; the token is handed out only at the end.
#[tokio::test]
async fn a_link_is_bound_only_when_confirmed() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    assert_eq!(
        world.fetch(&link).await.expect_err("pending").reason,
        Reason::LinkNotBound
    );
    world.consent(&flow, "cookie").await.expect("callback");
    assert_eq!(
        world.read(&link).await.observed.stage,
        Stage::PendingConfirmation
    );
    assert_eq!(
        world.fetch(&link).await.expect_err("pending").reason,
        Reason::LinkNotBound
    );
    let view = world
        .engine
        .confirm_view(&flow, "cookie")
        .await
        .expect("page");
    assert_eq!(
        (view.identity.login.as_str(), view.requester.as_str()),
        ("octo", "uid:1000")
    );
    world
        .engine
        .confirm_in_browser(
            &flow,
            view.confirm_code.expose(),
            "cookie",
            Shown::default(),
        )
        .await
        .expect("bound");
    let credential = world.fetch(&link).await.expect("token");
    assert_eq!(
        (credential.token.expose(), credential.git_username.as_str()),
        ("a1", "octo")
    );
}

/// O2: the authorization request carries a fresh state, an S256 challenge, and the host's own redirect path.
#[tokio::test]
async fn o2_the_authorization_request_is_bound() {
    let world = World::new().await;
    let (_, flow) = world.flow().await;
    let url = world
        .engine
        .leave_for_forge(&flow, "cookie")
        .await
        .expect("URL");
    assert_eq!(query(&url, "code_challenge_method"), "S256");
    assert_eq!(query(&url, "code_challenge").len(), 43);
    let state = query(&url, "state");
    assert_eq!(state.rsplit_once('.').expect("flow and ticket").1.len(), 43);
    assert!(query(&url, "redirect_uri").starts_with("https://bindery.example/oauth/"));
    let again = world
        .engine
        .leave_for_forge(&flow, "cookie")
        .await
        .expect("URL");
    assert_ne!(query(&url, "state"), query(&again, "state"));
}

/// O1, O2: forged and replayed callbacks, another browser, no browser, an old state: no code is exchanged.
#[tokio::test]
async fn o1_o2_tampered_callbacks_exchange_nothing() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    let url = world
        .engine
        .leave_for_forge(&flow, "cookie")
        .await
        .expect("URL");
    let state = query(&url, "state");
    for (state, cookie) in [
        ("forged", Some("cookie")),
        (state.as_str(), Some("other")),
        (state.as_str(), None),
    ] {
        let returned = world.returned(state, cookie).await;
        assert!(world.engine.callback(returned).await.is_err());
    }
    let mut foreign = world.returned(&state, Some("cookie")).await;
    foreign.redirect_id = "elsewhere";
    assert_eq!(
        world
            .engine
            .callback(foreign)
            .await
            .expect_err("host")
            .reason,
        Reason::FlowMismatch
    );
    assert_eq!(world.token_calls(), 0);
    assert_eq!(
        world.read(&link).await.observed.stage,
        Stage::PendingAuthorization
    );

    world
        .engine
        .callback(world.returned(&state, Some("cookie")).await)
        .await
        .expect("the right one");
    let replay = world
        .engine
        .callback(world.returned(&state, Some("cookie")).await)
        .await;
    assert_eq!(replay.expect_err("replay").reason, Reason::FlowExpired);
    assert_eq!(world.token_calls(), 1);
}

/// O1: a second browser can't take over a flow that another one has started, nor confirm it.
#[tokio::test]
async fn o1_the_browser_that_starts_finishes() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    world
        .engine
        .leave_for_forge(&flow, "victim")
        .await
        .expect("URL");
    let stolen = world.engine.leave_for_forge(&flow, "attacker").await;
    assert_eq!(
        stolen.expect_err("another browser").reason,
        Reason::FlowMismatch
    );
    world.consent(&flow, "victim").await.expect("callback");
    let view = world
        .engine
        .confirm_view(&flow, "victim")
        .await
        .expect("page");
    assert!(world.engine.confirm_view(&flow, "attacker").await.is_err());
    let code = view.confirm_code.expose();
    assert!(
        world
            .engine
            .confirm_in_browser(&flow, code, "attacker", Shown::default())
            .await
            .is_err()
    );
    assert!(
        world
            .engine
            .confirm_in_browser(&flow, "guess", "victim", Shown::default())
            .await
            .is_err()
    );
    let namespace = acme();
    let starter = |principal| {
        let says = StarterSays {
            code: Some("guess"),
            ..says(principal)
        };
        world
            .engine
            .confirm_by_starter(&namespace, &link, says, None)
    };
    assert!(starter("uid:1000").await.is_err());
    assert_eq!(
        world.read(&link).await.observed.stage,
        Stage::PendingConfirmation
    );
}

/// O1: the starter confirms by API with the page's code; another principal with the same code does not.
#[tokio::test]
async fn o1_the_starter_confirms_with_the_code() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    world.consent(&flow, "cookie").await.expect("callback");
    let code = world
        .engine
        .confirm_view(&flow, "cookie")
        .await
        .expect("page")
        .confirm_code;
    let namespace = acme();
    let confirm = |principal, identity| {
        let says = StarterSays {
            code: Some(code.expose()),
            identity,
            ..says(principal)
        };
        world
            .engine
            .confirm_by_starter(&namespace, &link, says, None)
    };
    assert_eq!(
        confirm("uid:1001", None).await.expect_err("other").reason,
        Reason::FlowMismatch
    );
    assert_eq!(
        confirm("uid:1000", Some("1"))
            .await
            .expect_err("identity")
            .reason,
        Reason::IdentityMismatch
    );
    assert_eq!(
        confirm("uid:1000", Some("583231"))
            .await
            .expect("bound")
            .link
            .record
            .observed
            .stage,
        Stage::Bound
    );
}

/// O1: a grant that nobody confirms for ten minutes is revoked, and its link is gone.
#[tokio::test]
async fn o1_an_unconfirmed_grant_is_revoked() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    world.consent(&flow, "cookie").await.expect("callback");
    world.clock.advance(Duration::from_secs(601));
    world.engine.sweep().await.expect("sweep");
    world.engine.sweep().await.expect("sweep");
    assert!(
        world
            .plugin
            .calls
            .lock()
            .expect("lock")
            .contains(&OperationKind::Revoke)
    );
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
    assert!(world.engine.confirm_view(&flow, "cookie").await.is_err());
}

/// "This is not me" revokes at once.
#[tokio::test]
async fn declining_revokes() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    world.consent(&flow, "cookie").await.expect("callback");
    let code = world
        .engine
        .confirm_view(&flow, "cookie")
        .await
        .expect("page")
        .confirm_code;
    world
        .engine
        .decline_in_browser(&flow, code.expose(), "cookie")
        .await
        .expect("declined");
    world.engine.sweep().await.expect("sweep");
    assert!(
        world
            .plugin
            .calls
            .lock()
            .expect("lock")
            .contains(&OperationKind::Revoke)
    );
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
}

/// O9: five open flows of each namespace. The oldest one that nobody followed makes room; where all were followed there is
/// none until they end, and neither another namespace of the registry nor another registry is held back.
#[tokio::test]
async fn o9_open_flows_are_limited() {
    let world = World::new().await;
    let mut flows = Vec::new();
    for _ in 0..5 {
        flows.push(world.flow().await);
        world.clock.advance(Duration::from_secs(1));
    }
    world.flow().await;
    let (oldest, flow) = flows.remove(0);
    assert_eq!(world.read(&oldest).await.observed.stage, Stage::Unlinked);
    let late = world.consent(&flow, "cookie").await;
    assert_eq!(late.expect_err("over").reason, Reason::FlowExpired);
    for (link, _) in &flows {
        let stage = world.read(link).await.observed.stage;
        assert_eq!(stage, Stage::PendingAuthorization);
    }
    let headless = || {
        let mut new = oauth_link();
        new.method = Method::Headless {
            return_to: "harbor".to_owned(),
        };
        new
    };
    for _ in 0..5 {
        let made = world.engine.create_link(headless(), None).await;
        made.expect("what nobody followed makes room");
    }
    for validate_only in [false, true] {
        let mut new = oauth_link();
        new.validate_only = validate_only;
        let more = world.engine.create_link(new, None).await;
        assert_eq!(more.expect_err("too many").reason, Reason::TooManyFlows);
    }
    let (mut elsewhere, mut other) = (oauth_link(), oauth_link());
    elsewhere.namespace = umbrella();
    other.principal = "uid:1001".to_owned();
    for new in [elsewhere, other] {
        let made = world.engine.create_link(new, None).await;
        made.expect("not held back");
    }
    world.clock.advance(Duration::from_secs(601));
    let made = world.engine.create_link(oauth_link(), None).await;
    made.expect("after ten minutes");
}

/// O5: a return address is an id that the operator registered, never a URL.
#[tokio::test]
async fn o5_return_addresses_are_registered() {
    let world = World::new().await;
    for (id, accepted) in [
        ("harbor", true),
        ("https://evil.example", false),
        ("", false),
    ] {
        let mut new = oauth_link();
        new.method = Method::OAuthCode {
            return_to: Some(id.to_owned()),
        };
        assert_eq!(
            world.engine.create_link(new, None).await.is_ok(),
            accepted,
            "{id}"
        );
    }
}

/// The same request asked twice makes one link; the same id with another request is refused.
#[tokio::test]
async fn request_ids_make_one_link() {
    let world = World::new().await;
    let key = |body: &[u8]| RequestKey::new("uid:1000", "CreateLink", "6c5f", body);
    let first = world
        .engine
        .create_link(oauth_link(), key(b"one").as_ref())
        .await
        .expect("link");
    let second = world
        .engine
        .create_link(oauth_link(), key(b"one").as_ref())
        .await
        .expect("link");
    assert_eq!(first.link.record.id, second.link.record.id);
    let page = |created: &Created| {
        created
            .authorization
            .as_ref()
            .map(|known| known.uri.clone())
    };
    assert_eq!(page(&first), page(&second));
    let reused = world
        .engine
        .create_link(oauth_link(), key(b"two").as_ref())
        .await;
    assert_eq!(reused.expect_err("reused").reason, Reason::RequestIdReused);
}

/// Preflight: a token that lacks a scope is not kept, and the scope is named.
#[tokio::test]
async fn preflight_names_missing_scopes() {
    let world = World::new().await;
    let scopes = || TokenFacts {
        scopes: Some(vec!["user".to_owned()]),
        expires: None,
        active: true,
    };
    world
        .plugin
        .on("InspectToken", move |_| Ok(Output::TokenFacts(scopes())));
    let mut new = token_link("ghp_1");
    new.permissions = BTreeSet::from([PermissionKey::ReadCode]);
    let problem = world
        .engine
        .create_link(new, None)
        .await
        .expect_err("scope");
    assert_eq!(problem.reason, Reason::ScopeMissing);
    assert!(
        problem
            .metadata
            .contains(&("missing_scope", "repo".to_owned()))
    );
    assert_eq!(problem.action_uri, "https://forge.example/tokens");
    let links = world
        .engine
        .list_links(&acme(), &bindery_engine::LinkFilter::default(), None, 10)
        .await;
    assert!(links.expect("list").items.is_empty());
}

/// A token that the forge refuses is not kept, and one of another account neither.
#[tokio::test]
async fn a_refused_token_is_not_kept() {
    let world = World::new().await;
    let mut other = token_link("ghp_1");
    other.method = Method::AccessToken {
        token: bindery_core::secret::Secret::new("ghp_1".to_owned()),
        username: "hubot".to_owned(),
    };
    let mismatch = world.engine.create_link(other, None).await;
    assert_eq!(
        mismatch.expect_err("other account").reason,
        Reason::IdentityMismatch
    );
    world
        .plugin
        .on("Identify", |_| Err(failure(FailureCode::Unauthenticated)));
    let refused = world.engine.create_link(token_link("ghp_1"), None).await;
    assert_eq!(refused.expect_err("refused").reason, Reason::TokenRefused);
}

/// Disable stops hand-out at once and touches nothing at the provider; enable brings it back.
#[tokio::test]
async fn disable_keeps_everything_and_hands_out_nothing() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    let (calls, tokens) = (
        world.plugin.calls.lock().expect("lock").len(),
        world.token_calls(),
    );
    let disabled = world
        .engine
        .disable_link(&acme(), &link, "audit", "uid:1000", None, None)
        .await
        .expect("disabled");
    assert!(matches!(disabled.record.desired, Desired::Disabled(_)));
    world.clock.advance(Duration::from_secs(7200));
    assert_eq!(
        world.fetch(&link).await.expect_err("disabled").reason,
        Reason::LinkDisabled
    );
    assert_eq!(
        (
            world.plugin.calls.lock().expect("lock").len(),
            world.token_calls()
        ),
        (calls, tokens)
    );
    world
        .engine
        .enable_link(&acme(), &link, "", "uid:1", None, None)
        .await
        .expect("enabled");
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "a2"
    );
}

/// Who enabled a link, when and why is kept like who disabled it; and a late retry of a request does not undo what was wanted
/// since.
#[tokio::test]
async fn a_late_retry_does_not_undo_a_newer_wish() {
    let world = World::new().await;
    let link = world.bound(None).await.id;
    let (engine, acme) = (&world.engine, acme());
    let disable = RequestKey::new("uid:1", "DisableLink", "6c5f", b"off");
    let off = || engine.disable_link(&acme, &link, "audit", "uid:1", None, disable.as_ref());
    off().await.expect("disabled");
    let enabled = engine.enable_link(&acme, &link, "done", "uid:2", None, None);
    let wish = Wish {
        reason: "done".to_owned(),
        actor: "uid:2".to_owned(),
        since: bindery_core::port::Clock::now(&*world.clock),
    };
    let desired = Desired::Enabled(Some(wish));
    assert_eq!(enabled.await.expect("enabled").record.desired, desired);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(off().await.expect("known").record.desired, desired);
    assert_eq!(world.read(&link).await.desired, desired);
}

/// O7: a check that finds another identity says so, and does not rebind the link.
#[tokio::test]
async fn o7_another_identity_is_noticed() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    world.plugin.on("Identify", |_| {
        Ok(Output::Identity(bindery_core::provider::Identity {
            stable_id: "1".to_owned(),
            login: "evil".to_owned(),
            ..crate::support::octo()
        }))
    });
    let checked = world
        .engine
        .check_link(&acme(), &link, false)
        .await
        .expect("checked");
    assert_eq!(checked.findings[0].problem.reason, Reason::IdentityMismatch);
    let stage = checked.link.record.observed.stage;
    assert_eq!(stage, Stage::NeedsReauthorization(Cause::IdentityChanged));
    assert_eq!(
        world.read(&link).await.identity.expect("identity").login,
        "octo"
    );
}

/// O3: what one browser names as the issuer decides nothing for the next one, whoever brings it.
#[tokio::test]
async fn o3_no_browser_pins_the_issuer() {
    let world = World::new().await;
    for (issuer, accepted) in [
        (Some("https://forge.example"), true),
        (None, true),
        (Some("https://forge.example/x"), false),
        (Some("https://forge.example"), true),
        (Some("https://evil"), false),
        (None, true),
    ] {
        let brought = comes_back(&world, issuer).await;
        assert_eq!(brought.is_ok(), accepted, "{issuer:?}");
    }
}

/// O3: an issuer that the operator has set is required, byte for byte.
#[tokio::test]
async fn o3_a_set_issuer_is_required() {
    let world = World::new().await;
    set_issuer(&world, "https://forge.example/oauth")
        .await
        .expect("set");
    for (issuer, accepted) in [
        (None, false),
        (Some("https://forge.example"), false),
        (Some("https://forge.example/oauth/"), false),
        (Some("https://forge.example/oauth"), true),
    ] {
        let brought = comes_back(&world, issuer).await;
        assert_eq!(brought.is_ok(), accepted, "{issuer:?}");
    }
    let odd = set_issuer(&world, "https://forge.example/?a").await;
    assert_eq!(odd.expect_err("a query").reason, Reason::InvalidArgument);
}

async fn set_issuer(world: &World, issuer: &str) -> Result<(), Problem> {
    let update = HostUpdate {
        issuer: Some(issuer.to_owned()),
        ..HostUpdate::default()
    };
    world.engine.update_host(&host_name(), update, None).await?;
    Ok(())
}

/// A browser that starts a link, consents, and comes back with this `iss`; what is left is cancelled.
async fn comes_back(world: &World, issuer: Option<&str>) -> Result<(), Problem> {
    let (link, flow) = world.flow().await;
    let url = world.engine.leave_for_forge(&flow, "cookie").await?;
    let state = query(&url, "state");
    let mut returned = world.returned(&state, Some("cookie")).await;
    returned.issuer = issuer;
    let brought = world.engine.callback(returned).await;
    world.engine.cancel_link(&acme(), &link, None, None).await?;
    brought.map(|_| ())
}

/// A forge that can't say whose token it is at the callback is asked again by the confirm page; the grant is kept.
#[tokio::test]
async fn the_identity_is_asked_for_again() {
    let world = World::new().await;
    let (_, flow) = world.flow().await;
    world
        .plugin
        .on("Identify", |_| Err(failure(FailureCode::Upstream)));
    world.consent(&flow, "cookie").await.expect("callback");
    let away = world.engine.confirm_view(&flow, "cookie").await;
    assert_eq!(away.expect_err("away").reason, Reason::ProviderUnavailable);
    world
        .plugin
        .on("Identify", |_| Ok(Output::Identity(crate::support::octo())));
    let view = world
        .engine
        .confirm_view(&flow, "cookie")
        .await
        .expect("page");
    assert_eq!(view.identity.login, "octo");
}
