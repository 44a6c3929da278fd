//! Numbers of deliveries: given out from memory, and reserved in the store in blocks, so that none is given out twice.
//!
//! What was given out and is not processed yet is remembered here. The store only learns from time to time up to where all is
//! processed; after a stop the rest is read again, and what is processed says so itself.

use std::{collections::BTreeSet, sync::Mutex};

use bindery_core::{
    delivery::DeliveryHead,
    port::{Expect, Key, Record},
    problem::{Problem, Reason},
};
use tokio::sync::Mutex as AsyncMutex;

use crate::{Engine, Versioned, flight::lock, records::change};

/// Numbers that are reserved at once.
const BLOCK: u64 = 1024;

/// Where numbers come from.
#[derive(Default)]
pub(crate) struct Numbers {
    counter: AsyncMutex<Option<Counter>>,
    /// Given out, and not processed.
    open: Mutex<BTreeSet<u64>>,
}

struct Counter {
    next: u64,
    /// The first number that this daemon gives out since its start.
    own: u64,
    head: DeliveryHead,
    expect: Expect,
}

impl Engine {
    /// The next number. It is open until [`Engine::close_number`].
    pub(super) async fn next_number(&self) -> Result<u64, Problem> {
        let numbers = &self.intake().numbers;
        let mut counter = numbers.counter.lock().await;
        let counter = self.counter(&mut counter).await?;
        if counter.next >= counter.head.reserved {
            let reserved = counter.next + BLOCK;
            self.put_head(counter, |head| head.reserved = reserved)
                .await?;
        }
        let number = counter.next;
        counter.next += 1;
        lock(&numbers.open).insert(number);
        Ok(number)
    }

    /// Nothing is left to do for a number.
    pub(crate) fn close_number(&self, number: u64) {
        lock(&self.intake().numbers.open).remove(&number);
    }

    /// The number is one that is not processed.
    pub(crate) fn open_number(&self, number: u64) {
        lock(&self.intake().numbers.open).insert(number);
    }

    /// How far deliveries are numbered, and the next number.
    pub(crate) async fn delivery_numbers(&self) -> Result<(DeliveryHead, u64), Problem> {
        let mut counter = self.intake().numbers.counter.lock().await;
        let counter = self.counter(&mut counter).await?;
        Ok((counter.head, counter.next))
    }

    /// The first number that was given out since the start.
    pub(crate) async fn first_own_number(&self) -> Result<u64, Problem> {
        let mut counter = self.intake().numbers.counter.lock().await;
        Ok(self.counter(&mut counter).await?.own)
    }

    /// Writes down up to where all deliveries are processed, and from where on they are kept.
    pub(crate) async fn write_delivery_head(&self, first: u64) -> Result<(), Problem> {
        let numbers = &self.intake().numbers;
        let mut counter = numbers.counter.lock().await;
        let counter = self.counter(&mut counter).await?;
        let open = lock(&numbers.open).first().copied();
        let processed = open.unwrap_or(counter.next).min(counter.next);
        let head = &counter.head;
        if (processed, first) == (head.processed, head.first) {
            return Ok(());
        }
        self.put_head(counter, |head| {
            head.processed = head.processed.max(processed);
            head.first = head.first.max(first);
        })
        .await
    }

    async fn counter<'a>(
        &self,
        counter: &'a mut Option<Counter>,
    ) -> Result<&'a mut Counter, Problem> {
        if let Some(counter) = counter {
            return Ok(counter);
        }
        let (head, expect) = match self.find_delivery_head().await? {
            Some(Versioned { record, version }) => (record, Expect::Version(version)),
            None => (DeliveryHead::default(), Expect::Absent),
        };
        let next = head.reserved.max(1);
        Ok(counter.insert(Counter {
            next,
            own: next,
            head,
            expect,
        }))
    }

    async fn put_head(
        &self,
        counter: &mut Counter,
        alter: impl Fn(&mut DeliveryHead),
    ) -> Result<(), Problem> {
        let mut head = counter.head;
        alter(&mut head);
        let put = Some(Record::DeliveryHead(head));
        let put = change(Key::DeliveryHead, counter.expect, put);
        match self.commit(vec![put]).await {
            Ok(()) => {
                counter.head = head;
                counter.expect = match counter.expect {
                    Expect::Version(version) => Expect::Version(version + 1),
                    _ => Expect::Version(1),
                };
                Ok(())
            }
            Err(problem) => {
                // Whether it was written is not known: it is read anew, and what was reserved is passed over.
                self.read_head_anew(counter, &problem).await?;
                Err(problem)
            }
        }
    }

    async fn read_head_anew(
        &self,
        counter: &mut Counter,
        problem: &Problem,
    ) -> Result<(), Problem> {
        let Some(found) = self.find_delivery_head().await? else {
            return Ok(());
        };
        if problem.reason == Reason::StoreConflict {
            counter.next = counter.next.max(found.record.reserved);
        }
        counter.head = found.record;
        counter.expect = Expect::Version(found.version);
        Ok(())
    }
}
