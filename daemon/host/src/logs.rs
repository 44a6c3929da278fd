//! Log lines of plugins: clean, named, and not too many

use std::sync::{Mutex, PoisonError};

use bindery_core::name::ProviderName;
use bindery_plugin_proto::v1::{Log, LogLevel};
use tokio::time::{Duration, Instant};

use crate::text;

const WINDOW: Duration = Duration::from_secs(1);

/// How many lines a plugin may still write.
#[derive(Debug)]
pub(crate) struct LogBudget {
    per_second: u32,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    written: u32,
    dropped: u64,
}

impl LogBudget {
    pub(crate) fn new(per_second: u32) -> Self {
        let window = Window {
            since: Instant::now(),
            written: 0,
            dropped: 0,
        };
        Self {
            per_second,
            window: Mutex::new(window),
        }
    }

    /// Writes the lines of a step as far as they fit.
    pub(crate) fn write(&self, plugin: &ProviderName, logs: &[Log]) {
        for log in logs {
            let (allowed, dropped) = self.take();
            if dropped > 0 {
                tracing::warn!(%plugin, dropped, "Plugin wrote too many lines");
            }
            if allowed {
                write(plugin, log);
            }
        }
    }

    /// Whether a line fits, and how many did not in the window that has just ended.
    fn take(&self) -> (bool, u64) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        if window.since.elapsed() >= WINDOW {
            dropped = window.dropped;
            *window = Window {
                since: Instant::now(),
                written: 0,
                dropped: 0,
            };
        }
        let allowed = window.written < self.per_second;
        window.written += u32::from(allowed);
        window.dropped += u64::from(!allowed);
        (allowed, dropped)
    }
}

fn write(plugin: &ProviderName, log: &Log) {
    let said = text::clean(&log.message, text::MESSAGE);
    match log.level() {
        LogLevel::Warn => tracing::warn!(%plugin, said, "Plugin log"),
        LogLevel::Info => tracing::info!(%plugin, said, "Plugin log"),
        LogLevel::Debug | LogLevel::Unspecified => tracing::debug!(%plugin, said, "Plugin log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P7: a flood of lines is cut to the budget of each second, and what was cut is counted.
    #[tokio::test(start_paused = true)]
    async fn p7_a_flood_is_cut() {
        let budget = LogBudget::new(20);
        assert_eq!((0..1000).filter(|_| budget.take().0).count(), 20);
        tokio::time::advance(WINDOW).await;
        assert_eq!(budget.take(), (true, 980));
        assert_eq!(budget.take(), (true, 0));
    }
}
