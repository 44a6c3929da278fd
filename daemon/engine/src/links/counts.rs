//! How many links each host has, so that nobody reads all links to know it: counted once, and kept with every write.

use std::{collections::HashMap, sync::Mutex};

use bindery_core::{
    link::{Link, Stage},
    name::HostName,
    port::{Change, Expect, Key, Listing, Record},
    problem::{Problem, Reason},
};
use tokio::sync::{RwLock, RwLockReadGuard};

use crate::{
    Engine,
    flight::lock,
    records::{as_link, problem},
};

/// Links that are read at once where they are counted.
const PAGE: usize = 256;

/// What is counted: links that are not unlinked, by their hosts.
type Counts = HashMap<HostName, usize>;

/// The counts of all hosts.
#[derive(Default)]
pub(crate) struct LinkCounts {
    /// `None` until they are counted, and since nobody knows what a write came to.
    known: Mutex<Option<Counts>>,
    /// Shared by those who write a link, alone for who counts.
    writing: RwLock<()>,
}

/// What a write does to the counts, once it is known to be done. Dropped before, the counts are known no more.
struct Step<'a> {
    counts: &'a LinkCounts,
    less: Vec<HostName>,
    more: Vec<HostName>,
    /// It replaces what was read, or nothing.
    sure: bool,
    over: bool,
    _writing: RwLockReadGuard<'a, ()>,
}

impl LinkCounts {
    /// They have to be counted anew.
    pub(crate) fn doubt(&self) {
        *lock(&self.known) = None;
    }

    fn of(&self, host: &HostName) -> Option<usize> {
        let known = lock(&self.known);
        let counts = known.as_ref()?;
        Some(counts.get(host).copied().unwrap_or_default())
    }
}

impl Step<'_> {
    /// Nothing was written.
    fn undone(mut self) {
        self.over = true;
    }

    fn done(mut self) {
        self.over = self.sure;
        let mut known = lock(&self.counts.known);
        let Some(counts) = known.as_mut() else {
            return;
        };
        for host in self.more.drain(..) {
            *counts.entry(host).or_default() += 1;
        }
        for host in self.less.drain(..) {
            let count = counts.entry(host).or_default();
            *count = count.saturating_sub(1);
        }
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.counts.doubt();
        }
    }
}

impl Engine {
    /// Links on a host that are not unlinked, over all namespaces. The first who asks waits until all are counted.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn links_on(&self, host: &HostName) -> Result<usize, Problem> {
        if let Some(count) = self.link_counts().of(host) {
            return Ok(count);
        }
        let _alone = self.link_counts().writing.write().await;
        if let Some(count) = self.link_counts().of(host) {
            return Ok(count);
        }
        let counts = self.count_links().await?;
        let count = counts.get(host).copied().unwrap_or_default();
        *lock(&self.link_counts().known) = Some(counts);
        Ok(count)
    }

    async fn count_links(&self) -> Result<Counts, Problem> {
        let mut counts = Counts::new();
        for namespace in self.namespace_names().await? {
            let (listing, mut after) = (Listing::Links(namespace), None);
            loop {
                let page = self.list(&listing, after.as_deref(), PAGE, as_link).await?;
                for host in page.items.iter().filter_map(|entry| counted(&entry.record)) {
                    *counts.entry(host).or_default() += 1;
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(counts)
    }

    /// All of the changes or none; the counts go with them.
    pub(crate) async fn commit_links(&self, changes: Vec<Change>) -> Result<(), Problem> {
        let step = self.step_of(&changes).await?;
        let done = self.ports().vault.commit(changes).await.map_err(problem);
        match &done {
            Ok(()) => step.done(),
            Err(problem) if problem.reason == Reason::StoreConflict => step.undone(),
            // It may be written all the same.
            Err(_) => drop(step),
        }
        done
    }

    async fn step_of(&self, changes: &[Change]) -> Result<Step<'_>, Problem> {
        let counts = self.link_counts();
        let mut step = Step {
            counts,
            less: Vec::new(),
            more: Vec::new(),
            sure: true,
            over: false,
            _writing: counts.writing.read().await,
        };
        for one in changes {
            let Key::Link(namespace, id) = &one.key else {
                continue;
            };
            let before = self.find_link(namespace, id).await?;
            let expected = before
                .as_ref()
                .map_or(Expect::Absent, |before| Expect::Version(before.version));
            step.sure &= one.expect == expected;
            step.less
                .extend(before.and_then(|before| counted(&before.record)));
            if let Some(Record::Link(link)) = &one.write {
                step.more.extend(counted(link));
            }
        }
        Ok(step)
    }
}

/// The host that a link counts for.
fn counted(link: &Link) -> Option<HostName> {
    (link.observed.stage != Stage::Unlinked).then(|| link.host.clone())
}
