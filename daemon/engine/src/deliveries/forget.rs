//! Deliveries are forgotten after a while, or sooner where they take too much, the oldest first, and with each the marks that it
//! was known by. One that waits to be processed is not, and holds no other one up.

use std::collections::BTreeSet;

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    port::{Change, Expect, Key},
    problem::Problem,
};

use super::kept::size;
use crate::{Engine, Versioned, flight::lock, records::change};

/// Deliveries that one commit removes.
const BATCH: usize = 64;

/// Numbers that one sweep looks at.
const LOOKED_AT: u64 = 32_768;

/// How far deliveries were gone through since the start.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// All before it are forgotten, but for those that wait.
    next: u64,
    waiting: BTreeSet<u64>,
}

/// What is to become of a delivery.
enum Fate {
    Kept,
    Waits,
    Forgotten(Vec<Change>, u64),
}

impl Engine {
    /// Removes deliveries that are older than they are kept, or too much, and writes down how far deliveries are processed.
    pub(crate) async fn forget_deliveries(&self) -> Result<(), Problem> {
        let (head, next) = self.delivery_numbers().await?;
        let (first, own) = (head.first.max(1), self.first_own_number().await?);
        self.count_kept(first, own).await?;
        let (begin, waiting) = {
            let walk = lock(&self.deliveries().walk);
            (walk.next.max(first), walk.waiting.clone())
        };
        self.forget_numbers(waiting.into_iter(), own).await?;
        let end = next.min(begin + LOOKED_AT);
        let stop = self.forget_numbers(begin..end, own).await?;
        let first = {
            let mut walk = lock(&self.deliveries().walk);
            walk.next = stop.unwrap_or(end).max(begin);
            walk.waiting.first().copied().unwrap_or(walk.next)
        };
        self.write_delivery_head(first).await
    }

    /// Goes through deliveries up to the first that is kept, which is returned.
    async fn forget_numbers(
        &self,
        numbers: impl Iterator<Item = u64>,
        own: u64,
    ) -> Result<Option<u64>, Problem> {
        let (mut batch, mut removed, mut stop) = (Vec::new(), Vec::new(), None);
        for number in numbers {
            let freed = removed.iter().map(|(_, size)| size).sum();
            match self.fate_of(number, freed).await? {
                Fate::Kept => {
                    stop = Some(number);
                    break;
                }
                Fate::Waits => {
                    lock(&self.deliveries().walk).waiting.insert(number);
                }
                Fate::Forgotten(changes, size) => {
                    batch.extend(changes);
                    removed.push((number, size));
                }
            }
            if batch.len() >= BATCH {
                self.forget_batch(std::mem::take(&mut batch), &mut removed, own)
                    .await?;
            }
        }
        self.forget_batch(batch, &mut removed, own).await?;
        Ok(stop)
    }

    async fn forget_batch(
        &self,
        batch: Vec<Change>,
        removed: &mut Vec<(u64, u64)>,
        own: u64,
    ) -> Result<(), Problem> {
        self.commit(batch).await?;
        for (number, size) in removed.drain(..) {
            self.deliveries().forgot(number, size, own);
            lock(&self.deliveries().walk).waiting.remove(&number);
        }
        Ok(())
    }

    /// What is to become of a delivery, once `freed` bytes are gone.
    async fn fate_of(&self, number: u64, freed: u64) -> Result<Fate, Problem> {
        let Some(found) = self.find_delivery(number).await? else {
            return Ok(Fate::Forgotten(Vec::new(), 0));
        };
        if found.record.state == DeliveryState::Stored {
            return Ok(Fate::Waits);
        }
        let limits = self.intake_limits();
        let old = self.now().since(found.record.received) >= limits.kept;
        if !old && !self.deliveries().is_over(&limits, freed) {
            return Ok(Fate::Kept);
        }
        let size = size(&found.record);
        Ok(Fate::Forgotten(removal(found), size))
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
