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
mod tests;
