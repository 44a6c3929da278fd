//! Tokens that are minted for one lease: durable before they are handed out.

use bindery_core::{
    host::Host,
    lease::{Access, Lease, LeaseToken},
    link::Link,
    port::Expect,
    problem::{Problem, Reason},
    provider::{Minted, Permission},
    time::Timestamp,
};

use super::{puts, shared};
use crate::{
    Engine, Versioned,
    credentials::{Asked, Wanted, long_enough, not_narrowed},
    mint::{MintedToken, Narrowing},
};

impl Engine {
    /// A token for the caller alone, with its lease. Lease and token are written in one transaction with the link, so that
    /// an unlink either finds them or keeps them from being made.
    pub(crate) async fn lease_minted(
        &self,
        wanted: &Wanted,
        link: &Link,
        host: &Host,
    ) -> Result<(Lease, LeaseToken), Problem> {
        if wanted.require_narrowed && wanted.repository.is_none() {
            return Err(not_narrowed());
        }
        let asked = wanted.repository.iter();
        let narrowing = Narrowing {
            repositories: asked.map(|asked| asked.named().to_owned()).collect(),
            permissions: permissions(wanted.access),
        };
        let minted = match self.mint(link, host, narrowing).await {
            Err(problem) => return Err(self.use_failed(link, problem).await),
            Ok(minted) => minted,
        };
        if let Err(problem) = acceptable(wanted, &minted.about, self.now()) {
            let _ = self.end_token(link, host, &minted.token).await;
            return Err(problem);
        }
        let (lease, token) = self.drawn_up(wanted, minted)?;
        match self.keep_lease(&lease, &token, host).await {
            Ok(()) => Ok((lease, token)),
            Err(problem) => {
                // It was not handed out, so nobody has it: it is given back, or ends by itself.
                let _ = self.end_token(link, host, &token.token).await;
                Err(problem)
            }
        }
    }

    fn drawn_up(
        &self,
        wanted: &Wanted,
        minted: MintedToken,
    ) -> Result<(Lease, LeaseToken), Problem> {
        let asked = wanted.repository.as_ref();
        let lease = Lease {
            namespace: wanted.namespace.clone(),
            id: self.new_lease_id()?,
            link: wanted.link.clone(),
            repository: asked.map_or("", Asked::named).to_owned(),
            access: wanted.access,
            narrowed: minted.about.narrowed && asked.is_some(),
            minted: true,
            holder: wanted.holder.clone(),
            created: self.now(),
            expires: Some(minted.about.expires),
            revoked: None,
        };
        let token = LeaseToken {
            token: minted.token,
            expires: minted.about.expires,
        };
        Ok((lease, token))
    }

    /// Makes a lease durable, unless the link was disabled or unlinked since it was read.
    async fn keep_lease(
        &self,
        lease: &Lease,
        token: &LeaseToken,
        host: &Host,
    ) -> Result<(), Problem> {
        loop {
            let Versioned {
                record: mut link,
                version,
            } = self.link(&lease.namespace, &lease.link).await?;
            link.usable()?;
            link.upkeep.handed_out = Some(shared::to_the_minute(lease.created));
            shared::remember(&mut link, &lease.repository);
            let others = puts(lease, token, host)?;
            match self.put_link(link, Expect::Version(version), others).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }
}

/// Whether a minted token is what the caller insists on.
fn acceptable(wanted: &Wanted, about: &Minted, now: Timestamp) -> Result<(), Problem> {
    if wanted.require_narrowed && !about.narrowed {
        return Err(not_narrowed());
    }
    long_enough(wanted, Some(about.expires), now)
}

fn permissions(access: Access) -> Vec<Permission> {
    match access {
        Access::Read => vec![Permission::ReadCode],
        Access::ReadWrite => vec![Permission::ReadCode, Permission::WriteCode],
    }
}
