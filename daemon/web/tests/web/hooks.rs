//! What providers deliver.

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, response::Response};
use bindery_core::{
    hook::{Hook, HookSecrets, HookState},
    name::{HookId, HostName},
    port::{Change, Entry, Expect, Key, Record, Vault},
    secret::Secret,
    time::Timestamp,
};
use bindery_engine::intake::Limits;
use bindery_web::Peer;
use data_encoding::HEXLOWER;
use futures_util::{Stream, StreamExt, stream};
use http::{Request, StatusCode};
use ring::hmac;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tower::ServiceExt;

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
        unknown_since: None,
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

/// A provider that switches hooks off for a refusal hears yes for what is too long and signed, announced or not, and refs are
/// compared; who has no secret hears the same for each hook (W6).
#[tokio::test]
async fn a_hook_is_not_lost_to_long_deliveries() {
    let world = hooked().await;
    world
        .forge
        .describe_as(|known| known.hooks.failures_disable = true);
    world.engine.set_intake_limits(Limits {
        body_bytes: 100,
        ..Limits::default()
    });
    let long = "x".repeat(101);
    let right = sign(long.as_bytes());
    let unknown = "mfrggzdfmztwq2lknnwg23tpob";
    for (id, signature) in [(unknown, right.as_str()), (ID, "00"), (unknown, "00")] {
        assert_eq!(deliver(&world, id, &long, signature, "").await.status, 413);
    }
    assert!(!hook(&world).await.reconcile_due);
    assert_eq!(deliver(&world, ID, &long, &right, "").await.status, 202);
    assert!(hook(&world).await.reconcile_due);
    let chunked = format!(
        "POST /hooks/{ID} HTTP/1.1\r\nhost: bindery\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
         x-hub-signature-256: sha256={right}\r\n\r\n32\r\n{}\r\n33\r\n{}\r\n0\r\n\r\n",
        &long[..50],
        &long[50..]
    );
    assert_eq!(talk(&world, &chunked).await.status, 202);
    let endless = format!(
        "POST /hooks/{ID} HTTP/1.1\r\nhost: bindery\r\nconnection: close\r\ncontent-length: 99999999\r\n\
         x-hub-signature-256: sha256={right}\r\n\r\n"
    );
    assert_eq!(talk(&world, &endless).await.status, 413);
}

async fn hook(world: &World) -> Hook {
    let key = Key::Hook(HookId::parse(ID).expect("id"));
    match world.vault.get(&key).await.expect("vault") {
        Some(Entry {
            record: Record::Hook(hook),
            ..
        }) => hook,
        other => panic!("{other:?}"),
    }
}

/// A signed request whose body is `pieces`.
fn request(
    signed: &str,
    pieces: impl Stream<Item = Result<String, Infallible>> + Send + 'static,
) -> Request<Body> {
    let signature = format!("sha256={}", sign(signed.as_bytes()));
    Request::post(format!("/hooks/{ID}"))
        .header("x-hub-signature-256", signature)
        .header("content-type", "application/json")
        .body(Body::from_stream(pieces))
        .expect("request")
}

/// Time that an answer takes, and its status. Time is virtual: it passes where nobody has anything to do.
async fn answered(world: &World, request: Request<Body>) -> (StatusCode, Duration) {
    let (response, took) = response(world, request).await;
    (response.status(), took)
}

async fn response(world: &World, request: Request<Body>) -> (Response, Duration) {
    let start = Instant::now();
    let response = world.router.clone().oneshot(request).await;
    (response.expect("answer"), start.elapsed())
}

/// W6: who proves nothing waits longer than any work here takes, and as long whether there is such a hook or not, also with a
/// body that is too long. Who proves who sends waits for nothing.
#[tokio::test(start_paused = true)]
async fn w6_what_is_refused_waits_for_its_answer() {
    let world = hooked().await;
    let body = "x".repeat(64 << 10);
    let sent = |id: &str, signed: &str, more: u64| {
        let piece = stream::iter([Ok::<_, Infallible>(body.clone())]);
        let length = body.len() as u64 + more;
        Request::post(format!("/hooks/{id}"))
            .header(
                "x-hub-signature-256",
                format!("sha256={}", sign(signed.as_bytes())),
            )
            .header("content-length", length)
            .body(Body::from_stream(piece))
            .expect("request")
    };
    for (more, status, least) in [
        (0, StatusCode::UNAUTHORIZED, Duration::from_millis(2)),
        (
            1 << 30,
            StatusCode::PAYLOAD_TOO_LARGE,
            Duration::from_millis(1),
        ),
    ] {
        let known = answered(&world, sent(ID, "another", more)).await;
        let unknown = answered(&world, sent("mfrggzdfmztwq2lknnwg23tpob", &body, more)).await;
        assert_eq!(known, unknown);
        assert!(known.0 == status && known.1 >= least, "{known:?}");
    }
    let (status, took) = answered(&world, sent(ID, &body, 0)).await;
    assert_eq!((status, took), (StatusCode::ACCEPTED, Duration::ZERO));
}

