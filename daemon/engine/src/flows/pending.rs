//! The grant that waits for its confirmation: kept, and named by its identity.

use bindery_core::{
    exchange::Tokens,
    flow::{FLOW_LIFETIME, Flow, FlowStage, Pending, Way},
    host::Host,
    link::{Grant, Link, Stage},
    name::FlowId,
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason, Who},
    provider::{Description, Identity, TokenFacts},
    secret::Secret,
    time::Timestamp,
};

use super::{Stand, fits, over};
use crate::{
    Engine, Versioned,
    links::{
        Found, NOTES, Severity, expected, extra, findings, kind_of, missing, note, same_identity,
        token_kind,
    },
    records::{change, origins},
};

/// What came back from the forge.
pub(super) struct Arrival {
    pub(super) grant: Grant,
    /// Granted scopes; `None` when the provider does not tell.
    pub(super) scopes: Option<Vec<String>>,
    /// Of an app: the installation, and the account that it is on.
    pub(super) installation: Option<(String, Identity)>,
}

impl Arrival {
    pub(super) fn of(tokens: Tokens, now: Timestamp) -> Self {
        Self {
            grant: Grant {
                access_token: tokens.access_token,
                refresh_token: tokens.refresh_token,
                expires: tokens.expires_in.map(|lifetime| now.after(lifetime)),
                obtained: now,
                generation: 1,
            },
            scopes: tokens.scopes,
            installation: None,
        }
    }
}

