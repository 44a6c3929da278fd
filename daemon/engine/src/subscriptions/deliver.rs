//! What is due, and who delivers it.
//!
//! Each subscription has two lanes: one for events that were not tried yet, in their order, and one for those that are tried
//! again. Neither waits for the other. A lane does a few at a time, so that one endpoint can't keep the others waiting.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use bindery_core::{
    event::{Event, FILTER_FIELDS},
    filter::Filter,
    port::{BoxFuture, Expect},
    problem::{Problem, Reason},
    time::Timestamp,
    trigger::{Outgoing, Subscription},
};
use futures_util::{
    FutureExt, StreamExt,
    future::{pending, select_all},
    stream::{self, FuturesUnordered},
};
use tokio::sync::watch;

use super::{Name, as_outgoing, attempt::Outcome, outgoing_key};
use crate::{Engine, Versioned, records::change};

/// Lanes at the same time.
const LANES: usize = 32;

/// Events that a lane does before another one may have its place.
const A_TURN: usize = 64;

/// Second attempts of one subscription at the same time.
const AGAIN_AT_ONCE: usize = 4;

/// Events that a filter passes over before that is written.
const PASSED_OVER: u64 = 1000;

/// A lane that the store failed rests so long.
const REST: Duration = Duration::from_secs(5);

/// How long is slept at most: clocks jump.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Which events of a subscription.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Kind {
    New,
    Again,
}

type Lane = (Name, Kind);

/// What can be done now, and when more can.
#[derive(Default)]
struct Due {
    lanes: Vec<Lane>,
    next: Option<Timestamp>,
}

/// Lanes that are under way, and those that rest.
#[derive(Default)]
struct Traffic {
    running: FuturesUnordered<BoxFuture<'static, (Lane, Result<(), Problem>)>>,
    busy: HashSet<Lane>,
    resting: HashMap<Lane, Timestamp>,
}

impl Traffic {
    fn start(&mut self, engine: &Engine, due: Due) {
        for lane in due.lanes {
            let free = self.running.len() < LANES && !self.resting.contains_key(&lane);
            if free && self.busy.insert(lane.clone()) {
                let engine = engine.clone();
                self.running
                    .push(async move { (lane.clone(), engine.run_lane(&lane).await) }.boxed());
            }
        }
    }

    fn end(&mut self, lane: Lane, outcome: Result<(), Problem>, now: Timestamp) {
        self.busy.remove(&lane);
        // One that was deleted meanwhile is not found, and is no trouble.
        if let Err(problem) = outcome.or_else(unless_gone) {
            tracing::warn!(reason = problem.reason.as_str(), error = %problem, "Events could not be delivered to a subscription; it is tried again");
            self.resting.insert(lane, now.after(REST));
        }
    }

    /// Ends the rests that are over, and says when the next one is.
    fn wake(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.resting.retain(|_, until| *until > now);
        self.resting.values().min().copied()
    }
}

impl Engine {
    /// Delivers events to subscriptions until the future is dropped. What is under way then is delivered again.
    pub(crate) async fn deliver_forever(&self) {
        let mut traffic = Traffic::default();
        loop {
            let changed = self.subscriptions().stirred.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let mut calls = self.all_calls().await;
            let rest = traffic.wake(self.now());
            let due = self.due().await.unwrap_or_default();
            let latest = self.now().after(LONGEST_SLEEP);
            let until = [due.next, rest]
                .into_iter()
                .flatten()
                .fold(latest, Timestamp::min);
            traffic.start(self, due);
            let sleep = self.ports().clock.sleep_until(until);
            tokio::select! {
                Some((lane, outcome)) = traffic.running.next() => traffic.end(lane, outcome, self.now()),
                () = any(&mut calls) => {}
                () = changed => {}
                () = sleep => {}
            }
        }
    }

