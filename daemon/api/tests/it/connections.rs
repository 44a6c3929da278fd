//! Connections that do not behave, and the end of the daemon.

use std::time::Duration;

use bindery_api::Limits;
use bindery_proto::v1::{
    GetNamespaceRequest, ListHostsRequest, WatchLinkRequest,
    host_service_client::HostServiceClient, link_service_client::LinkServiceClient,
    namespace_service_client::NamespaceServiceClient,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::{
    client::reason,
    frames::{GOAWAY, hello},
    world::World,
};

/// Short deadlines for connections that say nothing.
fn impatient() -> Limits {
    Limits {
        handshake: Duration::from_millis(50),
        preface: Duration::from_millis(50),
        // So that nothing else ends them.
        idle: Duration::from_secs(86_400),
        keepalive: Duration::from_secs(86_400),
        ..Limits::default()
    }
}

/// Reads until the other end closes; one that never does is a failure.
async fn closes(mut stream: impl AsyncRead + Unpin) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest));
    // How it was closed is of no interest.
    let _ = read.await.expect("it is closed");
}

/// D1: a TLS connection that says nothing, or not enough, is gone after its deadline.
#[tokio::test]
async fn d1_silent_tls_is_closed() {
    let world = World::with(impatient()).await;
    for said in [b"".as_slice(), b"\x16\x03\x01\x02\x00"] {
        let mut stream = TcpStream::connect(("127.0.0.1", world.port))
            .await
            .expect("connected");
        stream.write_all(said).await.expect("said");
        closes(stream).await;
    }
}

/// D1: a Unix connection without an HTTP/2 preface is gone after its deadline.
#[tokio::test]
async fn d1_silent_socket_is_closed() {
    let world = World::with(impatient()).await;
    for said in [b"".as_slice(), b"PRI * HTTP/2.0"] {
        let mut stream = UnixStream::connect(world.path("public"))
            .await
            .expect("connected");
        stream.write_all(said).await.expect("said");
        closes(stream).await;
    }
}

/// D1: a connection that is too old is told to go away, without an error, and is closed when its time to end is over; calls
/// of a usual client go on over it, at a new connection.
#[tokio::test]
async fn d1_old_connections_are_told_to_go() {
    let world = World::with(Limits {
        connection_age: Duration::from_millis(50),
        grace: Duration::from_millis(200),
        ..impatient()
    })
    .await;
    let channel = world.caller("owner").await;
    for _ in 0..3 {
        let old = tokio::spawn(told_to_go(world.path("public")));
        let mut lost = 0;
        while !old.is_finished() {
            let listed = HostServiceClient::new(channel.clone())
                .list_hosts(ListHostsRequest::default())
                .await;
            // One may meet its connection's end before it was sent; it is sent again then.
            lost = if listed.is_ok() { 0 } else { lost + 1 };
            assert!(lost < 2, "{listed:?}");
        }
        assert_eq!(old.await.expect("no panic"), 0, "it was told of an error");
    }
}

/// L5: when the daemon is sealed, connections of before are told to go away: what they have in their buffers may be a token
/// that was handed out on them. Those that come then stay.
#[tokio::test]
async fn l5_a_seal_ends_the_connections_of_before() {
    let world = World::with(Limits {
        preface: Duration::from_secs(86_400),
        grace: Duration::from_millis(200),
        ..impatient()
    })
    .await;
    let before = tokio::spawn(told_to_go(world.path("public")));
    let channel = world.caller("owner").await;
    let list = || async {
        HostServiceClient::new(channel.clone())
            .list_hosts(ListHostsRequest::default())
            .await
    };
    list().await.expect("served");
    world.engine.pause();
    assert_eq!(before.await.expect("no panic"), 0);
    let sealed = list().await.expect_err("sealed");
    assert_eq!(reason(&sealed), "SEALED");
    world.engine.resume();
    list().await.expect("served again");
}

