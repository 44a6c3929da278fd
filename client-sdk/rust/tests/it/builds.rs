//! Sources, hooks, deliveries, events, triggers and subscriptions.

use std::time::{Duration, SystemTime};

use bindery_client::{
    Change, Client, DisconnectRequest, Error, EventQuery, ReplayRequest, RotationRequest,
    SourceRequest, SubscriptionRequest, TriggerRequest,
    names::{DeliveryName, EventName, SourceName, TriggerName},
    proto::v1::{
        DeadLetter, Delivery, Event, OrphanHook, Pattern, Rule, delivery, event::Change as What,
        hook, hook_rotation, pattern::Kind,
    },
    testing::FakeBindery,
};

struct Scene {
    bindery: FakeBindery,
    client: Client,
    link: String,
}

async fn scene() -> Scene {
    let bindery = FakeBindery::start().await.unwrap();
    bindery.add_host("github.com", "github", "https://github.com");
    bindery.add_namespace("acme");
    let link = bindery.add_bound_link("acme", "github.com", "octo");
    bindery.add_repository(&link, "acme/api");
    bindery.add_repository(&link, "acme/web");
    let client = bindery.client().await.unwrap();
    Scene {
        bindery,
        client,
        link,
    }
}

fn rule(id: &str, glob: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        branches: vec![Pattern {
            kind: Some(Kind::Glob(glob.to_owned())),
        }],
        ..Rule::default()
    }
}

/// A repository is connected with all that was asked for, once, changed where it was read, and disconnected.
#[tokio::test]
async fn a_source_lives() {
    let scene = scene().await;
    let (client, link) = (&scene.client, &scene.link);
    let request = || {
        SourceRequest::new(link, "acme/api")
            .id("api")
            .rules([rule("main", "main")])
            .max_triggers_per_minute(5)
            .reconcile_interval(Duration::from_secs(900))
            .labels([("team".to_owned(), "build".to_owned())])
    };
    let checked = client.create_source(request().preview(true)).await.unwrap();
    assert!(matches!(
        client.get_source(&checked.name).await,
        Err(Error::NotFound(_))
    ));
    let source = client.create_source(request()).await.unwrap();
    let name: SourceName = source.name.parse().unwrap();
    assert_eq!(
        (name.namespace.as_str(), name.source.as_str()),
        ("acme", "api")
    );
    assert_eq!(source.rules, [rule("main", "main")]);
    assert_eq!(source.reconcile_interval.unwrap().seconds, 900);
    let twice = client
        .create_source(request().id("other"))
        .await
        .unwrap_err();
    assert_eq!(twice.reason(), "SOURCE_EXISTS");

    let mut wanted = source.clone();
    wanted.paused = true;
    wanted.display_name = "not meant".to_owned();
    let change = |preview| Change::new(wanted.clone(), ["paused"]).preview(preview);
    assert!(client.update_source(change(true)).await.unwrap().paused);
    let kept = client.get_source(&source.name).await.unwrap();
    assert!(!kept.paused);
    let changed = client.update_source(change(false)).await.unwrap();
    assert_eq!((changed.paused, changed.display_name.as_str()), (true, ""));
    let late = client.update_source(change(false)).await;
    assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");

    let gone = DisconnectRequest::new(&source.name);
    let steps = client
        .delete_source(gone.clone().preview(true))
        .await
        .unwrap();
    assert_eq!(steps.len(), 1);
    client.get_source(&source.name).await.unwrap();
    client.delete_source(gone.clone()).await.unwrap();
    let again = client.delete_source(gone.clone()).await;
    assert!(matches!(again, Err(Error::NotFound(_))), "{again:?}");
    let steps = client.delete_source(gone.allow_missing(true)).await;
    assert!(steps.unwrap().is_empty());
}

