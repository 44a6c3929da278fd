//! Sagas that did not end at once, and go on later.

use std::sync::atomic::Ordering;

use bindery_core::{link::Stage, port::Listing, problem::Problem};
use futures_util::{StreamExt, stream};

use crate::{Engine, flight::lock, hosts::as_namespace_name, records::as_link};

/// Sagas that a sweep runs at the same time.
const AT_ONCE: usize = 8;

impl Engine {
    /// Goes on with every unlink that has not finished and whose time has come.
    pub(crate) async fn resume_unlinks(&self) -> Result<(), Problem> {
        if !self.unfinished().known.load(Ordering::SeqCst) {
            self.find_unfinished().await?;
        }
        let now = self.now();
        let due: Vec<_> = lock(&self.unfinished().next_try)
            .iter()
            .filter(|(_, next)| **next <= now)
            .map(|(whose, _)| whose.clone())
            .collect();
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, |(namespace, id)| async move {
                // What goes wrong is noted in the link.
                let _ = self.saga(&namespace, &id, false).await;
            })
            .await;
        Ok(())
    }

    /// What the last stop left. Done once: from then on every saga is known from its start.
    async fn find_unfinished(&self) -> Result<(), Problem> {
        for namespace in self
            .list_all(&Listing::Namespaces, as_namespace_name)
            .await?
        {
            for entry in self
                .list_all(&Listing::Links(namespace.record), as_link)
                .await?
            {
                let link = entry.record;
                if link.observed.stage == Stage::Unlinking {
                    lock(&self.unfinished().next_try)
                        .entry((link.namespace, link.id))
                        .or_default();
                }
            }
        }
        self.unfinished().known.store(true, Ordering::SeqCst);
        Ok(())
    }
}
