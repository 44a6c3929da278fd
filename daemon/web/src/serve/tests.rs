use std::sync::Mutex;

use axum::{
    body::Body,
    routing::{get, post},
};
use futures_util::FutureExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot},
};

use super::*;

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

async fn bound() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    (listener, address)
}

async fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.expect("write");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    answer
}

/// A listener whose first accepts fail.
struct Failing {
    inner: TcpListener,
    errors: Mutex<Vec<io::Error>>,
}

impl Accept for Failing {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let error = self.errors.lock().expect("lock").pop();
        match error {
            Some(error) => Err(error),
            None => self.inner.accept().await,
        }
    }
}

/// D6: no accept error ends the loop, not even being out of file descriptors.
#[tokio::test]
async fn d6_accept_errors_are_survived() {
    let (inner, address) = bound().await;
    // ECONNABORTED, EMFILE, ENFILE, ENOBUFS, and one that nobody knows.
    let errors = [103, 24, 23, 105].map(io::Error::from_raw_os_error);
    let errors = errors.into_iter().chain([io::Error::other("odd")]);
    let failing = Failing {
        inner,
        errors: Mutex::new(errors.collect()),
    };
    let server = run(failing, hello(), Arc::default(), std::future::pending());
    tokio::select! {
        () = server => panic!("the loop ended"),
        answer = ask(address) => assert!(answer.ends_with("hello")),
    }
}

/// D1: a connection that sends half a head, or nothing, is closed; others are served meanwhile.
#[tokio::test]
async fn d1_slow_heads_are_closed() {
    let (listener, address) = bound().await;
    let limits = Limits {
        header: Duration::from_millis(50),
        ..Limits::default()
    };
    let client = async {
        let mut silent = TcpStream::connect(address).await.expect("connect");
        let mut slow = TcpStream::connect(address).await.expect("connect");
        slow.write_all(b"GET / HTTP/1.1\r\nhost:")
            .await
            .expect("write");
        assert!(ask(address).await.ends_with("hello"));
        for stream in [&mut silent, &mut slow] {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert!(!rest.starts_with(b"HTTP/1.1 2"));
        }
    };
    tokio::select! {
        () = serve(listener, hello(), limits, std::future::pending()) => panic!("the loop ended"),
        () = client => {}
    }
}

/// D1: where all places are taken, whoever waits longest makes room: silent ones, and those whose body does not come. Who is
/// being served stays.
#[tokio::test]
async fn d1_those_who_ask_nothing_make_room() {
    let (listener, address) = bound().await;
    let limits = Limits {
        connections: 3,
        header: Duration::from_secs(3600),
        ..Limits::default()
    };
    let started = Arc::new(tokio::sync::Notify::new());
    let working = {
        let started = started.clone();
        async move || {
            started.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let router = hello().route("/work", get(working));
    let router = router.route("/body", post(async |_: String| "read"));
    let client = async {
        let mut served = said(address, b"GET /work HTTP/1.1\r\nhost: x\r\n\r\n").await;
        started.notified().await;
        let half = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf";
        let (mut slow, mut silent) = (said(address, half).await, said(address, b"").await);
        let answered = async || {
            let answer = tokio::time::timeout(Duration::from_secs(60), ask(address)).await;
            assert!(answer.expect("a place in time").ends_with("hello"));
        };
        answered().await;
        let _ = slow.read_to_end(&mut Vec::new()).await;
        assert!(stays(&mut silent), "more than one made room");
        let _others = said(address, b"").await;
        answered().await;
        let _ = silent.read_to_end(&mut Vec::new()).await;
        assert!(stays(&mut served), "who was being served is gone");
    };
    tokio::select! {
        () = serve(listener, router, limits, std::future::pending()) => panic!("the loop ended"),
        () = client => {}
    }
}

/// Whether the other end has not closed a connection, and said nothing.
fn stays(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0]).now_or_never().is_none()
}

/// A connection that has said so much.
async fn said(address: SocketAddr, text: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    stream.write_all(text).await.expect("write");
    stream
}

/// D1, D7: whoever asks and reads nothing of the answer is cut off, however much of it waits.
#[tokio::test]
async fn d1_unread_answers_end_the_connection() {
    let (listener, address) = bound().await;
    let limits = Limits {
        unread: Duration::from_millis(50),
        ..Limits::default()
    };
    let (held, mut ended) = mpsc::channel::<()>(1);
    let held = Arc::new(Mutex::new(Some(held)));
    let endless = async move || {
        // Only the answer holds it from now on.
        let held = held.lock().expect("lock").take();
        let parts = futures_util::stream::repeat_with(move || {
            let _held = &held;
            Ok::<_, io::Error>(vec![b'x'; 64 << 10])
        });
        Body::from_stream(parts)
    };
    let router = Router::new().route("/", get(endless));
    let client = async {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.expect("write");
        assert_eq!(ended.recv().await, None, "the answer is held");
        drop(stream);
    };
    tokio::select! {
        () = serve(listener, router, limits, std::future::pending()) => panic!("the loop ended"),
        () = client => {}
    }
}

/// D1: one address gets so many connections; the next one is closed at once.
#[tokio::test]
async fn d1_one_address_has_so_many() {
    let (listener, address) = bound().await;
    let limits = Limits {
        per_address: 1,
        ..Limits::default()
    };
    let client = async {
        let held = TcpStream::connect(address).await.expect("connect");
        let mut refused = TcpStream::connect(address).await.expect("connect");
        let mut rest = Vec::new();
        let _ = refused.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
        drop(held);
    };
    tokio::select! {
        () = serve(listener, hello(), limits, std::future::pending()) => panic!("the loop ended"),
        () = client => {}
    }
}

/// A request that runs when the daemon stops is answered; one that never ends is cut off after the grace.
#[tokio::test]
async fn shutdown_lets_requests_end() {
    let (listener, address) = bound().await;
    let (started, go) = (
        Arc::new(tokio::sync::Notify::new()),
        Arc::new(tokio::sync::Notify::new()),
    );
    let handler = {
        let (started, go) = (started.clone(), go.clone());
        async move || {
            started.notify_one();
            go.notified().await;
            "finished"
        }
    };
    let router = Router::new()
        .route("/", get(handler))
        .route("/never", get(std::future::pending::<()>));
    let (stop, stopped) = oneshot::channel::<()>();
    let limits = Limits {
        grace: Duration::from_millis(200),
        ..Limits::default()
    };
    let shutdown = async { drop(stopped.await) };
    let server = tokio::spawn(serve(listener, router, limits, shutdown));
    let mut never = TcpStream::connect(address).await.expect("connect");
    never
        .write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("write");
    let answer = tokio::spawn(ask(address));
    started.notified().await;
    stop.send(()).expect("server");
    go.notify_one();
    assert!(answer.await.expect("client").ends_with("finished"));
    server.await.expect("server");
    let mut rest = Vec::new();
    let _ = never.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}
