//! Acknowledgements: many with one call, and durable when they say so.

use std::{
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bindery_proto::v1::{
    AckEventsRequest, AckEventsResponse, Event, event_service_client::EventServiceClient,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    time::sleep,
};
use tonic::Code;

use super::passing::{pause, will_pass};
use crate::{
    Client, Error,
    call::{Manner, call},
};

type Outcome = Result<(), Error>;

/// Acknowledges events of one [`EventWatch`](crate::EventWatch), also from other tasks.
///
/// One call is under way at a time; what is acknowledged meanwhile goes with the next one, by its last event.
#[derive(Clone)]
pub struct Acker(Option<Arc<Acks>>);

/// An acknowledgement on its way. It is sent also where nobody waits for it.
#[derive(Debug)]
pub struct Ack(State);

#[derive(Debug)]
enum State {
    Settled(Outcome),
    Waiting(oneshot::Receiver<Outcome>),
}

pub(super) struct Acks {
    client: Client,
    parent: String,
    consumer_id: String,
    ledger: Mutex<Ledger>,
    /// A failure that nobody waits for has come.
    failed: Notify,
}

#[derive(Default)]
struct Ledger {
    /// The last event that is to be acknowledged; 0 is none.
    wanted: i64,
    /// The last event of which that is known to be durable; 0 is none.
    durable: i64,
    /// Where the consumer is by the daemon's word; further than `durable` where the watch started before it.
    kept: i64,
    /// Counts replays, so that a call that began before one does not count after it.
    epoch: u64,
    sending: bool,
    /// The watch is gone: what does not work now is not tried for ever.
    closed: bool,
    waiting: Vec<(i64, oneshot::Sender<Outcome>)>,
    failure: Option<Error>,
}

/// What the sender does next.
enum Next {
    Send(i64, u64),
    Rest,
}

impl Acker {
    pub(super) fn new(acks: Option<Arc<Acks>>) -> Self {
        Self(acks)
    }

    /// Acknowledges this event and all before it. It is sent at once, or with the next call if one is under
    /// way; waiting for the answer is only needed where the caller must know. Must be called in a Tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// When waiting: [`Error::Configuration`] for a watch without a consumer, and failures that do not pass,
    /// such as [`Error::NotFound`]. `Ok` means that the daemon has written it down. Others are waited out as
    /// long as the watch is there.
    pub fn ack(&self, event: &Event) -> Ack {
        self.ack_until(event.sequence)
    }

    /// Acknowledges all events up to this one.
    ///
    /// # Errors
    ///
    /// As for [`ack`](Self::ack).
    pub fn ack_until(&self, sequence: i64) -> Ack {
        match &self.0 {
            Some(acks) => acks.acknowledge(sequence),
            None => Ack(State::Settled(Err(Error::Configuration(
                "a watch without a consumer keeps no place, so there is nothing to acknowledge; name a \
                 consumer"
                    .to_owned(),
            )))),
        }
    }

    /// Waits until all that was acknowledged so far is durable.
    ///
    /// # Errors
    ///
    /// As for [`ack`](Self::ack).
    pub async fn flush(&self) -> Outcome {
        match &self.0 {
            Some(acks) => {
                let wanted = acks.ledger().wanted;
                acks.acknowledge(wanted).await
            }
            None => Ok(()),
        }
    }
}

impl Future for Ack {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        match &mut self.0 {
            State::Settled(outcome) => Poll::Ready(outcome.clone()),
            State::Waiting(receiver) => Pin::new(receiver)
                .poll(context)
                .map(|answer| answer.unwrap_or_else(|_| Err(abandoned()))),
        }
    }
}

impl Acks {
    pub(super) fn new(client: Client, parent: String, consumer_id: String) -> Arc<Self> {
        Arc::new(Self {
            client,
            parent,
            consumer_id,
            ledger: Mutex::default(),
            failed: Notify::new(),
        })
    }

    /// The last event that is to be acknowledged; 0 is none.
    pub(super) fn wanted(&self) -> i64 {
        self.ledger().wanted
    }

    /// Where the daemon would go on, as it told with the last acknowledgement; 0 before that.
    pub(super) fn kept(&self) -> i64 {
        self.ledger().kept
    }

    /// Events after this one are sent again: what was acknowledged of them does not count.
    pub(super) fn set_back(&self, sequence: i64) {
        self.ledger().set_back(sequence);
    }

    /// Waits for a failure that nobody waited for.
    pub(super) async fn failure(&self) -> Error {
        loop {
            let failed = self.failed.notified();
            if let Some(error) = self.ledger().failure.take() {
                return error;
            }
            failed.await;
        }
    }

    /// The watch is gone: sends what is left, once.
    pub(super) fn close(&self) {
        self.ledger().closed = true;
    }

