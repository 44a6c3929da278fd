//! Tokens that are replaced by themselves, before they end: one ordered map of deadlines for all links, not a task for each.
//!
//! The deadline of a link stands in its record, so that it survives a restart, and is read from there whenever the link is
//! written. What people disabled is not touched.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_core::{
    link::{Link, Stage},
    name::HostName,
    port::Listing,
    problem::{Problem, Reason},
    provider::AuthKind,
    refresh::due,
    time::Timestamp,
};
use futures_util::{FutureExt, future::select, pin_mut};
use tokio::sync::Notify;

use super::Want;
use crate::{
    Engine,
    flight::{Whose, lock},
    records::as_link,
};

/// Time between two refreshes that one host sees from the schedule: five in a second (THREATS R6).
const PACE: Duration = Duration::from_millis(200);

/// Refreshes of one host that the schedule has under way; the other places are for callers who wait.
const AT_ONCE: usize = 4;

/// When a link is looked at again whose refresh could not be tried.
const AGAIN: Duration = Duration::from_secs(60);

/// How long the schedule sleeps at most: clocks jump.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Deadlines in their order, of links or of what else comes due by itself.
pub(crate) struct Schedule<K = Whose> {
    inner: Mutex<Deadlines<K>>,
    changed: Notify,
}

/// A deadline, and a number that tells two with the same one apart.
type Place = (Timestamp, u64);

struct Deadlines<K> {
    order: BTreeMap<Place, Arc<K>>,
    known: HashMap<Arc<K>, Place>,
    serial: u64,
    hosts: HashMap<HostName, Pace>,
}

impl<K> Default for Schedule<K> {
    fn default() -> Self {
        let all = Deadlines {
            order: BTreeMap::new(),
            known: HashMap::new(),
            serial: 0,
            hosts: HashMap::new(),
        };
        Self {
            inner: Mutex::new(all),
            changed: Notify::new(),
        }
    }
}

#[derive(Default)]
struct Pace {
    next: Timestamp,
    running: usize,
}

impl<K: Clone + Eq + Hash> Schedule<K> {
    /// Notes when something is due; `None` takes it out.
    pub(crate) fn set(&self, whose: K, when: Option<Timestamp>) {
        let mut all = lock(&self.inner);
        if all.known.get(&whose).map(|(known, _)| *known) == when {
            return;
        }
        if let Some(old) = all.known.remove(&whose) {
            all.order.remove(&old);
        }
        let Some(when) = when else {
            return;
        };
        all.serial += 1;
        let (place, whose) = ((when, all.serial), Arc::new(whose));
        all.order.insert(place, Arc::clone(&whose));
        all.known.insert(whose, place);
        drop(all);
        self.changed.notify_one();
    }

    /// The next deadline.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        let all = lock(&self.inner);
        all.order.first_key_value().map(|((when, _), _)| *when)
    }

    /// What is due, which is taken out.
    pub(crate) fn take_due(&self, now: Timestamp) -> Vec<K> {
        let mut all = lock(&self.inner);
        let mut due = Vec::new();
        while let Some(first) = all.order.first_entry().filter(|first| first.key().0 <= now) {
            let whose = first.remove();
            all.known.remove(&whose);
            due.push(K::clone(&whose));
        }
        due
    }

    /// Takes a place of a host, or says when there may be one.
    pub(crate) fn take_place(&self, host: &HostName, now: Timestamp) -> Result<(), Timestamp> {
        let mut all = lock(&self.inner);
        let pace = all.hosts.entry(host.clone()).or_default();
        if pace.running >= AT_ONCE {
            return Err(now.after(PACE));
        }
        // One that lies further ahead is from before the clock was set back.
        if now < pace.next && pace.next <= now.after(PACE) {
            return Err(pace.next);
        }
        pace.next = now.after(PACE);
        pace.running += 1;
        Ok(())
    }

    /// Resolves when a deadline was set.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Gives a place back.
    pub(crate) fn leave_place(&self, host: &HostName) {
        if let Some(pace) = lock(&self.inner).hosts.get_mut(host) {
            pace.running = pace.running.saturating_sub(1);
        }
    }
}

/// Whether the daemon replaces the token of a link by itself. That of an installation is minted when it is wanted: nothing
/// dies while it is not.
fn is_kept_up(link: &Link) -> bool {
    let token = match link.auth_kind {
        AuthKind::AppInstallation => false,
        AuthKind::AccessToken => link.upkeep.rotate_token && link.token_expires.is_some(),
        AuthKind::OAuthCode | AuthKind::Device => link.refreshable,
    };
    token && link.observed.stage == Stage::Bound && link.desired.is_enabled()
}

