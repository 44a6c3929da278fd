//! Request ids: the same request asked twice has one effect.

use std::time::Duration;

use bindery_core::{
    port::{Change, Expect, Key, Listing, Record, RequestMemory},
    problem::{Problem, Reason},
};

use crate::{Engine, digest::sha256, records::change};

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
        Ok(Some(Change {
            key: Key::Request(request.key.clone()),
            expect,
            write: Some(Record::Request(memory)),
        }))
    }

    /// A resource has moved: requests that led to it lead to its new name.
    pub(crate) async fn lead_to(&self, old: &str, new: &str) -> Result<Vec<Change>, Problem> {
        let requests = self.list_all(&Listing::Requests, as_request).await?;
        let moved = requests
            .into_iter()
            .filter(|entry| entry.record.resource == old);
        let rewrite = moved.map(|entry| {
            let memory = RequestMemory {
                resource: new.to_owned(),
                ..entry.record
            };
            let key = Key::Request(memory.key.clone());
            let expect = Expect::Version(entry.version);
            change(key, expect, Some(Record::Request(memory)))
        });
        Ok(rewrite.collect())
    }
}

pub(crate) fn as_request(record: Record) -> Option<RequestMemory> {
    if let Record::Request(memory) = record {
        Some(memory)
    } else {
        None
    }
}
