//! The device flow: offered where the operator names it, followed at the forge's pace, confirmed by the starter.

use std::time::Duration;

use bindery_core::{
    exchange::TokenOutcome,
    link::Stage,
    name::LinkId,
    port::{Key, Record},
    problem::{Problem, Reason},
    provider::{AuthKind, OperationKind},
};
use bindery_engine::links::Method;

use crate::support::{World, acme, host_name, oauth_link, says};

const ALL: [AuthKind; 2] = [AuthKind::OAuthCode, AuthKind::Device];

async fn allow(world: &World, methods: &[AuthKind]) {
    let mut host = world.engine.host(&host_name()).await.expect("host").record;
    host.allowed_methods = methods.to_vec();
    world.put(Key::Host(host_name()), Record::Host(host)).await;
}

fn refused(error: &str) -> TokenOutcome {
    TokenOutcome::Refused {
        error: error.to_owned(),
        dead: false,
    }
}

/// A pending device flow on a host that offers it.
async fn started(world: &World) -> LinkId {
    allow(world, &ALL).await;
    let new = bindery_engine::links::NewLink {
        method: Method::Device,
        ..oauth_link()
    };
    let created = world.engine.create_link(new, None).await.expect("link");
    let authorization = created.authorization.expect("authorization");
    assert_eq!(authorization.uri, "https://forge.example/device");
    let code = authorization.user_code.expect("code");
    assert_eq!(code.expose(), "WDJB-MJHT");
    created.link.record.id
}

/// Lets the task that follows the flow do all that it can do by now.
async fn settle(world: &World, calls: usize) {
    while world.token_calls() < calls {
        tokio::task::yield_now().await;
    }
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// O11: a code can be sent to somebody else, so the flow is there only where the operator names it.
#[tokio::test]
async fn o11_the_device_flow_is_not_offered_by_default() {
    let world = World::new().await;
    for methods in [&[][..], &[AuthKind::OAuthCode, AuthKind::AccessToken]] {
        allow(&world, methods).await;
        let new = bindery_engine::links::NewLink {
            method: Method::Device,
            ..oauth_link()
        };
        let problem = world.engine.create_link(new, None).await.expect_err("off");
        assert_eq!(problem.reason, Reason::MethodNotSupported);
    }
}

/// RFC 8628: nothing is asked before the interval is over; the person agrees; the starter, and nobody else, confirms without
/// a code; only then is a token handed out.
#[tokio::test]
async fn a_device_flow_is_followed_and_confirmed() {
    let world = World::new().await;
    let link = started(&world).await;
    settle(&world, 0).await;
    assert_eq!(world.token_calls(), 0);
    world.forge.answer(|_| refused("authorization_pending"));
    world.clock.advance(Duration::from_secs(5));
    settle(&world, 1).await;
    assert_eq!(
        world.read(&link).await.observed.stage,
        Stage::PendingAuthorization
    );
    let early = world
        .engine
        .confirm_by_starter(&acme(), &link, says("uid:1000"), None)
        .await;
    assert_eq!(early.expect_err("early").reason, Reason::FlowPending);
    world.clock.advance(Duration::from_secs(5));
    settle(&world, 2).await;
    let pending = world.read(&link).await;
    assert_eq!(pending.observed.stage, Stage::PendingConfirmation);
    let shown = pending.flow.expect("flow").identity.expect("identity");
    assert_eq!(shown.login, "octo");
    assert_eq!(
        world.fetch(&link).await.expect_err("pending").reason,
        Reason::LinkNotBound
    );
    let confirm = |principal| {
        world
            .engine
            .confirm_by_starter(&NAMESPACE, &link, says(principal), None)
    };
    assert_eq!(
        confirm("uid:1001").await.expect_err("other").reason,
        Reason::FlowMismatch
    );
    let bound = confirm("uid:1000").await.expect("bound").link.record;
    assert_eq!((bound.observed.stage, bound.flow), (Stage::Bound, None));
    world.fetch(&link).await.expect("token");
}

static NAMESPACE: std::sync::LazyLock<bindery_core::name::NamespaceName> =
    std::sync::LazyLock::new(acme);

/// RFC 8628 section 3.5: `slow_down` makes the interval five seconds longer, and a restart does not make it shorter.
#[tokio::test]
async fn slow_down_outlives_a_restart() {
    let mut world = World::new().await;
    let link = started(&world).await;
    world.forge.answer(|_| refused("slow_down"));
    world.clock.advance(Duration::from_secs(5));
    settle(&world, 1).await;
    world.restart().await;
    world.clock.advance(Duration::from_secs(9));
    settle(&world, 1).await;
    assert_eq!(world.token_calls(), 1);
    world.clock.advance(Duration::from_secs(1));
    // Two engines live in this test: the old one lost its daemon, and loses its write.
    while world.read(&link).await.observed.stage != Stage::PendingConfirmation {
        tokio::task::yield_now().await;
    }
}

/// A refusal, a code that nobody entered, and a host that forgets the client end the flow; the link is gone.
#[tokio::test]
async fn refusals_end_the_flow() {
    for outcome in [
        || refused("access_denied"),
        || refused("expired_token"),
        || TokenOutcome::ClientRefused,
    ] {
        let world = World::new().await;
        let link = started(&world).await;
        world.forge.answer(move |_| outcome());
        world.clock.advance(Duration::from_secs(5));
        settle(&world, 1).await;
        assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
        world.clock.advance(Duration::from_secs(60));
        settle(&world, 1).await;
        assert_eq!(world.token_calls(), 1);
    }
}

/// A forge that is away is asked again, less often, and the flow ends in time whatever it does.
#[tokio::test]
async fn an_absent_forge_is_asked_again() {
    let world = World::new().await;
    let link = started(&world).await;
    let away = || {
        let problem = Problem::new(Reason::HostUnreachable, "away");
        TokenOutcome::NotNow(problem)
    };
    for _ in 0..2 {
        world.forge.answer(move |_| away());
    }
    world.clock.advance(Duration::from_secs(5));
    settle(&world, 1).await;
    world.clock.advance(Duration::from_secs(9));
    settle(&world, 1).await;
    assert_eq!(world.token_calls(), 1);
    world.clock.advance(Duration::from_secs(1));
    settle(&world, 2).await;
    world.clock.advance(Duration::from_secs(601));
    world.engine.sweep().await.expect("sweep");
    settle(&world, 2).await;
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
    assert_eq!(world.token_calls(), 2);
}

/// A grant that nobody confirms is revoked, like that of any other way.
#[tokio::test]
async fn an_unconfirmed_device_grant_is_revoked() {
    let world = World::new().await;
    let link = started(&world).await;
    world.clock.advance(Duration::from_secs(5));
    settle(&world, 1).await;
    world.clock.advance(Duration::from_secs(601));
    world.engine.sweep().await.expect("sweep");
    world.engine.sweep().await.expect("sweep");
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
    assert_eq!(world.plugin.count(OperationKind::Revoke), 1);
}

/// The pages of Bindery know nothing of a device flow: nobody takes it over there.
#[tokio::test]
async fn o1_device_flows_have_no_page() {
    let world = World::new().await;
    let link = started(&world).await;
    let flow = world.read(&link).await.flow.expect("flow").id;
    assert!(world.engine.start_view(flow.as_str()).await.is_err());
    assert!(
        world
            .engine
            .leave_for_forge(flow.as_str(), "cookie")
            .await
            .is_err()
    );
    assert!(
        world
            .engine
            .confirm_view(flow.as_str(), "cookie")
            .await
            .is_err()
    );
}
