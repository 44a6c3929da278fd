//! Following the events of a namespace.
//!
//! Nothing is queued for a watcher but a handful of messages: events are read by number when there is room. So a slow
//! watcher falls behind, and costs nothing.

use std::{collections::VecDeque, time::Duration};

use bindery_core::{
    event::Event,
    name::{ConsumerId, NamespaceName},
};
use bindery_engine::events::Following;
use bindery_proto::v1::{
    self as wire, ErrorReason,
    watch_events_response::{Heartbeat, Message},
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    Answers, consumer, event,
    watch::{stop, stopped},
};
use crate::{
    call::Call,
    convert::{self, common},
    fields,
    filter::Filter,
    names,
    status::Failure,
};

/// Messages that wait for a slow caller.
const WAITING: usize = 16;
const USUAL_HEARTBEAT: Duration = Duration::from_secs(30);
const SHORTEST_HEARTBEAT: Duration = Duration::from_secs(1);
const USUAL_WINDOW: usize = 1_000;
const LARGEST_WINDOW: i32 = 10_000;

type Sink = mpsc::Sender<Result<wire::WatchEventsResponse, Status>>;

/// What is watched, and how far it is.
struct Watch {
    call: Call,
    request: wire::WatchEventsRequest,
    namespace: NamespaceName,
    filter: Filter,
    heartbeat: Duration,
    window: usize,
    following: Option<Following>,
    rewinds: u64,
    /// All events up to this one were sent or left out.
    position: u64,
    /// Numbers of the events that were sent and are not acknowledged, at most as many as the window; what the filter leaves out
    /// needs no acknowledgement.
    unacknowledged: VecDeque<u64>,
    sink: Sink,
}

/// Why a watch waits, or ends.
enum Turn {
    /// It may go on.
    Go,
    /// The caller went away.
    Gone,
    /// It ends with this.
    Over(Failure),
}

/// Sends the events of a namespace in order, from where the caller stands.
pub(super) async fn watch(
    call: Call,
    request: wire::WatchEventsRequest,
) -> Result<Answers<wire::WatchEventsResponse>, Failure> {
    let namespace = names::namespace(&request.parent)?;
    call.engine().namespace(&namespace).await?;
    event::may_see_payloads(&call, &namespace, request.include_payload)?;
    let filter = Filter::parse(&request.filter, &event::FIELDS)?;
    let (heartbeat, window) = (heartbeat(&request)?, window(&request)?);
    let id = match request.consumer_id.as_str() {
        "" => None,
        text => Some(consumer::id(text)?),
    };
    let permit = call.api.streams().clone().try_acquire_owned();
    let permit = permit.map_err(|_| Failure::overloaded("streams", Duration::from_secs(5)))?;
    let (position, following) = place(&call, &request, &namespace, id).await?;
    let (sink, answers) = mpsc::channel(WAITING);
    let watch = Watch {
        call,
        request,
        namespace,
        filter,
        heartbeat,
        window,
        following,
        rewinds: 0,
        position,
        unacknowledged: VecDeque::new(),
        sink,
    };
    tokio::spawn(async move {
        let _permit = permit;
        watch.run().await;
    });
    Ok(Box::pin(ReceiverStream::new(answers)))
}

fn heartbeat(request: &wire::WatchEventsRequest) -> Result<Duration, Failure> {
    let Some(asked) = request.heartbeat_interval else {
        return Ok(USUAL_HEARTBEAT);
    };
    common::duration(asked)
        .filter(|interval| *interval >= SHORTEST_HEARTBEAT)
        .ok_or_else(|| fields::wrong("heartbeat_interval", "must be one second at least"))
}

fn window(request: &wire::WatchEventsRequest) -> Result<usize, Failure> {
    match request.max_unacknowledged {
        0 => Ok(USUAL_WINDOW),
        asked if (1..=LARGEST_WINDOW).contains(&asked) => {
            Ok(usize::try_from(asked).unwrap_or(USUAL_WINDOW))
        }
        _ => Err(fields::wrong("max_unacknowledged", "must be 0 to 10,000")),
    }
}

/// Where the watch begins, and the right to follow as a consumer.
async fn place(
    call: &Call,
    request: &wire::WatchEventsRequest,
    namespace: &NamespaceName,
    id: Option<ConsumerId>,
) -> Result<(u64, Option<Following>), Failure> {
    let engine = call.engine();
    let numbers = engine.event_numbers(namespace).await?;
    let asked = match request.after_sequence {
        Some(0) => Some(numbers.first.saturating_sub(1)),
        Some(number) => Some(given(number, numbers.last)?),
        None => None,
    };
    // What is not kept any more is said at once, before another watcher is told to end.
    engine
        .event_after(namespace, asked.unwrap_or(numbers.last))
        .await?;
    let Some(id) = &id else {
        return Ok((asked.unwrap_or(numbers.last), None));
    };
    let start = asked.unwrap_or(numbers.last);
    let who = call.caller.name();
    let (consumer, following) = engine.follow_as(namespace, id, who, start).await?;
    let position = asked.unwrap_or_else(|| consumer.settled());
    engine.event_after(namespace, position).await?;
    Ok((position, Some(following)))
}

