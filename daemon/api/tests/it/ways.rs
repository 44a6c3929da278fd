//! Every way to make a link, as callers see it.

use bindery_proto::v1::{
    self as wire, create_link_request::Method, link_service_client::LinkServiceClient,
    observed_state::Stage, reauthorize_link_request::Method as AnewMethod,
};
use prost_types::FieldMask;
use tonic::Status;

use crate::{client::reason, world::World};

const LINK: &str = "namespaces/acme/links/bound";

fn why<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    reason(&answer.expect_err("refused"))
}

fn token(text: &str) -> wire::AccessToken {
    wire::AccessToken {
        token: text.into(),
        username: String::new(),
    }
}

/// A token takes the place of the old one on the same link, is in no answer, and what was found comes with it.
#[tokio::test]
async fn links_are_authorized_anew() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let ask = |validate_only| wire::ReauthorizeLinkRequest {
        name: LINK.into(),
        method: Some(AnewMethod::AccessToken(token("BNDRYCANARYnew"))),
        validate_only,
        ..Default::default()
    };
    let checked = links.reauthorize_link(ask(true)).await.expect("checked");
    let checked = checked.into_inner().link.expect("link");
    assert_eq!(checked.token.expect("facts").generation, 1);
    let done = links.reauthorize_link(ask(false)).await.expect("bound");
    let done = done.into_inner();
    assert!(!format!("{done:?}").contains("CANARY"));
    let link = done.link.expect("link");
    assert_eq!(
        (link.name.as_str(), link.token.expect("facts").generation),
        (LINK, 2)
    );
    assert_eq!(
        why(links
            .reauthorize_link(wire::ReauthorizeLinkRequest {
                name: LINK.into(),
                etag: "999".into(),
                ..ask(false)
            })
            .await),
        "ETAG_MISMATCH"
    );
}

/// A flow of a link that is bound is shown with it, is cancelled, and leaves it as it was.
#[tokio::test]
async fn a_flow_beside_a_bound_link_is_cancelled() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let ask = wire::ReauthorizeLinkRequest {
        name: LINK.into(),
        method: Some(AnewMethod::OauthCode(wire::OAuthCode::default())),
        permissions: vec![wire::Permission::ReadCode.into()],
        ..Default::default()
    };
    let started = links.reauthorize_link(ask.clone()).await.expect("started");
    let started = started.into_inner();
    let page = started.authorization.expect("a page").authorization_uri;
    assert!(page.starts_with("https://bindery.example/link/"));
    let link = started.link.expect("link");
    assert!(link.flow.expect("flow").reauthorization);
    assert_eq!(link.observed.expect("observed").stage(), Stage::Bound);
    assert_eq!(why(links.reauthorize_link(ask).await), "FLOW_PENDING");
    let cancel = wire::CancelLinkRequest {
        name: LINK.into(),
        ..Default::default()
    };
    let same = links.cancel_link(cancel.clone()).await.expect("cancelled");
    let same = same.into_inner();
    assert!(same.flow.is_none());
    assert_eq!(same.observed.expect("observed").stage(), Stage::Bound);
    assert_eq!(why(links.cancel_link(cancel).await), "FLOW_USED");
}

/// Ids of installations can be guessed: who may link but may not change hosts is refused one, whatever it is.
#[tokio::test]
async fn installations_by_id_are_for_operators() {
    let world = World::new().await;
    let create = |namespace: &str, id: &str| wire::CreateLinkRequest {
        parent: format!("namespaces/{namespace}"),
        link: Some(wire::Link {
            host: "hosts/forge".into(),
            ..Default::default()
        }),
        method: Some(Method::AppInstallation(wire::AppInstallation {
            installation_id: id.into(),
        })),
        ..Default::default()
    };
    let mut other = LinkServiceClient::new(world.caller("other").await);
    assert_eq!(
        why(other.create_link(create("umbrella", "42")).await),
        "PERMISSION_DENIED"
    );
    // Without an id the host is looked at, and this one has no app.
    assert_eq!(
        why(other.create_link(create("umbrella", "")).await),
        "METHOD_NOT_SUPPORTED"
    );
    let mut owner = LinkServiceClient::new(world.caller("owner").await);
    assert_eq!(
        why(owner.create_link(create("acme", "42")).await),
        "METHOD_NOT_SUPPORTED"
    );
}

