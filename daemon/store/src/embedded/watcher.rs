//! The one who wakes the committer when sled forgot to.
//!
//! When a write fails in one of sled's own threads, sled records the error and tells nobody who waits: `flush()` then
//! hangs for good. Any further `flush()` reports the recorded error and wakes them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::embedded::engine::{Engine, guard};
use crate::embedded::state::State;

/// A thread that looks at sled's error now and then, until it is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub(super) fn start(engine: Arc<Engine>, state: Arc<State>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watch = move || {
            while !stopped.load(Ordering::Acquire) {
                thread::park_timeout(PAUSE);
                look(&engine, &state);
            }
        };
        let thread = thread::Builder::new()
            .name("store-watcher".to_owned())
            .spawn(watch)?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            _ = thread.join();
        }
    }
}

fn look(engine: &Engine, state: &State) {
    // Without a recorded error `flush` could wait for a slow disk, and this thread with it.
    if engine.is_broken()
        && let Err(error) = guard(|| engine.flush()).unwrap_or(Err(crate::StoreError::Corrupt))
    {
        state.fail_with(&error);
    }
}

const PAUSE: Duration = Duration::from_millis(250);
