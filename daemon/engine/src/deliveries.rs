//! What becomes of deliveries that are stored: they are read by the plugin, held against what is known, and become events.
//!
//! Those of one hook are processed in order, one after the other; what an app's hook brings is processed with those of the
//! repository that it is about. All that a delivery changes is one commit, so that a stop at
//! any moment leaves it processed or not, and never half.
//!
//! | Module | What it does |
//! |---|---|
//! | `queue` | what waits, by hook |
//! | `process` | one after the other, again after a failure |
//! | `read` | what a delivery says |
//! | `turn` | what its changes become: one commit |
//! | `hint` | what a delivery says about a link or a repository as a whole: looked at, not believed |
//! | `app` | whose a delivery of an app's hook is |
//! | `draft` | events for the sources of a hook |
//! | `list` | deliveries for people: list, get, process again |
//! | `minute` | how often sources triggered lately, after a restart |
//! | `kept` | how much the deliveries take that are kept |
//! | `forget` | what is old, or too much |

mod app;
mod draft;
mod forget;
mod hint;
mod kept;
mod list;
mod minute;
mod process;
mod queue;
mod read;
mod turn;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bindery_core::{
    hook::{Hook, HookState},
    name::HookId,
    rules::LastMinute,
    source::SourceName,
    time::Timestamp,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use self::{forget::Walk, kept::Kept, queue::Queue};
use crate::flight::lock;

pub use self::list::{ListedDeliveries, Whose};
pub(crate) use self::{app::PROOF_EVERY, draft::Told, hint::GONE, turn::Changes};

/// Places that are kept although nobody holds them; more are given up.
const IDLE_PLACES: usize = 1024;

/// What is known of deliveries and their sources beside the records.
#[derive(Default)]
pub(crate) struct Deliveries {
    queue: Queue,
    /// One at a time decides what of a repository is new.
    turns: Mutex<HashMap<HookId, Arc<AsyncMutex<()>>>>,
    /// What those take that are kept.
    kept: Mutex<Kept>,
    /// How far what is old was gone through.
    walk: Mutex<Walk>,
    /// When sources triggered lately.
    minutes: Mutex<HashMap<SourceName, LastMinute>>,
}

impl Deliveries {
    /// A delivery is stored, and waits to be processed.
    pub(crate) fn push(&self, hook: &HookId, number: u64) {
        self.queue.push(hook, number);
    }

    /// Whether a delivery waits in the line of a hook.
    pub(crate) fn waits(&self, hook: &HookId) -> bool {
        self.queue.first(hook).is_some()
    }

    /// How many deliveries wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Waits until nobody else decides what of a hook's repository is new.
    pub(crate) async fn turn(&self, hook: &HookId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = lock(&self.turns);
            if turns.len() > IDLE_PLACES {
                turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            Arc::clone(turns.entry(hook.clone()).or_default())
        };
        turn.lock_owned().await
    }

    /// How often a source may still trigger in this minute; `max` 0 for no limit.
    pub(crate) fn room(&self, source: &SourceName, max: u32, now: Timestamp) -> u32 {
        let mut minutes = lock(&self.minutes);
        let known = minutes.get_mut(source);
        known.map_or_else(
            || if max == 0 { u32::MAX } else { max },
            |minute| minute.room(max, now),
        )
    }

    /// A source triggered.
    pub(crate) fn note_triggers(&self, source: &SourceName, times: u32, max: u32, now: Timestamp) {
        if times == 0 || max == 0 {
            return;
        }
        let mut minutes = lock(&self.minutes);
        if minutes.len() > IDLE_PLACES {
            minutes.retain(|_, minute| minute.room(1, now) == 0);
        }
        let minute = minutes.entry(source.clone()).or_default();
        minute.note(times, max, now);
    }
}

/// A signed delivery of its own came in at `at`: the hook works.
pub(crate) fn note_proof(hook: &mut Hook, at: Timestamp) {
    hook.verified = hook.verified.max(Some(at));
    hook.last_delivery = hook.last_delivery.max(Some(at));
    let open = matches!(
        hook.state,
        HookState::Pending
            | HookState::Silent
            | HookState::Rejecting
            | HookState::Missing
            | HookState::DisabledByProvider
    );
    // The provider switches a hook on again with a delivery that is answered, but not with one of before it was looked at.
    let news = hook.state != HookState::DisabledByProvider || Some(at) >= hook.checked;
    if open && news && hook.step.is_none() {
        hook.state = HookState::Verified;
        hook.message.clear();
        hook.who = None;
    }
}
