//! Bodies with a clock, and connections without calls (THREATS D1).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::{sync::Notify, time::Sleep};
use tonic::Status;

/// Calls whose requests are streams: each part has its own time.
const STREAMS: &[&str] = &[
    "/bindery.admin.v1.AdminService/Restore",
    "/bindery.admin.v1.AdminService/VerifyBackup",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Whether the request of a path is a stream.
pub(super) fn is_stream(path: &str) -> bool {
    STREAMS.contains(&path)
}

/// The body of a request, which must come in time.
pub(super) struct Timed<B> {
    body: B,
    limit: Duration,
    /// One time for all of it, instead of one for each part.
    whole: bool,
    clock: Option<Pin<Box<Sleep>>>,
}

impl<B> Timed<B> {
    pub(super) const fn new(body: B, limit: Duration, whole: bool) -> Self {
        Self {
            body,
            limit,
            whole,
            clock: None,
        }
    }
}

impl<B> Body for Timed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if !self.whole {
                self.clock = None;
            }
            return Poll::Ready(
                frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))),
            );
        }
        // The clock is wound only where the first part does not come with the head, which it nearly always does.
        let limit = self.limit;
        let clock = self
            .clock
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        clock.as_mut().poll(cx).map(|()| {
            let message = "the request did not come in time; send it at once";
            Some(Err(Status::deadline_exceeded(message)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The calls of a connection.
#[derive(Debug, Default)]
pub(super) struct Busy {
    calls: AtomicUsize,
    changed: Notify,
}

/// One call; dropping it ends it.
pub(super) struct OneCall(Arc<Busy>);

impl Busy {
    pub(super) fn begin(self: &Arc<Self>) -> OneCall {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_one();
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
}

impl Drop for OneCall {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_one();
    }
}

impl OneCall {
    /// The call lasts as long as the body of its answer.
    pub(super) const fn until_the_end_of<B>(self, body: B) -> Answer<B> {
        Answer { body, _call: self }
    }
}

/// The body of an answer.
pub(super) struct Answer<B> {
    body: B,
    _call: OneCall,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
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
}
