//! The bodies of providers: who may see them.

use bindery_core::name::{NamespaceName, SubscriptionId};
use bindery_proto::v1::{
    self as wire, event_service_client::EventServiceClient,
    source_service_client::SourceServiceClient,
};
use prost::Message;
use prost_types::FieldMask;

use crate::{
    client::{raw, reason},
    deliveries::{SOURCE, delivered},
    events::put,
    world::World,
};

const ACME: &str = "namespaces/acme";
const REGISTRY: &str = "namespaces/acme/subscriptions/registry";

/// Who may do everything with events and sources but see bodies, and who may see them and nothing else.
const RULES: &str = r#"
[[allow]]
principals = ["spiffe://test.example/registry"]
namespaces = ["acme"]
actions = ["read", "source", "event"]

[[allow]]
principals = ["spiffe://test.example/auditor"]
namespaces = ["acme"]
actions = ["event:payload"]

[[allow]]
principals = ["spiffe://test.example/owner"]
namespaces = ["acme"]
actions = ["read", "source", "event", "event:payload"]
"#;

/// Every call that can answer with a body or have one sent, with and without asking for it.
fn calls(asked: bool) -> Vec<(&'static str, Vec<u8>)> {
    let subscription = || wire::Subscription {
        endpoint_uri: "https://registry.example/events".into(),
        include_payload: asked,
        ..Default::default()
    };
    let get = wire::GetEventRequest {
        name: format!("{ACME}/events/1"),
        include_payload: asked,
    };
    let list = wire::ListEventsRequest {
        parent: ACME.into(),
        include_payload: asked,
        ..Default::default()
    };
    let watch = wire::WatchEventsRequest {
        parent: ACME.into(),
        after_sequence: Some(0),
        include_payload: asked,
        ..Default::default()
    };
    let create = wire::CreateSubscriptionRequest {
        parent: ACME.into(),
        subscription: Some(subscription()),
        ..Default::default()
    };
    let update = wire::UpdateSubscriptionRequest {
        subscription: Some(wire::Subscription {
            name: REGISTRY.into(),
            ..subscription()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["include_payload".into()],
        }),
        ..Default::default()
    };
    let delivery = wire::GetDeliveryRequest {
        name: format!("{SOURCE}/deliveries/1"),
        include_body: asked,
    };
    vec![
        ("EventService/GetEvent", get.encode_to_vec()),
        ("EventService/ListEvents", list.encode_to_vec()),
        ("EventService/WatchEvents", watch.encode_to_vec()),
        ("EventService/CreateSubscription", create.encode_to_vec()),
        ("EventService/UpdateSubscription", update.encode_to_vec()),
        ("SourceService/GetDelivery", delivery.encode_to_vec()),
    ]
}

/// A world in which each of the calls has something to answer with.
async fn world() -> (World, SourceServiceClient<tonic::transport::Channel>) {
    let world = World::new().await;
    let sources = delivered(&world).await;
    put(&world, 1, 2).await;
    let mut owner = EventServiceClient::new(world.caller("owner").await);
    let subscription = wire::CreateSubscriptionRequest {
        parent: ACME.into(),
        subscription_id: "registry".into(),
        subscription: Some(wire::Subscription {
            endpoint_uri: "https://registry.example/events".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    owner.create_subscription(subscription).await.expect("made");
    world.set_policy(RULES);
    (world, sources)
}

/// G1: each call that can tell a provider's body, asked for it or not, as each kind of caller. The right to bodies gives nothing
/// without the right to the call.
#[tokio::test]
async fn g1_bodies_need_a_right_of_their_own() {
    let (world, _sources) = world().await;
    for (role, plain, asking) in [
        ("nobody", "NOT_FOUND", "NOT_FOUND"),
        ("auditor", "PERMISSION_DENIED", "PERMISSION_DENIED"),
        ("registry", "OK", "PERMISSION_DENIED"),
        ("owner", "OK", "OK"),
    ] {
        let caller = world.caller(role).await;
        for (asked, end) in [(false, plain), (true, asking)] {
            for (method, message) in calls(asked) {
                let answer = raw(&caller, &format!("/bindery.v1.{method}"), message).await;
                let ended = answer.as_ref().map_or_else(reason, |_| "OK".to_owned());
                assert_eq!(ended, end, "{method} as {role}, asked: {asked}");
            }
        }
    }
}

/// A watch that shows bodies ends when the right to them does.
#[tokio::test]
async fn g1_a_watch_with_bodies_ends_with_its_right() {
    let (world, _sources) = world().await;
    let mut owner = EventServiceClient::new(world.caller("owner").await);
    let request = wire::WatchEventsRequest {
        parent: ACME.into(),
        after_sequence: Some(0),
        include_payload: true,
        heartbeat_interval: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..Default::default()
    };
    let mut stream = owner
        .watch_events(request)
        .await
        .expect("watch")
        .into_inner();
    for _ in 0..2 {
        stream.message().await.expect("open").expect("event");
    }
    world.set_policy(&RULES.replace(r#", "event:payload"]"#, "]"));
    let end = async {
        loop {
            match stream.message().await {
                Ok(beat) => assert!(beat.is_some(), "ended without a word"),
                Err(status) => return status,
            }
        }
    };
    let deadline = std::time::Duration::from_secs(60);
    let end = tokio::time::timeout(deadline, end).await.expect("ended");
    assert_eq!(reason(&end), "PERMISSION_DENIED");
}

/// G1: who asks for bodies answers for it, and so does who has them sent elsewhere; who changes anything else does not.
#[tokio::test]
async fn g1_a_subscription_knows_who_asked_for_bodies() {
    let (world, _sources) = world().await;
    let (namespace, id) = (
        NamespaceName::parse("acme").expect("name"),
        SubscriptionId::parse("registry").expect("name"),
    );
    let asked = async || {
        let found = world.engine.subscription(&namespace, &id).await;
        found.expect("subscription").payload_for
    };
    let change = async |role: &str, path: &str, include_payload| {
        let mut client = EventServiceClient::new(world.caller(role).await);
        let request = wire::UpdateSubscriptionRequest {
            subscription: Some(wire::Subscription {
                name: REGISTRY.into(),
                display_name: format!("by {role}"),
                include_payload,
                ..Default::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec![path.into()],
            }),
            ..Default::default()
        };
        client.update_subscription(request).await.expect("changed");
    };
    assert_eq!(asked().await, Vec::<String>::new());
    change("owner", "include_payload", true).await;
    let owner = ["spiffe://test.example/owner"];
    assert_eq!(asked().await, owner);
    change("registry", "display_name", false).await;
    assert_eq!(asked().await, owner);
    change("registry", "include_payload", false).await;
    assert_eq!(asked().await, Vec::<String>::new());
}
