//! Answers until they are read: the calls of a connection, and what a caller that reads nothing may hold (THREATS D1, D7).

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Frame, SizeHint};
use tokio::{sync::Notify, time::Instant};

/// Calls whose answers are streams that last: what waits in those is bounded where it is made.
const LASTING: &[&str] = &[
    "/bindery.v1.LinkService/WatchLink",
    "/bindery.v1.EventService/WatchEvents",
    "/bindery.admin.v1.AdminService/Backup",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Whether the answer to a path is a stream that lasts.
pub(super) fn lasts(path: &str) -> bool {
    LASTING.contains(&path)
}

/// The calls of a connection.
#[derive(Debug, Default)]
pub(super) struct Busy {
    calls: AtomicUsize,
    changed: Notify,
    /// Answers that are not read to their end, and when the last part of each was.
    unread: Mutex<HashMap<u64, Instant>>,
    next: AtomicU64,
}

/// One call; dropping it ends it.
pub(super) struct OneCall(Arc<Busy>);

impl Busy {
    pub(super) fn begin(self: &Arc<Self>) -> OneCall {
        // Only the first and the last call change whether it is idle; telling of the others wakes the connection for nothing.
        if self.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            self.changed.notify_one();
        }
        OneCall(Arc::clone(self))
    }

    /// Resolves when there was no call for so long.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            let changed = self.changed.notified();
            if self.calls.load(Ordering::SeqCst) > 0 {
                changed.await;
            } else if tokio::time::timeout(limit, changed).await.is_err() {
                return;
            }
        }
    }

    /// Resolves when nothing of an answer was read for so long.
    pub(super) async fn unread_for(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let oldest = self.unread().values().min().copied();
            let until = oldest.unwrap_or(now) + limit;
            if until <= now {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    fn unread(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OneCall {
    fn drop(&mut self) {
        if self.0.calls.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.changed.notify_one();
        }
    }
}

impl OneCall {
    /// The call lasts as long as the body of its answer.
    pub(super) const fn until_the_end_of<B>(self, body: B) -> Answer<B, Self> {
        Answer { body, held: self }
    }

    /// An answer that is to be read; `held` stays until it is.
    pub(super) fn unread<B, H>(&self, body: B, held: H) -> Answer<B, Unread<H>> {
        let busy = Arc::clone(&self.0);
        let number = busy.next.fetch_add(1, Ordering::Relaxed);
        busy.unread().insert(number, Instant::now());
        let held = Unread {
            busy,
            number,
            _held: held,
        };
        Answer { body, held }
    }
}

/// What is told when a part of an answer is read.
pub(super) trait Read {
    /// It was.
    fn read(&self) {}
}

impl Read for OneCall {}

/// An answer that is not read to its end; dropping it says that it is.
pub(super) struct Unread<H> {
    busy: Arc<Busy>,
    number: u64,
    _held: H,
}

impl<H> Read for Unread<H> {
    fn read(&self) {
        self.busy.unread().insert(self.number, Instant::now());
    }
}

impl<H> Drop for Unread<H> {
    fn drop(&mut self) {
        self.busy.unread().remove(&self.number);
    }
}

/// The body of an answer, and what is held until its end.
pub(super) struct Answer<B, H> {
    body: B,
    held: H,
}

impl<B: Body + Unpin, H: Read + Unpin> Body for Answer<B, H> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        // It is asked for only where the caller has room for it.
        self.held.read();
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D1: a connection is idle only when no call was under way for all of the time.
    #[tokio::test]
    async fn d1_idle_is_without_calls() {
        let busy = Arc::<Busy>::default();
        let limit = Duration::from_millis(1);
        let call = busy.begin();
        let waits = tokio::time::timeout(Duration::from_millis(50), busy.idle_for(limit));
        assert!(waits.await.is_err(), "a call is under way");
        drop(call);
        busy.idle_for(limit).await;
    }

    /// D7: an answer counts from the last part that was read of it, until it is over.
    #[tokio::test]
    async fn d7_answers_that_are_read_stay() {
        let busy = Arc::<Busy>::default();
        let limit = Duration::from_millis(1);
        let call = busy.begin();
        let answer = call.unread((), ());
        busy.unread_for(limit).await;
        let stale = Instant::now();
        answer.held.read();
        let oldest = busy.unread().values().min().copied();
        assert!(oldest.is_some_and(|oldest| oldest >= stale));
        drop(answer);
        let waits = tokio::time::timeout(Duration::from_millis(50), busy.unread_for(limit));
        assert!(waits.await.is_err(), "there is nothing to read");
    }
}
