//! When request ids may be forgotten, and what they led to, so that nobody reads all of them to know either.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use bindery_core::{port::RequestMemory, time::Timestamp};

use crate::flight::lock;

/// Requests that are known at the same time, some hundred bytes each. The others are found by looking through the store.
const MOST: usize = 32_768;

/// Time between two looks through the store where there are too many to know them all.
const BETWEEN_LOOKS: Duration = Duration::from_secs(600);

/// The requests that the store remembers, in the order in which they may be forgotten.
///
/// What is in here is a hint: the record says how it is.
#[derive(Default)]
pub(crate) struct Requests(Mutex<Order>);

#[derive(Default)]
struct Order {
    /// Time, key and resource.
    due: BTreeSet<(Timestamp, String, String)>,
    /// Nothing of the store is missing.
    whole: bool,
    /// When a look through the store began last.
    looked: Timestamp,
    /// Some found no place since then.
    overflowed: bool,
}

impl Requests {
    /// One that is in the store, or will be.
    pub(super) fn note(&self, memory: &RequestMemory) {
        let mut order = lock(&self.0);
        if order.due.len() >= MOST {
            (order.whole, order.overflowed) = (false, true);
            return;
        }
        let (key, resource) = (memory.key.clone(), memory.resource.clone());
        order.due.insert((memory.expires, key, resource));
    }

    /// The store may hold others than are known: it was unsealed, or restored.
    pub(crate) fn doubt(&self) {
        let mut order = lock(&self.0);
        (order.whole, order.looked) = (false, Timestamp::default());
    }

    /// Whether it is time to look through the store. Then the look begins.
    pub(super) fn must_look(&self, now: Timestamp) -> bool {
        let mut order = lock(&self.0);
        // A clock that was set back makes nobody wait for the old time.
        let due = now.since(order.looked) >= BETWEEN_LOOKS || order.looked > now;
        let must = !order.whole && due;
        if must {
            (order.looked, order.overflowed) = (now, false);
        }
        must
    }

    /// The look through the store came to its end.
    pub(super) fn looked(&self) {
        let mut order = lock(&self.0);
        order.whole = !order.overflowed;
    }

    /// Keys that may be forgotten, the oldest first, at most `most`. They are known no more.
    pub(super) fn take_due(&self, now: Timestamp, most: usize) -> Vec<String> {
        let (mut order, mut due) = (lock(&self.0), Vec::new());
        while due.len() < most
            && let Some(first) = order.due.pop_first()
        {
            if first.0 > now {
                order.due.insert(first);
                break;
            }
            due.push(first.1);
        }
        due
    }

    /// Keys that may have led to a resource; `None` where not all are known.
    pub(super) fn leading_to(&self, resource: &str) -> Option<Vec<String>> {
        let order = lock(&self.0);
        let there = order.due.iter().filter(|one| one.2 == resource);
        order
            .whole
            .then(|| there.map(|(_, key, _)| key.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(key: &str, expires: u64) -> RequestMemory {
        RequestMemory {
            key: key.to_owned(),
            request_digest: [0; 32],
            resource: "r".to_owned(),
            expires: Timestamp::from_unix_ms(expires),
        }
    }

    /// However many requests there are, memory is bounded; and then the store is looked through again, not at once.
    #[test]
    fn remembered_requests_are_bounded() {
        let (requests, start) = (Requests::default(), Timestamp::from_unix_ms(1 << 40));
        assert!(requests.must_look(start) && requests.leading_to("r").is_none());
        requests.looked();
        assert_eq!(requests.leading_to("r"), Some(Vec::new()));
        for n in 0..=MOST {
            requests.note(&memory(&n.to_string(), 1));
        }
        assert_eq!(lock(&requests.0).due.len(), MOST);
        assert!(requests.leading_to("r").is_none() && !requests.must_look(start));
        let later = start.after(BETWEEN_LOOKS);
        assert_eq!(requests.take_due(later, usize::MAX).len(), MOST);
        assert!(requests.must_look(later));
        requests.looked();
        assert!(requests.leading_to("r").is_some());
    }

    /// Only what is due is taken, the oldest first.
    #[test]
    fn what_is_due_comes_in_its_order() {
        let requests = Requests::default();
        for (key, expires) in [("c", 30), ("a", 10), ("b", 20)] {
            requests.note(&memory(key, expires));
        }
        let now = Timestamp::from_unix_ms(20);
        assert_eq!(requests.take_due(now, 1), ["a"]);
        assert_eq!(requests.take_due(now, 9), ["b"]);
        assert!(requests.take_due(now, 9).is_empty());
    }
}
