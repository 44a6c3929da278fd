//! How many links each host has, so that nobody reads all links to know it: counted once, and kept with every write.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use bindery_core::{
    link::{Link, Stage},
    name::HostName,
    port::{Change, Expect, Key, Listing, Record},
    problem::{Problem, Reason},
};

use crate::{
    Engine,
    flight::lock,
    records::{as_link, problem},
};

/// Links that are read at once where they are counted.
const PAGE: usize = 256;

/// How long a write takes at most that nobody waits for: the vault brings it to its end.
const UNSURE: Duration = Duration::from_secs(60);

/// What is counted: links that are not unlinked, by their hosts.
type Counts = HashMap<HostName, usize>;

/// The counts of all hosts.
#[derive(Default)]
pub(crate) struct LinkCounts(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// `None` until they are counted, and since nobody knows what a write came to.
    counts: Option<Counts>,
    /// Writes of links that are under way.
    writing: usize,
    /// Goes up where a write begins or ends: whoever counted meanwhile may have seen half of it.
    moves: u64,
    /// Until then a write may come to its end that nobody waits for any more.
    unsure_until: Option<Instant>,
}

/// What a write does to the counts, once it is known to be done. Dropped before, the counts are known no more.
struct Step<'a> {
    counts: &'a LinkCounts,
    less: Vec<HostName>,
    more: Vec<HostName>,
    /// It replaces what was read, or nothing.
    sure: bool,
    over: bool,
}

impl LinkCounts {
    /// They have to be counted anew.
    pub(crate) fn doubt(&self) {
        let mut known = lock(&self.0);
        known.counts = None;
        known.moves += 1;
    }

    fn of(&self, host: &HostName) -> Option<usize> {
        let known = lock(&self.0);
        let counts = known.counts.as_ref()?;
        Some(counts.get(host).copied().unwrap_or_default())
    }

    fn moves(&self) -> u64 {
        lock(&self.0).moves
    }

    /// They were counted while there were so many moves; where there are more, or a write is under way, they are not kept.
    fn learn(&self, counts: Counts, moves: u64) {
        let mut known = lock(&self.0);
        let sure = known.unsure_until.is_none_or(|end| end <= Instant::now());
        if sure && known.moves == moves && known.writing == 0 {
            known.counts = Some(counts);
        }
    }

    fn step(&self) -> Step<'_> {
        let mut known = lock(&self.0);
        known.writing += 1;
        known.moves += 1;
        Step {
            counts: self,
            less: Vec::new(),
            more: Vec::new(),
            sure: true,
            over: false,
        }
    }
}

impl Step<'_> {
    /// Nothing was written.
    fn undone(mut self) {
        self.over = true;
    }

    fn done(mut self) {
        self.over = self.sure;
        let mut known = lock(&self.counts.0);
        let Some(counts) = known.counts.as_mut() else {
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
        let mut known = lock(&self.counts.0);
        known.writing -= 1;
        known.moves += 1;
        if !self.over {
            known.counts = None;
            known.unsure_until = Some(Instant::now() + UNSURE);
        }
    }
}

impl Engine {
    /// Links on a host that are not unlinked, over all namespaces. The first who asks waits until all are counted, and so does
    /// whoever asks while links are written.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn links_on(&self, host: &HostName) -> Result<usize, Problem> {
        if let Some(count) = self.link_counts().of(host) {
            return Ok(count);
        }
        let moves = self.link_counts().moves();
        let counts = self.count_links().await?;
        let count = counts.get(host).copied().unwrap_or_default();
        self.link_counts().learn(counts, moves);
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
        let mut step = self.link_counts().step();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostName {
        HostName::parse("github").expect("name")
    }

    fn counted(counts: &LinkCounts, moves: u64, count: usize) -> Option<usize> {
        counts.learn(Counts::from([(host(), count)]), moves);
        counts.of(&host())
    }

    /// What was counted while a link was written may be before or after it, so nobody keeps it.
    #[test]
    fn counts_of_the_time_of_a_write_are_not_kept() {
        let counts = LinkCounts::default();
        let before = counts.moves();
        let step = counts.step();
        assert_eq!(counted(&counts, before, 1), None);
        assert_eq!(counted(&counts, counts.moves(), 1), None, "it is under way");
        let during = counts.moves();
        step.done();
        assert_eq!(counted(&counts, during, 1), None);
        assert_eq!(counted(&counts, counts.moves(), 1), Some(1));
    }

    /// A write moves the count; after one of which nobody knows the end there is none.
    #[test]
    fn writes_move_the_count() {
        let counts = LinkCounts::default();
        assert_eq!(counted(&counts, counts.moves(), 1), Some(1));
        let mut more = counts.step();
        more.more.push(host());
        more.done();
        assert_eq!(counts.of(&host()), Some(2));
        counts.step().undone();
        assert_eq!(counts.of(&host()), Some(2));
        drop(counts.step());
        assert_eq!(counts.of(&host()), None);
        let later = counted(&counts, counts.moves(), 2);
        assert_eq!(later, None, "it may still be under way");
    }
}
