//! The unlink saga: stop hand-out, hooks, leases, revoke, erase, receipt. Ordered, resumable, each step idempotent.
//!
//! The order matters: after the provider's grant is gone, hooks can no longer be deleted. What can't be done is said,
//! with the page where a person does it. A step that fails for reasons that pass (the forge is away) leaves the link in
//! `UNLINKING`; the sweep goes on with it, and so does the next call.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bindery_core::{
    host::Host,
    link::{Link, Stage},
    name::{LinkId, NamespaceName},
    port::{BoxFuture, Expect, Key, Listing, Record},
    problem::{Problem, Reason},
    provider::{AuthKind, Input, Output, RevocationOutcome},
    receipt::{Outcome, Receipt, StepKind},
    secret::{Secret, SecretSet},
};
use futures_util::{FutureExt, future::Shared};

use crate::{
    Engine, Listed, Versioned,
    hosts::as_namespace_name,
    links::facts,
    namespaces::check_etag,
    operation::{Context, off_topic},
    records::{as_link, change, origins},
};

type Saga = Shared<BoxFuture<'static, Result<(), Problem>>>;

/// The sagas that run.
#[derive(Default)]
pub(crate) struct Sagas {
    running: Mutex<HashMap<(NamespaceName, LinkId), Saga>>,
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
        let link = self.link(namespace, id).await?;
        if link.record.observed.stage == Stage::Unlinked {
            return self.receipt(namespace, id).await;
        }
        check_etag(options.expect, link.version)?;
        self.open_receipt(namespace, id, &options.reason).await?;
        self.saga(namespace, id, options.force).await?;
        self.receipt(namespace, id).await
    }

    /// Unlinks without waiting.
    pub(crate) async fn unlink_in_background(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        reason: &str,
    ) -> Result<(), Problem> {
        self.open_receipt(namespace, id, reason).await?;
        drop(self.saga(namespace, id, false));
        Ok(())
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

    /// From here on nothing is handed out: the stage and the open receipt are durable together.
    async fn open_receipt(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        reason: &str,
    ) -> Result<(), Problem> {
        loop {
            let Versioned {
                record: mut link,
                version,
            } = self.link(namespace, id).await?;
            if matches!(link.observed.stage, Stage::Unlinking | Stage::Unlinked) {
                return Ok(());
            }
            let login = link
                .identity
                .as_ref()
                .map(|identity| identity.login.clone())
                .unwrap_or_default();
            let receipt = Receipt::open(
                namespace.clone(),
                id.clone(),
                link.host.clone(),
                login,
                self.now(),
            );
            link.observe(Stage::Unlinking, reason, self.now());
            let key = Key::Receipt(namespace.clone(), id.clone());
            let put = change(key, Expect::Any, Some(Record::Receipt(receipt)));
            match self
                .put_link(link, Expect::Version(version), vec![put])
                .await
            {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }

    /// Joins the saga of a link, or starts it.
    fn saga(&self, namespace: &NamespaceName, id: &LinkId, force: bool) -> Saga {
        let key = (namespace.clone(), id.clone());
        let mut running = lock(&self.sagas().running);
        if let Some(saga) = running.get(&key) {
            return saga.clone();
        }
        let (engine, own) = (self.clone(), key.clone());
        let task = tokio::spawn(async move {
            let outcome = engine.run_saga(&own.0, &own.1, force).await;
            lock(&engine.sagas().running).remove(&own);
            outcome
        });
        let stopped = |_| {
            Err(Problem::new(
                Reason::ShuttingDown,
                "the daemon stops; it goes on after the start",
            ))
        };
        let saga = task
            .map(move |joined| joined.unwrap_or_else(stopped))
            .boxed()
            .shared();
        running.insert(key, saga.clone());
        saga
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
            match self.step(step, &link).await {
                Ok((outcome, message)) => {
                    self.note_step(receipt, version, step, outcome, message)
                        .await?
                }
                Err(problem) if force => {
                    let outcome = Outcome::Failed {
                        reason: problem.reason.as_str().to_owned(),
                    };
                    self.note_step(receipt, version, step, outcome, problem.message)
                        .await?;
                }
                Err(problem) => {
                    self.note_wait(namespace, id, &problem).await?;
                    return Err(problem);
                }
            }
        }
    }

    async fn step(&self, step: StepKind, link: &Link) -> Result<(Outcome, String), Problem> {
        match step {
            StepKind::StopHandOut => {
                self.settle(&link.namespace, &link.id).await;
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
            StepKind::RevokeGrant => self.revoke(link).await,
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

    async fn revoke(&self, link: &Link) -> Result<(Outcome, String), Problem> {
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
        let token = match self.fresh_token(link, &host).await {
            Ok(token) => token,
            Err(_) => self.last_token(link, &host).await?,
        };
        let secrets = self.revocation_secrets(&host, token).await?;
        let context = Context::new(&host, facts(link, &host), secrets)?;
        let input = Input::Revoke {
            whole_grant: link.auth_kind == AuthKind::OAuthCode && !shared,
        };
        match self.run(context, input).await {
            Ok(outcome) => revoked(outcome.last, &host),
            // The provider does not know the token any more: that is what was wanted.
            Err(problem) if problem.reason == Reason::TokenRefused => Ok((
                Outcome::AlreadyAbsent,
                "the provider does not accept the token any more".to_owned(),
            )),
            Err(problem) => Err(problem),
        }
    }

    async fn last_token(&self, link: &Link, host: &Host) -> Result<Secret, Problem> {
        let grant = self.find_grant(link, host).await?;
        let token = grant.map(|grant| grant.record.access_token);
        token.ok_or_else(|| Problem::new(Reason::LinkNotBound, "the link holds no credentials"))
    }

    async fn revocation_secrets(&self, host: &Host, token: Secret) -> Result<SecretSet, Problem> {
        let mut secrets = SecretSet::new();
        secrets.insert("access_token", token);
        if let Some(client_secret) = self.host_secrets(host).await?.client_secrets.first() {
            secrets.insert("client_secret", client_secret.duplicate());
        }
        Ok(secrets)
    }

    /// Another live link with the same identity on the same host.
    async fn has_sibling(&self, link: &Link) -> Result<bool, Problem> {
        let Some(identity) = &link.identity else {
            return Ok(false);
        };
        let sibling = |other: &Link| {
            let same = other
                .identity
                .as_ref()
                .is_some_and(|other| other.stable_id == identity.stable_id);
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

    /// Goes on with every unlink that has not finished.
    pub(crate) async fn resume_unlinks(&self) -> Result<(), Problem> {
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
                    // What goes wrong is noted in the link.
                    let _ = self.saga(&link.namespace, &link.id, false).await;
                }
            }
        }
        Ok(())
    }
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
