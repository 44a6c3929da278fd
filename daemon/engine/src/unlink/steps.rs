//! The steps of the saga, above all the revocation.

use bindery_core::{
    host::{Host, HostSecrets},
    link::{Grant, Link},
    problem::{Problem, Reason},
    provider::{APP_PRIVATE_KEY, AuthKind, Description, Input, Output, RevocationOutcome},
    receipt::{Outcome, Receipt, StepKind},
    secret::{Secret, SecretSet},
};

use crate::{
    Engine,
    links::facts,
    operation::{Context, off_topic},
};

impl Engine {
    pub(super) async fn step(
        &self,
        step: StepKind,
        link: &Link,
        receipt: &Receipt,
        force: bool,
    ) -> Result<(Outcome, String), Problem> {
        match step {
            StepKind::StopHandOut => {
                self.refreshes()
                    .settle(&(link.namespace.clone(), link.id.clone()))
                    .await;
                Ok((Outcome::Done, "no token is handed out any more".to_owned()))
            }
            StepKind::DeleteHooks => self.unlink_hooks(link, receipt, force).await,
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
            StepKind::RevokeGrant => {
                let ended = self.revoke(link, receipt, force).await?;
                self.give_up_all(link).await?;
                Ok(ended)
            }
            StepKind::Erase => Ok((Outcome::Done, "the credentials are erased".to_owned())),
        }
    }

    async fn revoke(
        &self,
        link: &Link,
        receipt: &Receipt,
        force: bool,
    ) -> Result<(Outcome, String), Problem> {
        let host = self.host(&link.host).await?.record;
        let Some(grant) = self.find_grant(link, &host).await? else {
            return Ok((
                Outcome::AlreadyAbsent,
                "the link never held a grant".to_owned(),
            ));
        };
        let description = self.description(&host)?;
        let ended = match endpoint(link, &host, &description) {
            Some(endpoint) => {
                let lost = self.find_intent(&link.namespace, &link.id).await?;
                let stale = match lost.filter(|intent| intent.record.lost) {
                    // The pair that is kept may not be the one that lives: it is found out first.
                    Some(_) => self.last_refresh(link).await.err().filter(may_pass),
                    None => None,
                };
                let grant = self.find_grant(link, &host).await?.unwrap_or(grant).record;
                let ended = self
                    .revoke_pair(link, &host, &description, &endpoint, &grant)
                    .await?;
                proven(ended, stale, force)?
            }
            None => self.revoke_by_plugin(link, &host, receipt, force).await?,
        };
        self.tell_siblings(receipt, link).await?;
        Ok(ended)
    }

    async fn revoke_by_plugin(
        &self,
        link: &Link,
        host: &Host,
        receipt: &Receipt,
        force: bool,
    ) -> Result<(Outcome, String), Problem> {
        let shared = receipt.affected.is_empty() && !self.siblings(link).await?.is_empty();
        if shared && link.auth_kind == AuthKind::AccessToken {
            let message = "the token stays at the provider, since other links hold the same one";
            return Ok((Outcome::Done, message.to_owned()));
        }
        // A provider may know a grant only by a token that is still good; where none can be had, the old one is tried.
        let stale = self.last_refresh(link).await.err().filter(may_pass);
        let token = self.last_token(link, host).await?;
        let whole_grant = link.auth_kind != AuthKind::AccessToken && !shared;
        let mut ended = match self.revoke_token(link, host, &token, whole_grant).await {
            Ok(output) => revoked(output, host)?,
            Err(problem) if gone(link, &problem) => (
                Outcome::AlreadyAbsent,
                "the provider does not accept the token any more".to_owned(),
            ),
            Err(problem) => return Err(problem),
        };
        if shared {
            ended
                .1
                .push_str("; the authorization stays, since other links live on it");
        }
        proven(ended, stale, force)
    }

    pub(crate) async fn last_token(&self, link: &Link, host: &Host) -> Result<Secret, Problem> {
        let grant = self.find_grant(link, host).await?;
        let token = grant.map(|grant| grant.record.access_token);
        token.ok_or_else(|| Problem::new(Reason::LinkNotBound, "the link holds no credentials"))
    }

    /// Ends the tokens of one grant and of no other: both of a pair where the provider has an endpoint for that. One that
    /// the provider does not know any more is done.
    pub(crate) async fn revoke_grant(
        &self,
        link: &Link,
        host: &Host,
        grant: &Grant,
    ) -> Result<(), Problem> {
        let description = self.description(host)?;
        let ended = match endpoint(link, host, &description) {
            Some(endpoint) => self
                .revoke_pair(link, host, &description, &endpoint, grant)
                .await
                .map(drop),
            None => self
                .revoke_token(link, host, &grant.access_token, false)
                .await
                .map(drop),
        };
        match ended {
            Err(problem) if gone(link, &problem) => Ok(()),
            outcome => outcome,
        }
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
        let description = self.description(host)?;
        if let Some(endpoint) = endpoint(link, host, &description) {
            return self
                .revoke_access(link, host, &description, &endpoint, token)
                .await;
        }
        let HostSecrets {
            client_secrets,
            app_private_key,
            ..
        } = self.host_secrets(host).await?;
        let app_key = app_private_key.filter(|_| link.auth_kind == AuthKind::AppInstallation);
        let mut left = client_secrets.iter();
        let mut next = left.next();
        loop {
            let secrets = revocation_secrets(token, next, app_key.as_ref());
            let context = Context::new(host, facts(link, host), secrets)?;
            next = left.next();
            match self.run(context, Input::Revoke { whole_grant }).await {
                Err(problem) if problem.reason == Reason::ClientRefused && next.is_some() => {}
                outcome => return outcome.map(|outcome| outcome.last),
            }
        }
    }
}

/// The RFC 7009 endpoint for the tokens of a link that came from a token endpoint.
fn endpoint(link: &Link, host: &Host, description: &Description) -> Option<String> {
    let oauth = matches!(link.auth_kind, AuthKind::OAuthCode | AuthKind::Device);
    let uri = description.endpoints.revoke_uri(host.token_base());
    uri.filter(|_| oauth)
}

/// The provider does not know the token, or the installation, any more: that is what was wanted.
fn gone(link: &Link, problem: &Problem) -> bool {
    let uninstalled =
        link.auth_kind == AuthKind::AppInstallation && problem.reason == Reason::AppNotInstalled;
    uninstalled || problem.reason == Reason::TokenRefused
}

/// That an old token is not known says nothing about the grant, as long as a refresh may still succeed.
fn proven(
    ended: (Outcome, String),
    stale: Option<Problem>,
    force: bool,
) -> Result<(Outcome, String), Problem> {
    match stale {
        Some(problem) if ended.0 == Outcome::AlreadyAbsent && !force => Err(problem),
        Some(problem) if ended.0 == Outcome::AlreadyAbsent => Ok(left_behind(&problem)),
        _ => Ok(ended),
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

fn revocation_secrets(
    token: &Secret,
    client_secret: Option<&Secret>,
    app_key: Option<&Secret>,
) -> SecretSet {
    let mut secrets = SecretSet::new();
    secrets.insert("access_token", token.duplicate());
    if let Some(client_secret) = client_secret {
        secrets.insert("client_secret", client_secret.duplicate());
    }
    if let Some(key) = app_key {
        secrets.insert(APP_PRIVATE_KEY, key.duplicate());
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
