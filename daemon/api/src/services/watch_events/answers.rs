//! The stream that a watcher reads.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bindery_proto::v1::WatchEventsResponse;
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tonic::Status;

/// One message, or the end.
type Answer = Result<WatchEventsResponse, Status>;

/// What is sent in its order, until it is cut off: then the reason comes next, and what waits goes.
pub(super) struct Sent {
    messages: Option<mpsc::Receiver<Answer>>,
    cut: Option<oneshot::Receiver<Status>>,
    /// A watcher takes its place for as long as its connection holds what it has not read.
    _place: OwnedSemaphorePermit,
}

/// Where a watch puts what it sends.
pub(super) struct Sink {
    /// In order; waits while the watcher does not read.
    pub(super) messages: mpsc::Sender<Answer>,
    /// Cuts the stream off.
    pub(super) cut: oneshot::Sender<Status>,
}

/// A sink that holds `waiting` messages, and what the watcher reads of it.
pub(super) fn pair(waiting: usize, place: OwnedSemaphorePermit) -> (Sink, Sent) {
    let (messages, sent) = mpsc::channel(waiting);
    let (cut, end) = oneshot::channel();
    let sent = Sent {
        messages: Some(sent),
        cut: Some(end),
        _place: place,
    };
    (Sink { messages, cut }, sent)
}

impl Sent {
    /// The reason, where it was cut off.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Option<Status> {
        let Poll::Ready(end) = Pin::new(self.cut.as_mut()?).poll(cx) else {
            return None;
        };
        self.cut = None;
        // A sink that is gone without a word has nothing to cut off.
        end.ok()
    }
}

impl Stream for Sent {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        if let Some(status) = self.poll_cut(cx) {
            self.messages = None;
            return Poll::Ready(Some(Err(status)));
        }
        match &mut self.messages {
            Some(messages) => messages.poll_recv(cx),
            None => Poll::Ready(None),
        }
    }
}
