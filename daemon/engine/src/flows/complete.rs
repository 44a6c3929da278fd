//! A flow by the registry's own page: what that page received is handed in by API.

use bindery_core::{
    flow::Bearer,
    link::Link,
    name::{LinkId, NamespaceName},
    problem::Problem,
    secret::Secret,
};

use super::{callback::Brought, elsewhere, exchange::Proof, over};
use crate::{Engine, RequestKey, Versioned};

/// What the registry's page received.
#[derive(Debug)]
pub struct HandedIn<'a> {
    /// Principal that hands it in.
    pub principal: &'a str,
    /// `state`.
    pub state: &'a str,
    /// `code`.
    pub code: Secret,
    /// `iss` (RFC 9207).
    pub issuer: Option<&'a str>,
}

impl Engine {
    /// Takes what the registry's page received: exchanges the code once and keeps the grant pending.
    ///
    /// # Errors
    ///
    /// `FLOW_EXPIRED` and `FLOW_MISMATCH` before anything is sent; `CLIENT_REFUSED`, `TOKEN_REFUSED`, `IDENTITY_MISMATCH`
    /// and what the host says afterwards.
    pub async fn complete_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        handed: HandedIn<'_>,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Link>, Problem> {
        if let Some(resource) = self.recall(request).await? {
            return self.link_named(&resource).await;
        }
        let link = self.link(namespace, id).await?.record;
        let flow = self.flow_of(namespace, id).await?.ok_or_else(over)?.record;
        let named = handed.state.rsplit_once('.').map(|(flow, _)| flow);
        if named != Some(flow.id.as_str()) {
            return Err(elsewhere());
        }
        let brought = Brought {
            state: handed.state,
            issuer: handed.issuer,
            bearer: Some(Bearer::Principal(handed.principal)),
        };
        let stand = self.accept(&brought, |_| true).await?;
        let proof = Proof {
            code: handed.code,
            installation: None,
        };
        self.exchange_detached(stand, proof).await?;
        self.note_done(request, &link.resource()).await?;
        self.link(namespace, id).await
    }

    /// Remembers a request whose effect is in the store already. Where this fails, a repetition is told that the flow went
    /// on, and does nothing twice.
    pub(super) async fn note_done(
        &self,
        request: Option<&RequestKey>,
        resource: &str,
    ) -> Result<(), Problem> {
        match self.remember(request, resource).await? {
            Some(put) => self.commit(vec![put]).await,
            None => Ok(()),
        }
    }
}