/// Providers give up after ten seconds. A body that stops coming is answered before, with 503: a 4xx would count as final.
#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_answered_in_time() {
    let world = hooked().await;
    let piece = stream::iter([Ok("x".to_owned())]);
    let stalled = request("xyz", piece.chain(stream::pending()));
    let (status, took) = answered(&world, stalled).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(took.as_secs(), 8);
    assert_eq!(stored(&world).await, None);
}

/// Seconds after which providers give up, by their defaults: Gitea and Forgejo; GitHub, GitLab and Bitbucket Cloud.
const GIVES_UP: [u64; 2] = [5, 10];

/// Of these, what the way there and back may take.
const WAY: Duration = Duration::from_secs(1);

/// While the store stalls nothing is answered 2xx, and every provider that waits still hears when to come again. Once the store
/// works the delivery is taken, and however often it came it is one.
#[tokio::test(start_paused = true)]
async fn a_store_that_stalls_is_answered_before_the_provider_gives_up() {
    let world = hooked().await;
    world.vault.stall();
    let sent_after = |seconds| {
        request(
            "xyz",
            stream::once(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok("xyz".to_owned())
            }),
        )
    };
    for seconds in [0, 2, 4, 6, 7] {
        let (response, took) = response(&world, sent_after(seconds)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "5");
        let waits = GIVES_UP.into_iter().find(|limit| seconds + 1 < *limit);
        let waits = Duration::from_secs(waits.expect("somebody waits"));
        assert!(took + WAY <= waits, "{took:?} of {waits:?}");
        assert_eq!(deliveries(&world).await, 0);
    }
    world.vault.go_on();
    let (status, _) = answered(&world, sent_after(0)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    // What was held is stored meanwhile, or is known.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (status, _) = answered(&world, sent_after(0)).await;
    assert_eq!(
        (status, deliveries(&world).await),
        (StatusCode::ACCEPTED, 1)
    );
}

/// How many deliveries are stored.
async fn deliveries(world: &World) -> usize {
    let mut found = 0;
    for number in 1..=20 {
        let delivery = world.vault.get(&Key::Delivery(number)).await;
        found += usize::from(delivery.expect("vault").is_some());
    }
    found
}

/// One that is too long, of a provider that is told yes for it, is not told so before what is noted of it is stored.
#[tokio::test(start_paused = true)]
async fn a_long_delivery_is_answered_before_the_provider_gives_up() {
    let world = hooked().await;
    world
        .forge
        .describe_as(|known| known.hooks.failures_disable = true);
    world.engine.set_intake_limits(Limits {
        body_bytes: 2,
        ..Limits::default()
    });
    let long = || request("xyz", stream::iter([Ok("xyz".to_owned())]));
    world.vault.stall();
    let (status, took) = answered(&world, long()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(took + WAY <= Duration::from_secs(GIVES_UP[0]), "{took:?}");
    world.vault.go_on();
    assert_eq!(answered(&world, long()).await.0, StatusCode::ACCEPTED);
    assert!(hook(&world).await.reconcile_due);
}

/// W5: a body takes its room for as long as it is being stored, also when its sender was answered long ago.
#[tokio::test(start_paused = true)]
async fn w5_what_is_being_stored_takes_its_room() {
    let world = hooked().await;
    world.vault.stall();
    let body = |n: u8| char::from(b'a' + n).to_string().repeat(8 << 20);
    // From many places: one has a smaller share.
    let sent = |n: u8| {
        let body = body(n);
        let mut request = request(&body.clone(), stream::iter([Ok(body)]));
        let peer = Peer(([192, 0, 2, n], 1).into());
        request.extensions_mut().insert(peer);
        request
    };
    for n in 0..8 {
        let (status, took) = answered(&world, sent(n)).await;
        assert_eq!(
            (status, took.as_secs()),
            (StatusCode::SERVICE_UNAVAILABLE, 4)
        );
    }
    let (status, took) = answered(&world, sent(8)).await;
    assert_eq!(
        (status, took.as_secs()),
        (StatusCode::SERVICE_UNAVAILABLE, 0)
    );
}

/// W5: bodies without an end, all from one address, keep no delivery of another from being taken.
#[tokio::test(start_paused = true)]
async fn w5_one_address_leaves_room_to_others() {
    let world = hooked().await;
    let from = |last: u8, mut request: Request<Body>| {
        request
            .extensions_mut()
            .insert(Peer(([192, 0, 2, last], 1).into()));
        request
    };
    let slow: Vec<_> = (0..16)
        .map(|_| {
            let piece = stream::iter([Ok("x".repeat(8 << 20))]);
            let request = from(1, request("x", piece.chain(stream::pending())));
            tokio::spawn(world.router.clone().oneshot(request))
        })
        .collect();
    // All that had no room are answered.
    while slow.iter().filter(|slow| slow.is_finished()).count() < 14 {
        tokio::task::yield_now().await;
    }
    let body = "{}".to_owned();
    let honest = from(2, request("{}", stream::iter([Ok(body)])));
    assert_eq!(answered(&world, honest).await.0, StatusCode::ACCEPTED);
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
