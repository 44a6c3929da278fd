//! Bodies of requests: they have a clock, and a call takes its place when its request is there (THREATS D1, D4).

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tonic::Status;

use crate::{
    limits::{Line, Turn},
    status::Failure,
};

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

/// A call's place among all that are under way. It is taken when the request is there as a whole, so that requests without an end
/// keep no place from others.
#[derive(Clone)]
pub(super) struct Place {
    all: Arc<Semaphore>,
    taken: Arc<OnceLock<OwnedSemaphorePermit>>,
}

impl Place {
    pub(super) fn new(all: &Arc<Semaphore>) -> Self {
        Self {
            all: Arc::clone(all),
            taken: Arc::default(),
        }
    }

    /// Takes it, unless all are taken.
    pub(super) fn take(&self) -> Result<(), Failure> {
        if self.taken.get().is_some() {
            return Ok(());
        }
        let permit = Arc::clone(&self.all).try_acquire_owned();
        let permit =
            permit.map_err(|_| Failure::overloaded("in_flight", Duration::from_secs(1)))?;
        // Where it was taken meanwhile the second one goes back by itself.
        let _ = self.taken.set(permit);
        Ok(())
    }
}

/// What is asked of the body of a request.
pub(super) struct Terms {
    /// Time for all of it, or for the next part.
    pub(super) limit: Duration,
    /// One time for all of it, instead of one for each part.
    pub(super) whole: bool,
    /// Where bodies wait that are not there yet.
    pub(super) line: Arc<Line>,
    /// What the call takes when all of it is there.
    pub(super) place: Place,
    /// Id of the request.
    pub(super) id: Arc<str>,
}

/// The body of a request, which must come in time.
pub(super) struct Timed<B> {
    body: B,
    terms: Terms,
    waits: Option<Wait>,
}

/// The wait for the next part.
struct Wait {
    clock: Pin<Box<Sleep>>,
    turn: Turn,
}

impl<B: Body + Unpin> Timed<B> {
    pub(super) const fn new(body: B, terms: Terms) -> Self {
        Self {
            body,
            terms,
            waits: None,
        }
    }

    /// Takes the call's place with the last part.
    fn arrived(&mut self, part: Option<Frame<B::Data>>) -> Option<Result<Frame<B::Data>, Status>> {
        let is_last = part
            .as_ref()
            .is_none_or(|part| part.is_trailers() || self.body.is_end_stream());
        if is_last || !self.terms.whole {
            self.waits = None;
        }
        match is_last.then(|| self.terms.place.take()) {
            Some(Err(failure)) => Some(Err(failure.into_status(&self.terms.id))),
            _ => part.map(Ok),
        }
    }

    /// Why it is not waited for any longer.
    fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        // Only where the first part does not come with the head, which it nearly always does.
        let waits = self.waits.get_or_insert_with(|| Wait {
            clock: Box::pin(tokio::time::sleep(self.terms.limit)),
            turn: self.terms.line.enter(),
        });
        if waits.clock.as_mut().poll(cx).is_ready() {
            let message = "the request did not come in time; send it at once";
            return Poll::Ready(Status::deadline_exceeded(message));
        }
        let pushed_out = waits.turn.poll_pushed_out(cx);
        pushed_out.map(|()| {
            let failure = Failure::overloaded("requests_without_end", Duration::from_secs(1));
            failure.into_status(&self.terms.id)
        })
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
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Err(Status::from_error(error.into()))))
            }
            Poll::Ready(Some(Ok(part))) => Poll::Ready(self.arrived(Some(part))),
            Poll::Ready(None) => Poll::Ready(self.arrived(None)),
            Poll::Pending => self.poll_given_up(cx).map(|status| Some(Err(status))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
