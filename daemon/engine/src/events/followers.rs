//! Who follows as which consumer at this moment: one at a time, and a new one takes over.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bindery_core::name::{ConsumerId, NamespaceName};
use tokio::sync::watch;

use crate::flight::lock;

type Name = (NamespaceName, ConsumerId);

/// The consumers that somebody follows as.
#[derive(Clone, Default)]
pub(crate) struct Followers(Arc<Mutex<HashMap<Name, Arc<Place>>>>);

/// One consumer while somebody follows as it.
struct Place {
    state: watch::Sender<ConsumerState>,
    sent: AtomicU64,
}

/// What a follower must know of its consumer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ConsumerState {
    /// Which follower counts; raised by each that takes over.
    follower: u64,
    /// The last event that is acknowledged.
    pub acknowledged: u64,
    /// How often the acknowledgement was set back.
    pub rewinds: u64,
}

/// The right to follow as a consumer, until another one takes over. Dropping it gives it back.
pub struct Following {
    followers: Followers,
    name: Name,
    place: Arc<Place>,
    states: watch::Receiver<ConsumerState>,
    follower: u64,
}

impl std::fmt::Debug for Following {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Following")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Followers {
    /// Takes over a consumer that stands at `acknowledged`.
    pub(crate) fn take_over(&self, name: Name, acknowledged: u64) -> Following {
        let place = Arc::clone(lock(&self.0).entry(name.clone()).or_insert_with(|| {
            Arc::new(Place {
                state: watch::Sender::default(),
                sent: AtomicU64::new(acknowledged),
            })
        }));
        let mut follower = 0;
        place.state.send_modify(|state| {
            state.follower += 1;
            state.acknowledged = acknowledged;
            follower = state.follower;
        });
        Following {
            states: place.state.subscribe(),
            followers: self.clone(),
            name,
            place,
            follower,
        }
    }

    /// Tells whoever follows that an event is acknowledged, or that the acknowledgement was set back.
    pub(crate) fn acknowledged(&self, name: &Name, sequence: u64) {
        if let Some(place) = lock(&self.0).get(name) {
            place.state.send_modify(|state| {
                state.rewinds += u64::from(sequence < state.acknowledged);
                state.acknowledged = sequence;
            });
        }
    }

    /// Ends whoever follows as a consumer that is forgotten.
    pub(crate) fn end(&self, name: &Name) {
        if let Some(place) = lock(&self.0).remove(name) {
            place.state.send_modify(|state| state.follower += 1);
        }
    }

    /// The last event that was sent to whoever follows; `None` where nobody does.
    pub(crate) fn sent(&self, name: &Name) -> Option<u64> {
        let places = lock(&self.0);
        places
            .get(name)
            .map(|place| place.sent.load(Ordering::Relaxed))
    }
}

impl Following {
    /// How the consumer stands; `None` when another one took over.
    #[must_use]
    pub fn state(&mut self) -> Option<ConsumerState> {
        let state = *self.states.borrow_and_update();
        (state.follower == self.follower).then_some(state)
    }

    /// Waits until that may be different.
    pub async fn changed(&mut self) {
        // The sender lives in the place, which is held here.
        let _ = self.states.changed().await;
    }

    /// Notes that all events up to this one were sent.
    pub fn note_sent(&self, sequence: u64) {
        self.place.sent.store(sequence, Ordering::Relaxed);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut places = lock(&self.followers.0);
        let last = self.place.state.borrow().follower == self.follower;
        let same = |place: &Arc<Place>| Arc::ptr_eq(place, &self.place);
        if last && places.get(&self.name).is_some_and(same) {
            places.remove(&self.name);
        }
    }
}
