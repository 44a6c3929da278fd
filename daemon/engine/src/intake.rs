//! Deliveries as they come in: who sent them is proven, repetitions are noticed, and what is new is stored before it is
//! answered.
//!
//! Nothing of a delivery is parsed here. Its bytes are verified as they came, with the hook's one scheme (THREATS W1, W4); an
//! unknown hook takes the same path with another hook's secrets, and the same time (W6).
//!
//! | Module | What it does |
//! |---|---|
//! | `verify` | signatures of all schemes, in constant time |
//! | `rates` | how many deliveries a hook, and all together, may bring |
//! | `marks` | what a delivery is known by |
//! | `numbers` | numbers of deliveries, given out in blocks |
//! | `candidate` | which hook a delivery is held against |
//! | `take` | the way of one delivery |
//! | `passing` | deliveries that are too long, or too slow |

mod candidate;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod marks;
mod numbers;
mod passing;
mod rates;
mod take;
mod verify;

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
    time::Duration,
};

use bindery_core::{name::HookId, problem::Problem, time::Timestamp};

use self::{candidate::Blindness, numbers::Numbers, rates::Rates};
use crate::{Engine, flight::lock};

pub(crate) use self::marks::{by_id, seen_mark};
pub use self::passing::{End, Passing};

/// Longest body that can be stored, in bytes: with its headers it is one record of the vault, and one step of the plugin.
pub const LONGEST_BODY: usize = 8 << 20;

/// Refs are compared at most this often for deliveries of which nobody knows who sent them.
const BETWEEN_CUTS: Duration = Duration::from_secs(300);

/// What deliveries may take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Longest body, in bytes; at most [`LONGEST_BODY`].
    pub body_bytes: usize,
    /// Deliveries a second of one hook.
    pub per_hook: u32,
    /// Deliveries a second of all hooks together.
    pub in_all: u32,
    /// Deliveries that may wait to be processed.
    pub waiting: usize,
    /// How long a delivery is kept, and known by its id and body.
    pub kept: Duration,
    /// How many bytes all deliveries that are kept may take; the oldest are forgotten sooner.
    pub kept_bytes: u64,
}

impl Default for Limits {
    /// The figures of THREATS W2 and W7.
    fn default() -> Self {
        Self {
            body_bytes: LONGEST_BODY,
            per_hook: 50,
            in_all: 500,
            waiting: 10_000,
            kept: Duration::from_secs(7 * 86_400),
            kept_bytes: 1 << 30,
        }
    }
}

/// A delivery as it came in.
#[derive(Debug)]
pub struct Incoming {
    /// Last part of the path.
    pub hook: String,
    /// All headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

/// What became of a delivery that is answered with 2xx.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taken {
    /// It is stored under this number.
    Stored(u64),
    /// It came before.
    Repeated,
    /// It is too much, and its provider would switch the hook off for a refusal: refs are compared in its place.
    Dropped,
}

/// Why a delivery was not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refused {
    /// There is no such hook, or the signature is not right: the same for whoever asks.
    Forged,
    /// The hook, or all together, bring too many; come again after this time.
    TooMany(Duration),
    /// Too many wait to be processed, or it can't be verified now; come again after this time.
    Full(Duration),
    /// It is longer than deliveries may be.
    TooLong,
    /// It could not be stored.
    Failed(Problem),
}

/// What is known of deliveries beside their records.
#[derive(Default)]
pub(crate) struct Intake {
    limits: Mutex<Limits>,
    rates: Rates,
    numbers: Numbers,
    /// A hook that stands in for those that do not exist.
    decoy: Mutex<Option<HookId>>,
    /// When deliveries were last rejected; written by the sweep, so that a flood of them costs no writes.
    rejected: Mutex<HashMap<HookId, Timestamp>>,
    /// When deliveries last did not come whole; written by the sweep as well.
    cut: Mutex<HashMap<HookId, Timestamp>>,
    blindness: Mutex<Blindness>,
    /// Deliveries that a provider was asked to send again, by hook and id.
    awaited: Mutex<HashSet<(HookId, String)>>,
}

impl Intake {
    /// Notes that a provider is asked to send a delivery again. Says whether it was not asked before: what is rejected, or lost,
    /// once more is not asked for for ever.
    pub(crate) fn await_again(&self, hook: &HookId, stable_id: &str) -> bool {
        let mut awaited = lock(&self.awaited);
        // One that never came is forgotten with many others: the mark is for people only.
        if awaited.len() > 4096 {
            awaited.clear();
        }
        awaited.insert((hook.clone(), stable_id.to_owned()))
    }

    fn was_awaited(&self, hook: &HookId, stable_id: &str) -> bool {
        lock(&self.awaited).remove(&(hook.clone(), stable_id.to_owned()))
    }
}

impl Engine {
    /// Sets what deliveries may take.
    pub fn set_intake_limits(&self, limits: Limits) {
        *lock(&self.intake().limits) = limits;
    }

    /// What deliveries may take.
    #[must_use]
    pub fn intake_limits(&self) -> Limits {
        lock(&self.intake().limits).clone()
    }

    /// Writes down when deliveries of hooks were last rejected.
    pub(crate) async fn write_rejections(&self) -> Result<(), Problem> {
        let rejected = std::mem::take(&mut *lock(&self.intake().rejected));
        for (id, at) in rejected {
            self.change_hook(&id, |hook| {
                hook.last_rejection = hook.last_rejection.max(Some(at));
                hook.last_delivery = hook.last_delivery.max(Some(at));
            })
            .await?;
        }
        Ok(())
    }

    /// Sees to it that refs are compared where deliveries did not come whole.
    pub(crate) async fn write_cuts(&self) -> Result<(), Problem> {
        let cut = std::mem::take(&mut *lock(&self.intake().cut));
        for (id, at) in cut {
            self.change_hook(&id, |hook| {
                let since = hook.reconciled.map(|last| at.since(last));
                hook.reconcile_due |= since.is_none_or(|time| time >= BETWEEN_CUTS);
            })
            .await?;
        }
        Ok(())
    }
}
