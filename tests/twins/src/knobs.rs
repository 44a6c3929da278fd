//! What a test turns while a twin runs

use std::collections::VecDeque;

/// What goes wrong with one request
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Nothing is done, and this status answered
    Status(u16),
    /// Nothing is done, and the connection closed without an answer
    Close,
    /// What was asked is done, and the connection closed without an answer
    CommitThenClose,
    /// What was asked is done, and the answer is 200 with half a JSON document
    CommitThenGarbage,
    /// Nothing is done, and no answer ever comes
    Hang,
    /// The rate limit is used up for so many seconds, in the provider's own words
    RateLimited {
        /// Seconds until it is filled again
        retry_after_s: u64,
    },
}

/// A replica that has not heard of a new token yet
///
/// After each refresh the new access token is refused until both are over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReplicaLag {
    /// So many calls with it
    pub calls: u32,
    /// So many milliseconds
    pub ms: u64,
}

/// All of them
#[derive(Clone, Debug, Default)]
pub struct Knobs {
    /// What the forge's clock is ahead of the caller's, in milliseconds; it may be behind
    pub clock_offset_ms: i64,
    /// The forge's time, where its clock stands still
    pub stopped_at: Option<u64>,
    /// Until when (the caller's time) every connection is refused
    pub outage_until: Option<u64>,
    /// Until when (the forge's time) the rate limit is used up
    pub rate_limited_until: Option<u64>,
    /// Whether what is forbidden is said not to be there
    pub hides_forbidden: bool,
    /// How long a new token needs to be known everywhere
    pub replica_lag: ReplicaLag,
    faults: VecDeque<(String, Fault)>,
}

impl Knobs {
    /// Lets the next request to a path that begins so go wrong; faults are used up in their order
    pub fn fail_next(&mut self, path_prefix: &str, fault: Fault) {
        self.faults.push_back((path_prefix.to_owned(), fault));
    }

    /// Faults that no request has met yet
    #[must_use]
    pub fn pending(&self) -> usize {
        self.faults.len()
    }

    /// The forge's own time
    #[must_use]
    pub const fn clock(&self, now_ms: u64) -> u64 {
        match self.stopped_at {
            Some(stopped) => stopped,
            None => now_ms.saturating_add_signed(self.clock_offset_ms),
        }
    }

    /// What goes wrong with a request to this path, whose standing conditions come before single faults
    pub(crate) fn strike(&mut self, path: &str, now_ms: u64) -> Option<Fault> {
        if self.outage_until.is_some_and(|end| now_ms < end) {
            return Some(Fault::Close);
        }
        let clock = self.clock(now_ms);
        if let Some(end) = self.rate_limited_until.filter(|end| clock < *end) {
            let retry_after_s = (end - clock).div_ceil(1_000);
            return Some(Fault::RateLimited { retry_after_s });
        }
        let mut faults = self.faults.iter();
        let position = faults.position(|(prefix, _)| path.starts_with(prefix))?;
        self.faults.remove(position).map(|(_, fault)| fault)
    }
}
