//! What one caller takes, and what stays for the others (THREATS D4).

use std::{sync::Arc, time::Duration};

use bindery_api::Limits;
use bindery_audit::FaultyDisk;
use bindery_proto::v1::{self as wire, DisableLinkRequest, link_service_client::LinkServiceClient};
use bindery_store::{Call, FaultyStore, MemoryStore};
use prost::Message;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use tonic::Status;
use tonic_types::StatusExt;

use crate::{
    client::{raw, reason},
    floods::connector,
    frames::{DATA, EMPTY, END_HEADERS, END_STREAM, HEADERS, SETTINGS, call, frame, hello},
    world::World,
};

const LIST: &str = "/bindery.v1.ProviderService/ListProviders";

/// A connection of a caller of its own that does not behave, after its greeting.
pub(crate) async fn hostile(world: &World, number: usize) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", world.port)).await;
    let name = ServerName::try_from("bindery.test").expect("name");
    let tls = connector(number).connect(name, stream.expect("connected"));
    let mut stream = tls.await.expect("TLS");
    stream.write_all(&hello()).await.expect("greeted");
    stream
}

/// The heads of calls whose requests never come.
fn without_end(calls: u32) -> Vec<u8> {
    let heads = (0..calls).map(|n| frame(HEADERS, END_HEADERS, 2 * n + 1, &call(LIST)));
    heads.collect::<Vec<_>>().concat()
}

/// The stream of the first call that is answered.
async fn answered(stream: &mut TlsStream<TcpStream>) -> u32 {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let [a, b, c, kind, _, number @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await.expect("a payload");
        if kind == HEADERS {
            return u32::from_be_bytes(number);
        }
    }
}

/// Which limit a refusal names.
fn limit(refused: &Status) -> String {
    assert_eq!(reason(refused), "OVERLOADED", "{refused:?}");
    let details = refused.get_error_details();
    details.error_info().expect("a reason").metadata["limit"].clone()
}

/// D4: requests that never come as a whole keep no place from other callers, however many there are.
#[tokio::test]
async fn d4_requests_without_end_take_no_place() {
    let world = World::with(Limits {
        in_flight: 32,
        in_flight_per_identity: 32,
        streams: 32,
        ..Limits::default()
    })
    .await;
    let owner = world.caller("owner").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = hostile(&world, 1).await;
        stream.write_all(&without_end(32)).await.expect("sent");
        open.push(stream);
    }
    // One more than it may: it is told so, and the others are open by then.
    answered(&mut open[2]).await;
    raw(&owner, LIST, Vec::new()).await.expect("has a place");
}

/// D4: where too many requests wait for their end, the oldest one goes.
#[tokio::test]
async fn d4_the_oldest_request_without_end_goes() {
    let world = World::with(Limits {
        in_flight: 2,
        ..Limits::default()
    })
    .await;
    let mut stream = hostile(&world, 2).await;
    stream.write_all(&without_end(3)).await.expect("sent");
    assert_eq!(answered(&mut stream).await, 1);
}

/// D4: calls of one caller that wait for something slow leave places to others, and all of them together have a limit too.
#[tokio::test]
async fn d4_calls_of_one_caller_are_limited() {
    for (in_flight, for_reader) in [(2, None), (1, Some("in_flight"))] {
        let store = Arc::new(FaultyStore::new(MemoryStore::default()));
        let limits = Limits {
            in_flight,
            in_flight_per_identity: 1,
            ..Limits::default()
        };
        let world = World::over(limits, Arc::new(FaultyDisk::default()), store.clone()).await;
        let (owner, reader) = (world.caller("owner").await, world.caller("reader").await);
        world.audit.start().await.expect("opened");
        // Two, since the audit log seals its place as well.
        let (mut stall, other) = (store.stall(Call::Commit, 1), store.stall(Call::Commit, 2));
        let change = DisableLinkRequest {
            name: "namespaces/acme/links/bound".to_owned(),
            ..Default::default()
        };
        let slow = tokio::spawn({
            let (owner, message) = (owner.clone(), change.encode_to_vec());
            async move { raw(&owner, "/bindery.v1.LinkService/DisableLink", message).await }
        });
        stall.reached().await;
        let refused = raw(&owner, LIST, Vec::new()).await.expect_err("one more");
        assert_eq!(limit(&refused), "in_flight_per_identity");
        let answer = raw(&reader, LIST, Vec::new()).await;
        assert_eq!(answer.err().as_ref().map(limit).as_deref(), for_reader);
        stall.release();
        other.release();
        slow.await.expect("no panic").expect("done in the end");
        raw(&owner, LIST, Vec::new()).await.expect("given back");
    }
}

/// D7: a caller that lets its answers lie is cut off, and what it did not read is in memory no longer.
#[tokio::test]
async fn d7_answers_that_nobody_reads_are_dropped() {
    let world = World::with(Limits {
        unread: Duration::from_millis(50),
        idle: Duration::from_secs(86_400),
        ..Limits::default()
    })
    .await;
    let mut stream = hostile(&world, 3).await;
    // No byte of any answer may be sent.
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let asks = frame(HEADERS, END_HEADERS, 1, &call(LIST));
    let rest = frame(DATA, END_STREAM, 1, EMPTY);
    let said = [no_window, asks, rest].concat();
    stream.write_all(&said).await.expect("sent");
    let mut answers = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answers));
    // How it is closed is of no interest.
    let _ = closed.await.expect("it is cut off");
}

/// D7: streams of one caller leave places to others, and come back to it.
#[tokio::test]
async fn d7_streams_of_one_caller_are_limited() {
    let world = World::new().await;
    let watch = wire::WatchLinkRequest {
        name: "namespaces/acme/links/bound".into(),
    };
    let (mut open, mut refused) = (Vec::new(), None);
    // Each connection has fewer than it may.
    'all: for _ in 0..42 {
        let mut links = LinkServiceClient::new(world.caller("owner").await);
        for _ in 0..100 {
            match links.watch_link(watch.clone()).await {
                Ok(stream) => open.push(stream),
                Err(status) => {
                    refused = Some(status);
                    break 'all;
                }
            }
        }
    }
    assert_eq!(open.len(), 4096);
    assert_eq!(limit(&refused.expect("one more")), "streams_per_identity");
    let mut reader = LinkServiceClient::new(world.caller("reader").await);
    reader.watch_link(watch).await.expect("has a place");
}
