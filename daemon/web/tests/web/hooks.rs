//! What providers deliver.

use bindery_core::{
    hook::{Hook, HookSecrets, HookState},
    name::{HookId, HostName},
    port::{Change, Expect, Key, Record, Vault},
    secret::Secret,
    time::Timestamp,
};
use bindery_engine::intake::Limits;
use data_encoding::HEXLOWER;
use ring::hmac;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    browser::{Browser, Reply, parse},
    support::World,
};

const ID: &str = "mfrggzdfmztwq2lknnwg23tpoa";
const SECRET: &str = "hook-secret";

async fn hooked() -> World {
    let world = World::new().await;
    let id = HookId::parse(ID).expect("id");
    let hook = Hook {
        id: id.clone(),
        host: HostName::parse("github.com").expect("name"),
        repository: "1".to_owned(),
        full_name: "acme/api".to_owned(),
        provider_id: "7".to_owned(),
        scheme: "hmac-sha256".to_owned(),
        state: HookState::Silent,
        message: String::new(),
        who: None,
        action_uri: String::new(),
        step: None,
        verified: None,
        last_delivery: None,
        last_rejection: None,
        deliveries: (0, 0),
        secret_created: Timestamp::default(),
        previous_secret_until: None,
        checked: None,
        caught_up: None,
        reconciled: None,
        reconcile_due: false,
        by_app: false,
        secret_fingerprint: String::new(),
        sources: Vec::new(),
        created: Timestamp::default(),
    };
    let secrets = HookSecrets {
        current: Secret::new(SECRET.to_owned()),
        previous: None,
        next: None,
    };
    let put = |key, record| Change {
        key,
        expect: Expect::Any,
        write: Some(record),
    };
    let changes = vec![
        put(Key::Hook(id.clone()), Record::Hook(hook)),
        put(Key::HookSecrets(id), Record::HookSecrets(secrets)),
    ];
    world.vault.commit(changes).await.expect("records");
    world
}

fn sign(body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    HEXLOWER.encode(hmac::sign(&key, body).as_ref())
}

/// Sends a delivery as GitHub does. `more` are further lines of the head.
async fn deliver(world: &World, id: &str, body: &str, signature: &str, more: &str) -> Reply {
    let head = format!(
        "POST /hooks/{id} HTTP/1.1\r\nhost: bindery\r\nconnection: close\r\nx-github-event: push\r\n\
         x-hub-signature-256: sha256={signature}\r\ncontent-type: application/json\r\n"
    );
    let length = body.len();
    let rest = format!("content-length: {length}\r\n{more}\r\n{body}");
    talk(world, &(head + &rest)).await
}

async fn talk(world: &World, request: &str) -> Reply {
    let mut stream = TcpStream::connect(world.address).await.expect("connect");
    stream.write_all(request.as_bytes()).await.expect("write");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    parse(&answer)
}

async fn stored(world: &World) -> Option<Vec<u8>> {
    let found = world.vault.get(&Key::Delivery(1)).await.expect("vault");
    match found.map(|entry| entry.record) {
        Some(Record::Delivery(delivery)) => Some(delivery.body),
        _ => None,
    }
}

/// A signed delivery is accepted and stored byte for byte; again, too, without being stored again.
#[tokio::test]
async fn a_delivery_is_accepted_when_it_is_stored() {
    let world = hooked().await;
    let body = "{\"text\": \"\u{fc}\\n\"}  ";
    for _ in 0..2 {
        let reply = deliver(&world, ID, body, &sign(body.as_bytes()), "").await;
        assert_eq!((reply.status, reply.body.as_str()), (202, "accepted\n"));
        assert_eq!(reply.header("set-cookie"), None);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    assert_eq!(stored(&world).await.as_deref(), Some(body.as_bytes()));
    let second = world.vault.get(&Key::Delivery(2)).await.expect("vault");
    assert!(second.is_none());
}

/// W6: an unknown hook and a wrong signature have the same answer, to the byte, and nothing sent is in it.
#[tokio::test]
async fn w6_nothing_tells_which_hooks_there_are() {
    let world = hooked().await;
    let body = "BNDRYCANARY<script>";
    let right = sign(body.as_bytes());
    let wrong = sign(b"another");
    let mut replies = Vec::new();
    for (id, signature) in [
        (ID, wrong.as_str()),
        ("mfrggzdfmztwq2lknnwg23tpob", &right),
        ("x", &right),
        ("%2e%2e%2f", &right),
        (ID, ""),
    ] {
        let mut reply = deliver(&world, id, body, signature, "x-canary: BNDRYCANARY\r\n").await;
        reply.headers.retain(|(name, _)| name != "date");
        assert!(!format!("{reply:?}").contains("BNDRYCANARY"));
        replies.push((reply.status, reply.headers, reply.body));
    }
    assert_eq!(replies[0].0, 401);
    assert!(replies.iter().all(|one| *one == replies[0]), "{replies:?}");
    assert_eq!(stored(&world).await, None);
}

/// W5: what is too large is refused by what it announces and by what it sends; what is as large as allowed is not.
#[tokio::test]
async fn w5_bodies_are_bounded() {
    let world = hooked().await;
    world.engine.set_intake_limits(Limits {
        body_bytes: 100,
        ..Limits::default()
    });
    let long = "x".repeat(101);
    let reply = deliver(&world, ID, &long, &sign(long.as_bytes()), "").await;
    assert_eq!(reply.status, 413);
    let chunked = format!(
        "POST /hooks/{ID} HTTP/1.1\r\nhost: bindery\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
         x-hub-signature-256: sha256={}\r\n\r\n65\r\n{long}\r\n0\r\n\r\n",
        sign(long.as_bytes())
    );
    assert_eq!(talk(&world, &chunked).await.status, 413);
    let whole = "x".repeat(100);
    let reply = deliver(&world, ID, &whole, &sign(whole.as_bytes()), "").await;
    assert_eq!(reply.status, 202);
}

/// W7: over the limit the answer says when to come again: 429 for a hook, 503 for a full queue.
#[tokio::test]
async fn w7_too_much_is_told() {
    let world = hooked().await;
    world.engine.set_intake_limits(Limits {
        per_hook: 1,
        ..Limits::default()
    });
    let send = async |body: &str| deliver(&world, ID, body, &sign(body.as_bytes()), "").await;
    assert_eq!(send("1").await.status, 202);
    let reply = send("2").await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (429, Some("1"))
    );
    world.engine.set_intake_limits(Limits {
        waiting: 1,
        ..Limits::default()
    });
    let reply = send("2").await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("5"))
    );
}

/// Only POST delivers; a link to the path shows nothing.
#[tokio::test]
async fn only_post_delivers() {
    let world = hooked().await;
    let got = Browser::default()
        .get(&world, &format!("/hooks/{ID}"))
        .await;
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
    assert!(!got.body.contains(ID));
}
