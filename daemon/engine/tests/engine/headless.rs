//! Flows by the registry's own page: code and state are handed in by API (THREATS O1 to O7).

use bindery_core::{
    link::Stage,
    name::LinkId,
    problem::Reason,
    provider::{Identity, OperationKind, Output},
    secret::Secret,
};
use bindery_engine::{
    RequestKey,
    flows::HandedIn,
    links::{Method, NewLink},
};

use crate::support::{World, acme, oauth_link, octo, query, says};

fn headless() -> NewLink {
    NewLink {
        method: Method::Headless {
            return_to: "harbor".to_owned(),
        },
        ..oauth_link()
    }
}

/// A pending link, and the page at the forge.
async fn started(world: &World, new: NewLink) -> (LinkId, String) {
    let created = world.engine.create_link(new, None).await.expect("link");
    let uri = created.authorization.expect("authorization").uri;
    (created.link.record.id, uri)
}

fn handed<'a>(principal: &'a str, state: &'a str) -> HandedIn<'a> {
    HandedIn {
        principal,
        state,
        code: Secret::new("code".to_owned()),
        issuer: None,
    }
}

/// The way of a registry with a page of its own: straight to the forge, back to that page, and bound by the starter.
#[tokio::test]
async fn a_registry_completes_by_api_alone() {
    let world = World::new().await;
    let (link, uri) = started(&world, headless()).await;
    assert!(uri.starts_with("https://forge.example/authorize?"));
    assert_eq!(
        query(&uri, "redirect_uri"),
        "https://harbor.example/sources"
    );
    assert_eq!(query(&uri, "code_challenge_method"), "S256");
    let state = query(&uri, "state");
    let completed = world
        .engine
        .complete_link(&acme(), &link, handed("uid:1000", &state), None)
        .await
        .expect("completed");
    assert_eq!(completed.record.observed.stage, Stage::PendingConfirmation);
    let bound = world
        .engine
        .confirm_by_starter(&acme(), &link, says("uid:1000"), None)
        .await
        .expect("bound");
    assert_eq!(bound.link.record.observed.stage, Stage::Bound);
    world.fetch(&link).await.expect("token");
}

/// O1, O2, O3: another caller, a forged, foreign or used state, a wrong issuer: no code is exchanged.
#[tokio::test]
async fn o1_o2_o3_tampered_completions_exchange_nothing() {
    let world = World::new().await;
    let (link, uri) = started(&world, headless()).await;
    let (_, other) = started(&world, headless()).await;
    let (state, foreign) = (query(&uri, "state"), query(&other, "state"));
    let forged = format!("{}x", &state[..state.len() - 1]);
    for (principal, state) in [
        ("uid:1001", state.as_str()),
        ("uid:1000", "forged"),
        ("uid:1000", &forged),
        ("uid:1000", &foreign),
    ] {
        let refused = world
            .engine
            .complete_link(&acme(), &link, handed(principal, state), None)
            .await;
        assert_eq!(refused.expect_err("tampered").reason, Reason::FlowMismatch);
    }
    let evil = HandedIn {
        issuer: Some("https://evil.example"),
        ..handed("uid:1000", &state)
    };
    let mixed = world.engine.complete_link(&acme(), &link, evil, None).await;
    assert_eq!(mixed.expect_err("issuer").reason, Reason::FlowMismatch);
    assert_eq!(world.token_calls(), 0);
    let complete = || {
        world
            .engine
            .complete_link(&NAMESPACE, &link, handed("uid:1000", &state), None)
    };
    complete().await.expect("the right one");
    assert_eq!(
        complete().await.expect_err("replay").reason,
        Reason::FlowExpired
    );
    assert_eq!(world.token_calls(), 1);
}

static NAMESPACE: std::sync::LazyLock<bindery_core::name::NamespaceName> =
    std::sync::LazyLock::new(acme);

/// O1: a browser can't bring back what belongs to the registry's page, nor take such a flow to the forge.
#[tokio::test]
async fn o1_browsers_keep_out_of_headless_flows() {
    let world = World::new().await;
    let (link, uri) = started(&world, headless()).await;
    let state = query(&uri, "state");
    let returned = world.returned(&state, Some("cookie")).await;
    let brought = world.engine.callback(returned).await;
    assert_eq!(brought.expect_err("browser").reason, Reason::FlowMismatch);
    let flow = world.read(&link).await.flow.expect("flow").id;
    assert!(
        world
            .engine
            .leave_for_forge(flow.as_str(), "cookie")
            .await
            .is_err()
    );
    assert_eq!(world.token_calls(), 0);
}

