//! Subscriptions as callers see them: made with a secret that is shown once, changed, rotated, replayed, deleted.

use bindery_proto::v1::{
    self as wire, event_service_client::EventServiceClient, replay_events_request::Target,
};
use prost_types::{Duration, FieldMask};
use tonic::transport::Channel;

use crate::{client::reason, events::put, world::World};

const ACME: &str = "namespaces/acme";
const REGISTRY: &str = "namespaces/acme/subscriptions/registry";
const REQUEST: &str = "0b7e5f9c-2f4f-4a51-9c88-0d2f9a2d7a10";

fn ask() -> wire::CreateSubscriptionRequest {
    wire::CreateSubscriptionRequest {
        parent: ACME.into(),
        subscription_id: "registry".into(),
        subscription: Some(wire::Subscription {
            display_name: "Registry".into(),
            endpoint_uri: "https://registry.example/events".into(),
            filter: "change = push".into(),
            ..Default::default()
        }),
        request_id: REQUEST.into(),
        ..Default::default()
    }
}

async fn client(world: &World) -> EventServiceClient<Channel> {
    EventServiceClient::new(world.caller("owner").await)
}

async fn get(client: &mut EventServiceClient<Channel>) -> wire::Subscription {
    let request = wire::GetSubscriptionRequest {
        name: REGISTRY.into(),
    };
    let found = client.get_subscription(request).await;
    found.expect("subscription").into_inner()
}

/// The secret comes with the answer, again with its repetition, and with nothing else.
#[tokio::test]
async fn the_secret_is_shown_to_who_made_it() {
    let world = World::new().await;
    let mut client = client(&world).await;
    let one = client.create_subscription(ask()).await.expect("made");
    let two = client.create_subscription(ask()).await.expect("again");
    let (one, two) = (one.into_inner(), two.into_inner());
    assert!(one.signing_secret.starts_with("whsec_") && one.signing_secret.len() == 50);
    assert_eq!(one.signing_secret, two.signing_secret);
    let made = one.subscription.expect("subscription");
    assert_eq!(
        (made.name.as_str(), made.filter.as_str()),
        (REGISTRY, "change = push")
    );
    assert!(made.secret_facts.is_some() && !made.etag.is_empty());
    assert_eq!(get(&mut client).await, made);
    let rotate = wire::RotateSubscriptionSecretRequest {
        name: REGISTRY.into(),
        overlap: Some(Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..Default::default()
    };
    let rotated = client.rotate_subscription_secret(rotate).await;
    let rotated = rotated.expect("rotated").into_inner();
    assert_ne!(rotated.signing_secret, one.signing_secret);
    let after = rotated.subscription.expect("subscription");
    assert!(after.previous_secret_until_time.is_some() && after.etag != made.etag);
}

/// An endpoint, a filter and an id that can't be are refused with what is wrong, and nothing is made.
#[tokio::test]
async fn what_cannot_be_is_refused() {
    let world = World::new().await;
    let mut client = client(&world).await;
    let odd = |change: fn(&mut wire::CreateSubscriptionRequest)| {
        let mut request = ask();
        change(&mut request);
        let mut client = client.clone();
        async move {
            let refused = client.create_subscription(request).await;
            reason(&refused.expect_err("refused"))
        }
    };
    let given = |request: &mut wire::CreateSubscriptionRequest| {
        request.subscription.get_or_insert_default().filter = "colour = red".into();
    };
    assert_eq!(odd(given).await, "FILTER_INVALID");
    let ends = odd(|request| {
        request.subscription.get_or_insert_default().endpoint_uri = "http://registry:22".into();
    });
    assert_eq!(ends.await, "HOST_PORT_FORBIDDEN");
    assert_eq!(
        odd(|request| request.subscription = None).await,
        "INVALID_ARGUMENT"
    );
    let id = odd(|request| request.subscription_id = "No Id".into());
    assert_eq!(id.await, "INVALID_ARGUMENT");
    let mut dry = ask();
    dry.validate_only = true;
    let dry = client.create_subscription(dry).await.expect("fine");
    assert!(dry.into_inner().signing_secret.is_empty());
    let list = wire::ListSubscriptionsRequest {
        parent: ACME.into(),
        ..Default::default()
    };
    let all = client.list_subscriptions(list).await.expect("list");
    assert!(all.into_inner().subscriptions.is_empty());
}

/// An update needs the etag that was read, and deliveries don't change it; deleted is gone.
#[tokio::test]
async fn updates_and_deletions_hold_to_their_etags() {
    let world = World::new().await;
    let mut client = client(&world).await;
    client.create_subscription(ask()).await.expect("made");
    let before = get(&mut client).await;
    put(&world, 1, 2).await;
    world.engine.deliver_due().await.expect("delivered");
    let update = |etag: &str| wire::UpdateSubscriptionRequest {
        subscription: Some(wire::Subscription {
            paused: true,
            etag: etag.to_owned(),
            ..before.clone()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["paused".into()],
        }),
        ..Default::default()
    };
    let updated = client.update_subscription(update(&before.etag)).await;
    assert!(updated.expect("updated").into_inner().paused);
    let stale = client.update_subscription(update(&before.etag)).await;
    assert_eq!(reason(&stale.expect_err("stale")), "ETAG_MISMATCH");
    let delete = |allow_missing| wire::DeleteSubscriptionRequest {
        name: REGISTRY.into(),
        allow_missing,
        ..Default::default()
    };
    client
        .delete_subscription(delete(false))
        .await
        .expect("deleted");
    client
        .delete_subscription(delete(true))
        .await
        .expect("missing");
    let gone = client.delete_subscription(delete(false)).await;
    assert_eq!(reason(&gone.expect_err("gone")), "NOT_FOUND");
}

/// A replay says what is delivered again, after the filter, and only in its own namespace.
#[tokio::test]
async fn replays_say_what_is_delivered_again() {
    let world = World::new().await;
    let mut client = client(&world).await;
    let mut wanted = ask();
    let link = r#"link = "namespaces/acme/links/bound""#;
    wanted.subscription.get_or_insert_default().filter = link.into();
    client.create_subscription(wanted).await.expect("made");
    put(&world, 1, 7).await;
    world.engine.deliver_due().await.expect("delivered");
    assert_eq!(get(&mut client).await.delivered_sequence, 6);
    let replay = |name: &str| wire::ReplayEventsRequest {
        parent: ACME.into(),
        target: Some(Target::Subscription(name.into())),
        since_sequence: 3,
        ..Default::default()
    };
    let again = client.replay_events(replay(REGISTRY)).await.expect("again");
    let again = again.into_inner();
    assert_eq!(
        (again.first_sequence, again.last_sequence, again.event_count),
        (4, 6, 2)
    );
    let foreign = client.replay_events(replay("namespaces/umbrella/subscriptions/registry"));
    assert_eq!(
        reason(&foreign.await.expect_err("foreign")),
        "INVALID_ARGUMENT"
    );
    let list = wire::ListDeadLettersRequest {
        parent: REGISTRY.into(),
        ..Default::default()
    };
    let dead = client.list_dead_letters(list).await.expect("list");
    assert!(dead.into_inner().dead_letters.is_empty());
}
