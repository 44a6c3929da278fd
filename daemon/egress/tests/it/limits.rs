//! Slow, endless and exploding answers: THREATS S6.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use bindery_core::{exchange::HttpRequest, problem::Reason};
use bindery_egress::{EgressConfig, HttpEgress, Limits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, interval},
};

use crate::support::{Server, egress, get, loopback, reason, reply, send, short};

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";

async fn head(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    drop(stream.read(&mut buffer).await);
}

/// S6: a server that takes the request and says nothing is given up long before the whole time is over.
#[tokio::test]
async fn s6_silence() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let server = Server::raw(move |mut stream| {
        let kept = Arc::clone(&kept);
        async move {
            head(&mut stream).await;
            kept.lock().expect("no panic").push(stream);
        }
    })
    .await;
    let egress = HttpEgress::new(EgressConfig {
        limits: Limits {
            whole: Duration::from_secs(3600),
            ..short().limits
        },
        ..short()
    });
    assert_eq!(
        reason(send(&egress, &loopback(), &get(&server.url("/"))).await),
        Reason::HostUnreachable
    );
}

/// S6: a server that drips a byte at a time is given up, since only the whole counts.
#[tokio::test]
async fn s6_slow_drip() {
    let server = Server::raw(|mut stream| async move {
        head(&mut stream).await;
        drop(stream.write_all(HEAD).await);
        let mut tick = interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            if stream.write_all(b"1\r\nx\r\n").await.is_err() {
                return;
            }
        }
    })
    .await;
    let egress = HttpEgress::new(short());
    assert_eq!(
        reason(send(&egress, &loopback(), &get(&server.url("/"))).await),
        Reason::HostAnswerUnusable
    );
}

/// S6: an endless body is cut at the cap, and not when the time is over.
#[tokio::test]
async fn s6_endless_chunks() {
    let server = Server::raw(|mut stream| async move {
        head(&mut stream).await;
        drop(stream.write_all(HEAD).await);
        let mut chunk = b"4000\r\n".to_vec();
        chunk.extend_from_slice(&[b'x'; 0x4000]);
        chunk.extend_from_slice(b"\r\n");
        while stream.write_all(&chunk).await.is_ok() {}
    })
    .await;
    let problem = send(&egress(), &loopback(), &get(&server.url("/")))
        .await
        .expect_err("endless");
    assert_eq!(problem.reason, Reason::HostAnswerUnusable);
    assert!(problem.message.contains("too large"), "{problem}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

async fn compressed(body: Vec<u8>) -> Server {
    Server::http(move |_| reply(200, &[("content-encoding", "gzip")], body.clone())).await
}

/// S6: a body that expands more than 20:1 is refused although it would fit under the cap.
#[tokio::test]
async fn s6_gzip_bomb() {
    let server = compressed(gzip(&vec![0; 3 << 20])).await;
    let problem = send(&egress(), &loopback(), &get(&server.url("/")))
        .await
        .expect_err("a bomb");
    assert_eq!(problem.reason, Reason::HostAnswerUnusable);
    assert!(problem.message.contains("too large"), "{problem}");
}

/// S6: within the ratio the cap counts decompressed bytes.
#[tokio::test]
async fn s6_cap_counts_decompressed_bytes() {
    let text: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    let server = compressed(gzip(text.as_bytes())).await;
    let egress = egress();
    let answer = send(&egress, &loopback(), &get(&server.url("/")))
        .await
        .expect("an answer");
    assert!(answer.response.body == text.as_bytes());
    assert!(
        answer
            .response
            .headers
            .iter()
            .all(|(name, _)| name != "content-encoding")
    );
    let lower = HttpRequest {
        max_response_bytes: 100_000,
        ..get(&server.url("/"))
    };
    assert_eq!(
        reason(send(&egress, &loopback(), &lower).await),
        Reason::HostAnswerUnusable
    );
}

/// A request may lower the cap and never raise it.
#[tokio::test]
async fn caps_are_only_lowered() {
    let server = Server::http(|_| reply(200, &[], vec![b'x'; 2000])).await;
    let limits = Limits {
        body: 1000,
        ..Limits::default()
    };
    let small = HttpEgress::new(EgressConfig {
        limits,
        ..EgressConfig::default()
    });
    for max_response_bytes in [0, 1000, 2000, u64::MAX] {
        let request = HttpRequest {
            max_response_bytes,
            ..get(&server.url("/"))
        };
        assert_eq!(
            reason(send(&small, &loopback(), &request).await),
            Reason::HostAnswerUnusable
        );
    }
    let exact = HttpRequest {
        max_response_bytes: 2000,
        ..get(&server.url("/"))
    };
    let answer = send(&egress(), &loopback(), &exact)
        .await
        .expect("an answer");
    assert_eq!(answer.response.body.len(), 2000);
}

/// Compression that was not asked for, or is broken, or a body that breaks off, is no answer.
#[tokio::test]
async fn broken_bodies() {
    let mut cut = gzip(b"some text that is long enough to be cut");
    cut.truncate(20);
    let egress = egress();
    for (encoding, body) in [
        ("br", b"x".to_vec()),
        ("gzip", b"no gzip".to_vec()),
        ("gzip", cut),
        ("gzip, gzip", gzip(b"x")),
    ] {
        let server =
            Server::http(move |_| reply(200, &[("content-encoding", encoding)], body.clone()))
                .await;
        let refused = send(&egress, &loopback(), &get(&server.url("/"))).await;
        assert_eq!(reason(refused), Reason::HostAnswerUnusable, "{encoding}");
    }
    let server = Server::raw(|mut stream| async move {
        head(&mut stream).await;
        drop(
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
                .await,
        );
    })
    .await;
    assert_eq!(
        reason(send(&egress, &loopback(), &get(&server.url("/"))).await),
        Reason::HostAnswerUnusable
    );
}