/// What was only checked is not there: it has no name, and no list shows it.
#[tokio::test]
async fn what_is_only_checked_is_not_there() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("other").await);
    let check = wire::CreateLinkRequest {
        parent: "namespaces/umbrella".into(),
        link: Some(wire::Link {
            host: "hosts/forge".into(),
            ..Default::default()
        }),
        method: Some(Method::AccessToken(token("t"))),
        validate_only: true,
        ..Default::default()
    };
    let checked = links
        .create_link(check)
        .await
        .expect("checked")
        .into_inner();
    let link = checked.link.expect("link");
    assert_eq!((link.name.as_str(), link.etag.as_str()), ("", ""));
    assert_eq!(link.identity.expect("identity").login, "octo");
    let all = wire::ListLinksRequest {
        parent: "namespaces/umbrella".into(),
        ..Default::default()
    };
    let listed = links.list_links(all).await.expect("list").into_inner();
    assert!(listed.links.is_empty());
}

/// Labels are changed by mask and chosen by filter; over all namespaces a caller finds what it may see, and nothing else.
#[tokio::test]
async fn links_are_described_and_found() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let update = |paths: &[&str]| wire::UpdateLinkRequest {
        link: Some(wire::Link {
            name: LINK.into(),
            display_name: "ignored".into(),
            labels: [("team".to_owned(), "web".to_owned())].into(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        ..Default::default()
    };
    let changed = links
        .update_link(update(&["labels"]))
        .await
        .expect("changed");
    let changed = changed.into_inner();
    assert_eq!(changed.display_name, "Builds");
    assert_eq!(changed.labels["team"], "web");
    assert_eq!(
        why(links.update_link(update(&["host"])).await),
        "FIELD_IMMUTABLE"
    );
    let list = |filter: &str| wire::ListLinksRequest {
        parent: "namespaces/-".into(),
        filter: filter.into(),
        ..Default::default()
    };
    for (filter, found) in [
        (r#"labels.team = "web""#, 1),
        (r#"labels.team = "ops""#, 0),
        (r#"labels.team = "web" AND service_account = "true""#, 1),
    ] {
        let page = links.list_links(list(filter)).await.expect("page");
        assert_eq!(page.into_inner().links.len(), found, "{filter}");
    }
    for role in ["other", "nobody"] {
        let mut stranger = LinkServiceClient::new(world.caller(role).await);
        let page = stranger.list_links(list("")).await.expect("page");
        assert!(page.into_inner().links.is_empty(), "{role}");
    }
}

/// Who confirms into another namespace needs the right there; one that the caller may not know of looks absent.
#[tokio::test]
async fn g1_choosing_a_namespace_needs_the_right_there() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    for namespace in ["namespaces/umbrella", "namespaces/nowhere"] {
        let confirm = wire::ConfirmLinkRequest {
            name: LINK.into(),
            namespace: namespace.into(),
            ..Default::default()
        };
        assert_eq!(why(links.confirm_link(confirm).await), "NOT_FOUND");
    }
}

/// Who offers a person other namespaces needs the right to link in each; one that the caller may not know of looks absent, as
/// one that is not there.
#[tokio::test]
async fn g1_offering_a_namespace_needs_the_right_there() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let offer = |namespace: &str| wire::CreateLinkRequest {
        parent: "namespaces/acme".into(),
        link: Some(wire::Link {
            host: "hosts/forge".into(),
            ..Default::default()
        }),
        method: Some(Method::OauthCode(wire::OAuthCode::default())),
        offered_namespaces: vec![namespace.to_owned()],
        ..Default::default()
    };
    for namespace in ["namespaces/umbrella", "namespaces/nowhere"] {
        assert_eq!(why(links.create_link(offer(namespace)).await), "NOT_FOUND");
    }
    assert_eq!(
        why(links.create_link(offer("umbrella")).await),
        "RESOURCE_NAME_INVALID"
    );
    let offered = links.create_link(offer("namespaces/acme")).await;
    assert!(offered.is_ok(), "{offered:?}");
}