/// Sources of all links are listed, hooks are looked after, and what can't be done is said.
#[tokio::test]
async fn hooks_are_looked_after() {
    let Scene {
        bindery,
        client,
        link,
    } = scene().await;
    let api = bindery.add_source(&link, "acme/api");
    let web = bindery.add_source(&link, "acme/web");
    bindery.set_longest_page(1);
    bindery.set_hook_state(&api, hook::State::Missing, "it is gone; repair it");
    let all = client.list_sources("namespaces/-/links/-", "");
    assert_eq!(all.all().await.unwrap().len(), 2);
    let missing = client.list_sources(&link, "hook.state = \"MISSING\"");
    let missing = missing.all().await.unwrap();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].name, api);
    let seen = client.verify_source(&api).await.unwrap().hook.unwrap();
    assert_eq!(seen.state(), hook::State::Missing);
    let seen = client.repair_source(&api).await.unwrap().hook.unwrap();
    assert_eq!(seen.state(), hook::State::Verified);
    bindery.deny_hook(&web, "PROVIDER_DENIED");
    let denied = client.repair_source(&web).await.unwrap_err();
    assert_eq!(denied.reason(), "PROVIDER_DENIED");
    let left = client.delete_source(DisconnectRequest::new(&web)).await;
    assert!(left.unwrap()[0].action_uri.starts_with("https://"));
}

/// A rotation of many hooks ends with a report for each, the failed ones with their reason.
#[tokio::test]
async fn secrets_of_a_fleet_are_rotated() {
    let Scene {
        bindery,
        client,
        link,
    } = scene().await;
    bindery.add_source(&link, "acme/api");
    let web = bindery.add_source(&link, "acme/web");
    bindery.deny_hook(&web, "PROVIDER_DENIED");
    let request = || RotationRequest::new("namespaces/acme").overlap(Duration::from_secs(60));
    let counted = client.rotate_hook_secrets(request().preview(true)).await;
    let counted = counted.unwrap();
    assert_eq!(counted.total_count, 2);
    let none = client.get_hook_rotation(&counted.name).await;
    assert!(matches!(none, Err(Error::NotFound(_))), "{none:?}");
    let started = client.rotate_hook_secrets(request()).await.unwrap();
    assert_eq!(started.overlap.unwrap().seconds, 60);
    assert_eq!(started.state(), hook_rotation::State::Running);
    client.get_hook_rotation(&started.name).await.unwrap();
    let ended = client.get_hook_rotation(&started.name).await.unwrap();
    assert_eq!(ended.state(), hook_rotation::State::DoneWithFailures);
    assert_eq!((ended.done_count, ended.failed_count), (1, 1));
    let reports = client.list_hook_rotation_reports(&started.name);
    let reasons = reports.all().await.unwrap().into_iter();
    let reasons: Vec<_> = reasons.map(|report| report.reason).collect();
    assert_eq!(reasons, ["", "PROVIDER_DENIED"]);
}

fn orphan(link: &str, number: usize) -> OrphanHook {
    OrphanHook {
        link: link.to_owned(),
        repository_full_name: format!("acme/r{number}"),
        hook_id: number.to_string(),
        ..OrphanHook::default()
    }
}

/// Hooks of nobody are found on all pages; links that could not be looked through are named once each, and
/// only the hooks that are meant are removed.
#[tokio::test]
async fn orphans_are_found_and_removed() {
    let Scene {
        bindery,
        client,
        link,
    } = scene().await;
    for number in 1..=3 {
        bindery.add_orphan_hook(orphan(&link, number));
    }
    bindery.add_unreachable_link("namespaces/acme/links/away");
    bindery.set_longest_page(2);
    let mut pages = client.list_orphan_hooks(&link);
    let found = pages.collect().await.unwrap();
    assert_eq!(found.len(), 3);
    let notice = &pages.notice().unwrap().message;
    assert_eq!(notice.matches("links/away").count(), 1, "{notice}");
    let first = [found[0].clone()];
    let namespace = "namespaces/acme";
    let remove = |preview| client.remove_orphan_hooks(namespace, first.clone(), preview);
    assert_eq!(remove(true).await.unwrap().len(), 1);
    assert_eq!(
        client.list_orphan_hooks(&link).all().await.unwrap().len(),
        3
    );
    assert_eq!(remove(false).await.unwrap()[0].subject, "acme/r1");
    let left = client.list_orphan_hooks(&link).all().await.unwrap();
    assert_eq!(left, found[1..]);
}

