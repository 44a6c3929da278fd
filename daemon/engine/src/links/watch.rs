//! Links are checked by themselves, so that what others did shows within one interval; and at once where a call found a sign
//! of it.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    link::{Link, Stage},
    problem::{Problem, Reason},
    time::Timestamp,
};
use futures_util::{FutureExt, future::select, pin_mut};

use crate::{
    Engine,
    flight::{Whose, lock},
    refresh::Schedule,
    sha256,
};

/// Time between two checks of a link where the operator says nothing.
pub const INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// A link that something is in the way of is looked at sooner.
const SOONER: Duration = Duration::from_secs(900);

/// Time between two checks that signs lead to.
const BETWEEN_SIGNS: Duration = Duration::from_secs(10);

/// How long is slept at most: clocks jump.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// When each link is checked next.
pub(crate) struct Checks {
    schedule: Schedule,
    /// When links are to be checked that something hinted at. A write of the link meanwhile does not put it off.
    hinted: Mutex<HashMap<Whose, Timestamp>>,
    interval_ms: AtomicU64,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            hinted: Mutex::default(),
            interval_ms: AtomicU64::new(ms(INTERVAL)),
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Engine {
    /// Sets the time between two checks of a link; zero for none.
    pub fn set_check_interval(&self, interval: Duration) {
        self.checks()
            .interval_ms
            .store(ms(interval), Ordering::SeqCst);
    }

    /// Puts a link that was written into the schedule of checks.
    pub(crate) fn schedule_check(&self, link: &Link) {
        let whose = (link.namespace.clone(), link.id.clone());
        let interval = Duration::from_millis(self.checks().interval_ms.load(Ordering::SeqCst));
        let hinted = lock(&self.checks().hinted).get(&whose).copied();
        let next = hinted.into_iter().chain(next_check(link, interval)).min();
        self.checks().schedule.set(whose, next);
    }

    /// Checks links until the future is dropped.
    pub(crate) async fn check_forever(&self) {
        loop {
            self.check_due().await;
            let latest = self.now().after(LONGEST_SLEEP);
            let schedule = &self.checks().schedule;
            let next = schedule.first().map_or(latest, |first| first.min(latest));
            let (sleep, changed) = (self.ports().clock.sleep_until(next), schedule.changed());
            pin_mut!(sleep, changed);
            select(sleep, changed).await;
        }
    }

    /// Starts the checks that are due, as far as there are places. Does not wait for what comes of them.
    pub async fn check_due(&self) {
        for whose in self.checks().schedule.take_due(self.now()) {
            if let Err(later) = self.start_check(&whose).await {
                self.checks().schedule.set(whose, Some(later));
            }
        }
    }

    async fn start_check(&self, whose: &Whose) -> Result<(), Timestamp> {
        let now = self.now();
        let again = now.after(LONGEST_SLEEP);
        let link = match self.find_link(&whose.0, &whose.1).await {
            Ok(Some(link)) if is_checked(&link.record) => link.record,
            Ok(_) => {
                lock(&self.checks().hinted).remove(whose);
                return Ok(());
            }
            Err(_) => return Err(again),
        };
        self.checks().schedule.take_place(&link.host, now)?;
        // What is hinted at from here on may come too late for this look, and is looked at again.
        lock(&self.checks().hinted).remove(whose);
        let (engine, whose) = (self.clone(), whose.clone());
        tokio::spawn(async move {
            let check = engine.check_link(&whose.0, &whose.1, false);
            let outcome = std::panic::AssertUnwindSafe(check).catch_unwind().await;
            engine.checks().schedule.leave_place(&link.host);
            if !matches!(outcome, Ok(Ok(_))) {
                // It was not noted, so it has no next time yet.
                let next = engine.now().after(SOONER);
                engine.checks().schedule.set(whose, Some(next));
            }
        });
        Ok(())
    }

    /// A call or a delivery holds a sign that others did something to the link: it is checked by itself, now or, so that many
    /// signs don't make many checks, ten seconds after the last one.
    pub(crate) fn check_soon(&self, link: &Link) {
        if !is_checked(link) {
            return;
        }
        let whose = (link.namespace.clone(), link.id.clone());
        let free = link.seen.at.map(|at| at.after(BETWEEN_SIGNS));
        let when = free.map_or(self.now(), |free| free.max(self.now()));
        lock(&self.checks().hinted).insert(whose.clone(), when);
        self.checks().schedule.set(whose, Some(when));
    }

    /// What a failure in use says about a link beyond the failure itself. `known` says that it is about a repository which
    /// the link reached before.
    pub(crate) async fn read_sign(&self, link: &Link, known: bool, problem: Problem) -> Problem {
        let sign = matches!(
            problem.reason,
            Reason::TokenRefused | Reason::OrganizationRestricted | Reason::SsoRequired
        );
        let lost = problem.reason == Reason::ProviderNotFound && known;
        if sign || lost {
            self.check_soon(link);
        }
        self.use_failed(link, problem).await
    }
}

fn is_checked(link: &Link) -> bool {
    let stage = matches!(
        link.observed.stage,
        Stage::Bound | Stage::NeedsReauthorization(_)
    );
    stage && link.desired.is_enabled()
}

/// An interval after the last check, less up to a tenth of it, which is each link's own: links that were made together are
/// not checked together for ever.
fn next_check(link: &Link, interval: Duration) -> Option<Timestamp> {
    if !is_checked(link) || interval.is_zero() {
        return None;
    }
    let own = u32::from(sha256(link.id.as_str().as_bytes())[0]);
    let interval = interval - interval * own / 2550;
    let troubled = link.observed.trouble.is_some() && link.seen.at.is_some();
    let wait = if troubled {
        interval.min(SOONER)
    } else {
        interval
    };
    Some(link.seen.at.unwrap_or(link.created).after(wait))
}

#[cfg(test)]
mod tests {
    use bindery_core::{
        link::{Cause, Desired, Wish},
        name::{HostName, LinkId, NamespaceName},
        provider::AuthKind,
    };

