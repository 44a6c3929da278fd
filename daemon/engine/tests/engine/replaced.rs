//! What becomes of a grant that is replaced, and of one that waits to replace it.

use bindery_core::{
    exchange::{RevokeOutcome, TokenHint},
    link::{Link, Stage},
    name::{FlowId, LinkId},
    origin::{Origin, OriginSet},
    port::{Change, Expect, Key, Vault},
    problem::{Problem, Reason},
    provider::{AuthKind, FailureCode, OperationKind, Output, Revocation, RevocationOutcome},
    receipt::{Outcome, StepKind},
    secret::Secret,
};
use bindery_engine::{
    RequestKey,
    flows::Shown,
    links::{Created, Method, Reauthorize},
    unlink::UnlinkOptions,
};

use crate::support::{World, acme, failure, host_name, pair, token_link};

fn anew(link: &LinkId, method: Method) -> Reauthorize {
    Reauthorize {
        namespace: acme(),
        id: link.clone(),
        method: Some(method),
        permissions: std::collections::BTreeSet::new(),
        allow_identity_change: false,
        allow_personal_account: false,
        principal: "uid:1000".to_owned(),
        expect: None,
        validate_only: false,
    }
}

fn by_token(token: &str) -> Method {
    Method::AccessToken {
        token: Secret::new(token.to_owned()),
        username: String::new(),
    }
}

fn flow_of(created: &Created) -> String {
    let uri = &created.authorization.as_ref().expect("authorization").uri;
    uri.rsplit('/').next().expect("flow").to_owned()
}

/// A link that is being authorized anew, up to the confirm page: the flow, and the code of the page.
async fn waiting(world: &World, link: &Link) -> (String, Secret) {
    let by_oauth = Method::OAuthCode { return_to: None };
    let created = world
        .engine
        .reauthorize_link(anew(&link.id, by_oauth), None)
        .await;
    let flow = flow_of(&created.expect("started"));
    world.consent(&flow, "cookie").await.expect("callback");
    let view = world.engine.confirm_view(&flow, "cookie").await;
    (flow, view.expect("page").confirm_code)
}

async fn confirmed(world: &World, flow: &str, code: &Secret) -> Link {
    let shown = Shown::default();
    let bound = world
        .engine
        .confirm_in_browser(flow, code.expose(), "cookie", shown)
        .await;
    bound.expect("bound").link.record
}

/// Ends the authorization that is under way, and lets what it brought be revoked.
async fn cancel(world: &World, link: &Link) {
    let cancelled = world
        .engine
        .cancel_link(&acme(), &link.id, None, None)
        .await;
    cancelled.expect("cancelled");
    settle().await;
}

/// The tokens that were presented at the revocation endpoint, in order.
fn ended(world: &World) -> Vec<(TokenHint, String)> {
    std::mem::take(&mut *world.forge.ended.lock().expect("lock"))
}

fn both(n: u64) -> [(TokenHint, String); 2] {
    [
        (TokenHint::Refresh, format!("r{n}")),
        (TokenHint::Access, format!("a{n}")),
    ]
}

/// The forge has a revocation endpoint.
fn with_endpoint(world: &World) {
    world
        .plugin
        .describe_as(|known| known.endpoints.revoke = "{web}/oauth/revoke".to_owned());
}

fn away() -> RevokeOutcome {
    RevokeOutcome::Failed(Problem::new(Reason::ProviderUnavailable, "away"))
}

/// Lets whatever runs in the background go on.
async fn settle() {
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
}

/// O2: a page that is loaded again while its confirmation is under way makes a new code, so the old one confirms nothing;
/// and the confirmation ends, instead of trying for ever to finish the flow as it was.
#[tokio::test]
async fn o2_a_page_that_is_loaded_again_ends_the_confirmation() {
    let world = World::new().await;
    let link = world.bound(Some(60)).await;
    let (flow, code) = waiting(&world, &link).await;
    world.clock.advance(std::time::Duration::from_secs(61));
    // A refresh is under way, and the confirmation waits for it.
    world.forge.hold();
    let before = world.token_calls();
    let (engine, wanted) = (world.engine.clone(), crate::support::wanted(&link.id));
    let fetch = tokio::spawn(async move { engine.fetch_credential(&wanted).await.map(drop) });
    while world.token_calls() == before {
        tokio::task::yield_now().await;
    }
    let (engine, id) = (world.engine.clone(), flow.clone());
    let confirm = tokio::spawn(async move {
        let shown = Shown::default();
        let confirmed = engine.confirm_in_browser(&id, code.expose(), "cookie", shown);
        confirmed.await.map(drop)
    });
    settle().await;
    let again = world.engine.confirm_view(&flow, "cookie").await;
    let code = again.expect("page").confirm_code;
    world.forge.release();
    settle().await;
    assert!(confirm.is_finished(), "it goes on for ever");
    let refused = confirm.await.expect("no panic").expect_err("old code");
    assert_eq!(refused.reason, Reason::FlowMismatch);
    fetch.await.expect("no panic").expect("token");
    confirmed(&world, &flow, &code).await;
}

/// The same request, asked twice at the same time, replaces one grant, and both are answered.
#[tokio::test]
async fn a_request_that_comes_twice_at_once_acts_once() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await;
    world.plugin.hold();
    let ask = || {
        let (engine, id) = (world.engine.clone(), link.id.clone());
        let key = RequestKey::new("uid:1000", "ReauthorizeLink", "1", b"one");
        tokio::spawn(async move {
            let asked = anew(&id, by_token("t0k"));
            engine.reauthorize_link(asked, key.as_ref()).await
        })
    };
    let both = [ask(), ask()];
    settle().await;
    world.plugin.release();
    settle().await;
    for one in both {
        assert!(one.is_finished(), "it goes on for ever");
        let bound = one.await.expect("no panic").expect("bound").link.record;
        assert_eq!(bound.generation, 2);
    }
}

