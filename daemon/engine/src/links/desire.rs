//! What people want of a link: enabled or disabled.

use bindery_core::{
    link::{Desired, Link, Wish},
    name::{LinkId, NamespaceName},
    port::Expect,
    problem::{Problem, Reason},
};

use super::update::refuse_over;
use crate::{Engine, RequestKey, Versioned, namespaces::check_etag};

impl Engine {
    /// Hands out nothing from now on, and touches nothing at the provider. A request that came before changes nothing.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `LINK_UNLINKED`, `REQUEST_ID_REUSED`, and what the vault says.
    pub async fn disable_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        reason: &str,
        actor: &str,
        expect: Option<u64>,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Link>, Problem> {
        let desired = Desired::Disabled(self.wish(reason, actor));
        self.desire(namespace, id, &desired, expect, request).await
    }

    /// Brings a disabled link back at once. A request that came before changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Engine::disable_link`].
    pub async fn enable_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        reason: &str,
        actor: &str,
        expect: Option<u64>,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Link>, Problem> {
        let desired = Desired::Enabled(Some(self.wish(reason, actor)));
        self.desire(namespace, id, &desired, expect, request).await
    }

    fn wish(&self, reason: &str, actor: &str) -> Wish {
        Wish {
            reason: reason.to_owned(),
            actor: actor.to_owned(),
            since: self.now(),
        }
    }

    async fn desire(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        desired: &Desired,
        expect: Option<u64>,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Link>, Problem> {
        loop {
            if let Some(resource) = self.recall(request).await? {
                return self.link_named(&resource).await;
            }
            let mut entry = self.link(namespace, id).await?;
            check_etag(expect, entry.version)?;
            let link = &mut entry.record;
            refuse_over(link)?;
            link.desired = desired.clone();
            link.updated = self.now();
            let remember = self.remember(request, &link.resource()).await?;
            let others = remember.into_iter().collect();
            let at = Expect::Version(entry.version);
            match self.put_link(link.clone(), at, others).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                Err(problem) => return Err(problem),
                Ok(()) => {
                    entry.version += 1;
                    return Ok(entry);
                }
            }
        }
    }
}
