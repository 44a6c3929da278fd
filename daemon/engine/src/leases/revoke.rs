//! Taking a credential back.

use bindery_core::{
    host::Host,
    lease::{Lease, LeaseToken},
    link::Link,
    name::{LeaseId, NamespaceName},
    port::{Expect, Key, Record},
    problem::{Problem, Reason},
    receipt::Outcome,
    secret::Secret,
};

use super::token_key;
use crate::{Engine, RequestKey, Versioned, records::change, unlink::revoked};

/// What giving a credential back did.
#[derive(Debug)]
pub struct GivenBack {
    /// The lease afterwards.
    pub lease: Lease,
    /// What was done at the provider.
    pub outcome: Outcome,
    /// In words for people.
    pub message: String,
}

impl Engine {
    /// Gives a credential back. A token that was minted for it alone is revoked at the provider, by itself; one that others
    /// use too lives on. Repeating it changes nothing.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `REQUEST_ID_REUSED`, and what the provider or the vault says.
    pub async fn revoke_lease(
        &self,
        namespace: &NamespaceName,
        id: &LeaseId,
        request: Option<&RequestKey>,
    ) -> Result<GivenBack, Problem> {
        self.recall(request).await?;
        let lease = self.lease(namespace, id).await?;
        if !lease.minted {
            return Ok(shared(lease));
        }
        let (outcome, message) = self.end_lease(&lease, request).await?;
        let lease = self.lease(namespace, id).await?;
        Ok(GivenBack {
            lease,
            outcome,
            message,
        })
    }

    /// Revokes the token of a minted lease with that token, and notes it.
    async fn end_lease(
        &self,
        lease: &Lease,
        request: Option<&RequestKey>,
    ) -> Result<(Outcome, String), Problem> {
        if lease.revoked.is_some() {
            return Ok((Outcome::Done, "the token was revoked before".to_owned()));
        }
        if lease.is_over(self.now()) {
            let message = "the token has ended by itself".to_owned();
            return Ok((Outcome::AlreadyAbsent, message));
        }
        let link = self.link(&lease.namespace, &lease.link).await?.record;
        let host = self.host(&link.host).await?.record;
        let Some(token) = self.find_lease_token(lease, &host).await? else {
            let message = "its token is not kept any more".to_owned();
            return Ok((Outcome::AlreadyAbsent, message));
        };
        let ended = self.end_token(&link, &host, &token.token).await?;
        self.note_revoked(lease, &host, request).await?;
        Ok(ended)
    }

    /// Asks the provider to end one minted token. One that it does not know any more is done.
    pub(super) async fn end_token(
        &self,
        link: &Link,
        host: &Host,
        token: &Secret,
    ) -> Result<(Outcome, String), Problem> {
        match self.revoke_token(link, host, token, false).await {
            Ok(output) => revoked(output, host),
            Err(problem) if problem.reason == Reason::TokenRefused => Ok((
                Outcome::AlreadyAbsent,
                "the provider does not accept the token any more".to_owned(),
            )),
            Err(problem) => Err(problem),
        }
    }

    /// The lease says that it is revoked, and its token is erased, together.
    async fn note_revoked(
        &self,
        lease: &Lease,
        host: &Host,
        request: Option<&RequestKey>,
    ) -> Result<(), Problem> {
        let (namespace, id) = (lease.namespace.clone(), lease.id.clone());
        let Some(Versioned { record, version }) = self.find_lease(&namespace, &id).await? else {
            return Ok(());
        };
        let lease = Lease {
            revoked: Some(self.now()),
            ..record
        };
        let erase = change(token_key(&lease, host)?, Expect::Any, None);
        let resource = format!("namespaces/{namespace}/leases/{id}");
        let put = Some(Record::Lease(lease));
        let mut noted = vec![
            change(Key::Lease(namespace, id), Expect::Version(version), put),
            erase,
        ];
        noted.extend(self.remember(request, &resource).await?);
        match self.commit(noted).await {
            // Two gave it back at the same time.
            Err(problem) if problem.reason == Reason::StoreConflict => Ok(()),
            noted => noted,
        }
    }

    /// Revokes all tokens that were minted for leases of `link`, and says how many there were.
    pub(crate) async fn revoke_leases(&self, link: &Link) -> Result<usize, Problem> {
        let (now, mut ended) = (self.now(), 0);
        for entry in self.leases_of(&link.namespace).await? {
            let lease = entry.record;
            if lease.minted && lease.link == link.id && !lease.is_over(now) {
                self.end_lease(&lease, None).await?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Erases the tokens of all leases of `link`, revoked or not.
    pub(crate) async fn erase_lease_tokens(&self, link: &Link, host: &Host) -> Result<(), Problem> {
        for entry in self.leases_of(&link.namespace).await? {
            let lease = entry.record;
            if lease.minted && lease.link == link.id {
                let erase = change(token_key(&lease, host)?, Expect::Any, None);
                self.commit(vec![erase]).await?;
            }
        }
        Ok(())
    }

    async fn find_lease_token(
        &self,
        lease: &Lease,
        host: &Host,
    ) -> Result<Option<LeaseToken>, Problem> {
        let origins = crate::records::origins(host)?;
        let found = self
            .find_lease_token_at(&lease.namespace, &lease.id, &host.name, &origins)
            .await?;
        Ok(found.map(|entry| entry.record))
    }
}

/// Others use the same token, or the link itself does.
fn shared(lease: Lease) -> GivenBack {
    let until = match lease.expires {
        Some(_) => "it ends by itself",
        None => "it ends when the link is unlinked",
    };
    let message = format!("the token is the link's own and others use it; {until}");
    let action_uri = String::new();
    GivenBack {
        lease,
        outcome: Outcome::Impossible { action_uri },
        message,
    }
}
