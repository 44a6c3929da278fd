//! A new grant in the place of a link's old one.

use std::sync::Arc;

use bindery_core::{
    flow::{Flow, FlowStage, Pending},
    host::Host,
    link::{Grant, Link, Stage},
    name::{FlowId, LinkId, NamespaceName},
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason},
    provider::{AuthKind, Identity, Permission},
};

use super::{Found, Rules, bind};
use crate::{
    Engine, RequestKey, Versioned,
    records::{change, origins, pending_key},
};

/// What a link becomes with its new grant.
#[derive(Debug)]
pub(crate) struct Renewal {
    pub(crate) grant: Grant,
    pub(crate) auth_kind: AuthKind,
    pub(crate) token_kind: String,
    pub(crate) username: String,
    pub(crate) installation_id: String,
    pub(crate) permissions: Vec<Permission>,
    pub(crate) requested_scopes: Vec<String>,
    pub(crate) granted_scopes: Option<Vec<String>>,
    pub(crate) identity: Identity,
}

/// By what right a grant is replaced.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// The flow that is finished by it, and its version.
    pub(crate) flow: Option<(FlowId, u64)>,
    pub(crate) allow_identity_change: bool,
    pub(crate) allow_personal_account: bool,
    /// The link must be at this version.
    pub(crate) expect: Option<u64>,
    pub(crate) request: Option<RequestKey>,
}

/// The whole of a replacement, for the task that carries it out.
struct Job {
    namespace: NamespaceName,
    id: LinkId,
    renewal: Renewal,
    ticket: Ticket,
}

impl Engine {
    /// Binds a link to a new grant, and has the old one revoked.
    ///
    /// It takes the place of a refresh, so that none is under way: the answer to a refresh of the old pair would else be
    /// taken for one about the new.
    pub(crate) async fn renew(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        renewal: Renewal,
        ticket: Ticket,
    ) -> Result<Versioned<Link>, Problem> {
        let whose = (namespace.clone(), id.clone());
        let job = Arc::new(Job {
            namespace: namespace.clone(),
            id: id.clone(),
            renewal,
            ticket,
        });
        loop {
            let (engine, job) = (self.clone(), Arc::clone(&job));
            let (flight, own) =
                self.refreshes().join(
                    whose.clone(),
                    || async move { engine.renew_alone(&job).await },
                );
            let outcome = flight.await;
            if own {
                outcome?;
                return self.link(namespace, id).await;
            }
        }
    }

    async fn renew_alone(&self, job: &Job) -> Result<(), Problem> {
        let _alone = self.gates().binding.lock().await;
        loop {
            match self.renew_once(job).await {
                // The link was changed, disabled for instance; it is looked at again. A flow may have changed as well: then
                // whoever confirms looks at it again, and at what was said to it.
                Err(problem)
                    if problem.reason == Reason::StoreConflict && job.ticket.flow.is_none() => {}
                outcome => return outcome,
            }
            if self.recall(job.ticket.request.as_ref()).await?.is_some() {
                // The same request, asked twice at the same time: the other one was faster.
                return Ok(());
            }
        }
    }

    async fn renew_once(&self, job: &Job) -> Result<(), Problem> {
        let (renewal, ticket) = (&job.renewal, &job.ticket);
        let before = self.link(&job.namespace, &job.id).await?;
        crate::namespaces::check_etag(ticket.expect, before.version)?;
        renewable(&before.record, ticket)?;
        let host = self.host(&before.record.host).await?.record;
        let mut link = before.record.clone();
        same_identity(&link, &renewal.identity, ticket.allow_identity_change)?;
        put_into(&mut link, renewal);
        let namespace = self.namespace(&link.namespace).await?.record;
        let rules = Rules {
            namespace: &namespace,
            expected_identity: "",
            allow_personal_account: ticket.allow_personal_account,
        };
        rules.account(&link, &renewal.identity)?;
        self.refuse_twin(&link.namespace, &link, &renewal.identity)
            .await?;
        let old = self.find_grant(&before.record, &host).await?;
        let grant = Grant {
            generation: next_generation(&link, old.as_ref()),
            ..renewal.grant.duplicate()
        };
        let found = Found {
            identity: renewal.identity.clone(),
            facts: Default::default(),
        };
        link.granted_scopes.clone_from(&renewal.granted_scopes);
        bind(&mut link, &grant, found, self.now());
        let version = old.as_ref().map(|old| old.version);
        let mut changes = replaced(&link, &host, grant.duplicate(), version, ticket)?;
        changes.extend(
            self.remember(ticket.request.as_ref(), &link.resource())
                .await?,
        );
        let retired = old.map(|old| self.retired(&before.record, &old.record, &host));
        let (retired, retire) = retired.transpose()?.unzip();
        changes.extend(retire.into_iter().flatten());
        self.forget_unsaved(&link.namespace, &link.id);
        self.put_link(link, Expect::Version(before.version), changes)
            .await?;
        if let Some(flow) = retired {
            self.give_up_soon(flow);
        }
        Ok(())
    }

