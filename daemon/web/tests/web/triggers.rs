//! Builds that people and scripts start.

use std::collections::BTreeMap;

use bindery_core::{
    event::EventChange,
    name::{HookId, SourceId, TriggerId},
    port::{Change, Expect, Key, Record, Vault},
    source::{Source, SourceName},
    time::Timestamp,
};
use bindery_engine::triggers::{NewTrigger, TriggerSettings, WithToken};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    browser::{Browser, Reply, parse},
    support::World,
};

/// A world with a bound link, a source of it and a trigger for branch `main`.
async fn armed() -> (World, WithToken) {
    let (world, mut browser) = (World::new().await, Browser::default());
    browser.agree(&world).await;
    let confirm = format!("{}/confirm", world.start);
    let form = browser.get(&world, &confirm).await.form();
    browser.extra = vec![("sec-fetch-site", "same-origin"), ("origin", "null")];
    assert_eq!(browser.post(&world, &confirm, &form).await.status, 200);
    let source = source(&world).await;
    let new = NewTrigger {
        source: source.name(),
        id: Some(TriggerId::parse("nightly").expect("name")),
        settings: TriggerSettings {
            default_ref: "refs/heads/main".to_owned(),
            ..TriggerSettings::default()
        },
        validate_only: false,
    };
    let key = Key::Source(
        source.namespace.clone(),
        source.link.clone(),
        source.id.clone(),
    );
    let change = Change {
        key,
        expect: Expect::Absent,
        write: Some(Record::Source(source)),
    };
    world.vault.commit(vec![change]).await.expect("source");
    let made = world.engine.create_trigger(new, None).await;
    (world, made.expect("trigger"))
}

async fn source(world: &World) -> Source {
    let link = world.link().await;
    Source {
        namespace: link.namespace,
        link: link.id,
        id: SourceId::parse("api").expect("name"),
        host: link.host,
        repository: "1".to_owned(),
        full_name: "acme/api".to_owned(),
        display_name: String::new(),
        rules: Vec::new(),
        max_triggers_per_minute: 1,
        ignore_skip_marks: false,
        paused: false,
        reconcile: None,
        hook: HookId::parse("hook").expect("name"),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        created_by: String::new(),
        created: Timestamp::default(),
        updated: Timestamp::default(),
        behind: None,
        disconnected: None,
    }
}

async fn fire(world: &World, place: &str, token: &str, body: &str) -> Reply {
    let length = body.len();
    let request = format!(
        "POST /triggers/{place} HTTP/1.1\r\nhost: bindery\r\nconnection: close\r\n\
         authorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(world.address).await.expect("connect");
    stream.write_all(request.as_bytes()).await.expect("write");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    parse(&answer)
}

/// The token fires: the answer has the event's number, and the event nobody's name.
#[tokio::test]
async fn a_token_fires() {
    let (world, made) = armed().await;
    let (place, token) = (made.trigger.record.place, made.token);
    let fired = fire(
        &world,
        &place,
        token.expose(),
        r#"{"ref": "refs/heads/main"}"#,
    )
    .await;
    assert_eq!(
        (fired.status, fired.body.as_str()),
        (202, "{\"sequence\":1}\n")
    );
    let namespace = made.trigger.record.namespace;
    let event = world.vault.get(&Key::Event(namespace, 1)).await;
    let Some(Record::Event(event)) = event.expect("vault").map(|entry| entry.record) else {
        panic!("no event");
    };
    let EventChange::Trigger(firing) = event.change else {
        panic!("{:?}", event.change);
    };
    assert_eq!(
        (firing.commit.as_str(), firing.principal.as_str()),
        ("c0ffee", "")
    );
    let held = fire(&world, &place, token.expose(), "").await;
    let body = "{\"reason\":\"TRIGGER_LIMIT_REACHED\"}\n";
    assert_eq!((held.status, held.body.as_str()), (429, body));
    assert_eq!(held.header("retry-after"), Some("60"));
}

/// On a full disk nothing is fired, and it is said; a wrong token is one as before, and gets no line in the log.
#[tokio::test]
async fn nothing_is_fired_without_the_log() {
    let (world, made) = armed().await;
    let (place, token) = (&made.trigger.record.place, made.token.expose());
    world.log.set_full(true);
    let refused = fire(&world, place, token, "").await;
    let body = "{\"reason\":\"AUDIT_UNAVAILABLE\"}\n";
    assert_eq!((refused.status, refused.body.as_str()), (503, body));
    world.log.set_full(false);
    let name = made.trigger.record.name();
    let listed = world.engine.triggers_of(&name.source).await.expect("list");
    assert_eq!(listed[0].record.fired, None);
    let before = world.log.deeds().await.len();
    assert_eq!(fire(&world, place, "BNDRYCANARY", "").await.status, 401);
    assert_eq!(world.log.deeds().await.len(), before);
    assert_eq!(fire(&world, place, token, "").await.status, 202);
    let done = world.log.done().await;
    assert_eq!(
        done.last(),
        Some(&("web/trigger".to_owned(), name.to_string()))
    );
}

/// W2: a wrong token, no token and an unknown place can't be told apart, whatever the body.
#[tokio::test]
async fn w2_unknown_and_wrong_are_one() {
    let (world, made) = armed().await;
    let (place, token) = (made.trigger.record.place, made.token);
    let nowhere = "mfrggzdfmztwq2lknnwg23tpoa";
    let mut answers = Vec::new();
    for (place, token, body) in [
        (nowhere, token.expose(), ""),
        (nowhere, "BNDRYCANARY", "{"),
        (&place, "BNDRYCANARY", ""),
        (&place, "", "{"),
    ] {
        let reply = fire(&world, place, token, body).await;
        let headers = reply.headers.into_iter().filter(|(name, _)| name != "date");
        answers.push((reply.status, headers.collect::<Vec<_>>(), reply.body));
    }
    assert_eq!(
        (answers[0].0, answers[0].2.as_str()),
        (401, "{\"reason\":\"UNAUTHENTICATED\"}\n")
    );
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

/// Bodies are small, known member by member, and never in an answer.
#[tokio::test]
async fn o6_bodies_are_bounded_and_not_reflected() {
    let (world, made) = armed().await;
    let name: SourceName = made.trigger.record.name().source;
    let (place, token) = (made.trigger.record.place, made.token);
    let long = format!("{{\"ref\": \"{}\"}}", "a".repeat(4096));
    for (body, status) in [
        (long.as_str(), 413),
        ("{", 400),
        ("[]", 400),
        (r#"{"branch": "BNDRYCANARY"}"#, 400),
        (r#"{"ref": 1}"#, 400),
        (r#"{"ref": "BNDRYCANARY"}"#, 400),
        (r#"{"ref": "refs/heads/BNDRYCANARY"}"#, 400),
    ] {
        let reply = fire(&world, &place, token.expose(), body).await;
        assert_eq!(reply.status, status, "{body}");
        assert!(!reply.body.contains("BNDRYCANARY"), "{}", reply.body);
    }
    let listed = world.engine.triggers_of(&name).await.expect("list");
    assert_eq!(listed[0].record.fired, None);
}
