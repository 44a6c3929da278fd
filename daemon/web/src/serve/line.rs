//! Who waits longest: connections whose request is not there as a whole make room for others (THREATS D1).

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

/// Connections that have not asked for anything, the oldest first.
#[derive(Default)]
pub(super) struct Line {
    order: Mutex<Order>,
    entered: Notify,
}

#[derive(Default)]
struct Order {
    next: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

/// A connection, in the line or being served; dropping it leaves.
pub(super) struct Turn {
    line: Arc<Line>,
    number: Mutex<Option<u64>>,
    pushed: Arc<Notify>,
}

impl Line {
    /// A connection that has not asked for anything yet.
    pub(super) fn enter(self: &Arc<Self>) -> Arc<Turn> {
        let turn = Turn {
            line: Arc::clone(self),
            number: Mutex::default(),
            pushed: Arc::default(),
        };
        turn.waits();
        Arc::new(turn)
    }

    /// The one that has waited longest goes; whether one waits.
    pub(super) fn push_out(&self) -> bool {
        let oldest = self.order().waiting.pop_first();
        oldest.is_some_and(|(_, oldest)| {
            oldest.notify_one();
            true
        })
    }

    /// Resolves when one may have begun to wait. One listens at a time.
    pub(super) async fn entered(&self) {
        self.entered.notified().await;
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// It has nothing that is asked: it waits from now on, if it does not already.
    pub(super) fn waits(&self) {
        let mut number = self.number();
        if number.is_none() {
            let mut order = self.line.order();
            order.next += 1;
            *number = Some(order.next);
            let next = order.next;
            order.waiting.insert(next, Arc::clone(&self.pushed));
            self.line.entered.notify_one();
        }
    }

    /// Its request is there: it is served, and nobody pushes it out.
    fn served(&self) {
        if let Some(number) = self.number().take() {
            self.line.order().waiting.remove(&number);
        }
    }

    /// Resolves when it has to go.
    pub(super) async fn pushed_out(&self) {
        self.pushed.notified().await;
    }

    fn number(&self) -> MutexGuard<'_, Option<u64>> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.served();
    }
}

/// The body of a request, after whose end its connection is served.
pub(super) struct Heard<B> {
    body: B,
    turn: Arc<Turn>,
}

impl<B: Body> Heard<B> {
    pub(super) fn new(body: B, turn: Arc<Turn>) -> Self {
        if body.is_end_stream() {
            turn.served();
        }
        Self { body, turn }
    }
}

impl<B: Body + Unpin> Body for Heard<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.turn.served();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
