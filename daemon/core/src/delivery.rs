//! A delivery of a hook, as it came in and as it is kept.

use crate::{
    name::{HookId, NamespaceName},
    time::Timestamp,
};

/// One delivery that was accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// Number among all deliveries, rising; not without gaps.
    pub number: u64,
    /// The hook.
    pub hook: HookId,
    /// The provider's id of the delivery; empty where it sends none.
    pub stable_id: String,
    /// The provider's name of the event, such as `push`.
    pub event: String,
    /// Headers that the plugin may see, names in lower case: those that its description asks for, never one with a secret.
    pub headers: Vec<(String, String)>,
    /// The body as it was signed.
    pub body: Vec<u8>,
    /// When it came in.
    pub received: Timestamp,
    /// It was missed at first, and sent again because the daemon asked for it.
    pub redelivered: bool,
    /// What became of it.
    pub state: DeliveryState,
    /// One sentence for people that says why; may be empty.
    pub message: String,
    /// The events that it became: namespace and sequence.
    pub events: Vec<(NamespaceName, u64)>,
    /// What it is known by: a digest of its id, and one of its body. They are forgotten with it.
    pub marks: Vec<[u8; 32]>,
    /// The hook of the repository that it is about, where the hook of the host's app brought it.
    pub about: Option<HookId>,
}

impl Delivery {
    /// The hook of the repository that it is about, as far as that is known.
    #[must_use]
    pub fn subject(&self) -> &HookId {
        self.about.as_ref().unwrap_or(&self.hook)
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DeliveryState {
    /// Stored and not parsed yet.
    Stored,
    /// It became events.
    Processed,
    /// It is valid and there was nothing to do.
    Ignored,
    /// It repeats another one.
    Duplicate,
    /// It could not be parsed; it can be processed again.
    Unparsed,
}

/// That a delivery of a hook came in before: by its id, or by its body (THREATS W2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeliveryMark {
    /// The hook.
    pub hook: HookId,
    /// Digest of what it is known by.
    pub digest: [u8; 32],
    /// Number of the delivery.
    pub number: u64,
}

/// How far deliveries are numbered and processed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DeliveryHead {
    /// Numbers below this one may have been given out.
    pub reserved: u64,
    /// All below this one are processed.
    pub processed: u64,
    /// All below this one are removed.
    pub first: u64,
}
