//! How a flow ends without a bound link: declined, cancelled, refused, or too late.

use bindery_core::{
    flow::{ConfirmProof, Flow, FlowStage},
    link::{Link, OpenFlow, Stage},
    name::{LinkId, NamespaceName},
    port::{Expect, Key, Record},
    problem::{Problem, Reason},
};

use super::over;
use crate::{
    Engine, RequestKey, Versioned, digest::sha256, namespaces::check_etag, records::change,
};

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
        self.end_or(&stand.flow.record, message, over).await
    }

    /// Ends the flow of a link: the grant that it brought, if there is one already, is revoked and erased. A link that was
    /// bound before stays as it was.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `FLOW_USED` when no flow is under way, and what the vault says.
    pub async fn cancel_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        expect: Option<u64>,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Link>, Problem> {
        if let Some(resource) = self.recall(request).await? {
            return self.link_named(&resource).await;
        }
        let link = self.link(namespace, id).await?;
        check_etag(expect, link.version)?;
        let flow = self.flow_of(namespace, id).await?.ok_or_else(nothing)?;
        self.end_or(&flow.record, "cancelled by the one who started it", nothing)
            .await?;
        self.note_done(request, &link.record.resource()).await?;
        self.link(namespace, id).await
    }

    /// Ends a flow for somebody who must know whether that came too late.
    async fn end_or(
        &self,
        flow: &Flow,
        message: &str,
        late: fn() -> Problem,
    ) -> Result<(), Problem> {
        let ended = self.end_flow(flow, message).await?;
        ended.then_some(()).ok_or_else(late)
    }

    /// Removes a flow and ends its link, together. A pending grant goes through the unlink saga, so it is revoked. Says
    /// whether the link was pending still.
    pub(crate) async fn end_flow(&self, flow: &Flow, message: &str) -> Result<bool, Problem> {
        if flow.reauthorization {
            return self.end_anew(flow).await;
        }
        let (namespace, id) = (&flow.namespace, &flow.link);
        loop {
            let Versioned {
                record: mut link,
                version,
            } = self.link(namespace, id).await?;
            let remove = vec![change(Key::Flow(flow.id.clone()), Expect::Any, None)];
            let ended = match link.observed.stage {
                Stage::PendingAuthorization => {
                    link.flow = None;
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

    /// Ends a flow that nobody has followed yet, so that another one has room. One that somebody follows meanwhile stays.
    pub(crate) async fn give_way(&self, flow: &Versioned<Flow>) -> Result<(), Problem> {
        let (namespace, id) = (&flow.record.namespace, &flow.record.link);
        let key = Key::Flow(flow.record.id.clone());
        let remove = vec![change(key, Expect::Version(flow.version), None)];
        let own = |open: &OpenFlow| open.id == flow.record.id;
        let found = self.find_link(namespace, id).await?;
        let found = found.filter(|link| link.record.flow.as_ref().is_some_and(own));
        let outcome = match found {
            Some(mut link) => {
                link.record.flow = None;
                link.record.updated = self.now();
                if !flow.record.reauthorization {
                    let message = "nobody opened it, and newer authorizations of the namespace needed its place";
                    link.record.observe(Stage::Unlinked, message, self.now());
                }
                let expect = Expect::Version(link.version);
                self.put_link(link.record, expect, remove).await
            }
            None => self.commit(remove).await.map(drop),
        };
        match outcome {
            Err(problem) if problem.reason == Reason::StoreConflict => Ok(()),
            outcome => outcome,
        }
    }

    /// Ends the flow of a link that was bound before and stays so. The flow is kept, finished, until the grant that it
    /// brought is revoked.
    pub(crate) async fn end_anew(&self, flow: &Flow) -> Result<bool, Problem> {
        let (namespace, id) = (&flow.namespace, &flow.link);
        let ended = loop {
            let Some(found) = self.find_flow(&flow.id).await? else {
                return Ok(false);
            };
            if found.record.stage == FlowStage::Finished {
                break false;
            }
            let Versioned {
                record: mut link,
                version,
            } = self.link(namespace, id).await?;
            let own = |open: &OpenFlow| open.id == flow.id;
            if link.flow.as_ref().is_some_and(own) {
                link.flow = None;
                link.updated = self.now();
            }
            let finished = Flow {
                stage: FlowStage::Finished,
                ..found.record
            };
            let put = change(
                Key::Flow(flow.id.clone()),
                Expect::Version(found.version),
                Some(Record::Flow(finished)),
            );
            match self
                .put_link(link, Expect::Version(version), vec![put])
                .await
            {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                Err(problem) => return Err(problem),
                Ok(()) => break true,
            }
        };
        self.give_up_soon(flow.id.clone());
        Ok(ended)
    }
}

fn nothing() -> Problem {
    Problem::new(
        Reason::FlowUsed,
        "no authorization is under way that could be ended; look at the link",
    )
}
