//! Takes deliveries of webhooks and keeps them as they came

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::serve::{Answer, Closed, serve};

/// A server that answers every request with 200, unless told otherwise; it ends when this is dropped
#[derive(Debug)]
pub struct Receiver {
    url: String,
    kept: Kept,
    _stop: watch::Sender<()>,
}

/// One request as it came
#[derive(Clone, Debug)]
pub struct Received {
    /// Its method
    pub method: String,
    /// Its path, with the query
    pub path: String,
    /// Its headers
    pub headers: HeaderMap,
    /// Its body, as it was sent
    pub body: Bytes,
}

impl Received {
    /// A header that is text
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; `null` where it is none
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    answers: VecDeque<u16>,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked has failed already; what others see is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// Starts one on a free port of 127.0.0.1
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let kept = Kept::default();
        let (stop, stopped) = watch::channel(());
        tokio::spawn(serve(listener, None, stopped, kept.clone()));
        Ok(Self {
            url,
            kept,
            _stop: stop,
        })
    }

    /// A URL of it, with this path
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Answers the next requests with these statuses
    pub fn answer_next(&self, statuses: &[u16]) {
        self.kept.lock().answers.extend(statuses);
    }

    /// Everything that came so far
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.kept.lock().received.clone()
    }

    /// Everything that came since this was asked last
    #[must_use]
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.kept.lock().received)
    }
}

impl Answer for Kept {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response, Closed> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        let path = parts.uri.path_and_query().map(ToString::to_string);
        let mut state = self.lock();
        state.received.push(Received {
            method: parts.method.to_string(),
            path: path.unwrap_or_default(),
            headers: parts.headers,
            body,
        });
        let mut answer = Response::new(Body::empty());
        let status = state.answers.pop_front().map(StatusCode::from_u16);
        *answer.status_mut() = status.and_then(Result::ok).unwrap_or(StatusCode::OK);
        Ok(answer)
    }
}
