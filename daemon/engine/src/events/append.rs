//! Numbers events and stores them.
//!
//! Numbers have no gaps: the head of a namespace and the events are written in one transaction, and one at a time appends to
//! a namespace. Whatever else must become true together with the events goes into the same transaction.

use std::{collections::BTreeMap, sync::Arc};

use bindery_core::{
    event::{Event, EventHead},
    name::NamespaceName,
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason},
};
use tokio::sync::OwnedMutexGuard;

use super::heads::Head;
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
    _turn: OwnedMutexGuard<()>,
    expect: Expect,
    numbers: EventHead,
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
            turns.values().for_each(|turn| turn.head.stir());
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
        let turn = head.turn().await;
        let (expect, numbers) = match self.find_event_head(namespace).await? {
            Some(Versioned { record, version }) => (Expect::Version(version), record),
            None => (Expect::Absent, EventHead { first: 1, last: 0 }),
        };
        Ok(Turn {
            head,
            _turn: turn,
            expect,
            numbers,
        })
    }
}

/// The numbers of `drafts`, and the changes that store them.
fn number(drafts: Vec<Draft>, turns: &mut Turns) -> (Vec<(NamespaceName, u64)>, Vec<Change>) {
    let (mut numbers, mut changes) = (Vec::new(), Vec::new());
    for Draft(mut event) in drafts {
        let Some(turn) = turns.get_mut(&event.namespace) else {
            continue;
        };
        turn.numbers.last += 1;
        event.sequence = turn.numbers.last;
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
