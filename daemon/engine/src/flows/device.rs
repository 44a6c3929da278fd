//! The device flow (RFC 8628): the daemon asks again and again, at the forge's pace, until a person has agreed.

use bindery_core::{
    exchange::TokenGrant,
    flow::{Device, Flow, FlowStage, Polled, Way},
    name::FlowId,
    port::Listing,
    problem::{Problem, Reason},
    time::Timestamp,
};

use super::{Stand, pending::Arrival};
use crate::{Engine, records::as_flow};

impl Engine {
    /// Follows a device flow in a task of its own, until it is over. Any other flow is left alone.
    pub(crate) fn follow_device(&self, flow: &Flow) {
        let Way::Device(device) = &flow.way else {
            return;
        };
        let (engine, id, mut next) = (self.clone(), flow.id.clone(), device.next_poll);
        tokio::spawn(async move {
            loop {
                engine.ports().clock.sleep_until(next).await;
                match engine.poll_device(&id).await {
                    Some(later) => next = later,
                    None => return,
                }
            }
        });
    }

    /// Goes on with the device flows that the last stop left.
    pub(crate) async fn resume_devices(&self) -> Result<(), Problem> {
        for entry in self.list_all(&Listing::Flows, as_flow).await? {
            if entry.record.stage == FlowStage::AtForge {
                self.follow_device(&entry.record);
            }
        }
        Ok(())
    }

    /// One poll. Says when the next one comes; `None` when there is nothing to ask for any more.
    async fn poll_device(&self, id: &FlowId) -> Option<Timestamp> {
        match self.poll_once(id).await {
            Ok(next) => next,
            Err(problem) if problem.reason == Reason::FlowExpired => None,
            Err(problem) => {
                tracing::warn!(reason = problem.reason.as_str(), error = %problem, "A device flow could not be followed; it is tried again");
                Some(self.now().after(bindery_core::flow::RETRY))
            }
        }
    }

    async fn poll_once(&self, id: &FlowId) -> Result<Option<Timestamp>, Problem> {
        let mut stand = self.stand(id.as_str()).await?;
        let (now, Way::Device(mut device)) = (self.now(), stand.flow.record.way.duplicate()) else {
            return Ok(None);
        };
        if stand.flow.record.stage != FlowStage::AtForge {
            return Ok(None);
        }
        if device.next_poll > now {
            return Ok(Some(device.next_poll));
        }
        // The pace is durable before a poll is sent, so that no restart makes it faster.
        device.next_poll = now.after(device.interval);
        self.put_device(&mut stand, &device).await?;
        let grant = TokenGrant::Device {
            device_code: &device.device_code.duplicate(),
        };
        let way = Way::Device(device.duplicate());
        let outcome = self.present(&stand.host, &way, grant).await?;
        self.judge_poll(stand, device, outcome).await
    }

    async fn judge_poll(
        &self,
        mut stand: Stand,
        mut device: Device,
        outcome: bindery_core::exchange::TokenOutcome,
    ) -> Result<Option<Timestamp>, Problem> {
        let (pace, before) = (device.interval, device.next_poll);
        match device.judge(outcome, self.now()) {
            Polled::Granted(tokens) => {
                let arrival = Arrival::of(tokens, self.now());
                if let Err(problem) = self.keep_pending(&stand, arrival).await {
                    tracing::warn!(link.id = %stand.link.record.id, error = %problem, "A device flow ended without a link");
                }
                Ok(None)
            }
            Polled::Over(problem) => {
                self.end_flow(&stand.flow.record, &problem.message).await?;
                Ok(None)
            }
            Polled::Again => {
                if (pace, before) != (device.interval, device.next_poll) {
                    self.put_device(&mut stand, &device).await?;
                }
                Ok(Some(device.next_poll))
            }
        }
    }

    async fn put_device(&self, stand: &mut Stand, device: &Device) -> Result<(), Problem> {
        stand.flow.record.way = Way::Device(device.duplicate());
        self.put_flow(&mut stand.flow).await
    }
}