/// Deliveries are listed without their bodies, the newest first; one is fetched with its body, also a large
/// one, and processed again.
#[tokio::test]
async fn deliveries_can_be_looked_at() {
    let Scene {
        bindery,
        client,
        link,
    } = scene().await;
    let source = bindery.add_source(&link, "acme/api");
    let large = vec![b'x'; 20 << 20];
    let delivery = |state: delivery::State, body: &[u8]| Delivery {
        state: state.into(),
        body: body.to_vec(),
        ..Delivery::default()
    };
    let processed = delivery(delivery::State::Processed, b"{}");
    bindery.add_delivery(&source, processed);
    let unparsed = delivery(delivery::State::Unparsed, &large);
    let unparsed = bindery.add_delivery(&source, unparsed);
    assert!(unparsed.parse::<DeliveryName>().is_ok());
    let all = client.list_deliveries(&source, None).all().await.unwrap();
    assert_eq!((all.len(), all[0].name.as_str()), (2, unparsed.as_str()));
    assert!(all.iter().all(|one| one.body.is_empty()));
    let state = Some(delivery::State::Unparsed);
    let some = client.list_deliveries(&source, state).all().await.unwrap();
    assert_eq!(some.len(), 1);
    let without = client.get_delivery(&unparsed, false).await.unwrap();
    assert_eq!((without.body.len(), without.body_size), (0, 20 << 20));
    let whole = client.get_delivery(&unparsed, true).await.unwrap();
    assert_eq!(whole.body, large);
    let again = client.retry_delivery(&unparsed).await.unwrap();
    assert_eq!(again.state(), delivery::State::Processed);
    client
        .catch_up_source(&source, Some(SystemTime::now()))
        .await
        .unwrap();
}

