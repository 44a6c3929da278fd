//! The unlink saga: stop hand-out, hooks, leases, revoke, erase, receipt. Ordered, resumable, each step idempotent.
//!
//! The order matters: after the provider's grant is gone, hooks can no longer be deleted. What can't be done is said,
//! with the page where a person does it. A step that fails for reasons that pass (the forge is away) leaves the link in
//! `UNLINKING`; the sweep goes on with it, and so does the next call.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    host::Host,
    link::{Link, Stage},
    name::{LinkId, NamespaceName},
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason},
    provider::{AuthKind, Input, Output, RevocationOutcome},
    receipt::{Outcome, Receipt, StepKind},
    secret::{Secret, SecretSet},
    time::Timestamp,
};
use futures_util::{StreamExt, stream};

use crate::{
    Engine, Listed, Versioned,
    flight::{Flight, Whose, lock},
    hosts::as_namespace_name,
    links::facts,
    namespaces::check_etag,
    operation::{Context, off_topic},
    records::{as_link, change, origins},
};

/// An unlink that can't revoke is tried for so long; then it erases, and says what is left behind (THREATS O10).
pub const PATIENCE: Duration = Duration::from_secs(7 * 86_400);

/// Bounds of the wait between two tries.
const BETWEEN_TRIES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));

/// Sagas that a sweep runs at the same time.
const AT_ONCE: usize = 8;

/// The sagas that have not ended, and when the sweep tries each again.
#[derive(Default)]
pub(crate) struct Unfinished {
    next_try: Mutex<HashMap<Whose, Timestamp>>,
    /// What the last stop left was looked for.
    known: AtomicBool,
}

/// How to unlink.
#[derive(Clone, Debug, Default)]
pub struct UnlinkOptions {
    /// Why, in the person's words.
    pub reason: String,
    /// Erase even if the provider can't be reached to revoke; the receipt then says what is left behind.
    pub force: bool,
    /// The link must be at this version.
    pub expect: Option<u64>,
}

impl Engine {
    /// Unlinks, and answers with the receipt. A caller that goes away does not stop it.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`; when revoking fails for reasons that may pass, what the provider says: the link stays
    /// `UNLINKING`, hands out nothing, and is tried again.
    pub async fn unlink(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        options: UnlinkOptions,
    ) -> Result<Versioned<Receipt>, Problem> {
        self.open_receipt(namespace, id, &options.reason, options.expect, |_| true)
            .await?;
        let outcome = self.saga(namespace, id, options.force).await;
        if options.force && outcome.is_err() {
            // The one that was joined was not forced.
            self.saga(namespace, id, true).await?;
        } else {
            outcome?;
        }
        self.receipt(namespace, id).await
    }

    /// Unlinks without waiting, if the link is still at one of `from`. Says whether it was.
    pub(crate) async fn unlink_in_background(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        reason: &str,
        from: fn(Stage) -> bool,
    ) -> Result<bool, Problem> {
        let open = self.open_receipt(namespace, id, reason, None, from).await?;
        if open {
            drop(self.saga(namespace, id, false));
        }
        Ok(open)
    }

