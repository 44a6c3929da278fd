//! Clock and randomness of the operating system.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bindery_core::{
    port::{BoxFuture, Clock, Entropy},
    time::Timestamp,
};
use ring::rand::{SecureRandom, SystemRandom};

/// The wall clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_unix_ms(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep_until(&self, when: Timestamp) -> BoxFuture<'_, ()> {
        let wait: Duration = when.since(self.now());
        Box::pin(tokio::time::sleep(wait))
    }
}

/// The random numbers of the operating system.
#[derive(Debug)]
pub(crate) struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    pub(crate) fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // Going on with predictable tickets would be worse than stopping.
        assert!(
            self.0.fill(buffer).is_ok(),
            "the operating system gives no randomness"
        );
    }
}
