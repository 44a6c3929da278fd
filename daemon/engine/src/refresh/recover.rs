//! What the last stop cut off.

use bindery_core::{
    port::{Listing, Record},
    problem::Problem,
};

use crate::Engine;

impl Engine {
    /// After a restart: a request that was under way has lost its answer.
    pub(crate) async fn recover_intents(&self) -> Result<(), Problem> {
        let pick = |record| {
            if let Record::Intent(intent) = record {
                Some(intent)
            } else {
                None
            }
        };
        for entry in self.list_all(&Listing::Intents, pick).await? {
            let intent = entry.record;
            if intent.lost {
                self.doubts()
                    .raise((intent.namespace.clone(), intent.link.clone()));
            }
            if intent.in_flight {
                tracing::warn!(link.id = %intent.link, "A token refresh was cut off by the last stop; its outcome is unknown");
                self.put_intent(&intent.recovered()).await?;
            }
        }
        Ok(())
    }
}
