//! A link as callers see it, when they come one after the other.

use bindery_core::{
    link::{Desired, Link, Stage},
    problem::{Problem, Reason},
};
use bindery_engine::Versioned;

use super::checker::Object;

/// What becomes of a link.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Life {
    Bound,
    Unlinking,
    Unlinked,
}

/// A link between two calls.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct State {
    /// Its version, as long as it is bound: nobody counts the steps of an unlink.
    pub(super) version: u64,
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) life: Life,
    /// Number of the token pair that it holds.
    pub(super) pair: u64,
}

/// What a caller changes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Name(String),
    Enable(bool),
}

/// A call that ended, or a step of one.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Read(State),
    /// Done, if it was at the version that was expected; this is the version after it.
    Changed(Option<u64>, Change, u64),
    /// Refused, since it is not at this version.
    Moved(u64),
    /// Refused, since the link is unlinked.
    Over,
    /// An unlink begins, and ends: its caller waits for both.
    Unlinking(Option<u64>),
    Unlinked,
    /// The forge gives the pair of this number, which is stored some time afterwards.
    Refreshed(u64),
    /// The token of this pair is handed out.
    Fetched(u64),
    /// None is handed out.
    Refused(Reason),
}

impl State {
    /// As somebody reads it, who is told nothing of the pair.
    pub(super) fn of(link: &Versioned<Link>) -> Self {
        let life = match link.record.observed.stage {
            Stage::Bound => Life::Bound,
            Stage::Unlinking => Life::Unlinking,
            Stage::Unlinked => Life::Unlinked,
            other => panic!("nothing leads to {other:?}"),
        };
        Self {
            version: link.version,
            name: link.record.display_name.clone(),
            enabled: matches!(link.record.desired, Desired::Enabled(_)),
            life,
            pair: 0,
        }
    }

    fn bound(&self) -> bool {
        self.life == Life::Bound
    }

    fn is(&self, seen: &Self) -> bool {
        let version = if self.bound() {
            self.version
        } else {
            seen.version
        };
        let pair = seen.pair;
        let shown = Self {
            version,
            pair,
            ..self.clone()
        };
        shown == *seen
    }

    fn at(&self, expect: Option<u64>) -> bool {
        expect.is_none_or(|version| version == self.version)
    }

    fn changed(&self, what: &Change) -> Self {
        let mut next = self.clone();
        next.version += 1;
        match what {
            Change::Name(name) => next.name.clone_from(name),
            Change::Enable(enabled) => next.enabled = *enabled,
        }
        next
    }

    fn refreshed(&self, pair: u64) -> Option<Self> {
        // A pair that comes too late is revoked by the unlink.
        let pair = if self.bound() { pair } else { self.pair + 1 };
        (pair == self.pair + 1).then(|| Self {
            version: self.version + 1,
            pair,
            ..self.clone()
        })
    }

    fn refuses(&self, reason: Reason) -> bool {
        match reason {
            Reason::LinkDisabled => self.bound() && !self.enabled,
            // The link was still there, and its grant was not.
            Reason::LinkUnlinked | Reason::LinkNotBound => !self.bound(),
            _ => false,
        }
    }
}

impl Object for State {
    type Call = Call;

    fn after(&self, call: &Call) -> Option<Self> {
        let living = |life| Self {
            life,
            ..self.clone()
        };
        let (holds, next) = match call {
            Call::Read(seen) => (self.is(seen), self.clone()),
            Call::Changed(expect, what, version) => {
                let done = self.bound() && self.at(*expect) && *version == self.version + 1;
                (done, self.changed(what))
            }
            Call::Moved(version) => (!self.bound() || *version != self.version, self.clone()),
            Call::Over => (!self.bound(), self.clone()),
            Call::Unlinking(expect) if self.bound() => (self.at(*expect), living(Life::Unlinking)),
            Call::Unlinking(_) => (true, self.clone()),
            Call::Unlinked => (!self.bound(), living(Life::Unlinked)),
            Call::Refreshed(pair) => return self.refreshed(*pair),
            Call::Fetched(pair) => {
                let handed_out = self.bound() && self.enabled && *pair == self.pair;
                (handed_out, self.clone())
            }
            Call::Refused(reason) => (self.refuses(*reason), self.clone()),
        };
        holds.then_some(next)
    }
}

/// How a change ended.
pub(super) fn changed(
    expect: Option<u64>,
    what: Change,
    outcome: Result<Versioned<Link>, Problem>,
) -> Call {
    match outcome.map_err(|problem| problem.reason) {
        Ok(link) => Call::Changed(expect, what, link.version),
        Err(Reason::EtagMismatch) => Call::Moved(expect.expect("only who expects one")),
        Err(Reason::LinkUnlinked) => Call::Over,
        Err(other) => panic!("{other:?}"),
    }
}