    /// Delivers all that is due at this moment, also what becomes due by it, and returns when nothing is left.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn deliver_due(&self) -> Result<(), Problem> {
        loop {
            let lanes = self.due().await?.lanes;
            if lanes.is_empty() {
                return Ok(());
            }
            let runs = lanes.iter().map(|lane| self.run_lane(lane));
            let outcomes: Vec<_> = stream::iter(runs).buffer_unordered(LANES).collect().await;
            for outcome in outcomes {
                outcome.or_else(unless_gone)?;
            }
        }
    }

    /// Tells of new events in every namespace with subscriptions from now on.
    async fn all_calls(&self) -> Vec<watch::Receiver<()>> {
        let all = self.subscribed().await.unwrap_or_default();
        let call = |namespace| {
            let mut call = self.event_calls(namespace);
            call.mark_unchanged();
            call
        };
        all.iter().map(call).collect()
    }

    async fn due(&self) -> Result<Due, Problem> {
        let (now, mut due) = (self.now(), Due::default());
        for namespace in self.subscribed().await? {
            let mut open = self.subscriptions_of(&namespace).await?;
            open.retain(|subscription| !subscription.paused);
            if open.is_empty() {
                continue;
            }
            let last = self.event_numbers(&namespace).await?.last;
            let listing = bindery_core::port::Listing::Outgoing(namespace.clone());
            let aside = self.list_all(&listing, as_outgoing).await?;
            for subscription in open {
                let name = (namespace.clone(), subscription.id);
                if subscription.taken < last {
                    due.lanes.push((name.clone(), Kind::New));
                }
                let times = aside
                    .iter()
                    .filter(|entry| entry.record.subscription == name.1)
                    .filter_map(|entry| entry.record.next);
                match times.min() {
                    Some(next) if next <= now => due.lanes.push((name, Kind::Again)),
                    Some(next) => due.next = Some(due.next.map_or(next, |known| known.min(next))),
                    None => {}
                }
            }
        }
        Ok(due)
    }

    async fn run_lane(&self, (name, kind): &Lane) -> Result<(), Problem> {
        match kind {
            Kind::New => self.deliver_new(name).await,
            Kind::Again => self.deliver_again(name).await,
        }
    }

    async fn deliver_new(&self, name: &Name) -> Result<(), Problem> {
        for _ in 0..A_TURN {
            let subscription = self.existing(name).await?.record;
            if subscription.paused {
                return Ok(());
            }
            let (passed, event) = self.next_for(name, &subscription).await?;
            let Some(event) = event else {
                if passed > subscription.taken {
                    let write = |s: &mut Subscription| s.taken = s.taken.max(passed);
                    self.note(name, None, write).await?;
                }
                return Ok(());
            };
            let outcome = self.post_event(name, &subscription, &event).await?;
            self.note_first(name, event.sequence, outcome).await?;
        }
        Ok(())
    }

    /// The next event that the filter admits, and up to where it was looked for.
    async fn next_for(
        &self,
        name: &Name,
        subscription: &Subscription,
    ) -> Result<(u64, Option<Event>), Problem> {
        let filter = Filter::parse(&subscription.filter, &FILTER_FIELDS)?;
        let mut passed = subscription.taken;
        while passed < subscription.taken.saturating_add(PASSED_OVER) {
            match self.event_after(&name.0, passed).await {
                Ok(Some(event)) if filter.admits(|field| event.field(field)) => {
                    return Ok((passed, Some(event)));
                }
                Ok(Some(event)) => passed = event.sequence,
                Ok(None) => break,
                // What waited longer than events are kept is lost to it.
                Err(problem) if problem.reason == Reason::CursorTooOld => {
                    let first = self.event_numbers(&name.0).await?.first;
                    return Ok((first.saturating_sub(1).max(passed), None));
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok((passed, None))
    }

    async fn deliver_again(&self, name: &Name) -> Result<(), Problem> {
        let subscription = self.existing(name).await?.record;
        if subscription.paused {
            return Ok(());
        }
        let (now, mut due) = (self.now(), self.outgoing_of(name).await?);
        due.retain(|entry| entry.record.next.is_some_and(|next| next <= now));
        due.truncate(A_TURN);
        let tries = due
            .into_iter()
            .map(|entry| self.try_again(name, &subscription, entry));
        let outcomes: Vec<_> = stream::iter(tries)
            .buffer_unordered(AGAIN_AT_ONCE)
            .collect()
            .await;
        outcomes.into_iter().collect()
    }

    async fn try_again(
        &self,
        name: &Name,
        subscription: &Subscription,
        entry: Versioned<Outgoing>,
    ) -> Result<(), Problem> {
        let sequence = entry.record.sequence;
        let Some(event) = self.find_event(&name.0, sequence).await? else {
            // It is not kept any more.
            let gone = change(outgoing_key(name, sequence), Expect::Any, None);
            return self.note(name, Some(gone), |_| {}).await.map(drop);
        };
        let outcome: Outcome = self.post_event(name, subscription, &event.record).await?;
        self.note_again(name, entry, outcome).await
    }

    /// Forgets dead letters whose events are not kept any more.
    pub(crate) async fn forget_dead_letters(&self) -> Result<(), Problem> {
        for namespace in self.subscribed().await? {
            let first = self.event_numbers(&namespace).await?.first;
            for subscription in self.subscriptions_of(&namespace).await? {
                if subscription.dead_letters == 0 {
                    continue;
                }
                let name = (namespace.clone(), subscription.id);
                for entry in self.outgoing_of(&name).await? {
                    if entry.record.next.is_none() && entry.record.sequence < first {
                        let key = outgoing_key(&name, entry.record.sequence);
                        let gone = change(key, Expect::Version(entry.version), None);
                        let fewer = |s: &mut Subscription| {
                            s.dead_letters = s.dead_letters.saturating_sub(1);
                        };
                        self.note(&name, Some(gone), fewer).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn unless_gone(problem: Problem) -> Result<(), Problem> {
    match problem.reason {
        Reason::NotFound => Ok(()),
        _ => Err(problem),
    }
}

/// Resolves with the first call; never where there is nobody to call.
async fn any(calls: &mut [watch::Receiver<()>]) {
    if calls.is_empty() {
        return pending().await;
    }
    let each = calls.iter_mut().map(|call| Box::pin(call.changed()));
    // Whose sender is gone calls no more, and is left out the next time.
    let _ = select_all(each).await;
}
