//! The person's way through an authorization: start page, forge, callback, confirmation.
//!
//! The browser that starts is the browser that finishes: it holds a cookie whose digest is in the flow. What comes back
//! from the forge is exchanged once, stored as a *pending* grant, and used by nobody until it is confirmed.

mod callback;
mod confirm;
mod end;
mod pending;
mod start;

use bindery_core::{
    flow::{Flow, FlowStage},
    host::Host,
    link::{Link, Stage},
    name::{FlowId, LinkId, NamespaceName},
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason},
    provider::{AuthKind, AuthMethod, Description},
};

use crate::{
    Engine, Versioned,
    records::{as_flow, change},
};

pub use self::{
    callback::Returned,
    confirm::{ConfirmView, Confirmed},
    start::StartView,
};

/// Everything that a flow stands on.
struct Stand {
    flow: Versioned<Flow>,
    link: Versioned<Link>,
    host: Host,
}

impl Engine {
    pub(crate) async fn flow_of(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
    ) -> Result<Option<Versioned<Flow>>, Problem> {
        let flows = self.list_all(&Listing::Flows, as_flow).await?;
        Ok(flows
            .into_iter()
            .find(|entry| entry.record.namespace == *namespace && entry.record.link == *id))
    }

    async fn stand(&self, id: &str) -> Result<Stand, Problem> {
        let id = FlowId::parse(id).map_err(|_| over())?;
        let flow = self
            .find_flow(&id)
            .await?
            .filter(|flow| flow.record.is_open(self.now()))
            .ok_or_else(over)?;
        let link = self.link(&flow.record.namespace, &flow.record.link).await?;
        if link.record.observed.stage != fitting(flow.record.stage) {
            return Err(over());
        }
        let host = self.host(&flow.record.host).await?.record;
        Ok(Stand { flow, link, host })
    }

    async fn put_flow(&self, flow: &mut Versioned<Flow>) -> Result<(), Problem> {
        let id = flow.record.id.clone();
        let record = Record::Flow(flow.record.duplicate());
        self.commit(vec![change(
            Key::Flow(id),
            Expect::Version(flow.version),
            Some(record),
        )])
        .await?;
        flow.version += 1;
        Ok(())
    }
}

/// The stage of a link whose flow stands there. Any other means that the link went on without its flow.
const fn fitting(stage: FlowStage) -> Stage {
    match stage {
        FlowStage::Started | FlowStage::AtForge | FlowStage::Exchanging => {
            Stage::PendingAuthorization
        }
        FlowStage::Granted | FlowStage::Finished => Stage::PendingConfirmation,
    }
}

fn oauth_method(description: &Description) -> Result<&AuthMethod, Problem> {
    description.method(AuthKind::OAuthCode).ok_or_else(|| {
        let message = format!("provider {} does not offer OAuth", description.provider);
        Problem::new(Reason::MethodNotSupported, message)
    })
}

fn over() -> Problem {
    Problem::new(
        Reason::FlowExpired,
        "this authorization is over, was used before, or does not exist; start the link again",
    )
}

fn elsewhere() -> Problem {
    Problem::new(
        Reason::FlowMismatch,
        "this authorization was started elsewhere; open the link in the browser that finishes it",
    )
}
