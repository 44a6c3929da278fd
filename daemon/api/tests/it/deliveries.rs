//! Deliveries as callers see them: listed in pages, shown, processed again; and what was missed.

use bindery_core::{
    delivery::{Delivery, DeliveryHead, DeliveryState},
    hook::{Hook, HookPlace},
    name::HookId,
    port::{Change, Expect, Key, Record, Vault},
    time::Timestamp,
};
use bindery_proto::v1::{
    self as wire, delivery::State, link_service_client::LinkServiceClient,
    source_service_client::SourceServiceClient,
};
use tonic::transport::Channel;

use crate::{client::reason, world::World};

pub(crate) const SOURCE: &str = "namespaces/acme/links/bound/sources/built";

/// A source whose hook brought three deliveries; one of them became an event of another namespace, too.
pub(crate) async fn delivered(world: &World) -> SourceServiceClient<Channel> {
    let mut sources = SourceServiceClient::new(world.caller("owner").await);
    let request = wire::CreateSourceRequest {
        parent: "namespaces/acme/links/bound".into(),
        source_id: "built".into(),
        source: Some(wire::Source {
            repository: "acme/built".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = sources.create_source(request).await.expect("source");
    let hook = made.into_inner().hook.expect("hook");
    let id = hook.delivery_uri.rsplit('/').next().expect("id");
    let hook = HookId::parse(id).expect("id");
    let states = [
        DeliveryState::Processed,
        DeliveryState::Ignored,
        DeliveryState::Unparsed,
    ];
    let put = |key, record| Change {
        key,
        expect: Expect::Any,
        write: Some(record),
    };
    let mut changes = vec![put(
        Key::DeliveryHead,
        Record::DeliveryHead(DeliveryHead {
            reserved: 10,
            processed: 10,
            first: 1,
        }),
    )];
    for (number, state) in (1..).zip(states) {
        let record = delivery(number, &hook, state);
        changes.push(put(Key::Delivery(number), Record::Delivery(record)));
    }
    world.vault.commit(changes).await.expect("records");
    sources
}

pub(crate) fn delivery(number: u64, hook: &HookId, state: DeliveryState) -> Delivery {
    let namespace = |name| bindery_core::name::NamespaceName::parse(name).expect("name");
    Delivery {
        number,
        hook: hook.clone(),
        stable_id: format!("id{number}"),
        event: "push".to_owned(),
        headers: Vec::new(),
        body: b"{\"ref\":1}".to_vec(),
        received: Timestamp::from_unix_ms(4_000_000_000_000),
        redelivered: false,
        state,
        message: String::new(),
        events: vec![(namespace("acme"), 3), (namespace("umbrella"), 9)],
        marks: Vec::new(),
        about: None,
    }
}

/// Pages hold the newest first, without bodies, and only what is this namespace's.
#[tokio::test]
async fn deliveries_come_in_pages() {
    let world = World::new().await;
    let mut sources = delivered(&world).await;
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListDeliveriesRequest {
            parent: SOURCE.into(),
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = sources.list_deliveries(request).await.expect("page");
        let page = page.into_inner();
        seen.extend(page.deliveries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let ids: Vec<_> = seen.iter().map(|one| one.stable_id.as_str()).collect();
    assert_eq!(ids, ["id3", "id2", "id1"]);
    for one in &seen {
        assert_eq!(one.events, ["namespaces/acme/events/3"]);
        assert_eq!((one.body.len(), one.body_size), (0, 9));
    }
    let request = wire::ListDeliveriesRequest {
        parent: SOURCE.into(),
        state: State::Unparsed.into(),
        ..Default::default()
    };
    let page = sources.list_deliveries(request).await.expect("page");
    assert_eq!(page.into_inner().deliveries.len(), 1);
}

/// A body comes where it is asked for; a number that is none, or not there, is told.
#[tokio::test]
async fn a_delivery_is_shown() {
    let world = World::new().await;
    let mut sources = delivered(&world).await;
    let mut get = async |number: &str, include_body| {
        let request = wire::GetDeliveryRequest {
            name: format!("{SOURCE}/deliveries/{number}"),
            include_body,
        };
        sources.get_delivery(request).await
    };
    let shown = get("1", false).await.expect("delivery").into_inner();
    assert_eq!((shown.state(), shown.body.len()), (State::Processed, 0));
    let shown = get("1", true).await.expect("delivery").into_inner();
    assert_eq!(shown.body, b"{\"ref\":1}");
    for (number, why) in [
        ("4", "NOT_FOUND"),
        ("01", "RESOURCE_NAME_INVALID"),
        ("-1", "RESOURCE_NAME_INVALID"),
    ] {
        let refused = get(number, false).await.expect_err(number);
        assert_eq!(reason(&refused), why, "{number}");
    }
}

/// Lets the hook of the host's app serve the source, and puts delivery 4 there, which that hook brought and nobody could read.
async fn served_by_app(world: &World, sources: &mut SourceServiceClient<Channel>) {
    let request = wire::GetSourceRequest {
        name: SOURCE.into(),
    };
    let shown = sources.get_source(request).await.expect("source");
    let url = shown.into_inner().hook.expect("hook").delivery_uri;
    let id = HookId::parse(url.rsplit('/').next().expect("id")).expect("id");
    let key = Key::Hook(id);
    let found = world.vault.get(&key).await.expect("vault").expect("hook");
    let Record::Hook(mut own) = found.record else {
        panic!("no hook");
    };
    own.by_app = true;
    own.provider_id.clear();
    let app = HookId::parse("app").expect("id");
    let place = HookPlace {
        host: own.host.clone(),
        repository: String::new(),
        hook: app.clone(),
    };
    let of_app = Hook::new(app.clone(), own.host.clone(), String::new(), own.created);
    let unread = delivery(4, &app, DeliveryState::Unparsed);
    let put = |key, record| Change {
        key,
        expect: Expect::Any,
        write: Some(record),
    };
    let changes = vec![
        put(key, Record::Hook(own)),
        put(
            Key::HookPlace(place.host.clone(), String::new()),
            Record::HookPlace(place),
        ),
        put(Key::Hook(app), Record::Hook(of_app)),
        put(Key::Delivery(4), Record::Delivery(unread)),
    ];
    world.vault.commit(changes).await.expect("records");
}

/// G1: what the hook of the host's app brought, and nobody could read, is the operator's to see.
#[tokio::test]
async fn g1_what_nobody_could_read_is_the_operators() {
    let world = World::new().await;
    let mut owner = delivered(&world).await;
    served_by_app(&world, &mut owner).await;
    let mut operator = SourceServiceClient::new(world.admin());
    for (caller, sees) in [(&mut owner, false), (&mut operator, true)] {
        let request = wire::ListDeliveriesRequest {
            parent: SOURCE.into(),
            ..Default::default()
        };
        let page = caller.list_deliveries(request).await.expect("page");
        let page = page.into_inner().deliveries;
        assert_eq!(page.iter().any(|one| one.stable_id == "id4"), sees);
        let request = wire::GetDeliveryRequest {
            name: format!("{SOURCE}/deliveries/4"),
            include_body: true,
        };
        assert_eq!(caller.get_delivery(request).await.is_ok(), sees);
        let request = wire::RetryDeliveryRequest {
            name: format!("{SOURCE}/deliveries/4"),
            ..Default::default()
        };
        assert_eq!(caller.retry_delivery(request).await.is_ok(), sees);
    }
}

/// A kept delivery is processed again, and its answer says what became of it; refs are compared when that is asked for.
#[tokio::test]
async fn what_was_missed_can_be_asked_for() {
    let world = World::new().await;
    let mut sources = delivered(&world).await;
    let request = wire::RetryDeliveryRequest {
        name: format!("{SOURCE}/deliveries/3"),
        ..Default::default()
    };
    let again = sources.retry_delivery(request).await.expect("answer");
    assert_ne!(again.into_inner().state(), State::Stored);
    let request = wire::CatchUpSourceRequest {
        name: SOURCE.into(),
        ..Default::default()
    };
    let caught = sources.catch_up_source(request).await.expect("caught up");
    assert_eq!(caught.into_inner(), wire::CatchUpSourceResponse::default());
}

/// A link counts the sources that are connected through it, alone and in a list.
#[tokio::test]
async fn a_link_counts_its_sources() {
    let world = World::new().await;
    delivered(&world).await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let request = wire::GetLinkRequest {
        name: "namespaces/acme/links/bound".into(),
    };
    let shown = links.get_link(request).await.expect("link").into_inner();
    assert_eq!(shown.source_count, 1);
    let request = wire::ListLinksRequest {
        parent: "namespaces/acme".into(),
        ..Default::default()
    };
    let listed = links.list_links(request).await.expect("links").into_inner();
    let counted: Vec<_> = listed
        .links
        .iter()
        .map(|link| (link.name == shown.name, link.source_count))
        .collect();
    assert!(counted.contains(&(true, 1)), "{counted:?}");
    assert!(counted.iter().all(|(own, count)| *own || *count == 0));
}
