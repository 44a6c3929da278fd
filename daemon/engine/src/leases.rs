//! Leases: who got which credential, and how it is taken back.
//!
//! A token that was minted for one lease is durable before it is handed out, so that it can be revoked whatever happens. A
//! shared token is the link's own and can't be revoked by itself: such leases are collected in memory and written in
//! batches by the sweep, so that a fetch costs no write. One caller that asks again and again for the same keeps its lease
//! for a while. What a stop loses of them, the audit log still has.

mod minted;
mod revoke;
mod shared;

use bindery_core::{
    host::Host,
    lease::{Lease, LeaseToken},
    name::{LeaseId, NamespaceName},
    port::{Expect, Key, Listing, Record},
    problem::Problem,
};

pub use self::revoke::GivenBack;
pub(crate) use self::shared::{Same, Shared};
use crate::{
    Engine, Versioned,
    flight::lock,
    records::{change, origins},
};

impl Engine {
    /// Leases of a namespace, the newest first.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn list_leases(
        &self,
        namespace: &NamespaceName,
        include_ended: bool,
    ) -> Result<Vec<Lease>, Problem> {
        let now = self.now();
        let stored = self.leases_of(namespace).await?;
        let mut all: Vec<_> = stored.into_iter().map(|entry| entry.record).collect();
        all.extend(self.shared().unwritten(namespace));
        all.retain(|lease| include_ended || !lease.is_over(now));
        all.sort_by(|one, other| {
            let newest = other.created.cmp(&one.created);
            newest.then_with(|| one.id.as_str().cmp(other.id.as_str()))
        });
        Ok(all)
    }

    /// A lease, written or not.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn lease(&self, namespace: &NamespaceName, id: &LeaseId) -> Result<Lease, Problem> {
        let waiting = || {
            let mut waiting = self.shared().unwritten(namespace).into_iter();
            waiting.find(|lease| lease.id == *id)
        };
        if let Some(lease) = waiting() {
            return Ok(lease);
        }
        let found = self.find_lease(namespace, id).await?;
        found
            .map(|entry| entry.record)
            .ok_or_else(|| Problem::not_found(format!("namespaces/{namespace}/leases/{id}")))
    }

    pub(crate) async fn leases_of(
        &self,
        namespace: &NamespaceName,
    ) -> Result<Vec<Versioned<Lease>>, Problem> {
        self.list_all(&Listing::Leases(namespace.clone()), as_lease)
            .await
    }

    /// Removes the records of leases that ended long ago, from time to time.
    pub(crate) async fn forget_leases(&self) -> Result<(), Problem> {
        if !self.shared().sweep_is_due(self.now()) {
            return Ok(());
        }
        for namespace in self.namespace_names().await? {
            self.forget_leases_of(&namespace).await?;
        }
        Ok(())
    }

    async fn forget_leases_of(&self, namespace: &NamespaceName) -> Result<(), Problem> {
        let now = self.now();
        self.forget_leases_that(namespace, |lease| lease.may_be_forgotten(now))
            .await
    }

    /// Forgets the leases of a namespace whose links are unlinked: all of them are over.
    pub(crate) async fn forget_all_leases(&self, namespace: &NamespaceName) -> Result<(), Problem> {
        self.write_leases().await?;
        self.forget_leases_that(namespace, |_| true).await
    }

    async fn forget_leases_that(
        &self,
        namespace: &NamespaceName,
        old: impl Fn(&Lease) -> bool,
    ) -> Result<(), Problem> {
        let all = self.leases_of(namespace).await?;
        for entry in all.into_iter().filter(|entry| old(&entry.record)) {
            let lease = entry.record;
            let mut changes = Vec::new();
            if lease.minted
                && let Ok(link) = self.link(&lease.namespace, &lease.link).await
                && let Ok(host) = self.host(&link.record.host).await
            {
                changes.push(change(token_key(&lease, &host.record)?, Expect::Any, None));
            }
            let key = Key::Lease(lease.namespace, lease.id);
            changes.push(change(key, Expect::Version(entry.version), None));
            self.commit(changes).await?;
        }
        Ok(())
    }

    /// Writes the leases of shared tokens that are in memory only.
    pub(crate) async fn write_leases(&self) -> Result<(), Problem> {
        for batch in self.shared().unwritten_batches() {
            let puts = batch.iter().map(|lease| {
                let key = Key::Lease(lease.namespace.clone(), lease.id.clone());
                change(key, Expect::Any, Some(Record::Lease(lease.clone())))
            });
            self.commit(puts.collect()).await?;
            self.shared().written(&batch);
        }
        for used in self.shared().used(self.now()) {
            self.note_use(used).await?;
        }
        Ok(())
    }

    /// What a link was used for goes into its record when it says something new.
    async fn note_use(&self, used: shared::Used) -> Result<(), Problem> {
        let (namespace, id) = &used.whose;
        let noted = self
            .change_link(namespace, id, |link| {
                used.note(link);
                Ok(())
            })
            .await;
        match noted {
            // The link is gone since; nothing is left to be noted.
            Err(problem) if problem.reason == bindery_core::problem::Reason::NotFound => Ok(()),
            noted => noted.map(drop),
        }
    }

    pub(crate) fn new_lease_id(&self) -> Result<LeaseId, Problem> {
        LeaseId::parse(&self.new_id()).map_err(|error| {
            Problem::new(bindery_core::problem::Reason::Internal, error.to_string())
        })
    }
}

/// Where the token of a lease is.
fn token_key(lease: &Lease, host: &Host) -> Result<Key, Problem> {
    Ok(Key::LeaseToken(
        lease.namespace.clone(),
        lease.id.clone(),
        host.name.clone(),
        origins(host)?,
    ))
}

fn as_lease(record: Record) -> Option<Lease> {
    if let Record::Lease(lease) = record {
        Some(lease)
    } else {
        None
    }
}

/// A lease and its token, made durable together.
fn puts(
    lease: &Lease,
    token: &LeaseToken,
    host: &Host,
) -> Result<Vec<bindery_core::port::Change>, Problem> {
    let copy = LeaseToken {
        token: token.token.duplicate(),
        expires: token.expires,
    };
    let key = Key::Lease(lease.namespace.clone(), lease.id.clone());
    Ok(vec![
        change(key, Expect::Absent, Some(Record::Lease(lease.clone()))),
        change(
            token_key(lease, host)?,
            Expect::Absent,
            Some(Record::LeaseToken(copy)),
        ),
    ])
}
