//! Numbers events and stores them.
//!
//! Numbers have no gaps: the head of a namespace and the events are written in one transaction, and one at a time appends to
//! a namespace. Times of receipt never go back from one number to the next. Whatever else must become true together with the events goes into the same transaction.

use std::{collections::BTreeMap, sync::Arc};

use bindery_core::{
    event::{Event, EventHead},
    name::NamespaceName,
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason},
    time::Timestamp,
};
use tokio::sync::OwnedMutexGuard;

use super::heads::{Head, Latest};
use crate::{Engine, Versioned, records::change};

/// An event that has no number yet: the one in it does not count.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft(Event);

impl From<Event> for Draft {
    fn from(event: Event) -> Self {
        Self(event)
    }
}

/// A namespace while it is this caller's turn to append.
struct Turn {
    head: Arc<Head>,
    latest: OwnedMutexGuard<Latest>,
    expect: Expect,
    numbers: EventHead,
    received: Timestamp,
}

type Turns = BTreeMap<NamespaceName, Turn>;

impl Engine {
    /// Appends events to their namespaces, in order, and commits them with what `others` makes of their numbers: all of it or
    /// nothing. Returns the numbers in the order of the drafts. Once it has begun to write it goes on when it is dropped.
    ///
    /// # Errors
    ///
    /// `STORE_CONFLICT` when an expectation of the other changes did not hold, and what the vault says; then nothing was
    /// written.
    pub async fn append_events(
        &self,
        drafts: Vec<Draft>,
        others: impl FnOnce(&[(NamespaceName, u64)]) -> Vec<Change>,
    ) -> Result<Vec<(NamespaceName, u64)>, Problem> {
        let mut turns = self.turns(&drafts).await?;
        let (numbers, mut changes) = number(drafts, &mut turns);
        changes.extend(others(&numbers));
        let engine = self.clone();
        // A task of its own: a caller that goes away must not give the turn to the next one while the commit is under way.
        let written = tokio::spawn(async move {
            engine.commit(changes).await?;
            turns.into_values().for_each(Turn::over);
            Ok(())
        });
        written.await.map_err(|_| cut_off())??;
        Ok(numbers)
    }

    /// Waits for a turn in each namespace of `drafts`.
    async fn turns(&self, drafts: &[Draft]) -> Result<Turns, Problem> {
        let mut turns = drafts
            .iter()
            .map(|Draft(event)| (event.namespace.clone(), None))
            .collect::<BTreeMap<_, Option<Turn>>>();
        for (namespace, turn) in &mut turns {
            *turn = Some(self.turn(namespace).await?);
        }
        let taken = turns
            .into_iter()
            .filter_map(|(name, turn)| Some((name, turn?)));
        Ok(taken.collect())
    }

    async fn turn(&self, namespace: &NamespaceName) -> Result<Turn, Problem> {
        let head = self.heads().of(namespace);
        let latest = head.turn().await;
        let (expect, numbers) = match self.find_event_head(namespace).await? {
            Some(Versioned { record, version }) => (Expect::Version(version), record),
            None => (Expect::Absent, EventHead::EMPTY),
        };
        let received = match *latest {
            Some(received) => received,
            None => self.received(namespace, numbers.last).await?,
        };
        Ok(Turn {
            head,
            latest,
            expect,
            numbers,
            received,
        })
    }

    /// When an event was received; the epoch where it is not kept.
    async fn received(
        &self,
        namespace: &NamespaceName,
        sequence: u64,
    ) -> Result<Timestamp, Problem> {
        let event = self.find_event(namespace, sequence).await?;
        Ok(event.map_or(Timestamp::default(), |event| event.record.received))
    }
}

impl Turn {
    /// The events are stored: the next one may append, and followers look.
    fn over(mut self) {
        *self.latest = Some(self.received);
        self.head.stir();
    }

    fn number(&mut self, event: &mut Event) {
        self.numbers.last += 1;
        self.numbers.bytes += event.size();
        self.received = self.received.max(event.received);
        (event.sequence, event.received) = (self.numbers.last, self.received);
    }
}

/// The numbers of `drafts`, and the changes that store them.
fn number(drafts: Vec<Draft>, turns: &mut Turns) -> (Vec<(NamespaceName, u64)>, Vec<Change>) {
    let (mut numbers, mut changes) = (Vec::new(), Vec::new());
    for Draft(mut event) in drafts {
        let Some(turn) = turns.get_mut(&event.namespace) else {
            continue;
        };
        turn.number(&mut event);
        numbers.push((event.namespace.clone(), event.sequence));
        let key = Key::Event(event.namespace.clone(), event.sequence);
        changes.push(change(key, Expect::Absent, Some(Record::Event(event))));
    }
    let heads = turns.iter().map(|(namespace, turn)| {
        let key = Key::EventHead(namespace.clone());
        change(key, turn.expect, Some(Record::EventHead(turn.numbers)))
    });
    changes.extend(heads);
    (numbers, changes)
}

fn cut_off() -> Problem {
    Problem::new(Reason::ShuttingDown, "the daemon stops; try again")
}
