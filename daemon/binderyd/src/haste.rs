//! Takes the place of `seam` in `binderyd-hasty`: the engine's clock is ahead of the real one by as many milliseconds as are
//! written in the file `ahead-by` of the data folder. Whoever sleeps notices at once when that changes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bindery_core::{
    port::{BoxFuture, Clock},
    time::Timestamp,
};
use bindery_engine::Ports;
use bindery_web::Readiness;
use prometheus_client::registry::Registry;

/// How often a sleeper looks at the clock.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) fn ports(ports: Ports, data_dir: &Path) -> Ports {
    Ports {
        clock: Arc::new(Hasty(ports.clock, data_dir.join("ahead-by"))),
        ..ports
    }
}

struct Hasty(Arc<dyn Clock>, PathBuf);

impl Hasty {
    /// Without the file, the clock is right.
    fn ahead(&self) -> Duration {
        let told = std::fs::read_to_string(&self.1).ok();
        let ms = told.and_then(|told| told.trim().parse().ok());
        Duration::from_millis(ms.unwrap_or_default())
    }
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        self.0.now().after(self.ahead())
    }

    fn sleep_until(&self, when: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let left = when.since(self.now());
                if left.is_zero() {
                    return;
                }
                self.0.sleep_until(self.0.now().after(left.min(LOOK))).await;
            }
        })
    }
}

pub(crate) fn pages(pages: axum::Router) -> axum::Router {
    pages
}

pub(crate) fn readiness(readiness: Arc<dyn Readiness>) -> Arc<dyn Readiness> {
    readiness
}

pub(crate) fn metrics(_registry: &mut Registry) {}