/// Events are listed in both directions and by filter, and one is fetched, with its payload on request.
#[tokio::test]
async fn events_can_be_looked_at() {
    let Scene {
        bindery,
        client,
        link,
    } = scene().await;
    let api = bindery.add_source(&link, "acme/api");
    let web = bindery.add_source(&link, "acme/web");
    for source in [&api, &web, &api] {
        bindery.push(source, "refs/heads/main", "1f7a");
    }
    let payload = Event {
        payload: b"signed".to_vec(),
        ..Event::default()
    };
    bindery.publish("acme", payload);
    bindery.set_longest_page(2);
    let numbers = async |query: EventQuery| {
        let events = client.list_events("namespaces/acme", query).all().await;
        let numbers = events.unwrap().into_iter().map(|event| event.sequence);
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(numbers(EventQuery::default()).await, [1, 2, 3, 4]);
    let of_api = EventQuery {
        filter: format!("source = \"{api}\""),
        newest_first: true,
        ..EventQuery::default()
    };
    assert_eq!(numbers(of_api).await, [3, 1]);
    let name = EventName {
        namespace: "acme".to_owned(),
        event: "4".to_owned(),
    };
    let event = client.get_event(&name, false).await.unwrap();
    assert!(event.payload.is_empty());
    let event = client.get_event(&name, true).await.unwrap();
    assert_eq!(event.payload, b"signed");
}

/// A trigger's token is handed out when it is made and when it is replaced, and prints nowhere.
#[tokio::test]
async fn a_trigger_lives() {
    let Scene {
        bindery,
        client,
        link,
    } = scene().await;
    let source = bindery.add_source(&link, "acme/api");
    let request = TriggerRequest::new(&source)
        .id("nightly")
        .default_ref("refs/heads/main");
    let checked = client.create_trigger(request.clone().preview(true)).await;
    assert_eq!(checked.unwrap().token.expose(), "");
    let made = client.create_trigger(request).await.unwrap();
    let name = made.trigger.name.as_str();
    assert_eq!(name.parse::<TriggerName>().unwrap().trigger, "nightly");
    assert!(made.token.expose().starts_with("fake-trigger-token-"));
    assert!(!format!("{made:?}").contains(made.token.expose()));
    let rotated = client
        .rotate_trigger_token(name, Some(Duration::ZERO))
        .await;
    let rotated = rotated.unwrap();
    assert_ne!(rotated.token.expose(), made.token.expose());
    assert_eq!(rotated.trigger.previous_token_until_time, None);
    let overlapping = client.rotate_trigger_token(name, None).await.unwrap();
    assert!(overlapping.trigger.previous_token_until_time.is_some());
    let mut off = client.get_trigger(name).await.unwrap();
    off.disabled = true;
    let off = client.update_trigger(Change::new(off, ["disabled"])).await;
    assert!(off.unwrap().disabled);
    let listed = client.list_triggers(&source).all().await.unwrap();
    assert_eq!(listed.len(), 1);
    let fired = client.fire_trigger(name, "refs/tags/v1").await.unwrap();
    let Some(What::TriggerFired(firing)) = fired.change else {
        panic!("{fired:?}")
    };
    assert_eq!((firing.r#ref.as_str(), fired.sequence), ("refs/tags/v1", 1));
    client.delete_trigger(name).await.unwrap();
    let gone = client.get_trigger(name).await;
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
}

/// A subscription's secret is handed out when it is made and when it is replaced; dead letters are listed and
/// sent again.
#[tokio::test]
async fn a_subscription_lives() {
    let Scene {
        bindery,
        client,
        link,
    } = scene().await;
    let source = bindery.add_source(&link, "acme/api");
    let request = SubscriptionRequest::new("namespaces/acme", "https://registry.example/events")
        .id("registry")
        .filter("verdict = \"TRIGGER\"")
        .include_payload(true);
    let made = client.create_subscription(request).await.unwrap();
    let name = made.subscription.name.as_str();
    assert_eq!(name, "namespaces/acme/subscriptions/registry");
    assert!(made.secret.expose().starts_with("whsec_"));
    assert!(!format!("{made:?}").contains("whsec_"));
    let rotated = client.rotate_subscription_secret(name, None).await.unwrap();
    assert_ne!(rotated.secret.expose(), made.secret.expose());
    let mut paused = client.get_subscription(name).await.unwrap();
    paused.paused = true;
    let paused = client.update_subscription(Change::new(paused, ["paused"]));
    assert!(paused.await.unwrap().paused);

    for _ in 0..3 {
        bindery.push(&source, "refs/heads/main", "1f7a");
    }
    let letter = DeadLetter {
        event: "namespaces/acme/events/2".to_owned(),
        attempts: 8,
        ..DeadLetter::default()
    };
    bindery.add_dead_letter(name, letter.clone());
    let letters = client.list_dead_letters(name).all().await.unwrap();
    assert_eq!(letters, [letter]);
    let missing = ReplayRequest::to_subscription("namespaces/acme", name)
        .since_sequence(1)
        .missing_only(true);
    let counted = client.replay_events(missing.clone().preview(true)).await;
    assert_eq!(counted.unwrap().event_count, 1);
    let replayed = client.replay_events(missing).await.unwrap();
    assert_eq!((replayed.first_sequence, replayed.last_sequence), (2, 2));
    assert!(
        client
            .list_dead_letters(name)
            .all()
            .await
            .unwrap()
            .is_empty()
    );
    let listed = client.list_subscriptions("namespaces/acme").all().await;
    assert_eq!(listed.unwrap().len(), 1);
    client.delete_subscription(name).await.unwrap();
    let gone = client.get_subscription(name).await;
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
}
