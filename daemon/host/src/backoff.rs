//! How long to wait before a dead worker is started again
//!
//! Decorrelated jitter: plugins that fail together are not restarted together, and one that always fails costs a start
//! every half minute at most. Randomness is an argument.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// A worker that lived this long was in order: what comes after is a new failure.
pub(crate) const GOOD: Duration = Duration::from_secs(60);

/// The next delay.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The delay before the next start; `random` is any number.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let delay = match self.last {
            None => FIRST,
            Some(last) => between(FIRST, last * 3, random).min(LONGEST),
        };
        self.last = Some(delay);
        delay
    }

    /// The worker was in order.
    pub(crate) fn reset(&mut self) {
        self.last = None;
    }
}

fn between(low: Duration, high: Duration, random: u64) -> Duration {
    let (low, high) = (low.as_millis(), high.as_millis());
    let delay = low + u128::from(random) % (high.saturating_sub(low) + 1);
    Duration::from_millis(u64::try_from(delay).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// P4: the first restart is quick, the delays stay between bounds whatever the dice say, and grow if it goes on.
    #[test]
    fn p4_delays_are_bounded_and_grow() {
        let mut random = Random::new(5);
        for _ in 0..200 {
            let mut backoff = Backoff::default();
            assert_eq!(backoff.next(random.next()), FIRST);
            let delays: Vec<Duration> = (0..100).map(|_| backoff.next(random.next())).collect();
            assert!(delays.iter().all(|delay| (FIRST..=LONGEST).contains(delay)));
            assert!(delays.iter().sum::<Duration>() > 100 * Duration::from_secs(1));
            backoff.reset();
            assert_eq!(backoff.next(random.next()), FIRST);
        }
    }
}
