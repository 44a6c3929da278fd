//! A live look at a link, and what it says about the grant.

use std::time::Duration;

use bindery_core::{
    host::Host,
    link::{Cause, Link, Stage},
    name::{LinkId, NamespaceName},
    problem::{Problem, Reason},
};

use super::{Found, missing, trouble::who};
use crate::{Engine, Versioned};

/// What a live check found.
#[derive(Debug)]
pub struct Checked {
    /// The link afterwards.
    pub link: Versioned<Link>,
    /// What is wrong, if anything.
    pub problem: Option<Problem>,
    /// Permissions that the granted scopes do not carry, with the scopes that would.
    pub missing: Vec<bindery_core::provider::PermissionScopes>,
}

impl Engine {
    /// Asks the provider about a link now, and notes what it says.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `LINK_DISABLED`, `LINK_NOT_BOUND`, `LINK_UNLINKED`, and what the vault says. What is wrong with the
    /// link itself is in the answer.
    pub async fn check_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        force: bool,
    ) -> Result<Checked, Problem> {
        let Versioned { record: link, .. } = self.link(namespace, id).await?;
        match link.usable() {
            Err(problem) if problem.reason != Reason::LinkNeedsReauthorization => {
                return Err(problem);
            }
            _ => {}
        }
        let host = self.host(&link.host).await?.record;
        let description = self.description(&host)?;
        let problem = match self.look(&link, &host, force).await {
            Seen::Found(found) => self.note_found(&link, found).await?,
            Seen::Refused(problem) => Some(self.note_refusal(&link, problem).await?),
            Seen::Unclear(problem) => Some(problem),
        };
        let link = self.link(namespace, id).await?;
        let missing = missing(&description, &link.record);
        Ok(Checked {
            link,
            problem,
            missing,
        })
    }

    async fn look(&self, link: &Link, host: &Host, force: bool) -> Seen {
        if force && link.refreshable {
            if let Err(problem) = self.replace(link, link.generation).await {
                return Seen::Unclear(problem);
            }
            return self.look_once(link, host).await.1;
        }
        let (generation, seen) = self.look_once(link, host).await;
        if !matches!(seen, Seen::Refused(_)) || !link.refreshable {
            return seen;
        }
        // The provider may have ended the token early, or a refresh has replaced it: a newer one tells. Where none can be
        // had, that is no verdict on the grant: refreshes have rules of their own.
        match self.replace(link, generation).await {
            Ok(()) => self.look_once(link, host).await.1,
            Err(problem) => Seen::Unclear(problem),
        }
    }

    /// Asks the provider with the current token, and says which one that was.
    async fn look_once(&self, link: &Link, host: &Host) -> (u64, Seen) {
        let grant = match self.fresh_grant(link, host, Duration::ZERO).await {
            Ok(grant) => grant,
            Err(problem) => return (0, Seen::Unclear(problem)),
        };
        let seen = match self.preflight(link, host, &grant.access_token).await {
            Ok(found) => Seen::Found(found),
            Err(problem) if problem.reason == Reason::TokenRefused => Seen::Refused(problem),
            Err(problem) => Seen::Unclear(problem),
        };
        (grant.generation, seen)
    }

    async fn note_found(&self, link: &Link, found: Found) -> Result<Option<Problem>, Problem> {
        let now = self.now();
        let other = link
            .identity
            .as_ref()
            .filter(|known| known.stable_id != found.identity.stable_id)
            .cloned();
        if let Some(known) = other {
            let message = format!(
                "the token now belongs to {}, and the link is bound to {}; authorize it again",
                found.identity.login, known.login
            );
            return Ok(Some(Problem::new(Reason::IdentityMismatch, message)));
        }
        self.change_link(&link.namespace, &link.id, |link| {
            link.identity = Some(found.identity.clone());
            link.granted_scopes = found
                .facts
                .scopes
                .clone()
                .or_else(|| link.granted_scopes.clone());
            if matches!(link.observed.stage, Stage::NeedsReauthorization(_)) {
                link.observe(Stage::Bound, "", now);
            }
            Ok(())
        })
        .await?;
        Ok(None)
    }

    async fn note_refusal(&self, link: &Link, problem: Problem) -> Result<Problem, Problem> {
        self.mark_dead(&link.namespace, &link.id, Cause::TokenRefused)
            .await?;
        Ok(problem)
    }

    /// Notes that a person must authorize a link again.
    pub(crate) async fn mark_dead(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        cause: Cause,
    ) -> Result<Versioned<Link>, Problem> {
        let now = self.now();
        self.change_link(namespace, id, |link| {
            if link.observed.stage == Stage::Bound {
                link.observe(Stage::NeedsReauthorization(cause), explain(cause), now);
                link.observed.who = who(cause);
            }
            link.refresh_failed = Some(now);
            Ok(())
        })
        .await
    }
}

/// What a live look at a link brought.
enum Seen {
    /// The provider takes its token.
    Found(Found),
    /// The provider refuses its token, and there is no newer one.
    Refused(Problem),
    /// That could not be found out.
    Unclear(Problem),
}

/// Why a link must be authorized again, in words.
pub(crate) const fn explain(cause: Cause) -> &'static str {
    match cause {
        Cause::GrantRevoked => "the provider says that the grant was revoked",
        Cause::TokenExpired => "its token has expired and can't be refreshed",
        Cause::RotationLost => {
            "the answer to a token refresh was lost, and the provider has dropped the old token"
        }
        Cause::TokenRefused => "the provider refuses its token",
        Cause::NotConfirmed => "its authorization was not confirmed in time",
        Cause::RefreshTokenExpired => "its refresh token has expired",
        Cause::RefreshOutcomeUnknown => "the answer to a token refresh was lost",
        Cause::ScopeMissing => "its token lacks a scope",
        Cause::IdentitySuspended => "its identity is suspended at the provider",
        Cause::AppUninstalled => "the app is not installed any more",
        Cause::AppSuspended => "the installation of the app is suspended",
        Cause::IdentityChanged => "its token belongs to another identity now",
        Cause::ClientRefused => "the provider refuses the OAuth client of the host",
        Cause::HostOriginChanged => "the URLs of its host have changed",
        Cause::HostUnreachable => "its host can't be reached",
        Cause::RateLimited => "the provider limits the rate of calls",
        Cause::ProviderUnavailable => "the provider answers with errors of its own",
        Cause::PluginFailed => "the plugin of its provider does not work",
        Cause::HostDisabled => "its host is switched off by the operator",
        Cause::ConsentDenied => "consent was refused",
        Cause::FlowExpired => "its authorization was not finished in time",
        Cause::FlowCancelled => "its authorization was cancelled",
    }
}
