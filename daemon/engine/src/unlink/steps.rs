//! The steps of the saga, above all the revocation.

use bindery_core::{
    host::Host,
    link::{Link, Stage},
    port::Listing,
    problem::{Problem, Reason},
    provider::{AuthKind, Input, Output, RevocationOutcome},
    receipt::{Outcome, StepKind},
    secret::{Secret, SecretSet},
};

use crate::{
    Engine,
    hosts::as_namespace_name,
    links::facts,
    operation::{Context, off_topic},
    records::as_link,
};

impl Engine {
    pub(super) async fn step(
        &self,
        step: StepKind,
        link: &Link,
        force: bool,
    ) -> Result<(Outcome, String), Problem> {
        match step {
            StepKind::StopHandOut => {
                self.refreshes()
                    .settle(&(link.namespace.clone(), link.id.clone()))
                    .await;
                Ok((Outcome::Done, "no token is handed out any more".to_owned()))
            }
            StepKind::DeleteHooks => Ok((
                Outcome::AlreadyAbsent,
                "no webhook was made for this link".to_owned(),
            )),
            StepKind::RevokeLeases => Ok(match self.revoke_leases(link).await? {
                0 => {
                    let message = "tokens that were handed out are the link's own and end with its grant, or have ended";
                    (Outcome::AlreadyAbsent, message.to_owned())
                }
                count => (
                    Outcome::Done,
                    format!("{count} tokens that were made for one hand-out each are revoked"),
                ),
            }),
            StepKind::RevokeGrant => self.revoke(link, force).await,
            StepKind::Erase => Ok((Outcome::Done, "the credentials are erased".to_owned())),
        }
    }

    async fn revoke(&self, link: &Link, force: bool) -> Result<(Outcome, String), Problem> {
        let host = self.host(&link.host).await?.record;
        if self.find_grant(link, &host).await?.is_none() {
            return Ok((
                Outcome::AlreadyAbsent,
                "the link never held a grant".to_owned(),
            ));
        }
        let description = self.description(&host)?;
        let shared = description.revocation.kills_siblings && self.has_sibling(link).await?;
        // A provider may know a grant only by a token that is still good; where none can be had, the old one is tried.
        let stale = self.last_refresh(link).await.err().filter(may_pass);
        let token = self.last_token(link, &host).await?;
        let whole_grant = link.auth_kind == AuthKind::OAuthCode && !shared;
        let ended = match self.revoke_token(link, &host, &token, whole_grant).await {
            Ok(output) => revoked(output, &host)?,
            // The provider does not know the token any more: that is what was wanted.
            Err(problem) if problem.reason == Reason::TokenRefused => (
                Outcome::AlreadyAbsent,
                "the provider does not accept the token any more".to_owned(),
            ),
            Err(problem) => return Err(problem),
        };
        match stale {
            // That an old token is not known says nothing about the grant.
            Some(problem) if ended.0 == Outcome::AlreadyAbsent && !force => Err(problem),
            Some(problem) if ended.0 == Outcome::AlreadyAbsent => Ok(left_behind(&problem)),
            _ => Ok(ended),
        }
    }

    async fn last_token(&self, link: &Link, host: &Host) -> Result<Secret, Problem> {
        let grant = self.find_grant(link, host).await?;
        let token = grant.map(|grant| grant.record.access_token);
        token.ok_or_else(|| Problem::new(Reason::LinkNotBound, "the link holds no credentials"))
    }

    /// Asks the provider to end a token. Client secrets are tried in order, as at the token endpoint: while one replaces
    /// another, the provider may take only one of them.
    pub(crate) async fn revoke_token(
        &self,
        link: &Link,
        host: &Host,
        token: &Secret,
        whole_grant: bool,
    ) -> Result<Output, Problem> {
        let client_secrets = self.host_secrets(host).await?.client_secrets;
        let mut left = client_secrets.iter();
        let mut next = left.next();
        loop {
            let secrets = revocation_secrets(token, next);
            let context = Context::new(host, facts(link, host), secrets)?;
            next = left.next();
            match self.run(context, Input::Revoke { whole_grant }).await {
                Err(problem) if problem.reason == Reason::ClientRefused && next.is_some() => {}
                outcome => return outcome.map(|outcome| outcome.last),
            }
        }
    }

    /// Another live link with the same identity on the same host. An identity that is not known may be the same.
    async fn has_sibling(&self, link: &Link) -> Result<bool, Problem> {
        let sibling = |other: &Link| {
            let same = match (&link.identity, &other.identity) {
                (Some(one), Some(other)) => one.stable_id == other.stable_id,
                _ => other.generation > 0,
            };
            let live = !matches!(other.observed.stage, Stage::Unlinking | Stage::Unlinked);
            same && live && other.host == link.host && other.auth_kind == AuthKind::OAuthCode
        };
        for namespace in self
            .list_all(&Listing::Namespaces, as_namespace_name)
            .await?
        {
            let links = self
                .list_all(&Listing::Links(namespace.record), as_link)
                .await?;
            if links.iter().any(|entry| sibling(&entry.record)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

pub(super) fn left_behind(problem: &Problem) -> (Outcome, String) {
    let reason = problem.reason.as_str().to_owned();
    (Outcome::Failed { reason }, problem.message.clone())
}

/// Whether a refresh that failed may succeed later. A link that is being unlinked and is refused its refresh for good
/// says that it is unlinked.
fn may_pass(problem: &Problem) -> bool {
    !matches!(
        problem.reason,
        Reason::LinkUnlinked | Reason::LinkNeedsReauthorization | Reason::LinkNotBound
    )
}

fn revocation_secrets(token: &Secret, client_secret: Option<&Secret>) -> SecretSet {
    let mut secrets = SecretSet::new();
    secrets.insert("access_token", token.duplicate());
    if let Some(client_secret) = client_secret {
        secrets.insert("client_secret", client_secret.duplicate());
    }
    secrets
}

pub(crate) fn revoked(output: Output, host: &Host) -> Result<(Outcome, String), Problem> {
    let Output::Revocation(revocation) = output else {
        return Err(off_topic(host));
    };
    let outcome = match revocation.outcome {
        RevocationOutcome::Done => Outcome::Done,
        RevocationOutcome::AlreadyAbsent => Outcome::AlreadyAbsent,
        RevocationOutcome::Impossible => Outcome::Impossible {
            action_uri: revocation.action_uri,
        },
    };
    Ok((outcome, revocation.message))
}
