//! HTTP/2 over one accepted connection, and when it ends: when it says nothing, has nothing to do, is too old, is not let in
//! any more, or the daemon is sealed or stops.

use std::{convert::Infallible, pin::pin, time::Duration};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::sleep,
};

use super::{gate::Gate, preface::Counted};
use crate::Limits;

/// Streams that were reset before they were served, and streams reset by us, before a connection is cut (THREATS D2).
const RESETS: (usize, usize) = (20, 128);

/// Time for the last answers to a caller who is not let in any more.
const REFUSALS: Duration = Duration::from_secs(1);

pub(super) async fn serve_connection<S>(
    limits: &Limits,
    gate: Gate,
    stream: S,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (stream, progress) = Counted::new(stream);
    let (busy, guard) = (gate.busy(), gate.clone());
    let service = hyper::service::service_fn(move |request| {
        let gate = gate.clone();
        async move { Ok::<_, Infallible>(gate.handle(request).await) }
    });
    let mut connection = pin!(builder(limits).serve_connection(TokioIo::new(stream), service));
    let mut preface = pin!(sleep(limits.preface));
    let mut age = pin!(sleep(limits.connection_age));
    let mut idle = pin!(busy.idle_for(limits.idle));
    let mut unread = pin!(busy.unread_for(limits.unread));
    let mut lost = pin!(guard.lost());
    let mut sealed = pin!(guard.sealed());
    let mut grace = limits.grace;
    loop {
        tokio::select! {
            ended = &mut connection => return log(ended),
            () = &mut preface, if !preface.is_elapsed() => {
                if !progress.has_preface() {
                    return tracing::debug!("Connection that says nothing is closed");
                }
            }
            () = &mut age => break,
            () = &mut idle => break,
            () = &mut unread => {
                return tracing::debug!("Connection that reads no answers is cut off");
            }
            () = &mut sealed => break,
            () = &mut lost => {
                // What is under way is not his any more; only the refusals get out.
                grace = REFUSALS;
                break;
            }
            // An error means that the sender is gone, which is a stop as well.
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    connection.as_mut().graceful_shutdown();
    idle.set(busy.idle_for(limits.idle_grace));
    tokio::select! {
        ended = connection => log(ended),
        () = idle => tracing::debug!("Connection that does not go is cut off"),
        () = sleep(grace) => tracing::debug!("Connection whose calls do not end is cut off"),
    }
}

fn builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(limits.keepalive_answer)
        .max_header_list_size(limits.header_bytes)
        .max_pending_accept_reset_streams(RESETS.0)
        .max_local_error_reset_streams(RESETS.1);
    builder
}

fn log(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "Connection ended");
    }
}

/// Serves a connection with the limits of all, and answers every call with what it sent; for the fuzzer.
#[cfg(any(test, fuzzing))]
pub(crate) async fn serve_echo<S>(stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let echo =
        hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
            Ok::<_, Infallible>(http::Response::new(request.into_body()))
        });
    let limits = Limits::default();
    log(builder(&limits)
        .serve_connection(TokioIo::new(stream), echo)
        .await);
}
