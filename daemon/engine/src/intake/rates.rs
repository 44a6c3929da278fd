//! How many deliveries a hook, and all hooks together, may bring (THREATS W7).
//!
//! Only deliveries that are verified count: whoever has no secret can't use up what others have. What a forged one costs is
//! one computation over its body.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use bindery_core::{name::HookId, time::Timestamp};

use super::Limits;
use crate::flight::lock;

/// Hooks that are remembered; those that are quiet are forgotten first.
const REMEMBERED: usize = 8192;

/// Buckets of hooks, and one for all.
#[derive(Default)]
pub(super) struct Rates(Mutex<Buckets>);

#[derive(Default)]
struct Buckets {
    all: Bucket,
    each: HashMap<HookId, Bucket>,
}

/// What was taken and not yet given back by time, in thousandths of a delivery.
#[derive(Default)]
struct Bucket {
    taken: u64,
    at: Timestamp,
}

impl Bucket {
    /// Gives back what time has given, at `rate` a second; as much may be taken at once.
    fn settle(&mut self, rate: u32, now: Timestamp) {
        let ms = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.taken = self.taken.saturating_sub(ms.saturating_mul(rate.into()));
        self.at = now;
    }

    /// How long until one may be taken; `None` for now.
    fn wait(&self, rate: u32) -> Option<Duration> {
        let most = 1000 * u64::from(rate.saturating_sub(1));
        let over = self.taken.checked_sub(most).filter(|over| *over > 0)?;
        Some(Duration::from_millis(over.div_ceil(u64::from(rate.max(1)))))
    }
}

impl Rates {
    /// Takes one delivery of a hook, or says when there is room again.
    pub(super) fn take(
        &self,
        hook: &HookId,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let mut buckets = lock(&self.0);
        let Buckets { all, each } = &mut *buckets;
        if each.len() >= REMEMBERED {
            each.retain(|_, bucket| {
                bucket.settle(limits.per_hook, now);
                bucket.taken > 0
            });
        }
        let one = each.entry(hook.clone()).or_default();
        one.settle(limits.per_hook, now);
        all.settle(limits.in_all, now);
        // The hook comes first: one that is over its share takes nothing from the others.
        let wait = one.wait(limits.per_hook).or(all.wait(limits.in_all));
        if let Some(wait) = wait {
            return Err(wait);
        }
        one.taken += 1000;
        all.taken += 1000;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(n: usize) -> HookId {
        HookId::parse(&format!("h{n}")).expect("name")
    }

    fn limits(per_hook: u32, in_all: u32) -> Limits {
        Limits {
            per_hook,
            in_all,
            ..Limits::default()
        }
    }

    /// W7: a hook over its share waits, another one does not, and time heals.
    #[test]
    fn w7_one_flood_stops_no_other_hook() {
        let (rates, limits) = (Rates::default(), limits(50, 500));
        let start = Timestamp::from_unix_ms(1_000_000);
        let passed = |n, now| rates.take(&hook(n), &limits, now).is_ok();
        assert_eq!((0..5000).filter(|_| passed(1, start)).count(), 50);
        assert!(passed(2, start));
        let wait = rates.take(&hook(1), &limits, start).expect_err("full");
        assert_eq!(wait, Duration::from_millis(20));
        assert!(passed(1, start.after(wait)) && !passed(1, start.after(wait)));
        let later = start.after(Duration::from_secs(1));
        assert_eq!((0..5000).filter(|_| passed(1, later)).count(), 49);
    }

    /// W7: the total holds, whichever hooks bring it; and many hooks take bounded memory.
    #[test]
    fn w7_the_total_and_the_memory_are_bounded() {
        let (rates, limits) = (Rates::default(), limits(50, 500));
        let start = Timestamp::from_unix_ms(1_000_000);
        let passed = (0..2 * REMEMBERED)
            .filter(|n| rates.take(&hook(*n), &limits, start).is_ok())
            .count();
        assert_eq!(passed, 500);
        assert!(lock(&rates.0).each.len() <= REMEMBERED + 1);
    }
}
