//! What people want of a link: enabled or disabled.

use bindery_core::{
    link::{Desired, Link, Stage},
    name::{LinkId, NamespaceName},
    problem::{Problem, Reason},
};

use crate::{Engine, Versioned};

impl Engine {
    /// Hands out nothing from now on, and touches nothing at the provider.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `LINK_UNLINKED`, and what the vault says.
    pub async fn disable_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        reason: &str,
        actor: &str,
        expect: Option<u64>,
    ) -> Result<Versioned<Link>, Problem> {
        let desired = Desired::Disabled {
            reason: reason.to_owned(),
            actor: actor.to_owned(),
            since: self.now(),
        };
        self.desire(namespace, id, desired, expect).await
    }

    /// Brings a disabled link back at once.
    ///
    /// # Errors
    ///
    /// As for [`Engine::disable_link`].
    pub async fn enable_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        expect: Option<u64>,
    ) -> Result<Versioned<Link>, Problem> {
        self.desire(namespace, id, Desired::Enabled, expect).await
    }

    async fn desire(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        desired: Desired,
        expect: Option<u64>,
    ) -> Result<Versioned<Link>, Problem> {
        let now = self.now();
        self.change_link_at(namespace, id, expect, |link| {
            if matches!(link.observed.stage, Stage::Unlinking | Stage::Unlinked) {
                return Err(Problem::new(
                    Reason::LinkUnlinked,
                    format!("{} is unlinked", link.resource()),
                ));
            }
            link.desired = desired.clone();
            link.updated = now;
            Ok(())
        })
        .await
    }
}
