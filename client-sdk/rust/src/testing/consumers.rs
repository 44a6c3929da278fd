//! Events that are kept, and who follows them.

use std::collections::{BTreeMap, VecDeque};

use bindery_proto::v1::{self as proto, Consumer, Event, event, replay_events_request::Target};
use prost_types::Timestamp;
use tonic::{Code, Status};

use super::{
    Refusal,
    refusal::not_found,
    world::{State, filtered, now, wrong},
};

/// What the double knows about events.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    logs: BTreeMap<String, Log>,
    pub(super) followers: BTreeMap<String, Follower>,
    /// What happens to the next streams.
    pub(super) plans: VecDeque<Plan>,
}

/// The events of one namespace.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) events: BTreeMap<i64, Event>,
    pub(super) last: i64,
    forgotten: i64,
}

/// A consumer, and what its streams must know.
#[derive(Clone, Debug, Default)]
pub(super) struct Follower {
    pub(super) consumer: Consumer,
    /// Counts watches: the newest one counts.
    pub(super) watch: u64,
    /// Counts replays.
    pub(super) replays: u64,
}

/// What happens to a stream of events.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// Nothing is ever sent.
    Mute,
    /// It ends like this after so many events.
    EndAfter(usize, Status),
}

impl State {
    pub(super) fn log(&self, namespace: &str) -> Result<&Log, Status> {
        static NONE: Log = Log {
            events: BTreeMap::new(),
            last: 0,
            forgotten: 0,
        };
        if !self.namespaces.contains_key(namespace) {
            return Err(not_found(namespace));
        }
        Ok(self.feeds.logs.get(namespace).unwrap_or(&NONE))
    }

    /// Numbers an event, and keeps it.
    pub(super) fn publish(&mut self, namespace: &str, mut event: Event) -> Event {
        let log = self.feeds.logs.entry(namespace.to_owned()).or_default();
        log.last += 1;
        event.sequence = log.last;
        event.name = format!("{namespace}/events/{}", log.last);
        event.receive_time = event.receive_time.or_else(now);
        log.events.insert(log.last, event.clone());
        event
    }

    pub(super) fn forget(&mut self, namespace: &str, until: i64) {
        let log = self.feeds.logs.entry(namespace.to_owned()).or_default();
        log.events.retain(|sequence, _| *sequence > until);
        log.forgotten = log.forgotten.max(until);
    }

    pub(super) fn event(&self, name: &str) -> Result<&Event, Status> {
        let (namespace, number) = name.split_once("/events/").ok_or_else(|| not_found(name))?;
        let number = number.parse().map_err(|_| not_found(name))?;
        let found = self.log(namespace)?.events.get(&number);
        found.ok_or_else(|| not_found(name))
    }

    /// Where a stream begins: after which event.
    pub(super) fn beginning(&self, request: &proto::WatchEventsRequest) -> Result<i64, Status> {
        let log = self.log(&request.parent)?;
        let name = consumer_name(&request.parent, &request.consumer_id);
        let known = self.feeds.followers.get(&name);
        let acknowledged = known.map_or(0, |one| one.consumer.acknowledged_sequence);
        let after = match request.after_sequence {
            Some(0) => return Ok(log.forgotten),
            Some(after) => after,
            None if acknowledged > 0 => acknowledged,
            None => return Ok(log.last),
        };
        if after < log.forgotten {
            let message = "these events are not kept any more; start later and reconcile";
            let refusal = Refusal::new(Code::OutOfRange, "CURSOR_TOO_OLD", message);
            let oldest = (log.forgotten + 1).to_string();
            return Err(refusal.fact("oldest_sequence", oldest).into());
        }
        Ok(after)
    }

    /// A new watch of a consumer; the one before ends.
    pub(super) fn follow(&mut self, namespace: &str, id: &str) -> Follower {
        let name = consumer_name(namespace, id);
        let follower = self.feeds.followers.entry(name.clone()).or_default();
        follower.consumer.name = name;
        follower.consumer.connected = true;
        follower.consumer.active_time = now();
        follower.watch += 1;
        follower.clone()
    }

