//! What senders were answered, held against the events that there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Result, ensure};
use bindery_client::proto::v1::Event;
use tokio::sync::watch;

use super::delivered;

/// What became of deliveries, each known by the commit that it tells of.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Mutex<Entries>,
    answered: watch::Sender<usize>,
}

#[derive(Default)]
struct Entries {
    /// Answered 2xx.
    promised: BTreeSet<String>,
    /// Sent, and never answered.
    open: BTreeSet<String>,
    /// How often an unanswered one was sent again.
    repeated: usize,
}

/// What the events say about the deliveries.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Account {
    pub(super) promised: usize,
    pub(super) open: usize,
    /// Of the open ones those that are events all the same.
    pub(super) open_and_told: usize,
    pub(super) repeated: usize,
}

impl Ledger {
    pub(super) fn promise(&self, commit: &str) {
        self.entries().promised.insert(commit.to_owned());
        self.answered.send_modify(|count| *count += 1);
    }

    pub(super) fn leave_open(&self, commit: &str) {
        self.entries().open.insert(commit.to_owned());
    }

    pub(super) fn repeat(&self) {
        self.entries().repeated += 1;
    }

    pub(super) fn answered(&self) -> usize {
        *self.answered.borrow()
    }

    /// Waits until so many are answered 2xx.
    pub(super) async fn reach(&self, count: usize) {
        let mut answered = self.answered.subscribe();
        // The sender lives in the ledger, so waiting can't fail.
        let _ = answered.wait_for(|answered| *answered >= count).await;
    }

    /// Holds all events of the namespace against it.
    pub(super) fn judge(&self, events: &[Event]) -> Result<Account> {
        numbered_without_gaps(events)?;
        let entries = self.entries();
        let told = told(events);
        let lost: Vec<_> = entries
            .promised
            .iter()
            .filter(|one| !told.contains_key(*one))
            .collect();
        ensure!(lost.is_empty(), "promised and lost: {lost:?}");
        let doubled: Vec<_> = told.iter().filter(|(_, times)| **times > 1).collect();
        ensure!(doubled.is_empty(), "told more than once: {doubled:?}");
        let sent =
            |commit: &&String| entries.promised.contains(*commit) || entries.open.contains(*commit);
        let invented: Vec<_> = told.keys().filter(|commit| !sent(commit)).collect();
        ensure!(invented.is_empty(), "told and never sent: {invented:?}");
        Ok(Account {
            promised: entries.promised.len(),
            open: entries.open.len(),
            open_and_told: entries
                .open
                .iter()
                .filter(|one| told.contains_key(*one))
                .count(),
            repeated: entries.repeated,
        })
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn numbered_without_gaps(events: &[Event]) -> Result<()> {
    let numbers = events.iter().map(|event| event.sequence);
    let wrong = numbers.zip(1..).find(|(number, right)| number != right);
    ensure!(wrong.is_none(), "{wrong:?}: a gap in the numbers");
    Ok(())
}

/// How often each commit is told of.
fn told(events: &[Event]) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for commit in events.iter().filter_map(delivered) {
        *told.entry(commit.to_owned()).or_default() += 1;
    }
    told
}
