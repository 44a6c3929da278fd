//! What happened, normalised over providers and numbered without gaps in its namespace.

mod fields;
mod size;

pub use self::fields::FILTER_FIELDS;
use crate::{
    hook::HookState,
    name::{ConsumerId, HostName, LinkId, NamespaceName, SourceId, TriggerId},
    problem::Who,
    provider::{Happening, Person},
    source::Build,
    time::Timestamp,
};

/// One event of a namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Number within the namespace; 1 for the first, without gaps.
    pub sequence: u64,
    /// The link.
    pub link: LinkId,
    /// The source; `None` where it concerns the link as a whole.
    pub source: Option<SourceId>,
    /// The host.
    pub host: HostName,
    /// The provider's id of the repository; empty where it concerns none.
    pub repository: String,
    /// Path of the repository when it happened.
    pub full_name: String,
    /// When it happened, by the provider's clock.
    pub happened: Option<Timestamp>,
    /// When Bindery learned of it.
    pub received: Timestamp,
    /// How Bindery learned of it.
    pub origin: EventOrigin,
    /// Number of the delivery that it came from.
    pub delivery: Option<u64>,
    /// Who did it.
    pub actor: Option<Person>,
    /// What happened.
    pub change: EventChange,
    /// What the rules of the source say; `None` for events that never trigger.
    pub verdict: Option<Verdict>,
    /// Id of the rule that decided; empty where none matched.
    pub rule: String,
    /// What the registry builds, with the tag template filled in.
    pub build: Option<Build>,
}

/// How Bindery learned of an event.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventOrigin {
    /// A delivery of a hook.
    Delivery,
    /// A delivery that was missed and sent again.
    Redelivery,
    /// Comparing refs.
    Reconciliation,
    /// A trigger.
    Trigger,
    /// The daemon itself.
    Daemon,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventChange {
    /// At the provider.
    Provider(Happening),
    /// A link lost its access, or got it back.
    Access(AccessChange),
    /// The state of a hook changed.
    Hook(HookChange),
    /// A trigger was fired.
    Trigger(Firing),
}

/// A link lost its access, or got it back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessChange {
    /// It was lost.
    pub lost: bool,
    /// Login of the organization; empty where it concerns one repository, or the whole link.
    pub organization: String,
    /// Stable reason.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// Who must act.
    pub who: Option<Who>,
    /// Page where they act; may be empty.
    pub action_uri: String,
}

/// The state of a hook changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HookChange {
    /// State before.
    pub before: HookState,
    /// State after.
    pub after: HookState,
    /// One sentence for people.
    pub message: String,
    /// Who must act.
    pub who: Option<Who>,
    /// Page of the hook; may be empty.
    pub action_uri: String,
}

/// A trigger was fired.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Firing {
    /// The trigger.
    pub trigger: TriggerId,
    /// Full name of the branch or tag.
    pub reference: String,
    /// The commit; empty where it was not looked up.
    pub commit: String,
    /// Who fired it; empty for a trigger URL.
    pub principal: String,
}

/// What the rules of a source say about an event.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// Build it.
    Trigger,
    /// The rules exclude it.
    Excluded,
    /// The commit asks for no build.
    Skipped,
    /// More than the source allows in a minute.
    HeldBack,
    /// The source is paused.
    Paused,
}

/// How far the events of a namespace are numbered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EventHead {
    /// The oldest that is kept; 1 at first.
    pub first: u64,
    /// The newest; 0 while there is none.
    pub last: u64,
    /// The sizes of those from [`EventHead::sized_from`] on together, in bytes.
    pub bytes: u64,
    /// The oldest whose size is counted; the one after the newest while none is. Sizes of older ones were not noted when they
    /// were stored, and are added up by the next sweep.
    pub sized_from: u64,
}

impl EventHead {
    /// Of a namespace without events.
    pub const EMPTY: Self = Self {
        first: 1,
        last: 0,
        bytes: 0,
        sized_from: 1,
    };
}

/// One who follows the events of a namespace and acknowledges them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consumer {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its id.
    pub id: ConsumerId,
    /// The last event that it acknowledged; `None` before the first.
    pub acknowledged: Option<u64>,
    /// The last event before those that it was to get when it first watched. Until it acknowledges one, it starts after it, so
    /// that what was sent and not acknowledged is sent again.
    pub started: u64,
    /// The last event that was sent to it, as last written.
    pub sent: u64,
    /// Who watched the last time.
    pub principal: String,
    /// When it last watched or acknowledged.
    pub active: Timestamp,
}

impl Consumer {
    /// The last event that it need not get any more.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.acknowledged.unwrap_or(self.started)
    }
}
