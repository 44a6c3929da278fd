//! How often somebody may try to open the seal: five times in ten minutes. Argon2id alone holds nobody back who has time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bindery_core::problem::{Problem, Reason};

/// The tries that failed lately.
#[derive(Debug, Default)]
pub(super) struct Tries(VecDeque<Instant>);

impl Tries {
    /// Refuses one more try where there were too many.
    pub(super) fn check(&mut self, now: Instant) -> Result<(), Problem> {
        self.0.retain(|at| now.duration_since(*at) < WINDOW);
        let Some(oldest) = self.0.front().filter(|_| self.0.len() >= MOST) else {
            return Ok(());
        };
        let wait = WINDOW.saturating_sub(now.duration_since(*oldest));
        let message =
            "five tries in ten minutes have failed; wait, and make sure that it is the right key";
        Err(Problem::new(Reason::Overloaded, message).retry(Some(wait)))
    }

    /// Notes what came of a try.
    pub(super) fn note(&mut self, now: Instant, rejected: bool) {
        if rejected {
            self.0.push_back(now);
        } else {
            self.0.clear();
        }
    }
}

const MOST: usize = 5;
const WINDOW: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    /// The sixth try within ten minutes is refused and told how long to wait; the oldest one is forgotten after them, and
    /// a try that opens the seal forgets all.
    #[test]
    fn five_tries_in_ten_minutes() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        for second in 0..5 {
            tries.check(after(second)).expect("a try");
            tries.note(after(second), true);
        }
        let refused = tries.check(after(5)).expect_err("the sixth");
        assert_eq!(refused.reason, Reason::Overloaded);
        assert_eq!(refused.retry_after, Some(Duration::from_secs(595)));
        tries.check(after(600)).expect("the first is forgotten");
        tries.note(after(600), true);
        tries.check(after(600)).expect_err("again five");
        tries.note(after(600), false);
        tries.check(after(600)).expect("it was opened");
    }
}
