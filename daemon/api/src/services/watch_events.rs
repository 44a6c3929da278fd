//! Following the events of a namespace.
//!
//! Nothing is queued for a watcher but a handful of messages: events are read by number when there is room. So a slow
//! watcher falls behind, and costs nothing. One that reads nothing at all is told so in the end, and goes on where it was when it
//! comes again.

mod answers;
mod begin;

use std::{collections::VecDeque, time::Duration};

use bindery_core::{event::Event, name::NamespaceName};
use bindery_engine::events::Following;
use bindery_proto::v1::{
    self as wire, ErrorReason,
    watch_events_response::{Heartbeat, Message},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tonic::Status;

use self::{
    answers::Sink,
    begin::{heartbeat, place, window},
};
use super::{
    Answers, consumer, event,
    watch::{stop, stopped},
};
use crate::{
    budget::Portion,
    call::Call,
    convert::{self, common},
    filter::Filter,
    names,
    status::Failure,
};

/// Messages that wait for a slow caller.
const WAITING: usize = 16;

/// The same where they carry bodies of providers, which are large.
const WAITING_WITH_PAYLOAD: usize = 1;

/// How many events of a backlog are sent before it is asked again whether the caller may see them.
const ASKED_EVERY: u64 = 100;

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
    /// The caller has read nothing for too long.
    TooSlow,
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
    let room = call.api.place_for_stream(call.caller.name())?;
    let (position, following) = place(&call, &request, &namespace, id).await?;
    let waiting = match request.include_payload {
        true => WAITING_WITH_PAYLOAD,
        false => WAITING,
    };
    let (sink, sent) = answers::pair(waiting, room);
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
    tokio::spawn(watch.run());
    Ok(Box::pin(sent))
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
                Turn::Over(failure) => return self.end(failure.into_status("")).await,
                Turn::TooSlow => return self.cut(too_slow().into_status("")),
            }
        }
    }

    /// Says why it ends behind all that was sent; to one that does not read it is said in its place.
    async fn end(self, status: Status) {
        let sent = self.sink.messages.send((Err(status.clone()), None));
        if timeout(self.patience(), sent).await.is_err() {
            self.cut(status);
        }
    }

    fn cut(self, status: Status) {
        self.sink.cut_off(status);
    }

    fn patience(&self) -> Duration {
        self.call.api.watch_patience()
    }

    async fn send_what_there_is(&mut self, told: &mut Instant) -> Turn {
        if let Err(failure) = self.still_may() {
            return Turn::Over(failure);
        }
        for sent in 1_u64.. {
            // A long backlog may outlast the right to it.
            if sent.is_multiple_of(ASKED_EVERY)
                && let Err(failure) = self.still_may()
            {
                return Turn::Over(failure);
            }
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
                Ok(None) => return self.namespace_is_there().await,
                Err(problem) => return Turn::Over(problem.into()),
            };
            match self.send_event(&event, told).await {
                Turn::Go => {}
                over => return over,
            }
        }
        Turn::Go
    }

    /// The policy may have changed since it began.
    fn still_may(&self) -> Result<(), Failure> {
        self.call.authorize(&self.request)?;
        event::may_see_payloads(&self.call, &self.namespace, self.request.include_payload)
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

    /// A namespace that was deleted has no events that could come.
    async fn namespace_is_there(&self) -> Turn {
        match self.call.engine().namespace(&self.namespace).await {
            Ok(_) => Turn::Go,
            Err(problem) => Turn::Over(problem.into()),
        }
    }

    async fn send_event(&mut self, event: &Event, told: &mut Instant) -> Turn {
        if self.filter.admits(|field| event.field(field)) {
            let (message, room) = match self.shown(event).await {
                Ok(shown) => shown,
                Err(failure) => return Turn::Over(failure),
            };
            match self.send(message, room).await {
                Turn::Go => {}
                over => return over,
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

    /// An event, and the room that the provider's body takes in memory.
    async fn shown(&self, event: &Event) -> Result<(Message, Option<Portion>), Failure> {
        if !self.request.include_payload {
            let shown = event::shown(&self.call, event, false).await?;
            return Ok((Message::Event(shown), None));
        }
        let mut room = self.call.room_for_payload().await?;
        let shown = event::shown(&self.call, event, true).await?;
        room.shrink(shown.payload.len());
        Ok((Message::Event(shown), Some(room)))
    }

    async fn send(&self, message: Message, room: Option<Portion>) -> Turn {
        let message = Some(message);
        let answer = wire::WatchEventsResponse { message };
        let sent = self.sink.messages.send((Ok(answer), room));
        match timeout(self.patience(), sent).await {
            Ok(Ok(())) => Turn::Go,
            Ok(Err(_)) => Turn::Gone,
            Err(_) => Turn::TooSlow,
        }
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
            () = self.sink.messages.closed() => Turn::Gone,
            () = stop(stopping) => Turn::Over(stopped()),
            _ = calls.changed() => Turn::Go,
            () = changed => Turn::Go,
            () = tokio::time::sleep_until(*told + self.heartbeat) => {
                *told = Instant::now();
                let heartbeat = self.beat();
                self.send(heartbeat, None).await
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

fn too_slow() -> Failure {
    let message = "the watcher has read nothing for too long; nothing is lost: watch again, after the last event that was read";
    Failure::new(ErrorReason::WatcherTooSlow, message)
}

fn taken_over() -> Failure {
    let message = "another watcher follows as this consumer now, or the consumer was forgotten; only one at a time can";
    Failure::new(ErrorReason::ConsumerTakenOver, message)
}
