//! Carries deliveries of stand-ins to the hooks' URLs, for real

use std::sync::Arc;
use std::time::Duration;

use bindery_twins::hooks::{Delivery, Outcome, Outgoing};
use http::Request;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;
use url::Url;

use crate::browser::Wire;

/// Forges wait about so long for an answer
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends deliveries one after the other, each batch on its own, and counts those that are on their way
#[derive(Debug)]
pub(crate) struct Courier {
    wire: Arc<Wire>,
    under_way: watch::Sender<usize>,
}

impl Courier {
    pub(crate) fn new(wire: Arc<Wire>) -> Self {
        Self {
            wire,
            under_way: watch::Sender::new(0),
        }
    }

    /// Whether anything can be sent from here
    pub(crate) fn is_able() -> bool {
        Handle::try_current().is_ok()
    }

    /// Sends a batch in its order, and says what came of each delivery
    pub(crate) fn carry(
        self: &Arc<Self>,
        batch: Vec<Delivery>,
        settle: impl Fn(Delivery, Outcome) + Send + Sync + 'static,
    ) {
        if batch.is_empty() {
            return;
        }
        let this = Arc::clone(self);
        self.under_way.send_modify(|count| *count += batch.len());
        tokio::spawn(async move {
            for delivery in batch {
                let outcome = this.send(&delivery.request).await;
                settle(delivery, outcome);
                this.under_way.send_modify(|count| *count -= 1);
            }
        });
    }

    /// Waits until nothing is on its way
    pub(crate) async fn idle(&self) {
        let mut under_way = self.under_way.subscribe();
        // The sender lives in the courier, so waiting can't fail.
        let _ = under_way.wait_for(|count| *count == 0).await;
    }

    async fn send(&self, request: &Outgoing) -> Outcome {
        let Some((url, request)) = written(request) else {
            return Outcome::Unreachable;
        };
        match timeout(PATIENCE, self.wire.send(&url, request)).await {
            Ok(Ok(answer)) => Outcome::Answered(answer.status().as_u16()),
            _ => Outcome::Unreachable,
        }
    }
}

fn written(outgoing: &Outgoing) -> Option<(Url, Request<String>)> {
    let url = Url::parse(&outgoing.url).ok()?;
    let mut request = Request::builder().method(outgoing.method);
    for (name, value) in &outgoing.headers {
        request = request.header(name, value);
    }
    // Bodies of deliveries are JSON or forms, so they are text.
    let body = String::from_utf8(outgoing.body.clone()).ok()?;
    Some((url, request.body(body).ok()?))
}
