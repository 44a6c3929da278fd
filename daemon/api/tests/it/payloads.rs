//! The bodies of providers: who may see them.

use bindery_core::{
    delivery::DeliveryState,
    event::{Event, EventChange},
    name::{NamespaceName, SubscriptionId},
    port::{Change, Entry, Expect, Key, Record, Vault},
};
use bindery_proto::v1::{
    self as wire, event_service_client::EventServiceClient,
    source_service_client::SourceServiceClient,
};
use prost::Message;
use prost_types::FieldMask;

use crate::{
    client::{raw, reason},
    deliveries::{SOURCE, delivered, delivery},
    events::{event, put, put_made},
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

/// A world whose events each come from a delivery with a body of so many bytes.
async fn with_bodies(sizes: &[usize]) -> World {
    let world = World::new().await;
    delivered(&world).await;
    let Some(Entry {
        record: Record::Delivery(first),
        ..
    }) = world.vault.get(&Key::Delivery(1)).await.expect("vault")
    else {
        panic!("there is one");
    };
    let deliveries = (1..).zip(sizes).map(|(number, size)| {
        let mut record = delivery(number, &first.hook, DeliveryState::Processed);
        record.body = vec![b'x'; *size];
        Change {
            key: Key::Delivery(number),
            expect: Expect::Any,
            write: Some(Record::Delivery(record)),
        }
    });
    world.vault.commit(deliveries.collect()).await.expect("put");
    let made = |number| Event {
        delivery: Some(number),
        ..event(number)
    };
    put_made(&world, 1, sizes.len() as u64, made).await;
    world
}

/// D7: a page of events ends where the bodies in it are as many bytes as an answer should have; the next one goes on there. A body
/// that no answer can hold is left out, and an operator who asks for that one alone is told so.
#[tokio::test]
async fn d7_pages_of_bodies_are_bounded() {
    const MIB: usize = 1 << 20;
    let sizes = [MIB, MIB, MIB, MIB, 3 * MIB, 8 * MIB, 10, 2 * MIB];
    let world = with_bodies(&sizes).await;
    let mut events = EventServiceClient::new(world.caller("owner").await);
    let mut request = wire::ListEventsRequest {
        parent: ACME.into(),
        include_payload: true,
        page_size: 100,
        ..Default::default()
    };
    let (mut pages, mut found) = (Vec::new(), Vec::new());
    loop {
        let page = events.list_events(request.clone()).await.expect("a page");
        let page = page.into_inner();
        pages.push(page.events.len());
        found.extend(page.events.iter().map(|event| event.payload.len()));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let shown = sizes.map(|size| if size > 3 * MIB { 0 } else { size });
    assert_eq!(found, shown);
    assert_eq!(pages, [2, 2, 1, 3]);
    let mut sources = SourceServiceClient::new(world.caller("owner").await);
    let mut one = wire::GetDeliveryRequest {
        name: format!("{SOURCE}/deliveries/6"),
        include_body: true,
    };
    let refused = sources.get_delivery(one.clone()).await;
    assert_eq!(reason(&refused.expect_err("too long")), "MESSAGE_TOO_LARGE");
    one.include_body = false;
    let plain = sources
        .get_delivery(one)
        .await
        .expect("without")
        .into_inner();
    assert_eq!(plain.body_size, 8 << 20);
}

/// The right to events ends within a long backlog as well.
#[tokio::test]
async fn g4_a_right_that_goes_ends_a_backlog() {
    let world = World::new().await;
    // More than a connection holds that is not read.
    let large = |number| {
        let mut event = event(number);
        if let EventChange::Access(change) = &mut event.change {
            change.message = "x".repeat(16 << 10);
        }
        event
    };
    put_made(&world, 1, 600, large).await;
    let mut events = EventServiceClient::new(world.caller("owner").await);
    let request = wire::WatchEventsRequest {
        parent: ACME.into(),
        after_sequence: Some(0),
        ..Default::default()
    };
    let mut stream = events.watch_events(request.clone()).await;
    let stream = stream.as_mut().expect("watch").get_mut();
    stream.message().await.expect("first");
    world.set_policy("");
    let (mut read, mut ended) = (0, None);
    while ended.is_none() && read < 600 {
        match stream.message().await {
            Ok(_) => read += 1,
            Err(status) => ended = Some(reason(&status)),
        }
    }
    assert_eq!(ended.as_deref(), Some("NOT_FOUND"), "{read} were read");
    let long = wire::WatchEventsRequest {
        heartbeat_interval: Some(prost_types::Duration {
            seconds: 3601,
            nanos: 0,
        }),
        ..request
    };
    world.set_policy(RULES);
    let refused = events.watch_events(long).await.expect_err("too long");
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
}
