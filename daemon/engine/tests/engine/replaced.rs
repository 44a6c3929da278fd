//! What becomes of a grant that is replaced, and of one that waits to replace it.

use bindery_core::{link::Link, name::LinkId, problem::Reason, secret::Secret};
use bindery_engine::{
    RequestKey,
    flows::Shown,
    links::{Created, Method, Reauthorize},
};

use crate::support::{World, acme};

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
    world
        .clock
        .advance(std::time::Duration::from_secs(61));
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
    let shown = Shown::default();
    let confirmed = world
        .engine
        .confirm_in_browser(&flow, code.expose(), "cookie", shown)
        .await;
    confirmed.expect("the new code confirms");
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
