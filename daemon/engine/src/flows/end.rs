//! How a flow ends without a bound link: declined, cancelled, refused, or too late.

use bindery_core::{
    flow::{ConfirmProof, Flow},
    link::{Link, Stage},
    name::{LinkId, NamespaceName},
    port::{Expect, Key},
    problem::{Problem, Reason},
};

use super::over;
use crate::{Engine, Versioned, digest::sha256, records::change};

impl Engine {
    /// "This is not me", from the browser that started: the pending grant is revoked and erased.
    ///
    /// # Errors
    ///
    /// As for [`Engine::confirm_in_browser`].
    pub async fn decline_in_browser(
        &self,
        id: &str,
        code: &str,
        browser: &str,
    ) -> Result<(), Problem> {
        let (confirm, cookie) = (sha256(code.as_bytes()), sha256(browser.as_bytes()));
        let proof = ConfirmProof::Browser {
            confirm_digest: &confirm,
            browser_digest: &cookie,
        };
        let mut stand = self.stand(id).await?;
        stand.flow.record.confirm(&proof, self.now())?;
        let message = "the person who agreed at the provider declined it afterwards";
        self.end_or_over(&stand.flow.record, message).await
    }

    /// Ends a pending link: the grant, if there is one already, is revoked and erased.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `FLOW_EXPIRED` when the link is not pending, and what the vault says.
    pub async fn cancel_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
    ) -> Result<Versioned<Link>, Problem> {
        self.link(namespace, id).await?;
        let flow = self.flow_of(namespace, id).await?.ok_or_else(over)?;
        self.end_or_over(&flow.record, "cancelled by the one who started it")
            .await?;
        self.link(namespace, id).await
    }

    /// Ends a flow for somebody who must know whether that came too late.
    async fn end_or_over(&self, flow: &Flow, message: &str) -> Result<(), Problem> {
        let ended = self.end_flow(flow, message).await?;
        ended.then_some(()).ok_or_else(over)
    }

    /// Removes a flow and ends its link, together. A pending grant goes through the unlink saga, so it is revoked. Says
    /// whether the link was pending still.
    pub(crate) async fn end_flow(&self, flow: &Flow, message: &str) -> Result<bool, Problem> {
        let (namespace, id) = (&flow.namespace, &flow.link);
        loop {
            let Versioned {
                record: mut link,
                version,
            } = self.link(namespace, id).await?;
            let remove = vec![change(Key::Flow(flow.id.clone()), Expect::Any, None)];
            let ended = match link.observed.stage {
                Stage::PendingAuthorization => {
                    link.observe(Stage::Unlinked, message, self.now());
                    self.put_link(link, Expect::Version(version), remove)
                        .await
                        .map(|()| true)
                }
                Stage::PendingConfirmation => {
                    let still = |stage| stage == Stage::PendingConfirmation;
                    self.unlink_in_background(namespace, id, message, still)
                        .await
                }
                _ => self.commit(remove).await.map(|()| false),
            };
            match ended {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }
}
