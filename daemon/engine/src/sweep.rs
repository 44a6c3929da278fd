//! What runs by itself: flows that end, unlinks that go on, request ids that are forgotten.

use std::time::Duration;

use bindery_core::{
    flow::{Flow, FlowStage},
    port::Listing,
    problem::{Problem, Reason, Who},
};

use crate::{Engine, deeds::Own, flows::STILL_THERE, records::as_flow};

/// Time between two sweeps.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(30);

/// What a link says whose code was being exchanged when the daemon stopped.
const CUT_OFF: &str = "the daemon stopped while the code was exchanged, so the forge may hold an authorization that nobody uses; remove it there, and authorize again";

impl Engine {
    /// Makes good what the last stop cut off. Call it before the first request.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn recover(&self) -> Result<(), Problem> {
        self.requests().doubt();
        self.link_counts().doubt();
        self.recover_intents().await?;
        self.recover_flows().await?;
        self.resume_devices().await?;
        self.recover_minutes().await?;
        self.recover_deliveries().await
    }

    /// A code that was being exchanged at the last stop is used up, and what came of it is not known.
    async fn recover_flows(&self) -> Result<(), Problem> {
        for entry in self.list_all(&Listing::Flows, as_flow).await? {
            if entry.record.stage == FlowStage::Exchanging {
                self.end_cut_off(&entry.record).await?;
            }
        }
        Ok(())
    }

    /// The forge may hold a grant whose tokens never came here, so only a person can remove it, and is told where.
    async fn end_cut_off(&self, flow: &Flow) -> Result<(), Problem> {
        let page = self.grants_page(flow).await.unwrap_or_default();
        tracing::warn!(link.id = %flow.link, page, "An authorization was cut off by the last stop; the forge may hold a grant that nobody has");
        if !self.end_or_forget(flow, CUT_OFF).await? {
            return Ok(());
        }
        self.change_link(&flow.namespace, &flow.link, |link| {
            link.observed.message = CUT_OFF.to_owned();
            link.observed.action_uri.clone_from(&page);
            link.observed.who = Some(Who::User);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Where a person removes what they granted; `None` while nobody knows.
    async fn grants_page(&self, flow: &Flow) -> Option<String> {
        let host = self.host(&flow.host).await.ok()?.record;
        let page = &self.description(&host).ok()?.revocation.oauth_page;
        let client = host.oauth_client_id.as_deref().unwrap_or_default();
        let page = page.replace("{web}", &host.web_url);
        Some(page.replace("{client_id}", client))
    }

    /// Does what runs by itself until the future is dropped: sweeps, and replaces tokens before they end.
    pub async fn sweep_forever(&self) {
        let upkeep = futures_util::future::join(self.keep_up_forever(), self.check_forever());
        let hooks = futures_util::future::join3(
            self.check_hooks_forever(),
            self.process_forever(),
            self.reconcile_forever(),
        );
        futures_util::future::join4(self.sweep_on(), upkeep, hooks, self.deliver_forever()).await;
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
            self.resume_rotations().await,
            self.write_leases().await,
            self.forget_leases().await,
            self.forget_requests().await,
            self.write_rejections().await,
            self.write_cuts().await,
            self.forget_deliveries().await,
            self.forget_events().await,
            self.forget_dead_letters().await,
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
        let ended = self
            .end_or_forget(flow, "it was not finished in time")
            .await;
        if !matches!(ended, Ok(false)) {
            let link = format!("namespaces/{}/links/{}", flow.namespace, flow.link);
            self.did(Own::new("expire-flow", link).ended(&ended)).await;
        }
        ended.map(drop)
    }

    /// Ends a flow, and removes one whose link is gone. Says whether there was a link that it ended for.
    async fn end_or_forget(&self, flow: &Flow, message: &str) -> Result<bool, Problem> {
        match self.end_flow(flow, message).await {
            Err(problem) if problem.reason == Reason::NotFound => {
                let remove = self.forget_flow(flow).await?;
                self.commit(remove.into()).await.map(|()| false)
            }
            outcome => outcome,
        }
    }
}
