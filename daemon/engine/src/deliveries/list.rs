//! Deliveries for people: those of a source's hook, the newest first, and one of them once more.

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason},
    source::{Source, SourceName},
};

use crate::{Engine, RequestKey, Versioned, records::change};

/// Numbers that one page looks at: deliveries of all hooks are numbered together.
const LOOKED_AT: u64 = 20_000;

/// A page of deliveries.
#[derive(Debug)]
pub struct ListedDeliveries {
    /// The deliveries, the newest first, without their bodies, each with the length of its body.
    pub items: Vec<(Delivery, usize)>,
    /// Where to go on: the number before which the next page begins. `None` at the end.
    pub next: Option<u64>,
}

impl Engine {
    /// Deliveries of a source's hook since the source was made, the newest first. `before` is where the page before ended, and
    /// a page may hold fewer than `limit` although more follow.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn list_deliveries(
        &self,
        source: &SourceName,
        state: Option<DeliveryState>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<ListedDeliveries, Problem> {
        let source = self.source_of(source).await?;
        let (head, next) = self.delivery_numbers().await?;
        let start = before.unwrap_or(next).min(next);
        let hook = self.find_hook(&source.hook).await?;
        let (oldest, newest) = hook.map_or((0, 0), |hook| hook.record.deliveries);
        let end = head.first.max(oldest).max(1);
        let (mut items, mut looked_at, mut before) = (Vec::new(), 0, start);
        while before > end {
            if items.len() >= limit || looked_at >= LOOKED_AT {
                return Ok(ListedDeliveries {
                    items,
                    next: Some(before),
                });
            }
            // What the hook brought is known as far as it is processed, so that the others' deliveries need no look.
            let last = before - 1;
            let skips = newest > 0 && last > newest && last < head.processed;
            let number = if skips { newest } else { last };
            if number < end {
                break;
            }
            (before, looked_at) = (number, looked_at + 1);
            let found = self.find_delivery(number).await?;
            let shown = found.and_then(|found| shown(&source, found.record));
            let wanted = shown.filter(|one| state.is_none_or(|state| one.state == state));
            items.extend(wanted.map(without_body));
        }
        Ok(ListedDeliveries { items, next: None })
    }

    /// One delivery of a source's hook, with its body.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn delivery(&self, source: &SourceName, number: u64) -> Result<Delivery, Problem> {
        self.delivery_of(source, number)
            .await
            .map(|found| found.record)
    }

    /// Processes a delivery again. What it became before is not emitted twice. Returns it as it is afterwards; a repetition of the
    /// request looks only.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says. That it still can't be read is in the answer.
    pub async fn retry_delivery(
        &self,
        source: &SourceName,
        number: u64,
        request: Option<&RequestKey>,
    ) -> Result<Delivery, Problem> {
        if self.recall(request).await?.is_some() {
            return self.delivery(source, number).await;
        }
        // As it is stored, not as it is shown: what other namespaces got stays.
        self.delivery_of(source, number).await?;
        let Some(found) = self.find_delivery(number).await? else {
            return Err(gone(source, number));
        };
        let name = format!("{source}/deliveries/{number}");
        let remember = self.remember(request, &name).await?;
        self.store_again(found, remember).await?;
        self.process_deliveries().await;
        self.delivery(source, number).await
    }

    /// Lets a delivery wait again, in one transaction with what remembers the request.
    async fn store_again(
        &self,
        found: Versioned<Delivery>,
        remember: Option<Change>,
    ) -> Result<(), Problem> {
        let mut delivery = found.record;
        let (number, hook) = (delivery.number, delivery.hook.clone());
        let mut changes: Vec<_> = remember.into_iter().collect();
        let waits = delivery.state == DeliveryState::Stored;
        if !waits {
            delivery.state = DeliveryState::Stored;
            delivery.message.clear();
            let put = Some(Record::Delivery(delivery));
            let key = Key::Delivery(number);
            changes.push(change(key, Expect::Version(found.version), put));
            self.open_number(number);
        }
        let stored = self.commit(changes).await;
        if !waits {
            // Also where another was faster: its number is open until it is looked at.
            self.deliveries().push(&hook, number);
        }
        match stored {
            // The same was asked for at the same time, or it is being processed.
            Err(problem) if problem.reason == Reason::StoreConflict => Ok(()),
            outcome => outcome,
        }
    }

    async fn delivery_of(
        &self,
        name: &SourceName,
        number: u64,
    ) -> Result<Versioned<Delivery>, Problem> {
        let source = self.source_of(name).await?;
        let found = self.find_delivery(number).await?;
        let found = found.and_then(|found| {
            let record = shown(&source, found.record)?;
            let version = found.version;
            Some(Versioned { record, version })
        });
        found.ok_or_else(|| gone(name, number))
    }

    async fn source_of(&self, name: &SourceName) -> Result<Source, Problem> {
        let found = self.find_source(name).await?;
        let found = found.ok_or_else(|| Problem::not_found(name))?;
        Ok(found.record)
    }
}

fn gone(source: &SourceName, number: u64) -> Problem {
    Problem::not_found(format!("{source}/deliveries/{number}"))
}

/// What a source may see of a delivery: one hook serves sources of several namespaces, and each sees its own events, and
/// nothing from before it was made.
fn shown(source: &Source, mut delivery: Delivery) -> Option<Delivery> {
    let own = *delivery.subject() == source.hook && delivery.received >= source.created;
    delivery
        .events
        .retain(|(namespace, _)| *namespace == source.namespace);
    own.then_some(delivery)
}

fn without_body(mut delivery: Delivery) -> (Delivery, usize) {
    let size = delivery.body.len();
    delivery.body.clear();
    (delivery, size)
}
