//! Time that stands still until it is moved, forward or back.

use bindery_core::{
    port::{BoxFuture, Clock},
    time::Timestamp,
};
use tokio::sync::watch;

/// The daemon's clock.
#[derive(Debug)]
pub(crate) struct VirtualClock(watch::Sender<u64>);

impl VirtualClock {
    pub(crate) fn at(ms: u64) -> Self {
        Self(watch::Sender::new(ms))
    }

    pub(crate) fn now_ms(&self) -> u64 {
        *self.0.borrow()
    }

    pub(crate) fn set(&self, ms: u64) {
        self.0.send_replace(ms);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now_ms())
    }

    fn sleep_until(&self, when: Timestamp) -> BoxFuture<'_, ()> {
        let mut now = self.0.subscribe();
        Box::pin(async move {
            // The sender lives as long as the clock, so waiting can't fail.
            let _ = now.wait_for(|now| *now >= when.unix_ms()).await;
        })
    }
}
