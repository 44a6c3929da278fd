//! What the double remembers.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bindery_proto::{
    admin::v1::{Check, Plugin},
    v1::{
        DeadLetter, Expiring, Host, Lease, Link, Namespace, Organization, Provider, Receipt, Ref,
        Repository, Subscription, Trigger,
    },
};
use prost_types::Timestamp;
use tokio::sync::watch;
use tonic::{Request, Status, metadata::MetadataMap};

use super::{Refusal, consumers::Feeds, refusal::not_found, sources::Sources};

/// How long tokens live.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenLife {
    /// They do not expire.
    Endless,
    /// They expire after this time.
    Lasting(Duration),
}

/// A call that arrived.
#[derive(Clone, Debug)]
pub struct RecordedCall {
    /// Name of the method, such as `GetLink`.
    pub method: String,
    /// `request_id` of the message; empty where it has none.
    pub request_id: String,
    /// The headers.
    pub headers: MetadataMap,
}

#[derive(Debug)]
pub(super) struct World {
    state: Arc<Mutex<State>>,
    pub(super) changes: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) providers: BTreeMap<String, Provider>,
    pub(super) hosts: BTreeMap<String, Host>,
    pub(super) namespaces: BTreeMap<String, Namespace>,
    pub(super) links: BTreeMap<String, Link>,
    pub(super) receipts: BTreeMap<String, Receipt>,
    pub(super) repositories: BTreeMap<String, Vec<Repository>>,
    pub(super) refs: BTreeMap<String, Vec<Ref>>,
    pub(super) organizations: BTreeMap<String, Vec<Organization>>,
    pub(super) leases: Vec<Lease>,
    pub(super) sources: Sources,
    pub(super) feeds: Feeds,
    pub(super) triggers: BTreeMap<String, Trigger>,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub(super) dead_letters: BTreeMap<String, Vec<DeadLetter>>,
    pub(super) expiring: Vec<Expiring>,
    pub(super) shared_grants: bool,
    pub(super) plugins: Vec<Plugin>,
    pub(super) checks: Vec<Check>,
    pub(super) sealed: bool,
    pub(super) faults: BTreeMap<String, VecDeque<Status>>,
    pub(super) calls: Vec<RecordedCall>,
    pub(super) down: bool,
    pub(super) token_life: TokenLife,
    pub(super) delay: Duration,
    pub(super) longest_page: usize,
    pub(super) counter: u64,
}

impl Default for World {
    fn default() -> Self {
        let state = State {
            providers: BTreeMap::new(),
            hosts: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            links: BTreeMap::new(),
            receipts: BTreeMap::new(),
            repositories: BTreeMap::new(),
            refs: BTreeMap::new(),
            organizations: BTreeMap::new(),
            leases: Vec::new(),
            sources: Sources::default(),
            feeds: Feeds::default(),
            triggers: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
            expiring: Vec::new(),
            shared_grants: false,
            plugins: Vec::new(),
            checks: Vec::new(),
            sealed: false,
            faults: BTreeMap::new(),
            calls: Vec::new(),
            down: false,
            token_life: TokenLife::Lasting(Duration::from_secs(3600)),
            delay: Duration::ZERO,
            longest_page: 1000,
            counter: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            changes: watch::Sender::new(0),
        }
    }
}

/// Requests that may carry a `request_id`.
pub(super) trait Keyed {
    fn key(&self) -> &str {
        ""
    }
}

/// Implements [`Keyed`] for requests of `bindery.v1` with a `request_id`.
macro_rules! keyed {
    ($($request:ident),*) => {
        $(impl Keyed for bindery_proto::v1::$request {
            fn key(&self) -> &str {
                &self.request_id
            }
        })*
    };
}

pub(super) use keyed;

impl World {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for what outlives a call.
    pub(super) fn share(&self) -> Arc<Mutex<State>> {
        self.state.clone()
    }

    /// Reads links where the world itself can't be borrowed.
    pub(super) fn links_reader(&self) -> impl Fn(&str) -> Option<Link> + Clone + Send + use<> {
        let state = self.state.clone();
        move |name| {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.links.get(name).cloned()
        }
    }

    /// Records a call, and fails it where that was asked for.
    pub(super) fn enter<M: Keyed>(&self, method: &str, request: &Request<M>) -> Result<(), Status> {
        let mut state = self.lock();
        state.calls.push(RecordedCall {
            method: method.to_owned(),
            request_id: request.get_ref().key().to_owned(),
            headers: request.metadata().clone(),
        });
        if state.down {
            return Err(Status::unavailable("the double plays an outage"));
        }
        match state.faults.get_mut(method).and_then(VecDeque::pop_front) {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    pub(super) fn edit_link(
        &self,
        name: &str,
        edit: impl FnOnce(&mut Link),
    ) -> Result<Link, Status> {
        let link = {
            let mut state = self.lock();
            state.counter += 1;
            let etag = format!("{:x}", state.counter);
            let link = state.links.get_mut(name).ok_or_else(|| not_found(name))?;
            edit(link);
            link.etag = etag;
            link.clone()
        };
        self.changed();
        Ok(link)
    }
}

impl State {
    pub(super) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// One page of a list, and the token of the next one.
    pub(super) fn page<T: Clone>(
        &self,
        all: &[T],
        size: i32,
        token: &str,
    ) -> Result<(Vec<T>, String), Status> {
        let asked = match usize::try_from(size) {
            Ok(0) => 50,
            Ok(size) => size,
            Err(_) => return Err(wrong("PAGE_SIZE_INVALID", "page_size")),
        };
        let start = if token.is_empty() {
            0
        } else {
            token
                .parse()
                .map_err(|_| wrong("INVALID_PAGE_TOKEN", "page_token"))?
        };
        let end = all.len().min(start + asked.min(self.longest_page));
        let next = if end < all.len() {
            end.to_string()
        } else {
            String::new()
        };
        Ok((all.get(start..end).unwrap_or_default().to_vec(), next))
    }
}

pub(super) fn wrong(reason: &str, field: &str) -> Status {
    let message = format!("{field} can't be used; correct it");
    let refusal = Refusal::new(tonic::Code::InvalidArgument, reason, message);
    refusal.violation(field, "can't be used").into()
}

pub(super) fn now() -> Option<Timestamp> {
    Some(SystemTime::now().into())
}

pub(super) fn after(time: Duration) -> Option<Timestamp> {
    Some((SystemTime::now() + time).into())
}

/// `field = "value"` in a filter, as far as the double understands filters.
pub(super) fn filtered(filter: &str, field: &str, value: &str) -> bool {
    let wanted = filter.split(" AND ").find_map(|part| {
        let (name, wanted) = part.split_once('=')?;
        (name.trim() == field).then(|| wanted.trim().trim_matches('"'))
    });
    wanted.is_none_or(|wanted| wanted == value)
}