/// O1: what belongs to a browser can't be handed in by API, not even by the one who started.
#[tokio::test]
async fn o1_callers_keep_out_of_browser_flows() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    let uri = world
        .engine
        .leave_for_forge(&flow, "cookie")
        .await
        .expect("URL");
    let state = query(&uri, "state");
    let handed = world
        .engine
        .complete_link(&acme(), &link, handed("uid:1000", &state), None)
        .await;
    assert_eq!(handed.expect_err("caller").reason, Reason::FlowMismatch);
    assert_eq!(world.token_calls(), 0);
}

/// O5: the page is one that the operator registered.
#[tokio::test]
async fn o5_the_receiving_page_is_registered() {
    let world = World::new().await;
    for id in ["", "https://evil.example", "portal"] {
        let new = NewLink {
            method: Method::Headless {
                return_to: id.to_owned(),
            },
            ..oauth_link()
        };
        let refused = world.engine.create_link(new, None).await;
        assert_eq!(refused.expect_err(id).reason, Reason::InvalidArgument);
    }
}

/// O7: an identity that was not expected is not bound; its grant is given back, and the link is gone.
#[tokio::test]
async fn o7_an_unexpected_identity_is_refused() {
    let world = World::new().await;
    for (expected, fits) in [("hubot", false), ("OCTO", true), ("583231", true)] {
        let new = NewLink {
            expected_identity: expected.to_owned(),
            ..headless()
        };
        let (link, uri) = started(&world, new).await;
        let state = query(&uri, "state");
        let completed = world
            .engine
            .complete_link(&acme(), &link, handed("uid:1000", &state), None)
            .await;
        assert_eq!(completed.is_ok(), fits, "{expected}");
        if fits {
            world
                .engine
                .cancel_link(&acme(), &link, None, None)
                .await
                .expect("cancelled");
            continue;
        }
        let problem = completed.expect_err("other");
        assert_eq!(problem.reason, Reason::IdentityMismatch);
        world.engine.sweep().await.expect("sweep");
        assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
        assert_eq!(world.plugin.count(OperationKind::Revoke), 1);
    }
}

/// The same for a browser: the callback is refused.
#[tokio::test]
async fn o7_browsers_are_held_to_it_too() {
    let world = World::new().await;
    let new = NewLink {
        expected_identity: "hubot".to_owned(),
        ..oauth_link()
    };
    let created = world.engine.create_link(new, None).await.expect("link");
    let uri = created.authorization.expect("authorization").uri;
    let flow = uri.rsplit('/').next().expect("flow").to_owned();
    let other = world.consent(&flow, "cookie").await;
    assert_eq!(other.expect_err("other").reason, Reason::IdentityMismatch);
}

/// A forge that is away when the code is exchanged is asked for the identity again when somebody confirms, and an
/// unexpected one is refused then.
#[tokio::test]
async fn o7_late_identities_are_checked_too() {
    let world = World::new().await;
    let new = NewLink {
        expected_identity: "octo".to_owned(),
        ..headless()
    };
    let (link, uri) = started(&world, new).await;
    let state = query(&uri, "state");
    world.plugin.on("Identify", |_| {
        Err(crate::support::failure(
            bindery_core::provider::FailureCode::Upstream,
        ))
    });
    world
        .engine
        .complete_link(&acme(), &link, handed("uid:1000", &state), None)
        .await
        .expect("kept");
    world.plugin.on("Identify", |_| {
        Ok(Output::Identity(Identity {
            login: "hubot".to_owned(),
            ..octo()
        }))
    });
    let confirm = || {
        world
            .engine
            .confirm_by_starter(&NAMESPACE, &link, says("uid:1000"), None)
    };
    assert_eq!(
        confirm().await.expect_err("other").reason,
        Reason::IdentityMismatch
    );
    assert_ne!(world.read(&link).await.observed.stage, Stage::Bound);
}

/// The same request asked twice makes one link; as only the digest of `state` is kept, the second answer has a new one,
/// and the first is worth nothing.
#[tokio::test]
async fn repeated_requests_lead_on() {
    let world = World::new().await;
    let key = RequestKey::new("uid:1000", "CreateLink", "6c5f", b"one");
    let create = async || {
        let created = world.engine.create_link(headless(), key.as_ref()).await;
        let created = created.expect("link");
        let uri = created.authorization.expect("authorization").uri;
        (created.link.record.id, query(&uri, "state"))
    };
    let (first, second) = (create().await, create().await);
    assert_eq!(first.0, second.0);
    let complete = async |state: &str, request: Option<&RequestKey>| {
        world
            .engine
            .complete_link(&acme(), &first.0, handed("uid:1000", state), request)
            .await
    };
    assert!(complete(&first.1, None).await.is_err());
    let again = RequestKey::new("uid:1000", "CompleteLink", "6c5f", b"one");
    for _ in 0..2 {
        let done = complete(&second.1, again.as_ref())
            .await
            .expect("completed");
        assert_eq!(done.record.observed.stage, Stage::PendingConfirmation);
    }
    assert_eq!(world.token_calls(), 1);
}
