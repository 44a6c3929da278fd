//! Deliveries are forgotten after a while, and with each the marks that it was known by.

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    port::{Change, Expect, Key},
    problem::Problem,
};

use crate::{Engine, Versioned, records::change};

/// Deliveries that one commit removes.
const BATCH: usize = 64;

/// Numbers that one sweep looks at.
const LOOKED_AT: u64 = 32_768;

impl Engine {
    /// Removes deliveries that are older than they are kept, and writes down how far deliveries are processed.
    pub(crate) async fn forget_deliveries(&self) -> Result<(), Problem> {
        let (head, next) = self.delivery_numbers().await?;
        let first = self.remove_old(head.first.max(1), next).await?;
        self.write_delivery_head(first).await
    }

    /// Removes from `first` on. Returns the first number that is kept.
    async fn remove_old(&self, first: u64, next: u64) -> Result<u64, Problem> {
        let (now, kept) = (self.now(), self.intake_limits().kept);
        let end = next.min(first + LOOKED_AT);
        let mut batch = Vec::new();
        for number in first..end {
            if let Some(found) = self.find_delivery(number).await? {
                let waits = found.record.state == DeliveryState::Stored;
                if waits || now.since(found.record.received) < kept {
                    self.commit(batch).await?;
                    return Ok(number);
                }
                batch.extend(removal(found));
            }
            if batch.len() >= BATCH {
                self.commit(std::mem::take(&mut batch)).await?;
            }
        }
        self.commit(batch).await?;
        Ok(end)
    }
}

fn removal(found: Versioned<Delivery>) -> Vec<Change> {
    let Delivery {
        number,
        hook,
        marks,
        ..
    } = found.record;
    let key = Key::Delivery(number);
    let mut all = vec![change(key, Expect::Version(found.version), None)];
    let marks = marks.into_iter();
    all.extend(marks.map(|digest| {
        let key = Key::DeliveryMark(hook.clone(), digest);
        change(key, Expect::Any, None)
    }));
    all
}
