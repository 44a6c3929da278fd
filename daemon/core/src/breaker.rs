//! Whether a host may be called now: it rests after failures in a row, and as long as it asks for. Pure: time and randomness
//! are arguments.

use std::time::Duration;

use crate::time::Timestamp;

/// Failures in a row after which a host rests.
pub const FAILURES: u32 = 5;

/// Bounds of a rest (THREATS R7).
const REST: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));

/// How long a probe may take before another one is let through.
const PROBE: Duration = Duration::from_secs(60);

/// What is known about a host that is called.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Breaker {
    failures: u32,
    not_before: Timestamp,
    probing: Option<Timestamp>,
}

impl Breaker {
    /// Lets a call through. After a rest one call goes first, and the others wait for what comes of it.
    ///
    /// # Errors
    ///
    /// The time before which nothing is sent.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        if now < self.not_before {
            return Err(self.not_before);
        }
        if self.failures < FAILURES {
            return Ok(());
        }
        match self.probing.map(|since| since.after(PROBE)) {
            Some(until) if now < until => Err(until),
            _ => {
                self.probing = Some(now);
                Ok(())
            }
        }
    }

    /// The host answered, whatever it said.
    pub fn answered(&mut self) {
        (self.failures, self.probing) = (0, None);
    }

    /// The host did not answer, or is broken. `random` decides the jitter of the rest.
    pub fn failed(&mut self, asked: Option<Duration>, random: u64, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.probing = None;
        if self.failures >= FAILURES {
            self.rest(rest(self.failures - FAILURES, random), now);
        }
        if let Some(asked) = asked {
            self.rest(asked, now);
        }
    }

    /// The host answered, and asks not to be called for a while.
    pub fn limited(&mut self, asked: Duration, now: Timestamp) {
        self.answered();
        self.rest(asked, now);
    }

    fn rest(&mut self, wait: Duration, now: Timestamp) {
        self.not_before = self.not_before.max(now.after(wait));
    }
}

/// Twice as long each time, less up to half of it.
fn rest(times: u32, random: u64) -> Duration {
    let (least, most) = REST;
    let whole = least.saturating_mul(1 << times.min(16)).min(most);
    let half = u64::try_from(whole.as_millis() / 2).unwrap_or(u64::MAX);
    whole - Duration::from_millis(random % (half + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1000)
    }

    fn broken() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(breaker.admit(at(0)).is_ok());
            breaker.failed(None, 0, at(0));
        }
        breaker
    }

    /// R7: after failures in a row nothing is sent, and then one call goes first.
    #[test]
    fn r7_one_probe_after_a_rest() {
        let mut breaker = broken();
        assert_eq!(breaker.admit(at(29)), Err(at(30)));
        assert!(breaker.admit(at(30)).is_ok());
        assert!(breaker.admit(at(30)).is_err());
        breaker.answered();
        assert!(breaker.admit(at(30)).is_ok());
        assert!(breaker.admit(at(30)).is_ok());
    }

    /// R7: a probe that fails makes the next rest longer, and a probe that never ends does not block for ever.
    #[test]
    fn r7_a_failed_probe_rests_longer() {
        let mut breaker = broken();
        assert!(breaker.admit(at(30)).is_ok());
        breaker.failed(None, 0, at(30));
        assert_eq!(breaker.admit(at(89)), Err(at(90)));
        assert!(breaker.admit(at(90)).is_ok());
        assert_eq!(breaker.admit(at(91)), Err(at(150)));
        assert!(breaker.admit(at(150)).is_ok());
    }

    /// R7: a host that asks for a pause gets it, at once and for all links.
    #[test]
    fn r7_a_pause_is_kept() {
        let mut breaker = Breaker::default();
        breaker.limited(Duration::from_secs(120), at(0));
        assert_eq!(breaker.admit(at(119)), Err(at(120)));
        assert!(breaker.admit(at(120)).is_ok());
        breaker.failed(Some(Duration::from_secs(5)), 0, at(120));
        assert_eq!(breaker.admit(at(124)), Err(at(125)));
    }
}