    pub(super) fn acknowledge(self: &Arc<Self>, sequence: i64) -> Ack {
        let mut ledger = self.ledger();
        if sequence <= ledger.durable {
            return Ack(State::Settled(Ok(())));
        }
        ledger.wanted = ledger.wanted.max(sequence);
        let (sender, receiver) = oneshot::channel();
        ledger.waiting.push((sequence, sender));
        if !ledger.sending {
            ledger.sending = self.start();
        }
        Ack(State::Waiting(receiver))
    }

    /// Starts the sender; false outside of a runtime, where the next acknowledgement starts it.
    fn start(self: &Arc<Self>) -> bool {
        let runtime = Handle::try_current();
        let started = runtime.map(|runtime| runtime.spawn(self.clone().send_all()));
        started.is_ok()
    }

    async fn send_all(self: Arc<Self>) {
        let mut failures = 0;
        while let Next::Send(sequence, epoch) = self.next() {
            match self.send(sequence).await {
                Ok(answer) => {
                    failures = 0;
                    let consumer = answer.consumer.unwrap_or_default();
                    let kept = consumer.acknowledged_sequence;
                    self.ledger().succeed(sequence, kept, epoch);
                }
                Err(error) if will_pass(&error) && !self.ledger().closed => {
                    failures += 1;
                    sleep(pause(&self.client, &error, failures)).await;
                }
                Err(error) => return self.fail(sequence, &error),
            }
        }
    }

    fn next(&self) -> Next {
        let mut ledger = self.ledger();
        if ledger.wanted > ledger.durable {
            return Next::Send(ledger.wanted, ledger.epoch);
        }
        ledger.sending = false;
        Next::Rest
    }

    async fn send(&self, sequence: i64) -> Result<AckEventsResponse, Error> {
        let request = AckEventsRequest {
            parent: self.parent.clone(),
            consumer_id: self.consumer_id.clone(),
            sequence,
        };
        let client = &self.client;
        // A smaller number than before changes nothing, so sending again can't act twice.
        call!(
            client,
            Manner::KEYED,
            EventServiceClient<_>,
            ack_events,
            request
        )
    }

    fn fail(&self, sequence: i64, error: &Error) {
        let mut ledger = self.ledger();
        ledger.sending = false;
        if !ledger.settle(sequence, &Err(error.clone())) {
            ledger.failure = Some(error.clone());
            self.failed.notify_one();
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing that runs under the lock leaves the ledger half changed.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    /// The daemon has written down `sequence`, and keeps `kept`.
    fn succeed(&mut self, sequence: i64, kept: i64, epoch: u64) {
        if self.epoch == epoch {
            self.durable = self.durable.max(sequence);
            self.kept = kept.max(sequence);
        }
        self.settle(sequence, &Ok(()));
    }

    fn set_back(&mut self, sequence: i64) {
        self.epoch += 1;
        self.wanted = self.wanted.min(sequence);
        self.durable = self.durable.min(sequence);
        self.kept = self.kept.min(sequence);
    }

    /// Tells all that wait for an event up to this one; true where somebody did.
    fn settle(&mut self, sequence: i64, outcome: &Outcome) -> bool {
        let mut heard = false;
        for (wanted, waiting) in mem::take(&mut self.waiting) {
            if wanted > sequence {
                self.waiting.push((wanted, waiting));
            } else {
                heard |= waiting.send(outcome.clone()).is_ok();
            }
        }
        heard
    }
}

fn abandoned() -> Error {
    Error::local(
        Code::Cancelled,
        "the acknowledgement was not sent before the program ended; acknowledge again",
    )
}

impl fmt::Debug for Acker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let consumer = self.0.as_ref().map(|acks| &acks.consumer_id);
        formatter
            .debug_struct("Acker")
            .field("consumer", &consumer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;

    /// An acknowledgement that was under way when its events were replayed does not count for the replay.
    #[test]
    fn what_began_before_a_replay_does_not_count_after_it() {
        let mut ledger = Ledger {
            wanted: 5,
            ..Ledger::default()
        };
        ledger.succeed(4, 4, ledger.epoch);
        assert_eq!((ledger.durable, ledger.kept), (4, 4));
        let under_way = ledger.epoch;
        ledger.set_back(2);
        assert_eq!((ledger.wanted, ledger.durable, ledger.kept), (2, 2, 2));
        ledger.succeed(5, 5, under_way);
        assert_eq!((ledger.durable, ledger.kept), (2, 2));
        ledger.succeed(3, 3, ledger.epoch);
        assert_eq!((ledger.durable, ledger.kept), (3, 3));
    }

    /// Where the daemon would go on is the daemon's to say.
    #[test]
    fn a_place_ahead_is_remembered() {
        let mut ledger = Ledger::default();
        ledger.succeed(3, 8, 0);
        assert_eq!((ledger.durable, ledger.kept), (3, 8));
    }
}