    pub(super) fn acknowledge(
        &mut self,
        request: &proto::AckEventsRequest,
    ) -> Result<Consumer, Status> {
        let last = self.log(&request.parent)?.last;
        if request.sequence < 1 || request.sequence > last {
            return Err(wrong("INVALID_ARGUMENT", "sequence"));
        }
        let name = consumer_name(&request.parent, &request.consumer_id);
        let follower = self.feeds.followers.get_mut(&name);
        let consumer = &mut follower.ok_or_else(|| not_found(&name))?.consumer;
        consumer.acknowledged_sequence = consumer.acknowledged_sequence.max(request.sequence);
        consumer.backlog = last - consumer.acknowledged_sequence;
        consumer.active_time = now();
        Ok(consumer.clone())
    }

    pub(super) fn replay(
        &mut self,
        request: &proto::ReplayEventsRequest,
    ) -> Result<proto::ReplayEventsResponse, Status> {
        let log = self.log(&request.parent)?;
        let asked = |event: &&Event| {
            event.sequence >= request.since_sequence
                && received(event, request.since_time, request.until_time)
        };
        if request.since_sequence == 0 && request.since_time.is_none() {
            return Err(wrong("INVALID_ARGUMENT", "since_sequence"));
        }
        let sequences = log.events.values().filter(asked).map(|one| one.sequence);
        let sequences: Vec<_> = match &request.target {
            Some(Target::Subscription(name)) if request.missing_only => {
                let dead = self.dead_letters.get(name).cloned().unwrap_or_default();
                let is_dead = |sequence: &i64| {
                    let event = format!("{}/events/{sequence}", request.parent);
                    dead.iter().any(|letter| letter.event == event)
                };
                sequences.filter(is_dead).collect()
            }
            _ => sequences.collect(),
        };
        let answer = proto::ReplayEventsResponse {
            first_sequence: sequences.first().copied().unwrap_or_default(),
            last_sequence: sequences.last().copied().unwrap_or_default(),
            event_count: i64::try_from(sequences.len()).unwrap_or(i64::MAX),
        };
        self.send_again(request, answer.first_sequence)?;
        Ok(answer)
    }

    fn send_again(
        &mut self,
        request: &proto::ReplayEventsRequest,
        first: i64,
    ) -> Result<(), Status> {
        match &request.target {
            Some(Target::ConsumerId(id)) => {
                let name = consumer_name(&request.parent, id);
                let follower = self.feeds.followers.get_mut(&name);
                let follower = follower.ok_or_else(|| not_found(&name))?;
                if first > 0 && !request.validate_only {
                    follower.consumer.acknowledged_sequence = first - 1;
                    follower.replays += 1;
                }
                Ok(())
            }
            Some(Target::Subscription(name)) => {
                self.subscription(name)?;
                if !request.validate_only {
                    self.dead_letters.remove(name);
                }
                Ok(())
            }
            None => Err(wrong("INVALID_ARGUMENT", "target")),
        }
    }
}

/// Whether an event came at `since` or later, and before `until`.
pub(super) fn received(event: &Event, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    let order = |time: Timestamp| (time.seconds, time.nanos);
    let received = event.receive_time.map(order);
    (since.is_none() || received >= since.map(order))
        && (until.is_none() || received < until.map(order))
}

pub(super) fn consumer_name(namespace: &str, id: &str) -> String {
    format!("{namespace}/consumers/{id}")
}

/// Whether a filter lets an event through, as far as the double understands filters.
pub(super) fn matches(filter: &str, event: &Event) -> bool {
    let verdict = event.verdict().as_str_name();
    let verdict = verdict.trim_start_matches("TRIGGER_VERDICT_");
    let full_ref = match &event.change {
        Some(event::Change::Push(push)) => &push.r#ref,
        Some(event::Change::TagCreated(tag)) => &tag.r#ref,
        Some(event::Change::RefDeleted(deleted)) => &deleted.r#ref,
        _ => "",
    };
    filtered(filter, "source", &event.source)
        && filtered(filter, "link", &event.link)
        && filtered(filter, "repository", &event.repository_full_name)
        && filtered(filter, "verdict", verdict)
        && filtered(filter, "ref", full_ref)
}
