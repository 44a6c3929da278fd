//! HTTP/1.1 in the clear or over TLS, for stand-ins that may also go away without an answer

use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// Answers requests, or closes the connection
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// Answers one request
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Closed>> + Send;
}

/// Makes hyper close the connection instead of answering
#[derive(Debug)]
pub(crate) struct Closed;

impl std::error::Error for Closed {}

impl std::fmt::Display for Closed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the connection is closed on purpose")
    }
}

/// Accepts connections until the sender of `stopped` is dropped
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    mut stopped: watch::Receiver<()>,
    answer: impl Answer,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (answer, tls, mut stopped) = (answer.clone(), tls.clone(), stopped.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = connection(stream, tls, answer) => {}
                _ = stopped.changed() => {}
            }
        });
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, answer: impl Answer) {
    // Answers are small; waiting for more to send with them would cost each one 40 ms.
    let _ = stream.set_nodelay(true);
    match tls {
        None => http(stream, answer).await,
        // Clients that distrust the certificate go away here.
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                http(stream, answer).await;
            }
        }
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin, answer: impl Answer) {
    let service = service_fn(|request| answer.answer(request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // It ends with an error where a fault closed it, or the client did.
    let _ = served.await;
}