/// Opens a connection that only listens; returns with which error it was told to go away, after it was closed.
async fn told_to_go(socket: std::path::PathBuf) -> u32 {
    let mut stream = UnixStream::connect(socket).await.expect("connected");
    stream.write_all(&hello()).await.expect("said");
    let mut read = Vec::new();
    let reading = stream.read_to_end(&mut read);
    let ended = tokio::time::timeout(Duration::from_secs(60), reading).await;
    // How it was closed is of no interest.
    let _ = ended.expect("it is closed");
    let mut rest = read.as_slice();
    while let Some((head, after)) = rest.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (payload, after) = after.split_at(length.min(after.len()));
        if head[3] == GOAWAY {
            let code = payload[4..8].try_into().expect("an error code");
            return u32::from_be_bytes(code);
        }
        rest = after;
    }
    panic!("it was closed without a word: {read:?}");
}

/// D1: one caller can't take all connections; the daemon still serves others.
#[tokio::test]
async fn d1_connections_of_one_caller_are_limited() {
    let world = World::with(Limits {
        per_identity: 1,
        ..Limits::default()
    })
    .await;
    let list = |channel| async move {
        HostServiceClient::new(channel)
            .list_hosts(ListHostsRequest::default())
            .await
    };
    let first = world.caller("owner").await;
    list(first.clone()).await.expect("first");
    let second = crate::client::unix(world.path("public"));
    assert!(
        list(second)
            .await
            .expect_err("another caller, no right")
            .get_error_details()
            .error_info()
            .is_some()
    );
    if let Ok(second) = tokio::spawn({
        let port = world.port;
        let identity = crate::certs::authority().client(vec![crate::certs::spiffe("owner")]);
        async move { crate::client::tls(port, Some(&identity)).await }
    })
    .await
    .expect("no panic")
    {
        let status = list(second).await.expect_err("one too many");
        assert!(
            status.get_error_details().error_info().is_none(),
            "{status:?}"
        );
    }
    list(first).await.expect("still served");
}

/// D4: a caller that floods is told when to come again; another one is served.
#[tokio::test]
async fn d4_floods_are_shed() {
    let world = World::with(Limits {
        rate: 1,
        burst: 2,
        ..Limits::default()
    })
    .await;
    let (owner, reader) = (world.caller("owner").await, world.caller("reader").await);
    let list = |channel| async move {
        HostServiceClient::new(channel)
            .list_hosts(ListHostsRequest::default())
            .await
    };
    let mut refused = None;
    for _ in 0..20 {
        if let Err(status) = list(owner.clone()).await {
            refused = Some(status);
        }
    }
    let status = refused.expect("twenty calls at once are too many");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "OVERLOADED")
    );
    assert!(status.get_error_details().retry_info().is_some());
    list(reader).await.expect("another caller");
}

/// D3: a message that is too large is refused with a reason, and a CA bundle of a host is not too large.
#[tokio::test]
async fn d3_large_messages_are_refused() {
    let world = World::new().await;
    let owner = world.caller("owner").await;
    let name = format!("namespaces/{}", "x".repeat(70 << 10));
    let status = NamespaceServiceClient::new(owner.clone())
        .get_namespace(GetNamespaceRequest { name })
        .await;
    let status = status.expect_err("too large");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "MESSAGE_TOO_LARGE")
    );
    let filter = "x".repeat(70 << 10);
    let status = HostServiceClient::new(owner)
        .list_hosts(ListHostsRequest {
            filter,
            ..Default::default()
        })
        .await;
    assert_eq!(reason(&status.expect_err("no filter")), "FILTER_INVALID");
}

/// A call without time left ends with a reason, and its id comes back with it.
#[tokio::test]
async fn ids_come_back() {
    let world = World::new().await;
    let mut hosts = HostServiceClient::new(world.caller("owner").await);
    let mut request = Request::new(ListHostsRequest::default());
    request
        .metadata_mut()
        .insert("x-request-id", "abc-123".parse().expect("ascii"));
    let answer = hosts.list_hosts(request).await.expect("hosts");
    assert_eq!(
        answer.metadata().get("x-request-id").expect("id"),
        "abc-123"
    );
}

/// When the daemon stops, a watcher is told so, and the listeners end.
#[tokio::test]
async fn watchers_are_told_of_the_end() {
    let mut world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let request = WatchLinkRequest {
        name: "namespaces/acme/links/bound".into(),
    };
    let mut answers = links.watch_link(request).await.expect("watch").into_inner();
    answers.message().await.expect("first").expect("first");
    let (ended, ()) = tokio::join!(answers.message(), world.stop());
    assert_eq!(reason(&ended.expect_err("the end")), "SHUTTING_DOWN");
}
