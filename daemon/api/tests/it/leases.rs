//! Leases as callers see them.

use bindery_proto::v1::{
    self as wire, cleanup_step::Outcome, credential_service_client::CredentialServiceClient,
    link_service_client::LinkServiceClient,
};

use tonic::transport::Channel;

use crate::{client::reason, world::World};

const LINK: &str = "namespaces/acme/links/bound";

fn listed(parent: &str) -> wire::ListLeasesRequest {
    wire::ListLeasesRequest {
        parent: parent.into(),
        ..Default::default()
    }
}

async fn leases(caller: &Channel, request: wire::ListLeasesRequest) -> wire::ListLeasesResponse {
    let mut client = CredentialServiceClient::new(caller.clone());
    client
        .list_leases(request)
        .await
        .expect("leases")
        .into_inner()
}

/// A hand-out is listed at once, newest first, filtered and paged; who asks again for the same keeps the lease.
#[tokio::test]
async fn hand_outs_are_listed() {
    let world = World::new().await;
    let owner = world.caller("owner").await;
    let mut client = CredentialServiceClient::new(owner.clone());
    let ask = wire::FetchReadCredentialRequest {
        link: LINK.into(),
        repository: "acme/web".into(),
        ..Default::default()
    };
    let first = client.fetch_read_credential(ask.clone()).await;
    let lease = first.expect("credential").into_inner().lease;
    let again = client.fetch_read_credential(ask).await;
    assert_eq!(again.expect("credential").into_inner().lease, lease);

    let all = leases(&owner, listed("namespaces/acme")).await.leases;
    let names: Vec<_> = all.iter().map(|lease| lease.name.as_str()).collect();
    assert_eq!(names, [lease.as_str(), "namespaces/acme/leases/held"]);
    assert_eq!(all[0].repository, format!("{LINK}/repositories/acme%2Fweb"));
    assert_eq!(leases(&owner, listed("namespaces/-")).await.leases, all);

    let filter = wire::ListLeasesRequest {
        filter: r#"holder = "spiffe://test.example/builder" AND permission = READ"#.into(),
        ..listed("namespaces/acme")
    };
    assert_eq!(leases(&owner, filter).await.leases, all[1..]);
    let paged = wire::ListLeasesRequest {
        page_size: 1,
        ..listed("namespaces/acme")
    };
    let page = leases(&owner, paged.clone()).await;
    assert_eq!(page.leases, all[..1]);
    let rest = wire::ListLeasesRequest {
        page_token: page.next_page_token,
        ..paged
    };
    assert_eq!(leases(&owner, rest).await.leases, all[1..]);

    let link = LinkServiceClient::new(owner)
        .get_link(wire::GetLinkRequest { name: LINK.into() })
        .await;
    let link = link.expect("link").into_inner();
    let (made, token) = (link.create_time.expect("time"), link.token.expect("token"));
    // It is told to the minute, which may have begun before the link.
    let fetched = token.last_fetch_time.expect("time");
    assert!((fetched.seconds, fetched.nanos) >= (made.seconds, made.nanos));
}

/// G1: over all namespaces a caller is told of those only that it may see.
#[tokio::test]
async fn g1_everywhere_is_what_one_may_see() {
    let world = World::new().await;
    let other = world.caller("other").await;
    assert!(
        leases(&other, listed("namespaces/-"))
            .await
            .leases
            .is_empty()
    );
    let receipts = LinkServiceClient::new(other)
        .list_receipts(wire::ListReceiptsRequest {
            parent: "namespaces/-".into(),
            ..Default::default()
        })
        .await;
    assert!(receipts.expect("receipts").into_inner().receipts.is_empty());
}

/// A shared token is not revoked by one of its holders, and the answer says so; what another one got is not one's own to
/// give back.
#[tokio::test]
async fn shared_tokens_outlive_their_leases() {
    let world = World::new().await;
    let give_back = wire::RevokeLeaseRequest {
        name: "namespaces/acme/leases/held".into(),
        ..Default::default()
    };
    let mut builder = CredentialServiceClient::new(world.caller("builder").await);
    world.set_policy(
        r#"
        [[allow]]
        principals = ["spiffe://test.example/builder", "spiffe://test.example/reader"]
        namespaces = ["acme"]
        actions = ["credential:read"]
        "#,
    );
    let answer = builder.revoke_lease(give_back.clone()).await;
    let answer = answer.expect("answer").into_inner();
    let step = answer.step.expect("step");
    assert_eq!(step.outcome(), Outcome::Impossible);
    assert!(answer.lease.expect("lease").revoke_time.is_none());
    let mut reader = CredentialServiceClient::new(world.caller("reader").await);
    let refused = reader.revoke_lease(give_back).await.expect_err("foreign");
    assert_eq!(reason(&refused), "PERMISSION_DENIED");
}