    /// The grant that is replaced, kept as that of a flow that is over: it is revoked as soon as the forge answers, also
    /// after a restart.
    fn retired(
        &self,
        before: &Link,
        old: &Grant,
        host: &Host,
    ) -> Result<(FlowId, [Change; 2]), Problem> {
        let (namespace, id) = (before.namespace.clone(), self.new_flow_id()?);
        let (link, name) = (before.id.clone(), host.name.clone());
        let flow = Flow {
            stage: FlowStage::Finished,
            reauthorization: true,
            pending: Some(Pending {
                auth_kind: before.auth_kind,
                token_kind: before.token_kind.clone(),
                granted_scopes: before.granted_scopes.clone(),
                identity: before.identity.clone(),
                installation_id: before.installation_id.clone(),
                username: before.username.clone(),
            }),
            ..Flow::new(id.clone(), namespace, link, name, self.now())
        };
        let key = pending_key(&flow, host)?;
        let record = Record::PendingGrant(old.duplicate());
        let changes = [
            change(key, Expect::Absent, Some(record)),
            change(
                Key::Flow(id.clone()),
                Expect::Absent,
                Some(Record::Flow(flow)),
            ),
        ];
        Ok((id, changes))
    }
}

/// Whether the link still waits for this grant.
fn renewable(link: &Link, ticket: &Ticket) -> Result<(), Problem> {
    match link.observed.stage {
        Stage::Bound | Stage::NeedsReauthorization(_) => {}
        Stage::PendingAuthorization | Stage::PendingConfirmation => {
            let message = format!(
                "{} is not bound yet; finish its authorization, or cancel it",
                link.resource()
            );
            return Err(Problem::new(Reason::LinkNotBound, message));
        }
        Stage::Unlinking | Stage::Unlinked => {
            let message = format!("{} is unlinked; make a new link", link.resource());
            return Err(Problem::new(Reason::LinkUnlinked, message));
        }
    }
    let open = link.flow.as_ref().map(|open| &open.id);
    match (&ticket.flow, open) {
        (None, None) => Ok(()),
        (Some((flow, _)), Some(open)) if flow == open => Ok(()),
        (Some(_), _) => Err(Problem::new(
            Reason::FlowExpired,
            "this authorization is over; start it again",
        )),
        (None, Some(_)) => Err(under_way(link)),
    }
}

/// Another authorization of the link is under way.
pub(super) fn under_way(link: &Link) -> Problem {
    let message = format!(
        "an authorization of {} is under way; finish it, or cancel it first",
        link.resource()
    );
    Problem::new(Reason::FlowPending, message)
}

/// O7: the stable id must be the same, unless the caller wants another identity.
pub(crate) fn same_identity(link: &Link, identity: &Identity, allow: bool) -> Result<(), Problem> {
    match &link.identity {
        Some(known) if known.stable_id != identity.stable_id && !allow => {
            let message = format!(
                "the authorization belongs to {}, and the link to {}; sign in as that one, or allow the identity to change",
                identity.login, known.login
            );
            Err(Problem::new(Reason::IdentityMismatch, message))
        }
        _ => Ok(()),
    }
}

fn put_into(link: &mut Link, renewal: &Renewal) {
    link.auth_kind = renewal.auth_kind;
    link.token_kind.clone_from(&renewal.token_kind);
    link.username.clone_from(&renewal.username);
    link.installation_id.clone_from(&renewal.installation_id);
    link.permissions.clone_from(&renewal.permissions);
    link.requested_scopes.clone_from(&renewal.requested_scopes);
    link.upkeep = bindery_core::link::Upkeep {
        handed_out: link.upkeep.handed_out,
        // Only a token that a person made is replaced that way.
        rotate_token: link.upkeep.rotate_token && renewal.auth_kind == AuthKind::AccessToken,
        ..Default::default()
    };
    link.refresh_failed = None;
}

fn next_generation(link: &Link, old: Option<&Versioned<Grant>>) -> u64 {
    let last = old.map_or(0, |old| old.record.generation);
    last.max(link.generation) + 1
}

/// The new grant, and the end of all that belonged to the old one or waited for the new.
fn replaced(
    link: &Link,
    host: &Host,
    grant: Grant,
    old: Option<u64>,
    ticket: &Ticket,
) -> Result<Vec<Change>, Problem> {
    let (namespace, id, at) = (&link.namespace, &link.id, origins(host)?);
    let expect = old.map_or(Expect::Absent, Expect::Version);
    let key = Key::Grant(namespace.clone(), id.clone(), host.name.clone(), at.clone());
    let mut changes = vec![
        change(key, expect, Some(Record::Grant(grant))),
        change(
            Key::Intent(namespace.clone(), id.clone()),
            Expect::Any,
            None,
        ),
    ];
    if let Some((flow, version)) = &ticket.flow {
        let pending = Key::PendingGrant(namespace.clone(), flow.clone(), host.name.clone(), at);
        changes.extend([
            change(pending, Expect::Any, None),
            change(Key::Flow(flow.clone()), Expect::Version(*version), None),
        ]);
    }
    Ok(changes)
}

/// The link as a plugin should see it while it looks at a grant that came another way.
pub(crate) fn on_trial(link: &Link, auth_kind: AuthKind) -> Link {
    Link {
        auth_kind,
        token_kind: String::new(),
        identity: None,
        granted_scopes: None,
        username: String::new(),
        installation_id: String::new(),
        generation: 1,
        ..link.clone()
    }
}

/// What a vetted grant makes of the link that was on trial with it.
pub(crate) fn renewal(trial: Link, grant: Grant, found: Found) -> Renewal {
    Renewal {
        grant,
        auth_kind: trial.auth_kind,
        token_kind: trial.token_kind,
        username: trial.username,
        installation_id: trial.installation_id,
        permissions: trial.permissions,
        requested_scopes: trial.requested_scopes,
        granted_scopes: found.facts.scopes.or(trial.granted_scopes),
        identity: found.identity,
    }
}