fn given(number: i64, last: u64) -> Result<u64, Failure> {
    let wrong = |why: String| fields::wrong("after_sequence", why);
    match u64::try_from(number) {
        Err(_) => Err(wrong("must not be negative".to_owned())),
        Ok(number) if number > last => Err(wrong(format!(
            "does not exist yet; the last event is {last}"
        ))),
        Ok(number) => Ok(number),
    }
}

impl Watch {
    async fn run(mut self) {
        let mut stopping = self.call.api.stopping();
        // Subscribed before the first look, so that no event is missed in between.
        let mut calls = self.call.engine().event_calls(&self.namespace);
        let mut told = Instant::now();
        loop {
            calls.mark_unchanged();
            let turn = match self.send_what_there_is(&mut told).await {
                Turn::Go => self.wait(&mut calls, &mut stopping, &mut told).await,
                over => over,
            };
            match turn {
                Turn::Go => {}
                Turn::Gone => return,
                Turn::Over(failure) => {
                    // Whoever is gone needs no reason.
                    let _ = self.sink.send(Err(failure.into_status(""))).await;
                    return;
                }
            }
        }
    }

    async fn send_what_there_is(&mut self, told: &mut Instant) -> Turn {
        if let Err(failure) = self.call.authorize(&self.request) {
            return Turn::Over(failure);
        }
        loop {
            match self.standing() {
                Ok(()) if self.is_full() => return Turn::Go,
                Ok(_) => {}
                Err(failure) => return Turn::Over(failure),
            }
            let next = self
                .call
                .engine()
                .event_after(&self.namespace, self.position);
            let event = match next.await {
                Ok(Some(event)) => event,
                Ok(None) => return Turn::Go,
                Err(problem) => return Turn::Over(problem.into()),
            };
            match self.send_event(&event, told).await {
                Turn::Go => {}
                over => return over,
            }
        }
    }

    /// Looks how the consumer stands, and goes back where somebody set it back.
    fn standing(&mut self) -> Result<(), Failure> {
        let Some(following) = &mut self.following else {
            return Ok(());
        };
        let state = following.state().ok_or_else(taken_over)?;
        if state.rewinds != self.rewinds {
            self.rewinds = state.rewinds;
            self.position = self.position.min(state.acknowledged);
        }
        let (done, sent) = (state.acknowledged, self.position);
        while self
            .unacknowledged
            .front()
            .is_some_and(|number| *number <= done)
        {
            self.unacknowledged.pop_front();
        }
        while self
            .unacknowledged
            .back()
            .is_some_and(|number| *number > sent)
        {
            self.unacknowledged.pop_back();
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.following.is_some() && self.unacknowledged.len() >= self.window
    }

    async fn send_event(&mut self, event: &Event, told: &mut Instant) -> Turn {
        if self.filter.admits(|field| event.field(field)) {
            let payload = self.request.include_payload;
            let shown = match event::shown(&self.call, event, payload).await {
                Ok(shown) => shown,
                Err(failure) => return Turn::Over(failure),
            };
            if !self.send(Message::Event(shown)).await {
                return Turn::Gone;
            }
            *told = Instant::now();
            if self.following.is_some() {
                self.unacknowledged.push_back(event.sequence);
            }
        }
        self.position = event.sequence;
        if let Some(following) = &self.following {
            following.note_sent(self.position);
        }
        Turn::Go
    }

    async fn send(&self, message: Message) -> bool {
        let message = Some(message);
        let sent = self.sink.send(Ok(wire::WatchEventsResponse { message }));
        sent.await.is_ok()
    }

    /// Waits for what may change something; says that there is nothing, every now and then.
    async fn wait(
        &mut self,
        calls: &mut watch::Receiver<()>,
        stopping: &mut watch::Receiver<bool>,
        told: &mut Instant,
    ) -> Turn {
        let changed = async {
            match &mut self.following {
                Some(following) => following.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.sink.closed() => Turn::Gone,
            () = stop(stopping) => Turn::Over(stopped()),
            _ = calls.changed() => Turn::Go,
            () = changed => Turn::Go,
            () = tokio::time::sleep_until(*told + self.heartbeat) => {
                *told = Instant::now();
                let heartbeat = self.beat();
                match self.send(heartbeat).await {
                    true => Turn::Go,
                    false => Turn::Gone,
                }
            }
        }
    }

    fn beat(&self) -> Message {
        Message::Heartbeat(Heartbeat {
            sequence: convert::event::number(self.position),
            server_time: Some(common::time(self.call.engine().time())),
        })
    }
}

fn taken_over() -> Failure {
    let message = "another watcher follows as this consumer now, or the consumer was forgotten; only one at a time can";
    Failure::new(ErrorReason::ConsumerTakenOver, message)
}
