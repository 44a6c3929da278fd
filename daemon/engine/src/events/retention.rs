//! Forgets events that are too old or too many.

use std::{sync::Mutex, time::Duration};

use bindery_core::{
    event::EventHead,
    name::NamespaceName,
    port::{Entry, Expect, Key, Record},
    problem::{Problem, Reason},
    time::Timestamp,
};

use crate::{Engine, flight::lock, records::change};

/// How many events one transaction removes.
const AT_ONCE: u64 = 200;

/// How long events are kept, and how many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventRetention {
    /// How long.
    pub time: Duration,
    /// How many in each namespace.
    pub count: u64,
}

impl Default for EventRetention {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30 * 86_400),
            count: 100_000,
        }
    }
}

/// What the operator set.
#[derive(Default)]
pub(crate) struct Kept(Mutex<EventRetention>);

impl Engine {
    /// Keeps events so long, and so many, from the next sweep on.
    pub fn set_event_retention(&self, retention: EventRetention) {
        *lock(&self.event_kept().0) = retention;
    }

    /// Forgets what need not be kept in any namespace.
    pub(crate) async fn forget_events(&self) -> Result<(), Problem> {
        let mut ended = Ok(());
        for namespace in self.namespace_names().await? {
            // One that fails holds the others back no longer than itself.
            ended = ended.and(self.forget_events_of(&namespace).await);
        }
        ended
    }

    async fn forget_events_of(&self, namespace: &NamespaceName) -> Result<(), Problem> {
        let numbers = self.event_numbers(namespace).await?;
        let end = self.first_kept(namespace, numbers).await?;
        let mut first = numbers.first;
        while first < end {
            let next = end.min(first.saturating_add(AT_ONCE));
            if !self.forget_range(namespace, first, next).await? {
                break;
            }
            first = next;
        }
        Ok(())
    }

    /// The first event that stays.
    async fn first_kept(
        &self,
        namespace: &NamespaceName,
        numbers: EventHead,
    ) -> Result<u64, Problem> {
        let kept = *lock(&self.event_kept().0);
        let many = (numbers.last + 1).saturating_sub(kept.count);
        let age = u64::try_from(kept.time.as_millis()).unwrap_or(u64::MAX);
        let oldest = Timestamp::from_unix_ms(self.now().unix_ms().saturating_sub(age));
        // In the usual case nothing is old, and one look says so.
        let first = self.find_event(namespace, numbers.first).await?;
        let old = match first.is_some_and(|event| event.record.received < oldest) {
            true => self.event_at(namespace, oldest).await?,
            false => numbers.first,
        };
        Ok(old.max(many).max(numbers.first))
    }

    /// False where an appender was faster; the next sweep goes on.
    async fn forget_range(
        &self,
        namespace: &NamespaceName,
        first: u64,
        next: u64,
    ) -> Result<bool, Problem> {
        let head = self.heads().of(namespace);
        let _turn = head.turn().await;
        let Some(Entry {
            record: mut numbers,
            version,
        }) = self.find_event_head(namespace).await?
        else {
            return Ok(false);
        };
        numbers.first = next;
        let key = Key::EventHead(namespace.clone());
        let head = change(
            key,
            Expect::Version(version),
            Some(Record::EventHead(numbers)),
        );
        let gone = |number| change(Key::Event(namespace.clone(), number), Expect::Any, None);
        let changes = (first..next).map(gone).chain([head]).collect();
        match self.commit(changes).await {
            Err(problem) if problem.reason == Reason::StoreConflict => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }
}
