//! The grant that waits for its confirmation: kept, named by its identity, or given back.

use bindery_core::{
    exchange::Tokens,
    flow::{FLOW_LIFETIME, Flow, FlowStage},
    host::Host,
    link::{Grant, Link, Stage},
    name::FlowId,
    port::{Expect, Key, Record},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description},
    secret::Secret,
};

use super::{Stand, confirm::extra, over};
use crate::{
    Engine, Versioned,
    links::{Found, missing, token_kind},
    records::{change, origins},
};

impl Engine {
    /// The grant is durable before it is used; then the forge is asked whose it is. A grant that can't be kept, because the
    /// link was ended meanwhile or the store takes no writes, is given back.
    pub(super) async fn keep_pending(&self, stand: &Stand, tokens: Tokens) -> Result<(), Problem> {
        let scopes = tokens.scopes.clone();
        let grant = first(tokens, self.now());
        let kept = loop {
            match self.put_pending(stand, &grant, scopes.clone()).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => break outcome,
            }
        };
        let token = &grant.access_token;
        let link = match kept {
            Ok(link) => link,
            // A write that is reported as failed may have been carried out.
            Err(problem) => match self.stand(stand.flow.record.id.as_str()).await {
                Ok(now) if now.flow.record.stage == FlowStage::Granted => now.link.record,
                _ => {
                    self.give_back(stand, token).await;
                    return Err(problem);
                }
            },
        };
        if let Err(problem) = self.note_identity(&link, &stand.host, token).await {
            // The grant is kept; the confirm page asks the forge again.
            tracing::warn!(link.id = %link.id, error = %problem, "Identity is not known yet");
        }
        Ok(())
    }

    /// Grant, link and flow in one transaction, if the link still waits for them.
    async fn put_pending(
        &self,
        stand: &Stand,
        grant: &Grant,
        scopes: Option<Vec<String>>,
    ) -> Result<Link, Problem> {
        let now = self.now();
        let before = &stand.link.record;
        let Versioned {
            record: mut link,
            version,
        } = self.link(&before.namespace, &before.id).await?;
        let flow = self
            .find_flow(&stand.flow.record.id)
            .await?
            .filter(|flow| flow.record.stage == FlowStage::Exchanging)
            .filter(|_| link.observed.stage == Stage::PendingAuthorization)
            .ok_or_else(over)?;
        link.token_kind = self.oauth_kind(&stand.host, &grant.access_token);
        link.granted_scopes = scopes;
        self.await_confirmation(&mut link, grant, &flow.record.id);
        let granted = Flow {
            stage: FlowStage::Granted,
            expires: now.after(FLOW_LIFETIME),
            pkce_verifier: None,
            ..flow.record
        };
        let key = Key::Grant(
            link.namespace.clone(),
            link.id.clone(),
            link.host.clone(),
            origins(&stand.host)?,
        );
        let put_grant = change(key, Expect::Absent, Some(Record::Grant(grant.duplicate())));
        let put_flow = change(
            Key::Flow(granted.id.clone()),
            Expect::Version(flow.version),
            Some(Record::Flow(granted)),
        );
        self.put_link(
            link.clone(),
            Expect::Version(version),
            vec![put_grant, put_flow],
        )
        .await?;
        Ok(link)
    }

    /// From here on the link waits for its confirmation.
    fn await_confirmation(&self, link: &mut Link, grant: &Grant, flow: &FlowId) {
        let now = self.now();
        link.token_expires = grant.expires;
        link.refreshable = grant.refresh_token.is_some();
        link.generation = grant.generation;
        link.observe(Stage::PendingConfirmation, TO_CONFIRM, now);
        link.observed.until = Some(now.after(FLOW_LIFETIME));
        link.observed.who = Some(Who::User);
        let public_url = &self.config().public_url;
        link.observed.action_uri = format!("{public_url}/link/{flow}/confirm");
    }

    /// The token's kind; none while the plugin is away, which is no reason to lose the token.
    fn oauth_kind(&self, host: &Host, token: &Secret) -> String {
        self.description(&host)
            .map(|description| token_kind(&description, token, AuthKind::OAuthCode))
            .unwrap_or_default()
    }

    /// Revokes a token that nobody will keep. Other tokens of the same person are left alone.
    async fn give_back(&self, stand: &Stand, token: &Secret) {
        let mut link = stand.link.record.clone();
        link.token_kind = self.oauth_kind(&stand.host, token);
        match self.revoke_token(&link, &stand.host, token, false).await {
            Ok(_) => {
                tracing::warn!(link.id = %link.id, "A token could not be kept and was revoked")
            }
            Err(problem) => {
                tracing::error!(link.id = %link.id, error = %problem, "A token could be neither kept nor revoked; revoke the authorization at the forge");
            }
        }
    }

    pub(super) async fn note_identity(
        &self,
        link: &Link,
        host: &Host,
        token: &Secret,
    ) -> Result<(), Problem> {
        let Found { identity, facts } = self.preflight(link, host, token).await?;
        let description = self.description(&host)?;
        self.change_link(&link.namespace, &link.id, |link| {
            link.identity = Some(identity.clone());
            link.granted_scopes = facts.scopes.clone().or_else(|| link.granted_scopes.take());
            if link.observed.stage == Stage::PendingConfirmation {
                link.observed.message = to_confirm(&description, link);
            }
            Ok(())
        })
        .await?;
        Ok(())
    }
}

/// What a link waits for whose forge has answered.
const TO_CONFIRM: &str = "the one who started it must confirm";

/// O8: a forge that granted less, or more, than was asked for is told of before anybody confirms.
fn to_confirm(description: &Description, link: &Link) -> String {
    let missing = missing(description, link);
    let scopes: Vec<_> = missing.iter().flat_map(|entry| &entry.scopes).collect();
    if !scopes.is_empty() {
        let scopes: Vec<_> = scopes.into_iter().map(String::as_str).collect();
        let scopes = scopes.join(", ");
        return format!("the forge granted less than was asked for ({scopes}); {TO_CONFIRM}");
    }
    if !extra(link).is_empty() {
        return format!("the forge granted more than was asked for; {TO_CONFIRM}");
    }
    TO_CONFIRM.to_owned()
}

fn first(tokens: Tokens, now: bindery_core::time::Timestamp) -> Grant {
    Grant {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        expires: tokens.expires_in.map(|lifetime| now.after(lifetime)),
        obtained: now,
        generation: 1,
    }
}
