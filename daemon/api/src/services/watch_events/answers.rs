//! The stream that a watcher reads.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bindery_proto::v1::WatchEventsResponse;
use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use crate::{StreamPlace, budget::Portion};

/// One message, or the end.
type Answer = Result<WatchEventsResponse, Status>;

/// An answer, and the room in memory of the provider's body in it.
type Message = (Answer, Option<Portion>);

/// What waits to be read; nothing once it is cut off.
#[derive(Clone)]
struct Queue(Arc<Mutex<Option<mpsc::Receiver<Message>>>>);

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Option<mpsc::Receiver<Message>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is sent in its order, until it is cut off: then the reason comes next, and what waits goes.
pub(super) struct Sent {
    queue: Queue,
    cut: Option<oneshot::Receiver<Status>>,
    /// Room of the message that is read now.
    room: Option<Portion>,
    /// A watcher takes its place for as long as its connection holds what it has not read.
    _place: StreamPlace,
}

/// Where a watch puts what it sends.
pub(super) struct Sink {
    /// In order; waits while the watcher does not read.
    pub(super) messages: mpsc::Sender<Message>,
    cut: oneshot::Sender<Status>,
    queue: Queue,
}

impl Sink {
    /// Cuts the stream off. What waits goes at once, also where nobody ever looks at the stream again.
    pub(super) fn cut_off(self, status: Status) {
        // Whoever is gone needs no reason.
        let _ = self.cut.send(status);
        *self.queue.waiting() = None;
    }
}

/// A sink that holds `waiting` messages, and what the watcher reads of it.
pub(super) fn pair(waiting: usize, place: StreamPlace) -> (Sink, Sent) {
    let (messages, sent) = mpsc::channel(waiting);
    let (cut, end) = oneshot::channel();
    let queue = Queue(Arc::new(Mutex::new(Some(sent))));
    let sent = Sent {
        queue: queue.clone(),
        cut: Some(end),
        room: None,
        _place: place,
    };
    let sink = Sink {
        messages,
        cut,
        queue,
    };
    (sink, sent)
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
        // Asked for the next one, it has sent the one before.
        self.room = None;
        if let Some(status) = self.poll_cut(cx) {
            *self.queue.waiting() = None;
            return Poll::Ready(Some(Err(status)));
        }
        let polled = match &mut *self.queue.waiting() {
            Some(messages) => messages.poll_recv(cx),
            None => Poll::Ready(None),
        };
        polled.map(|message| {
            let (answer, room) = message?;
            self.room = room;
            Some(answer)
        })
    }
}
