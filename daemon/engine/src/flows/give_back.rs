//! Grants that nobody will keep are given back: revoked at the forge, and then erased.

use bindery_core::{
    flow::{Flow, FlowStage},
    host::Host,
    link::{Grant, Link},
    name::FlowId,
    origin::OriginSet,
    port::{Change, Expect, Key, Listing},
    problem::Problem,
};

use super::Stand;
use crate::{
    Engine,
    deeds::Own,
    links::token_kind,
    records::{as_flow, change, origins},
    unlink::PATIENCE,
};

/// What is logged of a grant that is tried again.
pub(crate) const STILL_THERE: &str =
    "A grant that is not kept could not be revoked yet; it is tried again";

/// What is logged of a grant that is left behind for good.
const LEFT_BEHIND: &str = "A grant that is not kept was given up without being revoked; revoke the authorization at the forge";

impl Engine {
    /// Revokes a grant that nobody will keep. Other tokens of the same person are left alone, and so is the token that the
    /// link has already.
    pub(super) async fn give_back(&self, link: &Link, host: &Host, grant: &Grant) {
        let mut link = link.clone();
        link.token_kind = self
            .description(host)
            .map(|description| token_kind(&description, &grant.access_token, link.auth_kind))
            .unwrap_or_default();
        let revoked = self.revoke_spare(&link, host, grant).await;
        let own = Own::new("revoke-unkept-grant", link.resource());
        self.did(own.ended(&revoked)).await;
        match revoked {
            Ok(()) => tracing::info!(link.id = %link.id, "A grant that is not kept was revoked"),
            Err(problem) => {
                tracing::error!(link.id = %link.id, error = %problem, "{LEFT_BEHIND}");
            }
        }
    }

    /// Revokes a grant as far as the one that the link keeps has nothing of it: providers may give the same token twice.
    async fn revoke_spare(&self, link: &Link, host: &Host, grant: &Grant) -> Result<(), Problem> {
        let kept = self.find_grant(link, host).await?;
        match spare(grant, kept.as_ref().map(|kept| &kept.record)) {
            Some(spare) => self.revoke_grant(link, host, &spare).await,
            None => Ok(()),
        }
    }

    /// As [`Self::give_up`], without waiting. The forge may be away for long; the sweep tries again.
    pub(crate) fn give_up_soon(&self, flow: FlowId) {
        let engine = self.clone();
        tokio::spawn(async move {
            if let Err(problem) = engine.give_up(&flow).await {
                tracing::warn!(error = %problem, "{STILL_THERE}");
            }
        });
    }

    /// Gives up what the finished flows of a link hold. The first that fails ends it; each can be repeated.
    pub(crate) async fn give_up_all(&self, link: &Link) -> Result<(), Problem> {
        for flow in self.finished_of(link).await? {
            self.give_up(&flow.id).await?;
        }
        Ok(())
    }

    /// Finished flows of a link, which hold a grant that is not kept.
    pub(crate) async fn finished_of(&self, link: &Link) -> Result<Vec<Flow>, Problem> {
        let flows = self.list_all(&Listing::Flows, as_flow).await?;
        let own = |flow: &Flow| (&flow.namespace, &flow.link) == (&link.namespace, &link.id);
        Ok(flows
            .into_iter()
            .map(|entry| entry.record)
            .filter(|flow| flow.stage == FlowStage::Finished && own(flow))
            .collect())
    }

    /// Revokes and erases what a finished flow holds, and then the flow.
    pub(crate) async fn give_up(&self, id: &FlowId) -> Result<(), Problem> {
        let Some(flow) = self.find_flow(id).await? else {
            return Ok(());
        };
        let over = self.now() >= flow.record.expires.after(PATIENCE);
        let remove = self.forget_flow(&flow.record).await?;
        let (namespace, name) = (&flow.record.namespace, &flow.record.host);
        let link = self.find_link(namespace, &flow.record.link).await?;
        match (link, self.find_host(name).await?) {
            (Some(link), Some(host)) => {
                let host = host.record;
                let own = Own::new("revoke-unkept-grant", link.record.resource());
                let revoked = self.revoke_held(Stand { flow, link, host }).await;
                if over || revoked.is_ok() {
                    self.did(own.ended(&revoked)).await;
                }
                match revoked {
                    Err(problem) if !over => return Err(problem),
                    Err(problem) => tracing::error!(error = %problem, "{LEFT_BEHIND}"),
                    Ok(()) => {}
                }
            }
            // There is nobody left to ask.
            _ => tracing::error!(link.id = %flow.record.link, "{LEFT_BEHIND}"),
        }
        self.commit(remove.into()).await
    }

    async fn revoke_held(&self, stand: Stand) -> Result<(), Problem> {
        let held = self.waiting_grant(&stand).await?;
        match held {
            Some(held) => {
                self.revoke_spare(&stand.subject(), &stand.host, &held.record)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Removes a flow with the grant that it holds. The place of a grant does not hang on what it is bound to, so it is
    /// removed even if its host is gone.
    pub(crate) async fn forget_flow(&self, flow: &Flow) -> Result<[Change; 2], Problem> {
        let at = match self.find_host(&flow.host).await? {
            Some(host) => origins(&host.record)?,
            None => OriginSet::default(),
        };
        let (namespace, host) = (flow.namespace.clone(), flow.host.clone());
        let pending = Key::PendingGrant(namespace, flow.id.clone(), host, at);
        Ok([
            change(pending, Expect::Any, None),
            change(Key::Flow(flow.id.clone()), Expect::Any, None),
        ])
    }
}

/// What of a grant may end without what is kept ending with it; `None` if they have the access token in common.
fn spare(grant: &Grant, kept: Option<&Grant>) -> Option<Grant> {
    let mut spare = grant.duplicate();
    let Some(kept) = kept else {
        return Some(spare);
    };
    if kept.access_token.expose() == grant.access_token.expose() {
        return None;
    }
    let keeps = kept.refresh_token.as_ref().map(|token| token.expose());
    spare.refresh_token = spare
        .refresh_token
        .filter(|token| Some(token.expose()) != keeps);
    Some(spare)
}
