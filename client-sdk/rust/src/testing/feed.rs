//! A stream of events.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bindery_proto::v1::{
    self as proto, Event,
    watch_events_response::{Heartbeat, Message},
};
use futures_util::{Stream, stream};
use tokio::{sync::watch, time::sleep};
use tonic::{Code, Status};

use super::{
    Refusal,
    consumers::{Follower, Plan, consumer_name, matches},
    world::{State, World, now},
};

/// How many events may be unacknowledged unless the request says so.
const WINDOW: i64 = 1_000;

struct Feed {
    state: Arc<Mutex<State>>,
    changes: watch::Receiver<u64>,
    request: proto::WatchEventsRequest,
    follower: Option<Follower>,
    plan: Option<Plan>,
    /// Everything up to here was sent or left out.
    cursor: i64,
    sent: usize,
    over: bool,
}

/// What a stream does next.
enum Step {
    Send(Box<Event>),
    End(Status),
    Wait,
}

type Response = Result<proto::WatchEventsResponse, Status>;

impl World {
    pub(super) fn watch(
        &self,
        request: proto::WatchEventsRequest,
    ) -> Result<impl Stream<Item = Response> + Send + use<>, Status> {
        let changes = self.changes.subscribe();
        let mut state = self.lock();
        let cursor = state.beginning(&request)?;
        let follower = (!request.consumer_id.is_empty())
            .then(|| state.follow(&request.parent, &request.consumer_id));
        let plan = state.feeds.plans.pop_front();
        drop(state);
        // The watch before has to hear that it is over.
        self.changed();
        let feed = Feed {
            state: self.share(),
            changes,
            request,
            follower,
            plan,
            cursor,
            sent: 0,
            over: false,
        };
        Ok(stream::unfold(feed, Feed::next))
    }
}

impl Feed {
    async fn next(mut self) -> Option<(Response, Self)> {
        if self.over {
            return None;
        }
        if matches!(self.plan, Some(Plan::Mute)) {
            return std::future::pending().await;
        }
        loop {
            self.changes.mark_unchanged();
            match self.step() {
                Step::Send(event) => return Some((Ok(message(Message::Event(*event))), self)),
                Step::End(status) => {
                    self.over = true;
                    return Some((Err(status), self));
                }
                Step::Wait => {
                    let interval = self.interval();
                    tokio::select! {
                        _ = self.changes.changed() => (),
                        () = sleep(interval) => {
                            let heartbeat = Heartbeat { sequence: self.cursor, server_time: now() };
                            return Some((Ok(message(Message::Heartbeat(heartbeat))), self));
                        }
                    }
                }
            }
        }
    }

    fn step(&mut self) -> Step {
        let state = self.state.clone();
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.plan {
            Some(Plan::EndAfter(events, status)) if self.sent >= *events => {
                return Step::End(status.clone());
            }
            _ => (),
        }
        if let Some(step) = self.looked_after(&state) {
            return step;
        }
        let Ok(log) = state.log(&self.request.parent) else {
            return Step::Wait;
        };
        let mut later = log.events.range(self.cursor + 1..);
        let next = later.find(|(_, event)| matches(&self.request.filter, event));
        let Some(event) = next.map(|(_, event)| event.clone()) else {
            self.cursor = self.cursor.max(log.last);
            return Step::Wait;
        };
        self.cursor = event.sequence;
        self.sent += 1;
        let name = consumer_name(&self.request.parent, &self.request.consumer_id);
        if let Some(follower) = state.feeds.followers.get_mut(&name) {
            follower.consumer.sent_sequence = event.sequence;
        }
        Step::Send(Box::new(event))
    }

    /// What the consumer of the stream has to do with it: taken over, replayed, too far ahead.
    fn looked_after(&mut self, state: &State) -> Option<Step> {
        let follower = self.follower.as_mut()?;
        let known = state.feeds.followers.get(&follower.consumer.name)?;
        if known.watch != follower.watch {
            let message = "another watcher took over this consumer; use one for each consumer";
            let refusal = Refusal::new(Code::Aborted, "CONSUMER_TAKEN_OVER", message);
            return Some(Step::End(refusal.into()));
        }
        if known.replays != follower.replays {
            follower.replays = known.replays;
            self.cursor = known.consumer.acknowledged_sequence;
        }
        let window = match self.request.max_unacknowledged {
            0 => WINDOW,
            window => window.into(),
        };
        let base = known.consumer.acknowledged_sequence;
        (base > 0 && self.cursor - base >= window).then_some(Step::Wait)
    }

    fn interval(&self) -> Duration {
        let asked = self.request.heartbeat_interval;
        let asked = asked.and_then(|time| time.try_into().ok());
        asked.unwrap_or(Duration::from_secs(30))
    }
}

fn message(message: Message) -> proto::WatchEventsResponse {
    proto::WatchEventsResponse {
        message: Some(message),
    }
}
