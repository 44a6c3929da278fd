//! A link's life as callers see it: what ends soon, what a check finds, and what an unlink would do.

use bindery_proto::v1::{
    self as wire, cleanup_step::Kind as StepKind, expiring::Kind,
    host_service_client::HostServiceClient, link_service_client::LinkServiceClient,
};

use crate::{client::reason, world::World};

const LINK: &str = "namespaces/acme/links/bound";

/// Secrets of hosts are listed for operators only, and a caller sees the links of its own namespaces.
#[tokio::test]
async fn g1_host_secrets_are_for_operators() {
    let world = World::new().await;
    let host = wire::Host {
        name: "hosts/forge".into(),
        ca_bundle_pem: "bundle".into(),
        ..Default::default()
    };
    let update = wire::UpdateHostRequest {
        host: Some(host),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["ca_bundle_pem".into()],
        }),
        ..Default::default()
    };
    HostServiceClient::new(world.admin())
        .update_host(update)
        .await
        .expect("host");
    for (caller, kinds) in [
        (world.admin(), vec![Kind::CaBundle]),
        (world.caller("reader").await, vec![]),
        (world.caller("other").await, vec![]),
    ] {
        let listed = LinkServiceClient::new(caller)
            .list_expiring(wire::ListExpiringRequest {
                parent: "namespaces/-".into(),
                ..Default::default()
            })
            .await
            .expect("list")
            .into_inner();
        let seen: Vec<_> = listed.expiring.iter().map(|one| one.kind()).collect();
        assert_eq!(seen, kinds);
    }
}

/// A preview says what would be done, does nothing, and what contradicts itself is refused.
#[tokio::test]
async fn an_unlink_can_be_tried() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let ask = wire::UnlinkRequest {
        name: LINK.into(),
        validate_only: true,
        keep_hooks: true,
        ..Default::default()
    };
    let preview = links.unlink(ask.clone()).await.expect("preview");
    let preview = preview.into_inner();
    assert!(preview.preview && !preview.complete && preview.finish_time.is_none());
    let kinds: Vec<_> = preview.steps.iter().map(wire::CleanupStep::kind).collect();
    assert_eq!(kinds[3], StepKind::RevokeGrant);
    let both = wire::UnlinkRequest {
        accept_shared_grant: true,
        keep_shared_grant: true,
        ..ask.clone()
    };
    let refused = links.unlink(both).await.expect_err("contradiction");
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
    let receipt = links
        .unlink(wire::UnlinkRequest {
            validate_only: false,
            ..ask
        })
        .await
        .expect("receipt")
        .into_inner();
    assert!(!receipt.preview);
    assert_eq!(
        receipt.actor.expect("actor").id,
        "spiffe://test.example/owner"
    );
    assert!(receipt.steps.iter().all(|step| step.finish_time.is_some()));
}

/// The same unlink asked twice under one request id is one; another one under it is refused.
#[tokio::test]
async fn an_unlink_is_repeated_safely() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let ask = wire::UnlinkRequest {
        name: LINK.into(),
        request_id: "0b7e5f9c-2f4f-4a51-9c88-0d2f9a2d7a10".into(),
        ..Default::default()
    };
    let first = links.unlink(ask.clone()).await.expect("receipt");
    let again = links.unlink(ask.clone()).await.expect("receipt");
    assert_eq!(first.into_inner(), again.into_inner());
    let other = wire::UnlinkRequest { force: true, ..ask };
    let refused = links.unlink(other).await.expect_err("reused");
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
}

/// A check says when it was, and what it found, the most severe first.
#[tokio::test]
async fn a_check_tells_what_it_found() {
    let world = World::new().await;
    let checked = LinkServiceClient::new(world.caller("owner").await)
        .check_link(wire::CheckLinkRequest {
            name: LINK.into(),
            ..Default::default()
        })
        .await
        .expect("checked")
        .into_inner();
    assert!(checked.link.expect("link").check_time.is_some());
    let severities: Vec<_> = checked
        .findings
        .iter()
        .map(|found| found.severity)
        .collect();
    let mut sorted = severities.clone();
    sorted.sort_by_key(|severity| std::cmp::Reverse(*severity));
    assert_eq!(severities, sorted);
    assert!(
        checked
            .findings
            .iter()
            .all(|found| !found.reason.is_empty())
    );
}
