//! Forgets events that are too old or too many.

use std::{sync::Mutex, time::Duration};

use bindery_core::{
    event::EventHead,
    name::NamespaceName,
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason},
    time::Timestamp,
};

use crate::{Engine, flight::lock, records::change};

/// How many events one transaction removes.
const AT_ONCE: u64 = 200;

/// What is kept of the events of a namespace. Whatever is over one of the three goes, the oldest first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventRetention {
    /// How long.
    pub time: Duration,
    /// How many.
    pub count: u64,
    /// How much they say together, in bytes, as [`bindery_core::event::Event::size`] counts it.
    pub bytes: u64,
}

impl Default for EventRetention {
    fn default() -> Self {
        Self {
            // A registry that was away for a month lost more than events.
            time: Duration::from_secs(30 * 86_400),
            // More than a hundred pushes an hour for all of that time.
            count: 100_000,
            // Most events say less than 2 KiB, but one push can say half a mebibyte.
            bytes: 256 << 20,
        }
    }
}

/// What the operator set.
#[derive(Default)]
pub(crate) struct Kept(Mutex<EventRetention>);

impl Kept {
    fn now(&self) -> EventRetention {
        *lock(&self.0)
    }
}

impl Engine {
    /// Keeps so much of the events from the next sweep on.
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
        while self.size_some(namespace).await? {}
        let numbers = self.event_numbers(namespace).await?;
        let end = self.first_kept(namespace, numbers).await?;
        let over = numbers.bytes > self.event_kept().now().bytes;
        let mut more = over || numbers.first < end;
        while more {
            more = self.forget_some(namespace, end).await?;
        }
        Ok(())
    }

    /// Forgets all events of a namespace that goes.
    pub(crate) async fn forget_all_events(&self, namespace: &NamespaceName) -> Result<(), Problem> {
        let end = self.event_numbers(namespace).await?.last + 1;
        while self.forget_some(namespace, end).await? {}
        Ok(())
    }

    /// The first event that is neither too old nor one too many.
    async fn first_kept(
        &self,
        namespace: &NamespaceName,
        numbers: EventHead,
    ) -> Result<u64, Problem> {
        let kept = self.event_kept().now();
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

    /// Adds up the sizes of events that were stored before sizes were noted, the newest first, as many as one transaction takes.
    /// False where none is left, or an appender was faster; the next sweep goes on then.
    async fn size_some(&self, namespace: &NamespaceName) -> Result<bool, Problem> {
        let head = self.heads().of(namespace);
        let _turn = head.turn().await;
        let Some(found) = self.find_event_head(namespace).await? else {
            return Ok(false);
        };
        let (before, mut numbers) = (found.record, found.record);
        while numbers.sized_from > numbers.first && before.sized_from - numbers.sized_from < AT_ONCE
        {
            numbers.sized_from -= 1;
            numbers.bytes += self.size_of(namespace, numbers.sized_from).await?;
        }
        if numbers == before {
            return Ok(false);
        }
        self.put_numbers(namespace, found.version, numbers, [])
            .await
    }

    /// How much an event says; 0 where it is not kept.
    async fn size_of(&self, namespace: &NamespaceName, sequence: u64) -> Result<u64, Problem> {
        let event = self.find_event(namespace, sequence).await?;
        Ok(event.map_or(0, |event| event.record.size()))
    }

    /// Writes a head over the version that was read, with what else becomes true. False where another was faster.
    async fn put_numbers(
        &self,
        namespace: &NamespaceName,
        version: u64,
        numbers: EventHead,
        others: impl IntoIterator<Item = Change>,
    ) -> Result<bool, Problem> {
        let key = Key::EventHead(namespace.clone());
        let put = change(
            key,
            Expect::Version(version),
            Some(Record::EventHead(numbers)),
        );
        match self.commit(others.into_iter().chain([put]).collect()).await {
            Err(problem) if problem.reason == Reason::StoreConflict => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }

    /// Forgets events before `end`, and those that are too much, as many as one transaction takes. False where nothing is left
    /// to forget, or an appender was faster; the next sweep goes on then.
    async fn forget_some(&self, namespace: &NamespaceName, end: u64) -> Result<bool, Problem> {
        let head = self.heads().of(namespace);
        let _turn = head.turn().await;
        let Some(found) = self.find_event_head(namespace).await? else {
            return Ok(false);
        };
        let (before, mut numbers) = (found.record, found.record);
        while numbers.first - before.first < AT_ONCE && self.is_over(numbers, end) {
            if numbers.first >= numbers.sized_from {
                let size = self.size_of(namespace, numbers.first).await?;
                numbers.bytes = numbers.bytes.saturating_sub(size);
            }
            numbers.first += 1;
            numbers.sized_from = numbers.sized_from.max(numbers.first);
        }
        if numbers == before {
            return Ok(false);
        }
        let gone = |number| change(Key::Event(namespace.clone(), number), Expect::Any, None);
        let gone = (before.first..numbers.first).map(gone);
        self.put_numbers(namespace, found.version, numbers, gone)
            .await
    }

    /// The oldest event must go. The newest stays, however large.
    fn is_over(&self, numbers: EventHead, end: u64) -> bool {
        let much = numbers.bytes > self.event_kept().now().bytes && numbers.first < numbers.last;
        numbers.first < end || much
    }
}
