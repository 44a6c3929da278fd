//! What a plugin may use up, and how long it may take

use std::time::Duration;

use bindery_plugin_abi::limits as abi;

/// Most items of one page of results.
pub(crate) const PAGE_ITEMS: usize = 1000;

/// Most pages in one step.
pub(crate) const PAGES_PER_STEP: usize = 64;

/// Bounds for each plugin.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest step; at most 16 MiB.
    pub step_len: usize,
    /// Most requests (effects of any kind) of one call. A hundred repositories come with one.
    pub requests_per_call: usize,
    /// Longest time for one step.
    pub step_time: Duration,
    /// Longest time from the start of a worker to its READY.
    pub ready_time: Duration,
    /// Most operations of one plugin at a time; more wait.
    pub operations: usize,
    /// Log lines a second; more are counted and dropped.
    pub log_lines: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            step_len: abi::STEP_LEN_DEFAULT,
            requests_per_call: 64,
            step_time: abi::STEP_TIME,
            ready_time: Duration::from_secs(10),
            operations: 1024,
            log_lines: 20,
        }
    }
}