impl Engine {
    /// The grant is durable before it is used; then the forge is asked whose it is. A grant that can't be kept, because the
    /// link was ended meanwhile or the store takes no writes, is given back. One of a wrong identity ends the flow.
    pub(super) async fn keep_pending(
        &self,
        stand: &Stand,
        arrival: Arrival,
    ) -> Result<(), Problem> {
        let kept = loop {
            match self.put_pending(stand, &arrival).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => break outcome,
            }
        };
        let id = stand.flow.record.id.as_str();
        if let Err(problem) = kept {
            // A write that is reported as failed may have been carried out.
            let now = self.stand(id).await.ok();
            if now.is_none_or(|now| now.flow.record.stage != FlowStage::Granted) {
                self.give_back(&stand.subject(), &stand.host, &arrival.grant)
                    .await;
                return Err(problem);
            }
        }
        let mut stand = self.stand(id).await?;
        match self.known_identity(&mut stand).await {
            // Of an installation the identity was known before.
            Ok(_) if arrival.installation.is_some() => {
                self.note_findings(&mut stand, &arrival.grant).await
            }
            Ok(_) => Ok(()),
            Err(problem) if problem.reason == Reason::IdentityMismatch => {
                self.end_flow(&stand.flow.record, &problem.message).await?;
                Err(problem)
            }
            Err(problem) => {
                // The grant is kept; whoever confirms asks the forge again.
                tracing::warn!(link.id = %stand.link.record.id, error = %problem, "Identity is not known yet");
                Ok(())
            }
        }
    }

    /// Grant, link and flow in one transaction, if the link still waits for them.
    async fn put_pending(&self, stand: &Stand, arrival: &Arrival) -> Result<(), Problem> {
        let before = &stand.link.record;
        let Versioned {
            record: mut link,
            version,
        } = self.link(&before.namespace, &before.id).await?;
        let flow = self
            .find_flow(&stand.flow.record.id)
            .await?
            .filter(|flow| waits(&flow.record) && fits(&flow.record, &link))
            .ok_or_else(over)?;
        let mut granted = Flow {
            stage: FlowStage::Granted,
            expires: self.now().after(FLOW_LIFETIME),
            pkce_verifier: None,
            ..flow.record
        };
        let changes = if granted.reauthorization {
            self.put_beside(&mut link, &mut granted, stand, arrival)?
        } else {
            self.put_first(&mut link, &granted, stand, arrival)?
        };
        let put_flow = change(
            Key::Flow(granted.id.clone()),
            Expect::Version(flow.version),
            Some(Record::Flow(granted)),
        );
        self.put_link(link, Expect::Version(version), vec![changes, put_flow])
            .await
    }

    /// The first grant of a link, which waits in its place.
    fn put_first(
        &self,
        link: &mut Link,
        flow: &Flow,
        stand: &Stand,
        arrival: &Arrival,
    ) -> Result<Change, Problem> {
        let grant = &arrival.grant;
        link.token_kind = self.kind_of_token(&stand.host, &flow.way, &grant.access_token);
        link.granted_scopes.clone_from(&arrival.scopes);
        if let Some((installation, account)) = &arrival.installation {
            link.installation_id.clone_from(installation);
            link.identity = Some(account.clone());
        }
        self.await_confirmation(link, grant, &flow.id);
        note_open(link, flow);
        let key = Key::Grant(
            link.namespace.clone(),
            link.id.clone(),
            link.host.clone(),
            origins(&stand.host)?,
        );
        let record = Record::Grant(grant.duplicate());
        Ok(change(key, Expect::Absent, Some(record)))
    }

    /// A grant that waits beside the one that it is to replace.
    fn put_beside(
        &self,
        link: &mut Link,
        flow: &mut Flow,
        stand: &Stand,
        arrival: &Arrival,
    ) -> Result<Change, Problem> {
        let (installation_id, identity) = match &arrival.installation {
            Some((id, account)) => (id.clone(), Some(account.clone())),
            None => (String::new(), None),
        };
        let token = &arrival.grant.access_token;
        flow.pending = Some(Pending {
            auth_kind: kind_of(&flow.way),
            token_kind: self.kind_of_token(&stand.host, &flow.way, token),
            granted_scopes: arrival.scopes.clone(),
            identity,
            installation_id,
            username: String::new(),
        });
        note_open(link, flow);
        link.updated = self.now();
        let key = Key::PendingGrant(
            link.namespace.clone(),
            flow.id.clone(),
            link.host.clone(),
            origins(&stand.host)?,
        );
        let record = Record::PendingGrant(arrival.grant.duplicate());
        Ok(change(key, Expect::Absent, Some(record)))
    }

    /// From here on the link waits for its confirmation.
    fn await_confirmation(&self, link: &mut Link, grant: &Grant, flow: &FlowId) {
        let now = self.now();
        link.token_expires = grant.expires;
        link.refreshable = link.renewable(grant);
        link.generation = grant.generation;
        link.observe(Stage::PendingConfirmation, TO_CONFIRM, now);
        link.observed.until = Some(now.after(FLOW_LIFETIME));
        link.observed.who = Some(Who::User);
        let public_url = &self.config().public_url;
        link.observed.action_uri = format!("{public_url}/link/{flow}/confirm");
    }

    /// The token's kind; none while the plugin is away, which is no reason to lose the token.
    fn kind_of_token(&self, host: &Host, way: &Way, token: &Secret) -> String {
        self.description(host)
            .map(|description| token_kind(&description, token, kind_of(way)))
            .unwrap_or_default()
    }

    /// Who consented, if it is one who may; asks the forge where it could not be asked before.
    pub(super) async fn known_identity(&self, stand: &mut Stand) -> Result<Identity, Problem> {
        if stand.subject().identity.is_none() {
            let grant = self.waiting_grant(stand).await?.ok_or_else(over)?;
            self.note_identity(stand, &grant.record.access_token)
                .await?;
            *stand = self.stand(stand.flow.record.id.as_str()).await?;
            self.note_findings(stand, &grant.record).await?;
        }
        let identity = stand.subject().identity.ok_or_else(|| {
            Problem::new(
                Reason::ProviderUnavailable,
                "the provider did not say whose token it is",
            )
        })?;
        let flow = &stand.flow.record;
        expected(&flow.expected_identity, &identity)?;
        if flow.reauthorization {
            same_identity(&stand.link.record, &identity, flow.allow_identity_change)?;
        }
        Ok(identity)
    }

    async fn note_identity(&self, stand: &Stand, token: &Secret) -> Result<(), Problem> {
        let subject = stand.subject();
        let Found { identity, facts } = self.preflight(&subject, &stand.host, token).await?;
        let description = self.description(&stand.host)?;
        if stand.flow.record.reauthorization {
            return self.note_beside(stand, &identity, facts.scopes).await;
        }
        self.change_link(&subject.namespace, &subject.id, |link| {
            link.identity = Some(identity.clone());
            link.granted_scopes = facts.scopes.clone().or_else(|| link.granted_scopes.take());
            if let Some(open) = &mut link.flow {
                open.identity = Some(identity.clone());
            }
            if link.observed.stage == Stage::PendingConfirmation {
                link.observed.message = to_confirm(&description, link);
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Notes what whoever confirms should know of the grant that waits.
    async fn note_findings(&self, stand: &mut Stand, grant: &Grant) -> Result<(), Problem> {
        let link = stand.subject();
        let Some(identity) = link.identity.clone() else {
            return Ok(());
        };
        let namespace = self.namespace(&link.namespace).await?.record;
        let description = self.description(&stand.host)?;
        let found = Found {
            identity,
            facts: TokenFacts::default(),
        };
        let ends = grant.expires.filter(|_| !link.renewable(grant));
        let mut all = findings(&namespace, &description, &link, &found, ends, self.now());
        all.extend(self.reach(&link, &stand.host, &grant.access_token).await);
        all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let warnings = all.iter().filter(|one| one.severity > Severity::Info);
        let notes: Vec<_> = warnings.take(NOTES).map(note).collect();
        self.change_link(&link.namespace, &link.id, |link| {
            if let Some(open) = &mut link.flow {
                open.notes.clone_from(&notes);
            }
            Ok(())
        })
        .await?;
        *stand = self.stand(stand.flow.record.id.as_str()).await?;
        Ok(())
    }

    /// Notes in the flow, and for show in the link, who consented to replace a grant.
    async fn note_beside(
        &self,
        stand: &Stand,
        identity: &Identity,
        scopes: Option<Vec<String>>,
    ) -> Result<(), Problem> {
        loop {
            let Stand { flow, link, .. } = self.stand(stand.flow.record.id.as_str()).await?;
            let (mut record, mut shown) = (flow.record, link.record);
            if let Some(pending) = &mut record.pending {
                pending.identity = Some(identity.clone());
                pending.granted_scopes = scopes.clone().or(pending.granted_scopes.take());
            }
            note_open(&mut shown, &record);
            let put = change(
                Key::Flow(record.id.clone()),
                Expect::Version(flow.version),
                Some(Record::Flow(record)),
            );
            match self
                .put_link(shown, Expect::Version(link.version), vec![put])
                .await
            {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }
}

/// Whether a flow still waits for what comes from the forge.
fn waits(flow: &Flow) -> bool {
    match flow.way {
        Way::Device(_) => flow.stage == FlowStage::AtForge,
        Way::Browser | Way::Headless | Way::Installation => flow.stage == FlowStage::Exchanging,
    }
}

/// What may be shown of a flow has changed.
fn note_open(link: &mut Link, flow: &Flow) {
    let known = match &flow.pending {
        Some(pending) => pending.identity.clone(),
        None => link.identity.clone(),
    };
    if let Some(open) = &mut link.flow {
        open.expires = flow.expires;
        open.identity = known;
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
