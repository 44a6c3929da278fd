//! What runs by itself: flows that end, unlinks that go on, request ids that are forgotten.

use std::time::Duration;

use bindery_core::{
    flow::{Flow, FlowStage},
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason},
};

use crate::{
    Engine,
    flows::STILL_THERE,
    records::{as_flow, change},
};

/// Time between two sweeps.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(30);

impl Engine {
    /// Makes good what the last stop cut off. Call it before the first request.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn recover(&self) -> Result<(), Problem> {
        self.recover_intents().await?;
        self.recover_flows().await?;
        self.resume_devices().await
    }

    /// A code that was being exchanged at the last stop is used up, and what came of it is not known.
    async fn recover_flows(&self) -> Result<(), Problem> {
        for entry in self.list_all(&Listing::Flows, as_flow).await? {
            let flow = entry.record;
            if flow.stage == FlowStage::Exchanging {
                tracing::warn!(link.id = %flow.link, "An authorization was cut off by the last stop; its link is ended");
                let message =
                    "the daemon stopped while the code was exchanged; start the link again";
                self.end_flow(&flow, message).await?;
            }
        }
        Ok(())
    }

    /// Does what runs by itself until the future is dropped: sweeps, and replaces tokens before they end.
    pub async fn sweep_forever(&self) {
        let upkeep = futures_util::future::join(self.keep_up_forever(), self.check_forever());
        futures_util::future::join(self.sweep_on(), upkeep).await;
    }

    async fn sweep_on(&self) {
        loop {
            if let Err(problem) = self.sweep().await {
                tracing::warn!(reason = problem.reason.as_str(), error = %problem, "Sweep failed; it is repeated");
            }
            let next = self.now().after(BETWEEN_SWEEPS);
            self.ports().clock.sleep_until(next).await;
        }
    }

    /// One sweep.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn sweep(&self) -> Result<(), Problem> {
        self.save_all().await;
        self.keep_verdicts().await;
        // One part that fails holds the others back no longer than itself.
        let parts = [
            self.end_flows().await,
            self.resume_unlinks().await,
            self.write_leases().await,
            self.forget_leases().await,
            self.forget_requests().await,
        ];
        parts.into_iter().collect()
    }

    /// Ends the flows that are over: their links are gone, and pending grants are revoked.
    async fn end_flows(&self) -> Result<(), Problem> {
        let (now, mut ended) = (self.now(), Ok(()));
        for entry in self.list_all(&Listing::Flows, as_flow).await? {
            if !entry.record.is_open(now) {
                // One that can't be ended holds no other back.
                ended = ended.and(self.end_over(&entry.record).await);
            }
        }
        ended
    }

    async fn end_over(&self, flow: &Flow) -> Result<(), Problem> {
        if flow.stage == FlowStage::Finished {
            // The link is over it; what it brought waits to be revoked.
            if let Err(problem) = self.give_up(&flow.id).await {
                tracing::warn!(link.id = %flow.link, error = %problem, "{STILL_THERE}");
            }
            return Ok(());
        }
        match self.end_flow(flow, "it was not finished in time").await {
            Err(problem) if problem.reason == Reason::NotFound => {
                let remove = self.forget_flow(flow).await?;
                self.commit(remove.into()).await
            }
            outcome => outcome.map(drop),
        }
    }

    async fn forget_requests(&self) -> Result<(), Problem> {
        let now = self.now();
        let pick = |record| {
            if let Record::Request(memory) = record {
                Some(memory)
            } else {
                None
            }
        };
        for entry in self.list_all(&Listing::Requests, pick).await? {
            if entry.record.expires <= now {
                let key = Key::Request(entry.record.key);
                self.commit(vec![change(key, Expect::Version(entry.version), None)])
                    .await?;
            }
        }
        Ok(())
    }
}
