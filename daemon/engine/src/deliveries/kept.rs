//! How many bytes the deliveries take that are kept. Those from before the start are counted bit by bit, by the sweep.

use bindery_core::{delivery::Delivery, problem::Problem};

use super::Deliveries;
use crate::{Engine, flight::lock, intake::Limits};

/// What a record takes beside body and headers: its marks, its place, and what sealing adds.
const BESIDE: u64 = 1024;

/// Numbers that one sweep counts.
const NUMBERS: u64 = 4096;

/// Bytes that one sweep reads for it.
const BYTES: u64 = 64 << 20;

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: u64,
    /// The next number from before the start that is to be counted; `None` before the first look.
    next: Option<u64>,
}

/// What a delivery takes. It is the same at every moment of its life.
pub(super) fn size(delivery: &Delivery) -> u64 {
    let headers = delivery.headers.iter();
    let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
    let bytes = headers + delivery.body.len();
    u64::try_from(bytes).unwrap_or(u64::MAX) + BESIDE
}

impl Deliveries {
    /// A delivery was stored.
    pub(crate) fn keeps(&self, delivery: &Delivery) {
        lock(&self.kept).bytes += size(delivery);
    }

    /// Whether there is more than may be kept, once `freed` bytes are gone.
    pub(super) fn is_over(&self, limits: &Limits, freed: u64) -> bool {
        lock(&self.kept).bytes.saturating_sub(freed) > limits.kept_bytes
    }

    /// Whether there is so much more that nothing more is taken: what waits can't be forgotten.
    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        lock(&self.kept).bytes > limits.kept_bytes.saturating_add(limits.kept_bytes / 4)
    }

    /// Delivery `number` was forgotten; those up to `own` are from before the start.
    pub(super) fn forgot(&self, number: u64, size: u64, own: u64) {
        let mut kept = lock(&self.kept);
        let counted = number >= own || kept.next.is_some_and(|next| number < next);
        if counted {
            kept.bytes = kept.bytes.saturating_sub(size);
        }
    }
}

impl Engine {
    /// Counts some of the deliveries that are there since before the start. `first` is the first that is kept.
    pub(super) async fn count_kept(&self, first: u64, own: u64) -> Result<(), Problem> {
        let begin = lock(&self.deliveries().kept).next.unwrap_or(first);
        let mut read = 0;
        for number in begin..own.min(begin + NUMBERS) {
            let found = self.find_delivery(number).await?;
            let size = found.map(|found| size(&found.record)).unwrap_or_default();
            {
                let mut kept = lock(&self.deliveries().kept);
                kept.bytes += size;
                kept.next = Some(number + 1);
            }
            read += size;
            if read >= BYTES {
                break;
            }
        }
        Ok(())
    }
}
