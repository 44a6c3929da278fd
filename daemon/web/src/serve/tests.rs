use std::sync::Mutex;

use axum::routing::get;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
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
