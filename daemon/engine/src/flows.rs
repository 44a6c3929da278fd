//! The person's way through an authorization: start page, forge, callback, confirmation.
//!
//! The browser that starts is the browser that finishes: it holds a cookie whose digest is in the flow. What comes back
//! from the forge is exchanged once, stored as a *pending* grant, and used by nobody until it is confirmed.

mod callback;
mod complete;
mod confirm;
mod device;
mod end;
mod exchange;
mod give_back;
mod pending;
mod place;
mod start;

use bindery_core::{
    flow::{Flow, FlowStage, Way},
    host::Host,
    link::{Grant, Link, Stage},
    name::{FlowId, LinkId, NamespaceName},
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason},
    provider::{AuthKind, AuthMethod, Description},
};

use crate::{
    Engine, Versioned,
    links::{kind_of, on_trial},
    records::{as_flow, change},
};

pub(crate) use self::give_back::STILL_THERE;
pub use self::{
    callback::Returned,
    complete::HandedIn,
    confirm::{ConfirmView, Confirmed, StarterSays},
    place::{Choice, Place, Shown},
    start::StartView,
};

/// Everything that a flow stands on.
struct Stand {
    flow: Versioned<Flow>,
    link: Versioned<Link>,
    host: Host,
}

impl Stand {
    /// The link as it would be with what the flow brought: of a new link the link itself, of one that is authorized anew
    /// what takes its place.
    fn subject(&self) -> Link {
        let (flow, link) = (&self.flow.record, &self.link.record);
        if !flow.reauthorization {
            return link.clone();
        }
        let trial = Link {
            permissions: flow.permissions.clone(),
            requested_scopes: flow.requested_scopes.clone(),
            ..on_trial(link, kind_of(&flow.way))
        };
        match &flow.pending {
            None => trial,
            Some(pending) => Link {
                auth_kind: pending.auth_kind,
                token_kind: pending.token_kind.clone(),
                granted_scopes: pending.granted_scopes.clone(),
                identity: pending.identity.clone(),
                installation_id: pending.installation_id.clone(),
                username: pending.username.clone(),
                ..trial
            },
        }
    }
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
            .filter(|entry| entry.record.stage != FlowStage::Finished)
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
        if !fits(&flow.record, &link.record) {
            return Err(over());
        }
        let host = self.host(&flow.record.host).await?.record;
        Ok(Stand { flow, link, host })
    }

    pub(crate) async fn put_flow(&self, flow: &mut Versioned<Flow>) -> Result<(), Problem> {
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

    /// The grant that a flow brought and that waits for its confirmation.
    async fn waiting_grant(&self, stand: &Stand) -> Result<Option<Versioned<Grant>>, Problem> {
        if stand.flow.record.reauthorization {
            return self
                .find_pending_grant(&stand.flow.record, &stand.host)
                .await;
        }
        self.find_grant(&stand.link.record, &stand.host).await
    }
}

/// Whether a link is where its flow left it. Any other means that the link went on without its flow.
fn fits(flow: &Flow, link: &Link) -> bool {
    let stage = link.observed.stage;
    if !flow.reauthorization {
        return stage == fitting(flow.stage);
    }
    let live = matches!(stage, Stage::Bound | Stage::NeedsReauthorization(_));
    live && link.flow.as_ref().is_some_and(|open| open.id == flow.id)
}

/// The stage of a new link whose flow stands there. Any other means that the link went on without its flow.
const fn fitting(stage: FlowStage) -> Stage {
    match stage {
        FlowStage::Started | FlowStage::AtForge | FlowStage::Exchanging => {
            Stage::PendingAuthorization
        }
        FlowStage::Granted | FlowStage::Finished => Stage::PendingConfirmation,
    }
}

/// How the provider does the OAuth part of a way. A person who installs an app is asked who they are by plain OAuth.
fn oauth_method<'a>(description: &'a Description, way: &Way) -> Result<&'a AuthMethod, Problem> {
    let kind = match way {
        Way::Device(_) => AuthKind::Device,
        Way::Browser | Way::Headless | Way::Installation => AuthKind::OAuthCode,
    };
    description.method(kind).ok_or_else(|| {
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
        "this authorization was started elsewhere; finish it in the browser or with the client that started it",
    )
}