    /// A receipt.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn receipt(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
    ) -> Result<Versioned<Receipt>, Problem> {
        let found = self.find_receipt(namespace, id).await?;
        found.ok_or_else(|| Problem::not_found(format!("namespaces/{namespace}/receipts/{id}")))
    }

    /// Receipts of a namespace.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn list_receipts(
        &self,
        namespace: &NamespaceName,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Listed<Receipt>, Problem> {
        let pick = |record| {
            if let Record::Receipt(receipt) = record {
                Some(receipt)
            } else {
                None
            }
        };
        self.list(&Listing::Receipts(namespace.clone()), after, limit, pick)
            .await
    }

    /// From here on nothing is handed out: the stage and the open receipt are durable together. Says whether the link is
    /// being unlinked now.
    async fn open_receipt(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        reason: &str,
        expect: Option<u64>,
        from: fn(Stage) -> bool,
    ) -> Result<bool, Problem> {
        loop {
            let Versioned {
                record: mut link,
                version,
            } = self.link(namespace, id).await?;
            match link.observed.stage {
                Stage::Unlinking => return Ok(true),
                Stage::Unlinked if self.find_receipt(namespace, id).await?.is_some() => {
                    return Ok(true);
                }
                stage if !from(stage) => return Ok(false),
                // Ended before there was anything to revoke; who asks gets a receipt that says so.
                Stage::Unlinked => {}
                _ => check_etag(expect, version)?,
            }
            let receipt = opened(&link, self.now());
            link.observe(Stage::Unlinking, reason, self.now());
            let key = Key::Receipt(namespace.clone(), id.clone());
            let mut others = vec![change(key, Expect::Any, Some(Record::Receipt(receipt)))];
            if let Some(flow) = self.flow_of(namespace, id).await? {
                // Nobody may finish it any more.
                others.push(change(Key::Flow(flow.record.id), Expect::Any, None));
            }
            match self.put_link(link, Expect::Version(version), others).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                Err(problem) => return Err(problem),
                Ok(()) => {
                    let whose = (namespace.clone(), id.clone());
                    lock(&self.unfinished().next_try).insert(whose, self.now());
                    return Ok(true);
                }
            }
        }
    }

    /// Joins the saga of a link, or starts it.
    fn saga(&self, namespace: &NamespaceName, id: &LinkId, force: bool) -> Flight {
        let whose = (namespace.clone(), id.clone());
        let (engine, own) = (self.clone(), whose.clone());
        let saga = self.sagas().join(whose, || async move {
            let outcome = engine.run_saga(&own.0, &own.1, force).await;
            engine.note_try(own, outcome.as_ref().err()).await;
            outcome
        });
        saga.0
    }

    /// When the sweep tries again: soon at first, then less and less often, and never before the provider allows it.
    async fn note_try(&self, whose: Whose, problem: Option<&Problem>) {
        let Some(problem) = problem else {
            lock(&self.unfinished().next_try).remove(&whose);
            return;
        };
        let now = self.now();
        let started = match self.receipt(&whose.0, &whose.1).await {
            Ok(receipt) => receipt.record.started,
            Err(_) => now,
        };
        let (least, most) = BETWEEN_TRIES;
        let wait = (now.since(started) / 4).clamp(least, most);
        let wait = wait.max(problem.retry_after.unwrap_or_default());
        lock(&self.unfinished().next_try).insert(whose, now.after(wait));
    }

    async fn run_saga(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        force: bool,
    ) -> Result<(), Problem> {
        loop {
            let Versioned {
                record: receipt,
                version,
            } = self.receipt(namespace, id).await?;
            let Some(step) = receipt.next_step() else {
                return Ok(());
            };
            let link = self.link(namespace, id).await?.record;
            let force = force || self.now().since(receipt.started) >= PATIENCE;
            let (outcome, message) = match self.step(step, &link, force).await {
                Ok(ended) => ended,
                Err(problem) if force => left_behind(&problem),
                Err(problem) => {
                    self.note_wait(namespace, id, &problem).await?;
                    return Err(problem);
                }
            };
            match self
                .note_step(receipt, version, step, outcome, message)
                .await
            {
                // Somebody else has changed the link: each step can be done twice.
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                noted => noted?,
            }
        }
    }

    async fn step(
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
            StepKind::RevokeLeases => {
                let message =
                    "tokens that were handed out are the link's own and end with its grant";
                Ok((Outcome::AlreadyAbsent, message.to_owned()))
            }
            StepKind::RevokeGrant => self.revoke(link, force).await,
            StepKind::Erase => Ok((Outcome::Done, "the credentials are erased".to_owned())),
        }
    }

    /// Notes a step. The last one erases the credentials in the same transaction.
    async fn note_step(
        &self,
        mut receipt: Receipt,
        version: u64,
        step: StepKind,
        outcome: Outcome,
        message: String,
    ) -> Result<(), Problem> {
        receipt.record(step, outcome, message);
        let (namespace, id) = (receipt.namespace.clone(), receipt.link.clone());
        let last = receipt.next_step().is_none();
        if last {
            receipt.finished = Some(self.now());
        }
        let key = Key::Receipt(namespace.clone(), id.clone());
        let mut changes = vec![change(
            key,
            Expect::Version(version),
            Some(Record::Receipt(receipt)),
        )];
        if !last {
            return self.commit(changes).await;
        }
        let Versioned {
            record: mut link,
            version,
        } = self.link(&namespace, &id).await?;
        let host = self.host(&link.host).await?.record;
        changes.push(change(
            Key::Grant(
                namespace.clone(),
                id.clone(),
                host.name.clone(),
                origins(&host)?,
            ),
            Expect::Any,
            None,
        ));
        self.forget_unsaved(&namespace, &id);
        changes.push(change(Key::Intent(namespace, id), Expect::Any, None));
        link.observe(
            Stage::Unlinked,
            "unlinked; the receipt says what was done",
            self.now(),
        );
        link.token_expires = None;
        link.refreshable = false;
        self.put_link(link, Expect::Version(version), changes).await
    }

    async fn note_wait(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        problem: &Problem,
    ) -> Result<(), Problem> {
        self.change_link(namespace, id, |link| {
            link.observed.message = format!("unlinking waits: {}", problem.message);
            link.observed.action_uri.clone_from(&problem.action_uri);
            link.observed.who = problem.who;
            Ok(())
        })
        .await?;
        Ok(())
    }

    async fn revoke(&self, link: &Link, force: bool) -> Result<(Outcome, String), Problem> {
        let host = self.host(&link.host).await?.record;
        if self.find_grant(link, &host).await?.is_none() {
            return Ok((
                Outcome::AlreadyAbsent,
                "the link never held a grant".to_owned(),
            ));
        }
        let description = self.description(&host.provider)?;
        let shared = description.revocation.kills_siblings && self.has_sibling(link).await?;
        // A provider may know a grant only by a token that is still good; where none can be had, the old one is tried.
        let stale = self.last_refresh(link).await.err().filter(may_pass);
        let token = self.last_token(link, &host).await?;
        let secrets = self.revocation_secrets(&host, token).await?;
        let context = Context::new(&host, facts(link, &host), secrets)?;
        let input = Input::Revoke {
            whole_grant: link.auth_kind == AuthKind::OAuthCode && !shared,
        };
        let ended = match self.run(context, input).await {
            Ok(outcome) => revoked(outcome.last, &host)?,
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

    pub(crate) async fn revocation_secrets(
        &self,
        host: &Host,
        token: Secret,
    ) -> Result<SecretSet, Problem> {
        let mut secrets = SecretSet::new();
        secrets.insert("access_token", token);
        if let Some(client_secret) = self.host_secrets(host).await?.client_secrets.first() {
            secrets.insert("client_secret", client_secret.duplicate());
        }
        Ok(secrets)
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

    /// Goes on with every unlink that has not finished and whose time has come.
    pub(crate) async fn resume_unlinks(&self) -> Result<(), Problem> {
        if !self.unfinished().known.load(Ordering::SeqCst) {
            self.find_unfinished().await?;
        }
        let now = self.now();
        let due: Vec<_> = lock(&self.unfinished().next_try)
            .iter()
            .filter(|(_, next)| **next <= now)
            .map(|(whose, _)| whose.clone())
            .collect();
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, |(namespace, id)| async move {
                // What goes wrong is noted in the link.
                let _ = self.saga(&namespace, &id, false).await;
            })
            .await;
        Ok(())
    }

    /// What the last stop left. Done once: from then on every saga is known from its start.
    async fn find_unfinished(&self) -> Result<(), Problem> {
        for namespace in self
            .list_all(&Listing::Namespaces, as_namespace_name)
            .await?
        {
            for entry in self
                .list_all(&Listing::Links(namespace.record), as_link)
                .await?
            {
                let link = entry.record;
                if link.observed.stage == Stage::Unlinking {
                    lock(&self.unfinished().next_try)
                        .entry((link.namespace, link.id))
                        .or_default();
                }
            }
        }
        self.unfinished().known.store(true, Ordering::SeqCst);
        Ok(())
    }
}

fn opened(link: &Link, now: Timestamp) -> Receipt {
    let identity = link.identity.as_ref();
    Receipt::open(
        link.namespace.clone(),
        link.id.clone(),
        link.host.clone(),
        identity
            .map(|identity| identity.login.clone())
            .unwrap_or_default(),
        now,
    )
}

fn left_behind(problem: &Problem) -> (Outcome, String) {
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

fn revoked(output: Output, host: &Host) -> Result<(Outcome, String), Problem> {
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