    use super::*;

    fn link(id: &str) -> Link {
        let namespace = NamespaceName::parse("acme").expect("name");
        let host = HostName::parse("forge").expect("name");
        let id = LinkId::parse(id).expect("name");
        let now = Timestamp::default();
        let mut link = Link::new(namespace, id, host, AuthKind::OAuthCode, now);
        link.observe(Stage::Bound, "", now);
        link
    }

    /// Checks of many links spread over the last tenth of an interval, and never come later than it.
    #[test]
    fn checks_are_spread() {
        let hours = Duration::from_secs(36_000);
        let at = |n: u32| next_check(&link(&format!("l{n}")), hours).expect("checked");
        let times: Vec<_> = (0..200).map(|n| at(n).unix_seconds()).collect();
        let (first, last) = (times.iter().min(), times.iter().max());
        assert!(first < Some(&33_000) && first >= Some(&32_400), "{first:?}");
        assert!(last > Some(&35_400) && last <= Some(&36_000), "{last:?}");
    }

    /// A troubled link is looked at sooner; a disabled one, and one without an interval, not at all.
    #[test]
    fn who_is_checked_when() {
        let hours = Duration::from_secs(36_000);
        let mut troubled = link("l");
        troubled.observed.trouble = Some(Cause::HostUnreachable);
        troubled.seen.at = Some(Timestamp::default());
        let next = next_check(&troubled, hours).expect("checked");
        assert_eq!(next.unix_seconds(), SOONER.as_secs());
        assert_eq!(next_check(&troubled, Duration::ZERO), None);
        troubled.desired = Desired::Disabled(Wish {
            reason: String::new(),
            actor: String::new(),
            since: Timestamp::default(),
        });
        assert_eq!(next_check(&troubled, hours), None);
    }
}