/// A grant that could not be revoked yet holds up nothing: the next authorization is whole, and each grant is revoked for
/// itself.
#[tokio::test]
async fn two_authorizations_share_nothing() {
    let world = World::new().await;
    with_endpoint(&world);
    let created = world.engine.create_link(token_link("t0k"), None).await;
    let link = created.expect("link").link.record;
    waiting(&world, &link).await;
    world
        .forge
        .revocations
        .lock()
        .expect("lock")
        .push_back(away());
    cancel(&world, &link).await;
    let (second, code) = waiting(&world, &link).await;
    assert_eq!(ended(&world), both(1)[..1]);
    world.engine.sweep().await.expect("sweep");
    assert_eq!(ended(&world), both(1));
    assert_eq!(confirmed(&world, &second, &code).await.generation, 2);
    let credential = world.fetch(&link.id).await.expect("token");
    assert_eq!(credential.token.expose(), "a2");
}

/// O10: both tokens of a pair that was replaced are ended, and of one that was not confirmed; what the forge did not answer
/// is asked again after a restart, until it is done.
#[tokio::test]
async fn o10_pairs_end_as_a_whole_and_for_certain() {
    let mut world = World::new().await;
    with_endpoint(&world);
    let link = world.bound(Some(3600)).await;
    world
        .forge
        .revocations
        .lock()
        .expect("lock")
        .push_back(away());
    let (flow, code) = waiting(&world, &link).await;
    confirmed(&world, &flow, &code).await;
    settle().await;
    assert_eq!(ended(&world), both(1)[..1]);
    world.restart().await;
    world.engine.sweep().await.expect("sweep");
    assert_eq!(ended(&world), both(1));
    waiting(&world, &link).await;
    cancel(&world, &link).await;
    assert_eq!(ended(&world), both(3));
    world.engine.sweep().await.expect("sweep");
    assert_eq!(ended(&world), []);
}

/// Some providers give the same token again: it is the new one, so it is not ended as the old one.
#[tokio::test]
async fn a_token_that_came_twice_is_kept() {
    let world = World::new().await;
    with_endpoint(&world);
    let link = world.bound(Some(3600)).await;
    world.forge.answer(|_| pair(1, 3600));
    let (flow, code) = waiting(&world, &link).await;
    confirmed(&world, &flow, &code).await;
    settle().await;
    world.engine.sweep().await.expect("sweep");
    assert_eq!(ended(&world), []);
}

/// O10: an unlink ends also what was not confirmed, and does not say that it is done before.
#[tokio::test]
async fn o10_an_unlink_waits_for_what_was_not_confirmed() {
    let world = World::new().await;
    let created = world.engine.create_link(token_link("t0k"), None).await;
    let link = created.expect("link").link.record;
    waiting(&world, &link).await;
    world.plugin.on("Revoke", |call| {
        if call.credential.auth_kind == Some(AuthKind::OAuthCode) {
            return Err(failure(FailureCode::Upstream));
        }
        Ok(Output::Revocation(Revocation {
            outcome: RevocationOutcome::Done,
            message: String::new(),
            action_uri: String::new(),
        }))
    });
    let namespace = acme();
    let unlink = |force| {
        let options = UnlinkOptions {
            force,
            ..UnlinkOptions::default()
        };
        world.engine.unlink(&namespace, &link.id, options)
    };
    unlink(false).await.expect_err("away");
    assert_eq!(world.read(&link.id).await.observed.stage, Stage::Unlinking);
    let receipt = unlink(true).await.expect("receipt").record;
    let steps = receipt.steps.iter();
    let left = |outcome: &Outcome| matches!(outcome, Outcome::Failed { .. });
    let left = steps.filter(|step| step.outcome.as_ref().is_some_and(left));
    let left: Vec<_> = left.map(|step| step.kind).collect();
    assert_eq!(left, [StepKind::RevokeGrant]);
    settle().await;
    let calls = world.plugin.count(OperationKind::Revoke);
    world.engine.sweep().await.expect("sweep");
    assert_eq!(world.plugin.count(OperationKind::Revoke), calls);
}

/// A grant whose host is gone can be revoked by nobody: it is erased, and the sweep goes on.
#[tokio::test]
async fn what_a_host_left_is_erased_with_it() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await;
    let (flow, _) = waiting(&world, &link).await;
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Upstream)));
    cancel(&world, &link).await;
    let id = FlowId::parse(&flow).expect("flow");
    let host = world.engine.host(&host_name()).await.expect("host").record;
    let url = url::Url::parse(&host.web_url).expect("URL");
    let at = OriginSet::new(vec![Origin::of(&url).expect("origin")]);
    let held = Key::PendingGrant(acme(), id.clone(), host_name(), at);
    assert!(world.vault.get(&held).await.expect("vault").is_some());
    let gone = Change {
        key: Key::Host(host_name()),
        expect: Expect::Any,
        write: None,
    };
    world.vault.commit(vec![gone]).await.expect("removed");
    world.engine.sweep().await.expect("sweep");
    for key in [Key::Flow(id), held] {
        assert!(world.vault.get(&key).await.expect("vault").is_none());
    }
}
