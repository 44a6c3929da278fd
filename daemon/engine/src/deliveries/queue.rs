//! Deliveries that wait, by hook: in order within one, and no hook behind another.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Mutex,
};

use bindery_core::{name::HookId, time::Timestamp};
use tokio::sync::Notify;

use crate::flight::lock;

/// What waits.
#[derive(Default)]
pub(super) struct Queue {
    lines: Mutex<HashMap<HookId, Line>>,
    stirred: Notify,
}

/// What waits of one hook. It holds numbers only; the deliveries are in the store.
#[derive(Default)]
struct Line {
    numbers: BTreeSet<u64>,
    running: bool,
    not_before: Option<Timestamp>,
    failures: u32,
}

impl Queue {
    pub(super) fn push(&self, hook: &HookId, number: u64) {
        let mut lines = lock(&self.lines);
        lines
            .entry(hook.clone())
            .or_default()
            .numbers
            .insert(number);
        drop(lines);
        self.stirred.notify_one();
    }

    pub(super) fn waiting(&self) -> usize {
        let lines = lock(&self.lines);
        lines.values().map(|line| line.numbers.len()).sum()
    }

    /// A hook whose deliveries can be processed now. It is the caller's until [`Self::leave`].
    pub(super) fn take(&self, now: Timestamp) -> Option<HookId> {
        let mut lines = lock(&self.lines);
        let due = |line: &Line| !line.running && line.not_before.is_none_or(|at| at <= now);
        let (hook, line) = lines.iter_mut().find(|(_, line)| due(line))?;
        line.running = true;
        Some(hook.clone())
    }

    /// The first delivery of a hook, and how often it failed.
    pub(super) fn first(&self, hook: &HookId) -> Option<(u64, u32)> {
        let lines = lock(&self.lines);
        let line = lines.get(hook)?;
        Some((line.numbers.first().copied()?, line.failures))
    }

    pub(super) fn done(&self, hook: &HookId, number: u64) {
        if let Some(line) = lock(&self.lines).get_mut(hook) {
            line.numbers.remove(&number);
            (line.failures, line.not_before) = (0, None);
        }
    }

    /// The first delivery of a hook failed: it, and those behind it, wait.
    pub(super) fn hold(&self, hook: &HookId, until: Timestamp) {
        if let Some(line) = lock(&self.lines).get_mut(hook) {
            line.failures += 1;
            line.not_before = Some(until);
        }
    }

    pub(super) fn leave(&self, hook: &HookId) {
        let mut lines = lock(&self.lines);
        if let Some(line) = lines.get_mut(hook) {
            line.running = false;
            if line.numbers.is_empty() {
                lines.remove(hook);
            }
        }
    }

    /// When the next hook that failed is tried again.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let lines = lock(&self.lines);
        let held = lines.values().filter(|line| !line.running);
        held.filter_map(|line| line.not_before).min()
    }

    pub(super) async fn stirred(&self) {
        self.stirred.notified().await;
    }
}
