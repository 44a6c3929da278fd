//! Callers who collect: one that fetches credentials of many links within a minute is told of (THREATS G6).

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How long is counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Different links of one caller within a minute that are nothing special: a registry that builds for a hundred
/// organizations at once.
pub(crate) const USUAL: usize = 100;

/// Callers that are counted at the same time; identities are authenticated, so there are not many.
const CALLERS: usize = 4096;

/// What each caller fetched within its minute.
#[derive(Debug)]
pub(crate) struct Hoards {
    most: AtomicUsize,
    callers: Mutex<HashMap<String, Minute>>,
}

#[derive(Debug)]
struct Minute {
    began: Instant,
    /// Digests of names; never more than one beyond what is usual.
    links: HashSet<u64>,
    told: bool,
}

impl Default for Hoards {
    fn default() -> Self {
        Self {
            most: AtomicUsize::new(USUAL),
            callers: Mutex::default(),
        }
    }
}

impl Hoards {
    /// From now on so many are nothing special; 0 for any number.
    pub(crate) fn set(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Counts a link that a credential was handed out for. Tells how many there are once in each minute, where they are
    /// too many.
    pub(crate) fn note(&self, caller: &str, link: &str, now: Instant) -> Option<usize> {
        let most = self.most.load(Ordering::Relaxed);
        if most == 0 {
            return None;
        }
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |minute: &Minute| now.saturating_duration_since(minute.began) >= WINDOW;
        if callers.len() >= CALLERS {
            callers.retain(|_, minute| !is_over(minute));
        }
        let fresh = || Minute {
            began: now,
            links: HashSet::new(),
            told: false,
        };
        let minute = callers.entry(caller.to_owned()).or_insert_with(fresh);
        if is_over(minute) {
            *minute = fresh();
        }
        if !minute.told {
            minute.links.insert(digest(link));
        }
        let count = minute.links.len();
        let tell = count > most && !minute.told;
        minute.told |= tell;
        tell.then_some(count)
    }
}

fn digest(link: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    link.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G6: many different links within a minute are told of at once, and once; the same ones again and again are not, nor
    /// are as many over a longer time.
    #[test]
    fn g6_collectors_are_told_of() {
        let (hoards, start) = (Hoards::default(), Instant::now());
        hoards.set(3);
        let note = |caller: &str, link: usize, seconds| {
            let now = start + Duration::from_secs(seconds);
            hoards.note(caller, &format!("links/{link}"), now)
        };
        for _ in 0..100 {
            assert_eq!(note("builder", 1, 0), None);
        }
        for link in 0..3 {
            assert_eq!(note("thief", link, 1), None);
        }
        assert_eq!(note("thief", 3, 2), Some(4));
        assert_eq!(note("thief", 4, 3), None, "told already");
        for link in 0..10 {
            let slowly = 61 * link;
            let told = note("slow", usize::try_from(link).expect("small"), slowly);
            assert_eq!(told, None);
        }
        for link in 0..3 {
            assert_eq!(note("thief", link, 70), None, "a new minute");
        }
        assert_eq!(note("thief", 9, 71), Some(4));
        hoards.set(0);
        assert_eq!(note("thief", 10, 200), None);
    }
}
