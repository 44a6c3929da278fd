//! Whether a history of calls is linearizable: Wing and Gong's search, with Lowe's memory of where it has been.

use std::{collections::HashSet, hash::Hash};

/// One call of a history, or one of its steps, between two moments of one counter.
#[derive(Clone, Debug)]
pub(super) struct Done<C> {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) call: C,
}

/// What calls are made on, one after the other.
pub(super) trait Object: Clone + Eq + Hash {
    /// A call and how it ended.
    type Call;

    /// What it is after a call; `None` where the call can't end so.
    fn after(&self, call: &Self::Call) -> Option<Self>;
}

/// Whether the calls can have happened one after the other, each at a moment between its begin and its end.
pub(super) fn is_linearizable<O: Object>(start: O, history: &[Done<O::Call>]) -> bool {
    let all = match history.len() {
        0 => return true,
        calls @ 1..=64 => u64::MAX >> (64 - calls),
        calls => panic!("{calls} calls are too many"),
    };
    let known = HashSet::new();
    Search { history, known }.ends(&start, all)
}

struct Search<'a, O: Object> {
    history: &'a [Done<O::Call>],
    /// From here with these calls left it was tried in vain.
    known: HashSet<(O, u64)>,
}

impl<O: Object> Search<'_, O> {
    /// Whether all calls that are left, as bits, can follow.
    fn ends(&mut self, object: &O, left: u64) -> bool {
        if left == 0 {
            return true;
        }
        if !self.known.insert((object.clone(), left)) {
            return false;
        }
        let history = self.history;
        let open = || (0..history.len()).filter(|at| left & (1 << at) != 0);
        // Who began after another one ended comes after it.
        let first_end = open().map(|at| history[at].end).min();
        open()
            .filter(|at| Some(history[*at].begin) < first_end)
            .any(|at| {
                let next = object.after(&history[at].call);
                next.is_some_and(|next| self.ends(&next, left & !(1 << at)))
            })
    }
}

#[derive(Clone, Eq, Hash, PartialEq)]
struct Register(u8);

enum Access {
    Write(u8),
    Read(u8),
    /// It held the first, and holds the second.
    Swap(u8, u8),
}

use Access::{Read, Swap, Write};

impl Object for Register {
    type Call = Access;

    fn after(&self, call: &Access) -> Option<Self> {
        match *call {
            Write(new) => Some(Self(new)),
            Read(seen) => (seen == self.0).then(|| self.clone()),
            Swap(old, new) => (old == self.0).then_some(Self(new)),
        }
    }
}

fn judged(calls: Vec<(u64, u64, Access)>) -> bool {
    let done = |(begin, end, call)| Done { begin, end, call };
    let history: Vec<_> = calls.into_iter().map(done).collect();
    is_linearizable(Register(0), &history)
}

/// Calls that overlap may have happened in any order, also in another one than they ended in.
#[test]
fn overlapping_calls_are_linearizable() {
    assert!(judged(vec![]));
    assert!(judged(vec![
        (1, 8, Write(1)),
        (2, 3, Read(0)),
        (4, 5, Read(1)),
        (6, 7, Read(1))
    ]));
    assert!(judged(vec![
        (1, 4, Swap(1, 2)),
        (2, 3, Swap(0, 1)),
        (5, 6, Read(2))
    ]));
}

/// A read of what was overwritten before it began, a value that comes back, and two that take the same one are found.
#[test]
fn impossible_calls_are_not_linearizable() {
    assert!(!judged(vec![(1, 2, Write(1)), (3, 4, Read(0))]));
    assert!(!judged(vec![
        (1, 8, Write(1)),
        (2, 3, Read(1)),
        (4, 5, Read(0))
    ]));
    assert!(!judged(vec![(1, 4, Swap(0, 1)), (2, 3, Swap(0, 2))]));
}
