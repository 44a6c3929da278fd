//! Leases of shared tokens: collected in memory, bounded, and written in batches.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    lease::{Access, Lease},
    link::{Link, SeenRepository},
    name::{LinkId, NamespaceName},
    time::Timestamp,
};

use super::lock;
use crate::flight::Whose;

/// Leases of shared tokens that are kept in memory. Beyond it, each is written before its token is handed out.
const MOST: usize = 4096;

/// How long a caller that asks for the same again keeps its lease.
const KEPT: Duration = Duration::from_secs(600);

/// Leases that are written together.
const BATCH: usize = 64;

/// Time between two looks for leases that may be forgotten.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(3600);

/// The record of a link says at least this often when it was last used. In between, memory knows.
const NOTED_AGAIN: Duration = Duration::from_secs(3600);

/// Repositories of a link that are remembered.
const REPOSITORIES: usize = 32;

/// What makes two hand-outs the same lease.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Same {
    pub(crate) namespace: NamespaceName,
    pub(crate) link: LinkId,
    pub(crate) generation: u64,
    pub(crate) access: Access,
    pub(crate) repository: String,
    pub(crate) holder: String,
}

struct Open {
    lease: Lease,
    written: bool,
    last: Timestamp,
}

/// The leases of shared tokens that were handed out lately.
#[derive(Default)]
pub(crate) struct Shared {
    open: Mutex<HashMap<Same, Open>>,
    last: Mutex<HashMap<LinkId, Vec<(NamespaceName, Timestamp)>>>,
    swept: AtomicU64,
}

/// What a link was used for lately.
pub(super) struct Used {
    pub(super) whose: Whose,
    last: Timestamp,
    repositories: Vec<String>,
}

impl Shared {
    /// The id of the lease that `same` has already.
    pub(crate) fn again(&self, same: &Same, now: Timestamp) -> Option<String> {
        let mut open = lock(&self.open);
        let known = open.get_mut(same)?;
        if now.since(known.lease.created) >= KEPT {
            return None;
        }
        known.last = now;
        let id = known.lease.id.as_str().to_owned();
        drop(open);
        self.note_last(same, now);
        Some(id)
    }

    fn note_last(&self, same: &Same, now: Timestamp) {
        let mut last = lock(&self.last);
        match last.get_mut(&same.link) {
            Some(known) => match known.iter_mut().find(|(of, _)| *of == same.namespace) {
                Some((_, at)) => *at = now,
                None => known.push((same.namespace.clone(), now)),
            },
            None => {
                let first = vec![(same.namespace.clone(), now)];
                last.insert(same.link.clone(), first);
            }
        }
    }

    /// Keeps a new lease in memory. `false` where there is no room: it must be written then.
    pub(crate) fn keep(&self, same: Same, lease: Lease, now: Timestamp) -> bool {
        self.note_last(&same, now);
        let mut open = lock(&self.open);
        if open.len() >= MOST {
            open.retain(|_, open| !open.written);
        }
        // One that is not written yet is not pushed out: it would be lost.
        let displaces = open.get(&same).is_some_and(|known| !known.written);
        if open.len() >= MOST || displaces {
            return false;
        }
        let (written, last) = (false, now);
        open.insert(
            same,
            Open {
                lease,
                written,
                last,
            },
        );
        true
    }

    /// Leases of a namespace that are in memory only.
    pub(super) fn unwritten(&self, namespace: &NamespaceName) -> Vec<Lease> {
        let open = lock(&self.open);
        let waiting = open.values().filter(|open| !open.written);
        let here = waiting.filter(|open| open.lease.namespace == *namespace);
        here.map(|open| open.lease.clone()).collect()
    }

    pub(super) fn unwritten_batches(&self) -> Vec<Vec<Lease>> {
        let open = lock(&self.open);
        let waiting = open.values().filter(|open| !open.written);
        let waiting: Vec<_> = waiting.map(|open| open.lease.clone()).collect();
        waiting.chunks(BATCH).map(<[Lease]>::to_vec).collect()
    }

    pub(super) fn written(&self, batch: &[Lease]) {
        for open in lock(&self.open).values_mut() {
            if batch.iter().any(|lease| lease.id == open.lease.id) {
                open.written = true;
            }
        }
    }

    /// What links were used for since it was last noted; what is old is dropped on the way.
    pub(super) fn used(&self, now: Timestamp) -> Vec<Used> {
        let mut links: BTreeMap<(String, String), Used> = BTreeMap::new();
        let mut open = lock(&self.open);
        for open in open.values() {
            let lease = &open.lease;
            let key = (lease.namespace.to_string(), lease.link.to_string());
            let used = links.entry(key).or_insert_with(|| Used {
                whose: (lease.namespace.clone(), lease.link.clone()),
                last: open.last,
                repositories: Vec::new(),
            });
            used.last = used.last.max(open.last);
            used.repositories.push(lease.repository.clone());
        }
        open.retain(|_, open| !open.written || now.since(open.lease.created) < KEPT);
        drop(open);
        // By now it stands in the record of the link.
        let lately = |at: &Timestamp| now.since(*at) < NOTED_AGAIN;
        lock(&self.last).retain(|_, known| {
            known.retain(|(_, at)| lately(at));
            !known.is_empty()
        });
        links.into_values().collect()
    }

    /// When a credential of a link was last handed out, as far as memory knows, to the minute.
    pub(crate) fn last_use(&self, namespace: &NamespaceName, link: &LinkId) -> Option<Timestamp> {
        let last = lock(&self.last);
        let mut known = last.get(link)?.iter();
        let at = known.find(|(of, _)| of == namespace);
        at.map(|(_, at)| to_the_minute(*at))
    }

    pub(super) fn sweep_is_due(&self, now: Timestamp) -> bool {
        let last = Timestamp::from_unix_ms(self.swept.load(Ordering::SeqCst));
        let due = now.since(last) >= BETWEEN_SWEEPS;
        if due {
            self.swept.store(now.unix_ms(), Ordering::SeqCst);
        }
        due
    }
}

impl Used {
    /// Writes down what is new. A time that is written already stands for an hour, so that use alone does not change the
    /// version of a link every minute.
    pub(super) fn note(&self, link: &mut Link) {
        let known = link.upkeep.handed_out;
        if known.is_none_or(|known| self.last.since(known) >= NOTED_AGAIN) {
            link.upkeep.handed_out = Some(to_the_minute(self.last));
        }
        for repository in &self.repositories {
            remember(link, repository);
        }
    }
}

/// Remembers a repository that a credential was asked for, so that a check can tell when it was renamed or lost. Its other
/// name is learnt by the next check.
pub(crate) fn remember(link: &mut Link, repository: &str) {
    let known = |seen: &SeenRepository| match repository.strip_prefix("id:") {
        Some(id) => seen.stable_id == id,
        None => seen.full_name == repository,
    };
    let seen = &mut link.seen.repositories;
    if repository.is_empty() || seen.iter().any(known) {
        return;
    }
    if seen.len() >= REPOSITORIES {
        seen.remove(0);
    }
    let (stable_id, full_name) = match repository.strip_prefix("id:") {
        Some(id) => (id.to_owned(), String::new()),
        None => (String::new(), repository.to_owned()),
    };
    seen.push(SeenRepository {
        stable_id,
        full_name,
    });
}

pub(crate) const fn to_the_minute(time: Timestamp) -> Timestamp {
    Timestamp::from_unix_ms(time.unix_ms() / 60_000 * 60_000)
}
