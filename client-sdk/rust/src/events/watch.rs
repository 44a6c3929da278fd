//! Following the events of a namespace.

use std::{fmt, sync::Arc, time::Duration};

use bindery_proto::v1::{
    Event, WatchEventsRequest, WatchEventsResponse, watch_events_response::Message,
};
use futures_util::{Stream, stream};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Code, Streaming};

use super::{
    acks::{Ack, Acker, Acks},
    builder::Listener,
    open::{Opening, named, open, silent},
    passing::{pause, will_pass},
    place::{Place, Resume, Verdict},
};
use crate::{Client, Error};

/// Follows the events of a namespace, in order and without a loss.
///
/// It connects again, for as long as it takes, where the connection breaks, the daemon stops
/// (`SHUTTING_DOWN`), is sealed, or has too much to do (`OVERLOADED`), and where it gives no sign of life. It
/// goes on after the last acknowledgement or the last event that was handed over. Each event is handed over
/// once, unless somebody has it replayed.
///
/// Dropping it sends what was acknowledged, as far as the runtime still runs; [`flush`](Self::flush) waits for
/// that.
pub struct EventWatch {
    client: Client,
    request: WatchEventsRequest,
    silence: Duration,
    listener: Option<Listener>,
    acks: Option<Arc<Acks>>,
    place: Place,
    /// The newest event when the watch began, for one that starts with the events to come.
    floor: Option<i64>,
    connection: Connection,
    /// Failures since the last message.
    failures: u32,
    ended: Option<Error>,
}

enum Connection {
    /// Not before this time again.
    Closed { until: Instant },
    /// Kept here, so that a caller who stops waiting does not start it anew.
    Opening(Opening),
    /// Dead unless something is heard before the time.
    Open {
        stream: Box<Streaming<WatchEventsResponse>>,
        dead_at: Instant,
    },
}

impl EventWatch {
    pub(super) fn new(
        client: Client,
        request: WatchEventsRequest,
        heartbeat: Duration,
        listener: Option<Listener>,
    ) -> Self {
        let (parent, consumer) = (request.parent.clone(), request.consumer_id.clone());
        let acks = (!consumer.is_empty()).then(|| Acks::new(client.clone(), parent, consumer));
        let until = Instant::now();
        Self {
            client,
            request,
            silence: heartbeat * 5 / 2,
            listener,
            acks,
            place: Place::default(),
            floor: None,
            connection: Connection::Closed { until },
            failures: 0,
            ended: None,
        }
    }

