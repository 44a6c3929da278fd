//! Accepts connections, and ends those that idle (THREATS D1, D6).
//!
//! A bad moment of the kernel never ends the loop; a client that sends nothing never keeps its place.

mod line;
mod places;

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use crate::client::Peer;
use line::{Heard, Turn};
use places::{Place, Places};

/// Longest request line and headers together.
const HEAD_BYTES: usize = 16 * 1024;

/// Most headers of a request.
const HEADERS: usize = 64;

/// First and longest wait after an accept error.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// What connections may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address, or one IPv6 /64.
    pub per_address: usize,
    /// Reverse proxies: addresses that the limit per address is not held against.
    pub trusted_proxies: Vec<IpNet>,
    /// Time for the head of a request, and between requests.
    pub header: Duration,
    /// Age at which a connection is asked to end.
    pub age: Duration,
    /// Time that a connection then has, and that all have when the daemon stops.
    pub grace: Duration,
    /// Time without reading anything of an answer after which a connection is cut off.
    pub unread: Duration,
}

impl Default for Limits {
    /// The figures of THREATS D1. A connection lives five minutes: browsers open a new one unnoticed.
    fn default() -> Self {
        Self {
            connections: 1024,
            per_address: 16,
            trusted_proxies: Vec::new(),
            header: Duration::from_secs(10),
            age: Duration::from_secs(300),
            grace: Duration::from_secs(10),
            unread: Duration::from_secs(30),
        }
    }
}

/// Where connections come from.
trait Accept {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self).await
    }
}

/// Serves `router` on `listener` until `shutdown` resolves. Then nothing new is accepted, and requests that run have
/// [`Limits::grace`] to end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) {
    run(listener, router, Arc::new(limits), shutdown).await;
}

async fn run(
    listener: impl Accept,
    router: Router,
    limits: Arc<Limits>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let (stop, stopped) = watch::channel(false);
    let mut open = JoinSet::new();
    let served = |stream, peer, turn| {
        let (router, limits) = (router.clone(), limits.clone());
        connection((stream, peer, turn), router, limits, stopped.clone())
    };
    let places = Places::new(&limits);
    accept_all(&listener, &places, &mut open, served, shutdown).await;
    drop(listener);
    stop.send_replace(true);
    // Each connection ends within its grace by itself.
    while open.join_next().await.is_some() {}
}

/// Serves whoever comes until `shutdown`.
async fn accept_all<F>(
    listener: &impl Accept,
    places: &Places,
    open: &mut JoinSet<()>,
    serve: impl Fn(TcpStream, SocketAddr, Arc<Turn>) -> F,
    shutdown: impl Future<Output = ()> + Send,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut shutdown = pin!(shutdown);
    // One that is accepted and waits for its place is not let go when another one ends.
    let mut next = pin!(admit(listener, places));
    loop {
        let (stream, peer, place) = tokio::select! {
            () = &mut shutdown => return,
            Some(_) = open.join_next() => continue,
            admitted = &mut next => admitted,
        };
        next.set(admit(listener, places));
        let served = serve(stream, peer, places.line.enter());
        open.spawn(async move {
            served.await;
            drop(place);
        });
    }
}

/// The next connection that there is a place for.
async fn admit(listener: &impl Accept, places: &Places) -> (TcpStream, SocketAddr, Place) {
    let mut backoff = BACKOFF.0;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                backoff = BACKOFF.0;
                match places.take(peer.ip()).await {
                    Some(place) => return (stream, peer, place),
                    None => {
                        tracing::debug!(address = %peer.ip(), "An address has too many connections")
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "A connection could not be accepted");
                sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF.1);
            }
        }
    }
}

async fn connection(
    (stream, peer, turn): (TcpStream, SocketAddr, Arc<Turn>),
    router: Router,
    limits: Arc<Limits>,
    mut stopped: watch::Receiver<bool>,
) {
    let heard = Arc::clone(&turn);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let turn = Arc::clone(&heard);
        let request = request.map(|body| Body::new(Heard::new(body, Arc::clone(&turn))));
        let answer = router.clone().oneshot(request);
        async move {
            let answer = answer.await;
            turn.waits();
            answer
        }
    });
    let mut stream = Box::pin(TimeoutStream::new(stream));
    stream
        .as_mut()
        .set_write_timeout_pinned(Some(limits.unread));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        // Before it is served: what it may ask in this moment is not begun.
        biased;
        () = turn.pushed_out() => return tracing::debug!(%peer, "A connection makes room"),
        ended = serving.as_mut() => Some(ended),
        _ = stopped.wait_for(|stop| *stop) => None,
        () = sleep(limits.age) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                ended = serving => ended,
                () = turn.pushed_out() => Ok(()),
                () = sleep(limits.grace) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection ended early");
    }
}

#[cfg(test)]
mod tests;
