//! What follows when a delivery fails

use super::{Hook, Outcome};

/// What one forge does with deliveries and those who refuse them
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// How often one delivery is tried; 1 where it is never tried again
    pub attempts: u32,
    /// Milliseconds between two attempts
    pub retry_ms: u64,
    /// Larger bodies are not sent, and nobody is told
    pub payload_limit: usize,
    /// Statuses from 200 on and below this one are success
    pub success_below: u16,
    /// When hooks that fail are switched off
    pub disabling: Option<Disabling>,
}

/// When hooks that fail are switched off
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Disabling {
    /// So many failures in a row, and it rests
    pub after: u32,
    /// For so long at first, and for twice as long after each further failure
    pub first_ms: u64,
    /// For so long at most
    pub most_ms: u64,
    /// So many failures in a row, and it rests for good
    pub for_good_after: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            attempts: 1,
            retry_ms: 0,
            payload_limit: usize::MAX,
            success_below: 300,
            disabling: None,
        }
    }
}

impl Rules {
    const fn succeeds(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Answered(status) => status >= 200 && status < self.success_below,
            Outcome::Unreachable => false,
        }
    }

    /// Counts a failure, or forgets those before a success; a hook that rests for good is woken by a test alone
    pub(super) fn judge(&self, hook: &mut Hook, test: bool, outcome: Outcome, now_ms: u64) {
        let Some(rules) = self.disabling else { return };
        if self.succeeds(outcome) {
            if test || hook.failures < rules.for_good_after {
                (hook.failures, hook.disabled_until) = (0, None);
            }
            return;
        }
        let before = hook.failures;
        hook.failures = (before + 1).min(rules.for_good_after);
        if hook.failures >= rules.after {
            let doublings = (before + 1 - rules.after).min(31);
            let rest = rules.first_ms.saturating_mul(1 << doublings);
            hook.disabled_until = Some(now_ms + rest.min(rules.most_ms));
        }
    }
}