    /// The next event. Dropping the call loses nothing.
    ///
    /// # Errors
    ///
    /// What does not pass by itself ends the watch, and is returned by every further call:
    /// [`Error::NotFound`], [`Error::PermissionDenied`], [`Error::InvalidArgument`] for a filter that can't be
    /// read (`FILTER_INVALID`) and for a cursor before the oldest event that is kept (`CURSOR_TOO_OLD`, with
    /// `oldest_sequence` in the metadata), [`Error::Conflict`] where another watch took over this consumer
    /// (`CONSUMER_TAKEN_OVER`). An acknowledgement that failed and that nobody waits for is returned once; the
    /// watch goes on.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(error) = &self.ended {
                return Err(error.clone());
            }
            let acks = self.acks.clone();
            let received = tokio::select! {
                biased;
                error = failed(acks.as_deref()) => return Err(error),
                received = self.receive() => received,
            };
            match received {
                Ok(message) => {
                    if let Some(event) = self.take(message) {
                        return Ok(event);
                    }
                }
                Err(error) => self.recover(error)?,
            }
        }
    }

    /// Acknowledges this event and all before it; see [`Acker::ack`]. Must be called in a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When waiting, those of [`Acker::ack`].
    pub fn ack(&self, event: &Event) -> Ack {
        self.acker().ack(event)
    }

    /// Waits until all that was acknowledged so far is durable.
    ///
    /// # Errors
    ///
    /// Those of [`Acker::ack`].
    pub async fn flush(&self) -> Result<(), Error> {
        self.acker().flush().await
    }

    /// Acknowledges for this watch, from other tasks too.
    #[must_use]
    pub fn acker(&self) -> Acker {
        Acker::new(self.acks.clone())
    }

    /// As a stream, which ends after the first error. Take an [`acker`](Self::acker) before.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event, Error>> + Send {
        stream::try_unfold(self, |mut watch| async move {
            let event = watch.next().await?;
            Ok(Some((event, watch)))
        })
    }

    /// The next message; every wait in here is kept over a call that is dropped.
    async fn receive(&mut self) -> Result<WatchEventsResponse, Error> {
        loop {
            match &mut self.connection {
                Connection::Closed { until } => {
                    sleep_until(*until).await;
                    self.connection = Connection::Opening(self.open());
                }
                Connection::Opening(opening) => {
                    let (floor, opened) = opening.await;
                    self.floor = floor;
                    self.connection = Connection::Open {
                        stream: Box::new(opened?),
                        dead_at: Instant::now() + self.silence,
                    };
                }
                Connection::Open { stream, dead_at } => {
                    let message = timeout_at(*dead_at, stream.message()).await;
                    let message = message.map_err(|_| silent(self.silence))?;
                    let message = message.map_err(|status| named(&self.client, &status))?;
                    *dead_at = Instant::now() + self.silence;
                    return message.ok_or_else(closed);
                }
            }
        }
    }

    /// Asks for a stream from where the watch is.
    fn open(&mut self) -> Opening {
        let kept = self.acks.as_ref().map_or(0, |acks| acks.kept());
        let mut request = self.request.clone();
        let resume = self.place.begin(kept);
        match resume {
            Resume::Start => (),
            Resume::Acknowledged => request.after_sequence = None,
            Resume::After(sequence) => request.after_sequence = Some(sequence),
        }
        let to_come = resume == Resume::Start && request.after_sequence.is_none();
        open(self.client.clone(), request, to_come, self.floor)
    }

    /// The event of a message, where there is one that the caller did not have.
    fn take(&mut self, message: WatchEventsResponse) -> Option<Event> {
        self.failures = 0;
        match message.message? {
            Message::Heartbeat(heartbeat) => {
                self.place.handle_heartbeat(heartbeat.sequence);
                self.pass_over(heartbeat.sequence);
                None
            }
            Message::Event(event) => match self.place.handle_event(event.sequence) {
                Verdict::HandOver => Some(event),
                Verdict::HandOverAgain => {
                    if let Some(acks) = &self.acks {
                        acks.set_back(event.sequence - 1);
                    }
                    Some(event)
                }
                Verdict::Skip => None,
            },
        }
    }

    /// Moves the place of the consumer over events that the filter left out, once it has acknowledged all
    /// before them; else it would grow too old.
    fn pass_over(&self, sequence: i64) {
        let handed = self.place.handed();
        let Some(acks) = &self.acks else { return };
        if handed > 0 && acks.wanted() >= handed && acks.wanted() < sequence {
            acks.acknowledge(sequence);
        }
    }

    fn recover(&mut self, error: Error) -> Result<(), Error> {
        self.failures = self.failures.saturating_add(1);
        self.connection = Connection::Closed {
            until: Instant::now() + pause(&self.client, &error, self.failures),
        };
        if !will_pass(&error) {
            self.ended = Some(error.clone());
            return Err(error);
        }
        if let Some(listener) = &self.listener {
            listener(&error);
        }
        Ok(())
    }
}

impl Drop for EventWatch {
    fn drop(&mut self) {
        if let Some(acks) = &self.acks {
            acks.close();
        }
    }
}

async fn failed(acks: Option<&Acks>) -> Error {
    match acks {
        Some(acks) => acks.failure().await,
        None => std::future::pending().await,
    }
}

fn closed() -> Error {
    Error::local(Code::Unavailable, "the daemon ended the stream of events")
}

impl fmt::Debug for EventWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EventWatch")
            .field("request", &self.request)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
