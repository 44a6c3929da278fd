//! Request ids: the same request asked twice has one effect.

mod order;

use std::time::Duration;

use bindery_core::{
    port::{Change, Expect, Key, Listing, Record, RequestMemory},
    problem::{Problem, Reason},
    time::Timestamp,
};

pub(crate) use self::order::Requests;
use crate::{Engine, Listed, Versioned, digest::sha256, records::change};

/// Requests that are forgotten in one transaction.
const AT_ONCE: usize = 64;

/// Requests that are read at once where all are gone through.
const PAGE: usize = 256;

/// How long a request id is remembered.
const MEMORY: Duration = Duration::from_secs(3600);

/// A request id with all that makes it unique.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestKey {
    /// Who asked, what for, and the id.
    key: String,
    /// SHA-256 of the request.
    digest: [u8; 32],
}

impl RequestKey {
    /// `None` for an empty id. `request` is the encoded request.
    #[must_use]
    pub fn new(principal: &str, method: &str, request_id: &str, request: &[u8]) -> Option<Self> {
        let named = !request_id.is_empty();
        named.then(|| Self {
            key: format!("{}:{principal} {method} {request_id}", principal.len()),
            digest: sha256(request),
        })
    }

    /// The change that forgets what the request led to, since that was taken back.
    pub(crate) fn forget(&self) -> Change {
        change(Key::Request(self.key.clone()), Expect::Any, None)
    }
}

impl Engine {
    /// The resource that this request led to before.
    pub(crate) async fn recall(
        &self,
        request: Option<&RequestKey>,
    ) -> Result<Option<String>, Problem> {
        let Some(request) = request else {
            return Ok(None);
        };
        let Some(memory) = self.request(&request.key).await?.map(|entry| entry.record) else {
            return Ok(None);
        };
        if memory.expires <= self.now() {
            return Ok(None);
        }
        if memory.request_digest != request.digest {
            return Err(Problem::new(
                Reason::RequestIdReused,
                "this request_id came with another request; use a new one",
            ));
        }
        Ok(Some(memory.resource))
    }

    /// The change that remembers what a request led to. Of two that come at the same time one fails.
    pub(crate) async fn remember(
        &self,
        request: Option<&RequestKey>,
        resource: &str,
    ) -> Result<Option<Change>, Problem> {
        let Some(request) = request else {
            return Ok(None);
        };
        let now = self.now();
        let expect = match self.request(&request.key).await? {
            Some(old) if old.record.expires <= now => Expect::Version(old.version),
            _ => Expect::Absent,
        };
        let memory = RequestMemory {
            key: request.key.clone(),
            request_digest: request.digest,
            resource: resource.to_owned(),
            expires: now.after(MEMORY),
        };
        // Before it is in the store: one that never comes there is looked for in vain, once.
        self.requests().note(&memory);
        Ok(Some(Change {
            key: Key::Request(request.key.clone()),
            expect,
            write: Some(Record::Request(memory)),
        }))
    }

    /// A resource has moved: requests that led to it lead to its new name.
    pub(crate) async fn lead_to(&self, old: &str, new: &str) -> Result<Vec<Change>, Problem> {
        let mut rewrite = Vec::new();
        for entry in self.requests_for(old).await? {
            let memory = RequestMemory {
                resource: new.to_owned(),
                ..entry.record
            };
            self.requests().note(&memory);
            let key = Key::Request(memory.key.clone());
            let expect = Expect::Version(entry.version);
            rewrite.push(change(key, expect, Some(Record::Request(memory))));
        }
        Ok(rewrite)
    }

    async fn requests_for(&self, resource: &str) -> Result<Vec<Versioned<RequestMemory>>, Problem> {
        let mut found = Vec::new();
        let Some(keys) = self.requests().leading_to(resource) else {
            let mut after = None;
            loop {
                let mut page = self.request_page(after.as_deref()).await?;
                page.items.retain(|entry| entry.record.resource == resource);
                found.append(&mut page.items);
                after = page.next;
                if after.is_none() {
                    return Ok(found);
                }
            }
        };
        for key in keys {
            let entry = self.request(&key).await?;
            found.extend(entry.filter(|entry| entry.record.resource == resource));
        }
        Ok(found)
    }

    async fn request_page(&self, after: Option<&[u8]>) -> Result<Listed<RequestMemory>, Problem> {
        self.list(&Listing::Requests, after, PAGE, as_request).await
    }

    /// Forgets the requests whose time is over. Reads those and no others, once all are known.
    pub(crate) async fn forget_requests(&self) -> Result<(), Problem> {
        let now = self.now();
        let looked = match self.requests().must_look(now) {
            true => self.look_through_requests().await,
            false => Ok(()),
        };
        let forgotten = match looked {
            Ok(()) => self.forget_all_due(now).await,
            Err(problem) => Err(problem),
        };
        // What was taken out of the order, or not looked at, is looked for again.
        forgotten.inspect_err(|_| self.requests().doubt())
    }

    async fn forget_all_due(&self, now: Timestamp) -> Result<(), Problem> {
        loop {
            let due = self.requests().take_due(now, AT_ONCE);
            if due.is_empty() {
                return Ok(());
            }
            self.forget_due(due).await?;
        }
    }

    /// Learns what is in the store, page by page. What is over by then goes at once.
    async fn look_through_requests(&self) -> Result<(), Problem> {
        let (now, mut after) = (self.now(), None);
        loop {
            let page = self.request_page(after.as_deref()).await?;
            let (over, open): (Vec<_>, Vec<_>) = page
                .items
                .into_iter()
                .partition(|entry| entry.record.expires <= now);
            open.iter()
                .for_each(|entry| self.requests().note(&entry.record));
            self.forget_all(over).await?;
            after = page.next;
            if after.is_none() {
                self.requests().looked();
                return Ok(());
            }
        }
    }

    async fn forget_due(&self, keys: Vec<String>) -> Result<(), Problem> {
        let (now, mut over) = (self.now(), Vec::new());
        for key in keys {
            // It may have been used again since, or never come into the store.
            let entry = self.request(&key).await?;
            over.extend(entry.filter(|entry| entry.record.expires <= now));
        }
        self.forget_all(over).await
    }

    async fn forget_all(&self, over: Vec<Versioned<RequestMemory>>) -> Result<(), Problem> {
        for some in over.chunks(AT_ONCE) {
            let remove = some.iter().map(|entry| {
                let key = Key::Request(entry.record.key.clone());
                change(key, Expect::Version(entry.version), None)
            });
            self.commit(remove.collect()).await?;
        }
        Ok(())
    }
}

fn as_request(record: Record) -> Option<RequestMemory> {
    if let Record::Request(memory) = record {
        Some(memory)
    } else {
        None
    }
}