impl Engine {
    /// Gives a link that is kept up its deadline, if it has none.
    pub(crate) async fn plan_upkeep(&self, link: &mut Link) {
        if !is_kept_up(link) {
            link.upkeep.next_refresh = None;
            return;
        }
        if link.upkeep.next_refresh.is_some() {
            return;
        }
        let now = self.now();
        if link.upkeep.refresh_expires.is_none() {
            link.upkeep.refresh_expires = self.idle_end(link, now).await;
        }
        let random = u64::from_le_bytes(self.random());
        let (expires, idle) = (link.token_expires, link.upkeep.refresh_expires);
        link.upkeep.next_refresh = due(now, expires, idle, random);
    }

    /// When the refresh token of a link dies if nothing is done from `since` on.
    pub(super) async fn idle_end(&self, link: &Link, since: Timestamp) -> Option<Timestamp> {
        let host = self.host(&link.host).await.ok()?.record;
        let description = self.description(&host).ok()?;
        let method = description.method(link.auth_kind)?;
        method.refresh_idle.map(|idle| since.after(idle))
    }

    /// Puts a link that was written into the schedule.
    pub(crate) fn schedule_link(&self, link: &Link) {
        let whose = (link.namespace.clone(), link.id.clone());
        let when = link.upkeep.next_refresh.filter(|_| is_kept_up(link));
        self.schedule().set(whose, when);
        self.schedule_check(link);
    }

    /// Replaces tokens before they end, until the future is dropped.
    pub(crate) async fn keep_up_forever(&self) {
        while let Err(problem) = self.rebuild_schedule().await {
            tracing::warn!(reason = problem.reason.as_str(), error = %problem, "Refresh schedule could not be read; it is tried again");
            self.ports()
                .clock
                .sleep_until(self.now().after(AGAIN))
                .await;
        }
        loop {
            self.keep_up().await;
            let latest = self.now().after(LONGEST_SLEEP);
            let next = self
                .schedule()
                .first()
                .map_or(latest, |first| first.min(latest));
            let (sleep, changed) = (
                self.ports().clock.sleep_until(next),
                self.schedule().changed(),
            );
            pin_mut!(sleep, changed);
            select(sleep, changed).await;
        }
    }

    /// Reads the deadlines of all links from the store, page by page.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn rebuild_schedule(&self) -> Result<(), Problem> {
        for namespace in self.namespace_names().await? {
            let (listing, mut after) = (Listing::Links(namespace), None);
            loop {
                let page = self.list(&listing, after.as_deref(), 256, as_link).await?;
                for entry in page.items {
                    let mut link = entry.record;
                    self.plan_upkeep(&mut link).await;
                    self.schedule_link(&link);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Starts what is due now, as far as there are places. Does not wait for what comes of it.
    pub async fn keep_up(&self) {
        for whose in self.schedule().take_due(self.now()) {
            if let Err(later) = self.start_upkeep(&whose).await {
                self.schedule().set(whose, Some(later));
            }
        }
    }

    /// Starts the refresh of one link, or says when it may be looked at again.
    async fn start_upkeep(&self, whose: &Whose) -> Result<(), Timestamp> {
        let now = self.now();
        let link = match self.find_link(&whose.0, &whose.1).await {
            Ok(Some(link)) if is_kept_up(&link.record) => link.record,
            Ok(_) => return Ok(()),
            Err(_) => return Err(now.after(AGAIN)),
        };
        let host = self.host(&link.host).await.map_err(|_| now.after(AGAIN))?;
        host.record.usable().map_err(|_| now.after(AGAIN))?;
        self.host_gates().open_at(&link.host, now)?;
        self.schedule().take_place(&link.host, now)?;
        let (engine, whose) = (self.clone(), whose.clone());
        tokio::spawn(async move {
            let outcome = std::panic::AssertUnwindSafe(engine.upkeep(&link))
                .catch_unwind()
                .await;
            engine.schedule().leave_place(&link.host);
            engine.look_again(whose, outcome.ok()).await;
        });
        Ok(())
    }

    async fn upkeep(&self, link: &Link) -> Result<(), Problem> {
        self.refresh(link, Want::NewerThan(link.generation)).0.await
    }

    /// After an attempt: what the record says now, and never at once again.
    async fn look_again(&self, whose: Whose, outcome: Option<Result<(), Problem>>) {
        let soon = self.now().after(AGAIN);
        let asked = match outcome {
            Some(Err(problem)) => {
                if problem.reason == Reason::Internal {
                    tracing::error!(link.id = %whose.1, error = %problem, "Token could not be replaced by itself");
                }
                problem.retry_after
            }
            _ => None,
        };
        let wait = asked.map_or(soon, |asked| self.now().after(asked));
        match self.find_link(&whose.0, &whose.1).await {
            Ok(Some(link)) if is_kept_up(&link.record) => {
                let recorded = link.record.upkeep.next_refresh;
                let next = recorded.filter(|when| *when > self.now());
                self.schedule().set(whose, Some(next.unwrap_or(wait)));
            }
            Ok(_) => self.schedule().set(whose, None),
            Err(_) => self.schedule().set(whose, Some(soon)),
        }
    }
}
