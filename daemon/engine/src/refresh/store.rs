//! The new pair on its way into the store, and again when the store did not take it.

use std::time::Duration;

use bindery_core::{
    host::Host,
    link::{Grant, Link},
    name::{LinkId, NamespaceName},
    port::{Expect, Key, Record},
    problem::{Problem, Reason},
};

use super::{Pair, Want};
use crate::{
    Engine, Versioned,
    flight::lock,
    links::trouble::recovered,
    records::{change, origins},
};

impl Engine {
    /// Stores the new pair of a link that the store did not take before, if there is one.
    pub(super) async fn save(&self, namespace: &NamespaceName, id: &LinkId) -> Result<(), Problem> {
        let whose = (namespace.clone(), id.clone());
        let Some(pair) = lock(&self.unsaved().0).remove(&whose) else {
            return Ok(());
        };
        let outcome = self.store_pair(namespace, id, &pair).await;
        if outcome.is_ok() {
            self.doubts().dispel(&whose);
        }
        if let Err(problem) = &outcome
            && problem.reason != Reason::StoreConflict
        {
            tracing::error!(link.id = %id, error = %problem, "A new token pair could not be stored; it is kept and tried again");
            lock(&self.unsaved().0).entry(whose).or_insert(pair);
        }
        outcome
    }

    /// Tries the store again for every new pair that it did not take.
    pub(crate) async fn save_all(&self) {
        let waiting: Vec<_> = lock(&self.unsaved().0).keys().cloned().collect();
        for (namespace, id) in waiting {
            if let Ok(link) = self.link(&namespace, &id).await {
                // What goes wrong is logged there.
                let _ = self
                    .refresh(&link.record, Want::Remaining(Duration::ZERO))
                    .0
                    .await;
            }
        }
    }

    /// Forgets a new pair of a link that is erased.
    pub(crate) fn forget_unsaved(&self, namespace: &NamespaceName, id: &LinkId) {
        lock(&self.unsaved().0).remove(&(namespace.clone(), id.clone()));
    }

    /// The new pair, the end of the journal entry and the link's facts in one transaction.
    async fn store_pair(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        pair: &Pair,
    ) -> Result<(), Problem> {
        loop {
            let Versioned {
                record: mut link,
                version,
            } = self.link(namespace, id).await?;
            let host = self.host(&link.host).await?.record;
            let others = replacement(&link, &host, pair)?;
            link.token_expires = pair.grant.expires;
            link.refreshable = link.renewable(&pair.grant);
            link.refreshed = Some(pair.grant.obtained);
            link.upkeep.failures = 0;
            link.upkeep.failure_reason.clear();
            link.upkeep.next_refresh = None;
            link.upkeep.refresh_expires = self.idle_end(&link, pair.grant.obtained).await;
            link.generation = pair.grant.generation;
            link.granted_scopes = pair.scopes.clone().or(link.granted_scopes);
            recovered(&mut link);
            match self
                .put_link(link.clone(), Expect::Version(version), others)
                .await
            {
                Err(problem) if problem.reason == Reason::StoreConflict => {
                    if self.stored(&link, &host, pair).await? {
                        return Ok(());
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// After a conflict: whether the pair is in the store already, because a failed write was carried out after all.
    /// `false` when only the link has changed.
    async fn stored(&self, link: &Link, host: &Host, pair: &Pair) -> Result<bool, Problem> {
        match self.find_grant(link, host).await? {
            Some(entry) if entry.version == pair.replaces => Ok(false),
            Some(entry) if same(&entry.record, &pair.grant) => Ok(true),
            _ => Err(Problem::new(
                Reason::StoreConflict,
                "the grant was replaced meanwhile; try again",
            )),
        }
    }
}

fn same(one: &Grant, other: &Grant) -> bool {
    one.generation == other.generation && one.access_token.expose() == other.access_token.expose()
}

/// The new grant in the place of the old, and the end of the journal entry.
fn replacement(
    link: &Link,
    host: &Host,
    pair: &Pair,
) -> Result<Vec<bindery_core::port::Change>, Problem> {
    let (namespace, id) = (link.namespace.clone(), link.id.clone());
    let intent = Key::Intent(namespace.clone(), id.clone());
    let grant = Key::Grant(namespace, id, host.name.clone(), origins(host)?);
    let put = Some(Record::Grant(pair.grant.duplicate()));
    Ok(vec![
        change(grant, Expect::Version(pair.replaces), put),
        change(intent, Expect::Any, None),
    ])
}
