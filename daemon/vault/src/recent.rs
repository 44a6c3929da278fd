//! Values on their way to the disk, and values that were read or written lately. All of them sealed.
//!
//! One lock for both, so that a value goes from one to the other at once. A read that began before a commit must not
//! bring back what the commit replaced: each commit changes the *stamp* of its places, and a value that was read is kept
//! only when its stamp is still the same.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::address::Place;

/// A sealed value, or that there is none.
pub(crate) type Value = Option<Arc<[u8]>>;

/// Pending and recent values.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Inner>);

/// The state of a place when a read began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp(u64);

#[derive(Debug)]
struct Inner {
    pending: HashMap<Place, (u64, Value)>,
    /// Two generations: what is asked for moves to the young one; when that is full it becomes the old one.
    young: HashMap<Place, Value>,
    old: HashMap<Place, Value>,
    stamps: [u64; STAMPS],
    stale: bool,
    acknowledged: u64,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            pending: HashMap::new(),
            young: HashMap::new(),
            old: HashMap::new(),
            stamps: [0; STAMPS],
            stale: false,
            acknowledged: 0,
        }
    }
}

impl Recent {
    /// The durable value, or the stamp to hand in with what the store says.
    pub(crate) fn look(&self, place: &Place) -> Result<Value, Stamp> {
        let mut inner = self.lock();
        match inner.find(place) {
            Some(value) => Ok(value),
            None => Err(Stamp(inner.stamps[slot(place)])),
        }
    }

    /// The value that the next commit meets, durable or not.
    pub(crate) fn newest(&self, place: &Place) -> Option<Value> {
        let mut inner = self.lock();
        let pending = inner.pending.get(place).map(|(_, value)| value.clone());
        pending.or_else(|| inner.find(place))
    }

    /// Keeps what the store said, unless a commit came between.
    pub(crate) fn keep(&self, place: &Place, stamp: Stamp, value: Value) {
        let mut inner = self.lock();
        if inner.stamps[slot(place)] == stamp.0 {
            inner.insert(*place, value);
        }
    }

    /// A commit is on its way.
    pub(crate) fn submit(&self, sequence: u64, writes: &[(Place, Value)]) {
        let mut inner = self.lock();
        for (place, value) in writes {
            inner.stamps[slot(place)] += 1;
            inner.pending.insert(*place, (sequence, value.clone()));
        }
    }

    /// A commit is durable.
    pub(crate) fn acknowledge(&self, sequence: u64, generation: u64, writes: &[(Place, Value)]) {
        let mut inner = self.lock();
        inner.acknowledged = inner.acknowledged.max(generation);
        for (place, value) in writes {
            inner.stamps[slot(place)] += 1;
            // Only its last writer says what a place holds: answers may come out of order.
            if inner.forget_pending(place, sequence) {
                inner.insert(*place, value.clone());
            }
        }
    }

    /// A commit failed, so what is known of the store is no longer sure.
    pub(crate) fn fail(&self, sequence: u64, writes: &[(Place, Value)]) {
        let mut inner = self.lock();
        inner.stale = true;
        for (place, _) in writes {
            inner.forget_pending(place, sequence);
        }
        inner.forget_recent();
    }

    /// Whether a commit failed since the store was last read anew.
    pub(crate) fn is_stale(&self) -> bool {
        self.lock().stale
    }

    /// The store was read anew, or is opened.
    pub(crate) fn restart(&self, acknowledged: u64) {
        let mut inner = self.lock();
        inner.stale = false;
        inner.acknowledged = acknowledged;
        inner.pending.clear();
        inner.forget_recent();
    }

    /// The highest generation that was acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.lock().acknowledged
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn find(&mut self, place: &Place) -> Option<Value> {
        if let Some(value) = self.young.get(place) {
            return Some(value.clone());
        }
        let value = self.old.remove(place)?;
        self.insert(*place, value.clone());
        Some(value)
    }

    fn insert(&mut self, place: Place, value: Value) {
        self.old.remove(&place);
        // Long values are rare, and few of them would fill the memory.
        if value.as_ref().is_some_and(|value| value.len() > LONGEST) {
            self.young.remove(&place);
            return;
        }
        if self.young.len() >= ENTRIES {
            self.old = std::mem::take(&mut self.young);
            self.old.remove(&place);
        }
        self.young.insert(place, value);
    }

    fn forget_pending(&mut self, place: &Place, sequence: u64) -> bool {
        let last = self
            .pending
            .get(place)
            .is_some_and(|(of, _)| *of == sequence);
        if last {
            self.pending.remove(place);
        }
        last
    }

    fn forget_recent(&mut self) {
        self.young.clear();
        self.old.clear();
        self.stamps.iter_mut().for_each(|stamp| *stamp += 1);
    }
}

fn slot(place: &Place) -> usize {
    // Store keys are MACs: any byte of them is as good as a hash.
    usize::from(place.key[31]) % STAMPS
}

const STAMPS: usize = 256;
/// Entries of one generation: at a few hundred bytes each, some megabytes in both.
const ENTRIES: usize = 4096;
const LONGEST: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    fn place(n: u8) -> Place {
        Place {
            kind: Kind::Link,
            key: [n; 32],
        }
    }

    fn value(n: u8) -> Value {
        Some(vec![n].into())
    }

    /// A read that began before a commit does not bring the old value back.
    #[test]
    fn late_reads_are_not_kept() {
        let recent = Recent::default();
        let before = recent.look(&place(1)).unwrap_err();
        recent.submit(1, &[(place(1), value(2))]);
        recent.keep(&place(1), before, value(1));
        let during = recent.look(&place(1)).unwrap_err();
        recent.acknowledge(1, 1, &[(place(1), value(2))]);
        recent.keep(&place(1), during, value(1));
        assert_eq!(recent.look(&place(1)), Ok(value(2)));
    }

    /// When answers come out of order, the later commit's value stays.
    #[test]
    fn the_last_writer_stays() {
        let recent = Recent::default();
        recent.submit(1, &[(place(1), value(1))]);
        recent.submit(2, &[(place(1), None)]);
        assert_eq!(recent.newest(&place(1)), Some(None));
        recent.acknowledge(2, 2, &[(place(1), None)]);
        recent.acknowledge(1, 1, &[(place(1), value(1))]);
        assert_eq!(recent.look(&place(1)), Ok(None));
        assert_eq!(recent.acknowledged(), 2);
    }

    /// After a failure nothing is believed.
    #[test]
    fn failures_forget_everything() {
        let recent = Recent::default();
        let stamp = recent.look(&place(9)).unwrap_err();
        recent.keep(&place(9), stamp, value(9));
        recent.submit(1, &[(place(1), value(1))]);
        recent.fail(1, &[(place(1), value(1))]);
        assert!(recent.is_stale());
        assert!(recent.newest(&place(1)).is_none() && recent.look(&place(9)).is_err());
    }

    /// However much is read, the memory is bounded, and what is asked for again and again stays.
    #[test]
    fn memory_is_bounded() {
        let recent = Recent::default();
        for n in 0..(ENTRIES as u64 * 5) {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            let place = Place {
                kind: Kind::Link,
                key,
            };
            let stamp = recent.look(&place).unwrap_err();
            recent.keep(&place, stamp, None);
            assert!(
                n == 0
                    || recent
                        .look(&Place {
                            kind: Kind::Link,
                            key: [0; 32]
                        })
                        .is_ok()
            );
        }
        let inner = recent.lock();
        assert!(inner.young.len() + inner.old.len() <= 2 * ENTRIES);
    }
}
