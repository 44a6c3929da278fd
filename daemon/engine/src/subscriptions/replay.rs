//! Events that are delivered again.

use std::collections::BTreeMap;

use bindery_core::{
    event::FILTER_FIELDS,
    filter::Filter,
    name::{NamespaceName, SubscriptionId},
    port::{Expect, Record},
    problem::{Problem, Reason},
    trigger::{Outgoing, Subscription},
};

use super::{Name, key, outgoing_key};
use crate::{Engine, RequestKey, Versioned, records::change};

/// Events that one transaction puts aside.
const AT_ONCE: u64 = 100;

/// Which events are delivered again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Replay {
    /// From this one on.
    pub first: u64,
    /// Up to this one.
    pub last: u64,
    /// Only those that were tried and not accepted.
    pub missing_only: bool,
    /// They are counted, and nothing is delivered.
    pub validate_only: bool,
}

/// Which events are delivered again, after the filter.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Replayed {
    /// The first; 0 where there is none.
    pub first: u64,
    /// The last; 0 where there is none.
    pub last: u64,
    /// How many.
    pub count: u64,
}

impl Replayed {
    /// All events of a range; none where it is empty.
    #[must_use]
    pub const fn range(first: u64, last: u64) -> Self {
        if first > last {
            return Self {
                first: 0,
                last: 0,
                count: 0,
            };
        }
        Self {
            first,
            last,
            count: last - first + 1,
        }
    }

    /// What a request is remembered by that replayed these.
    pub(crate) fn told(self) -> String {
        format!("{} {} {}", self.first, self.last, self.count)
    }

    /// What a remembered request replayed.
    pub(crate) fn recalled(text: &str) -> Result<Self, Problem> {
        let numbers: Option<Vec<_>> = text.split(' ').map(|part| part.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[first, last, count]) => Ok(Self { first, last, count }),
            _ => Err(Problem::new(
                Reason::Internal,
                "a remembered request names no replay",
            )),
        }
    }

    fn add(&mut self, sequences: &[u64]) {
        let (Some(first), Some(last)) = (sequences.first(), sequences.last()) else {
            return;
        };
        self.first = if self.count == 0 { *first } else { self.first };
        self.last = *last;
        self.count += sequences.len() as u64;
    }
}

impl Engine {
    /// Delivers events to a subscription again, with all attempts of the schedule, though they were accepted or are dead
    /// letters. Events that it has not come to yet are delivered anyway and don't count. A repetition of the request answers the
    /// same and delivers nothing.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `REQUEST_ID_REUSED`, and what the vault says.
    pub async fn replay_to_subscription(
        &self,
        namespace: &NamespaceName,
        id: &SubscriptionId,
        wanted: Replay,
        request: Option<&RequestKey>,
    ) -> Result<Replayed, Problem> {
        if let Some(text) = self.recall(request).await? {
            return Replayed::recalled(&text);
        }
        let name = (namespace.clone(), id.clone());
        let taken = self.existing(&name).await?.record.taken;
        let oldest = self.event_numbers(namespace).await?.first;
        let (mut next, end) = (wanted.first.max(oldest), wanted.last.min(taken));
        let mut replayed = Replayed::default();
        while next <= end {
            let until = end.min(next.saturating_add(AT_ONCE - 1));
            let part = Replay {
                first: next,
                last: until,
                ..wanted
            };
            replayed.add(&self.replay_part(&name, part).await?);
            next = until + 1;
        }
        self.subscriptions().stirred.notify_one();
        let remember = self.remember(request, &replayed.told()).await?;
        self.commit(remember.into_iter().collect()).await?;
        Ok(replayed)
    }

    /// One transaction of a replay, again and again until no other writer is in between.
    async fn replay_part(&self, name: &Name, part: Replay) -> Result<Vec<u64>, Problem> {
        loop {
            let found = self.existing(name).await?;
            let aside = self.outgoing_of(name).await?.into_iter();
            let aside: BTreeMap<_, _> = aside
                .map(|entry| (entry.record.sequence, entry.record))
                .collect();
            let sequences = self.picked(name, &found.record, &aside, part).await?;
            if part.validate_only || sequences.is_empty() {
                return Ok(sequences);
            }
            match self.put_aside(name, found, &aside, &sequences).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome.map(|()| sequences),
            }
        }
    }

    async fn picked(
        &self,
        name: &Name,
        subscription: &Subscription,
        aside: &BTreeMap<u64, Outgoing>,
        part: Replay,
    ) -> Result<Vec<u64>, Problem> {
        let filter = Filter::parse(&subscription.filter, &FILTER_FIELDS)?;
        let mut picked = Vec::new();
        for sequence in part.first..=part.last {
            if part.missing_only && !aside.contains_key(&sequence) {
                continue;
            }
            let event = self.find_event(&name.0, sequence).await?;
            if event.is_some_and(|event| filter.admits(|field| event.record.field(field))) {
                picked.push(sequence);
            }
        }
        Ok(picked)
    }

    async fn put_aside(
        &self,
        name: &Name,
        found: Versioned<Subscription>,
        aside: &BTreeMap<u64, Outgoing>,
        sequences: &[u64],
    ) -> Result<(), Problem> {
        let (now, mut subscription) = (self.now(), found.record);
        let mut changes = Vec::new();
        for sequence in sequences {
            let known = aside.get(sequence);
            let dead = known.is_some_and(|outgoing| outgoing.next.is_none());
            subscription.dead_letters = subscription.dead_letters.saturating_sub(u32::from(dead));
            let again = Outgoing {
                namespace: name.0.clone(),
                subscription: name.1.clone(),
                sequence: *sequence,
                attempts: 0,
                next: Some(now),
                tried: known.map_or(now, |outgoing| outgoing.tried),
                status: known.map_or(0, |outgoing| outgoing.status),
                message: known.map_or_else(String::new, |outgoing| outgoing.message.clone()),
            };
            let record = Some(Record::Outgoing(again));
            changes.push(change(outgoing_key(name, *sequence), Expect::Any, record));
        }
        let record = Some(Record::Subscription(subscription));
        changes.push(change(key(name), Expect::Version(found.version), record));
        self.commit(changes).await
    }
}
