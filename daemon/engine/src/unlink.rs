//! The unlink saga: stop hand-out, hooks, leases, revoke, erase, receipt. Ordered, resumable, each step idempotent.
//!
//! The order matters: after the provider's grant is gone, hooks can no longer be deleted. What can't be done is said,
//! with the page where a person does it. A step that fails for reasons that pass (the forge is away) leaves the link in
//! `UNLINKING`; the sweep goes on with it, and so does the next call.

mod endpoint;
mod hooks;
mod resume;
mod saga;
mod shared;
mod steps;

pub(crate) use self::steps::revoked;

use std::{
    collections::HashMap,
    sync::{Mutex, atomic::AtomicBool},
    time::Duration,
};

use bindery_core::{
    link::{Link, Stage},
    name::{LinkId, NamespaceName},
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason},
    receipt::Receipt,
    time::Timestamp,
};

use crate::{
    Engine, Listed, RequestKey, Versioned,
    audience::Audience,
    flight::{Whose, lock},
    namespaces::check_etag,
    records::change,
};

/// An unlink that can't revoke is tried for so long; then it erases, and says what is left behind (THREATS O10).
pub const PATIENCE: Duration = Duration::from_secs(7 * 86_400);

/// Who asks where the daemon does it by itself.
const DAEMON: &str = "daemon";

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
    /// Who asks.
    pub actor: String,
    /// Which links of a shared grant may be named to them.
    pub audience: Audience,
    /// Erase even if the provider can't be reached to revoke; the receipt then says what is left behind.
    pub force: bool,
    /// The webhooks of its sources stay at the provider; the receipt names each.
    pub keep_hooks: bool,
    /// What becomes of a grant that other links live on.
    pub shared: SharedGrant,
    /// The link must be at this version.
    pub expect: Option<u64>,
    /// What makes a repetition known.
    pub request: Option<RequestKey>,
}

/// What becomes of a grant that other links live on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SharedGrant {
    /// Nothing is done, and the links are named.
    #[default]
    Refuse,
    /// It stays for the others; only the link's own token is ended.
    Keep,
    /// It ends, and the others say so.
    End,
}

impl Engine {
    /// Unlinks, and answers with the receipt. A caller that goes away does not stop it.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `GRANT_SHARED` before anything is done; when revoking fails for reasons that may
    /// pass, what the provider says: the link stays `UNLINKING`, hands out nothing, and is tried again.
    pub async fn unlink(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        options: UnlinkOptions,
    ) -> Result<Versioned<Receipt>, Problem> {
        self.recall(options.request.as_ref()).await?;
        self.open_receipt(namespace, id, &options, |_| true).await?;
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
        let options = UnlinkOptions {
            reason: reason.to_owned(),
            actor: DAEMON.to_owned(),
            shared: SharedGrant::Keep,
            ..UnlinkOptions::default()
        };
        let open = self.open_receipt(namespace, id, &options, from).await?;
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
        let listing = Listing::Receipts(namespace.clone());
        self.list(&listing, after, limit, as_receipt).await
    }

    /// All receipts of a namespace.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn all_receipts(&self, namespace: &NamespaceName) -> Result<Vec<Receipt>, Problem> {
        let listing = Listing::Receipts(namespace.clone());
        let all = self.list_all(&listing, as_receipt).await?;
        Ok(all.into_iter().map(|entry| entry.record).collect())
    }

    /// From here on nothing is handed out: the stage and the open receipt are durable together. Says whether the link is
    /// being unlinked now.
    async fn open_receipt(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        options: &UnlinkOptions,
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
                _ => check_etag(options.expect, version)?,
            }
            let affected = self.losing(&link, options).await?;
            let receipt = Receipt {
                actor: options.actor.clone(),
                affected,
                keep_hooks: options.keep_hooks,
                ..opened(&link, self.now())
            };
            let resource = format!("namespaces/{namespace}/receipts/{id}");
            link.flow = None;
            link.observe(Stage::Unlinking, options.reason.as_str(), self.now());
            let key = Key::Receipt(namespace.clone(), id.clone());
            let mut others = vec![change(key, Expect::Any, Some(Record::Receipt(receipt)))];
            others.extend(self.remember(options.request.as_ref(), &resource).await?);
            if let Some(flow) = self.flow_of(namespace, id).await? {
                if flow.record.reauthorization {
                    // What it brought is revoked by itself; then there is no flow, and this goes on.
                    self.end_anew(&flow.record).await?;
                    continue;
                }
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
}

fn as_receipt(record: Record) -> Option<Receipt> {
    if let Record::Receipt(receipt) = record {
        Some(receipt)
    } else {
        None
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
