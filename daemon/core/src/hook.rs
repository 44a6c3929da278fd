//! A webhook at a provider, and what is known about it.

use std::collections::BTreeMap;

use crate::{
    name::{HookId, HostName},
    problem::Who,
    provider::RepositoryChanged,
    secret::Secret,
    source::SourceName,
    time::Timestamp,
};

/// One webhook. It serves every source that uses the same repository through the same host; or it is that of the host's app.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hook {
    /// The opaque id in its URL: 128 random bits. It is an address, no credential.
    pub id: HookId,
    /// Host of the repository.
    pub host: HostName,
    /// The provider's id of the repository; empty for the hook of the host's app, which is for all of them.
    pub repository: String,
    /// Path of the repository, as last seen; of an app's hook the id of the app.
    pub full_name: String,
    /// Deliveries come through the hook of the host's app; the repository has none of ours.
    pub by_app: bool,
    /// The provider's id of the hook; empty while there is none.
    pub provider_id: String,
    /// Name of the signature scheme that deliveries must bear; fixed until a repair or rotation sets another (THREATS W4).
    pub scheme: String,
    /// What is known about it.
    pub state: HookState,
    /// One sentence for people: what is, and what to do.
    pub message: String,
    /// Who must act.
    pub who: Option<Who>,
    /// Page of the hook at the provider; may be empty.
    pub action_uri: String,
    /// What is under way at the provider: written before the request is sent, so that a death in between is made good.
    pub step: Option<HookStep>,
    /// When a signed ping or delivery of its own was last seen.
    pub verified: Option<Timestamp>,
    /// When a delivery last came in, rejected ones included.
    pub last_delivery: Option<Timestamp>,
    /// When a delivery was last rejected.
    pub last_rejection: Option<Timestamp>,
    /// Number of the first and the last delivery that is kept, for listing; 0 while there is none.
    pub deliveries: (u64, u64),
    /// When the current secret was made.
    pub secret_created: Timestamp,
    /// Sixteen hexadecimal digits that tell its secret from others; empty where they are not known yet.
    pub secret_fingerprint: String,
    /// Until when the secret before is accepted too.
    pub previous_secret_until: Option<Timestamp>,
    /// When it was last compared with what the provider has; `None` where that is to be done at once.
    pub checked: Option<Timestamp>,
    /// When the provider's list of deliveries was last gone through, for those that were missed.
    pub caught_up: Option<Timestamp>,
    /// When refs were last compared.
    pub reconciled: Option<Timestamp>,
    /// Something hints that a change was missed: refs are compared as soon as possible.
    pub reconcile_due: bool,
    /// Since when the provider does not know the repository, whichever link asks; `None` while it does. One answer may be a bad
    /// moment of the provider.
    pub unknown_since: Option<Timestamp>,
    /// The sources that it serves, in the order of their creation. The first one whose link works acts at the provider.
    pub sources: Vec<SourceName>,
    /// When it was made.
    pub created: Timestamp,
}

impl Hook {
    /// A hook of which only the place is known.
    #[must_use]
    pub const fn new(id: HookId, host: HostName, repository: String, now: Timestamp) -> Self {
        Self {
            id,
            host,
            repository,
            full_name: String::new(),
            by_app: false,
            provider_id: String::new(),
            scheme: String::new(),
            state: HookState::Pending,
            message: String::new(),
            who: None,
            action_uri: String::new(),
            step: None,
            verified: None,
            last_delivery: None,
            last_rejection: None,
            deliveries: (0, 0),
            secret_created: now,
            secret_fingerprint: String::new(),
            previous_secret_until: None,
            checked: None,
            caught_up: Some(now),
            reconciled: None,
            reconcile_due: false,
            unknown_since: None,
            sources: Vec::new(),
            created: now,
        }
    }

    /// Whether it is the hook of the host's app: one for all of its installations.
    #[must_use]
    pub const fn is_app(&self) -> bool {
        self.repository.is_empty()
    }

    /// Whether the provider has, or is to have, a hook of ours for this repository alone. One may be left of the time before the
    /// app's hook served it.
    #[must_use]
    pub const fn has_own(&self) -> bool {
        !self.by_app || !self.provider_id.is_empty()
    }
}

/// What is known about a hook.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum HookState {
    /// It is being created.
    Pending,
    /// A signed ping or delivery of its own arrived.
    Verified,
    /// It is there as it should be, but nothing has arrived.
    Silent,
    /// Deliveries arrive and are rejected.
    Rejecting,
    /// The provider switched it off.
    DisabledByProvider,
    /// It is not there.
    Missing,
    /// The link may not see or change it.
    Forbidden,
    /// It is there, but not as it should be.
    Changed,
}

/// What is under way at the provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HookStep {
    /// It is being created; it may be there without that its id is known here.
    Create,
    /// It is being put right, or gets a new secret.
    Update,
    /// It is being deleted.
    Delete,
}

/// The secrets of a hook. Sealed.
#[derive(Debug)]
pub struct HookSecrets {
    /// What deliveries are signed with.
    pub current: Secret,
    /// What they were signed with before, and until when that is accepted.
    pub previous: Option<(Secret, Timestamp)>,
    /// What they will be signed with: accepted from before the provider is told, so that no delivery is lost in between.
    pub next: Option<Secret>,
}

/// Which hook a repository has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HookPlace {
    /// Host of the repository.
    pub host: HostName,
    /// The provider's id of the repository.
    pub repository: String,
    /// Its hook.
    pub hook: HookId,
}

/// The refs of a repository, as far as events told of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KnownRefs {
    /// By full name, such as `refs/heads/main`.
    pub refs: BTreeMap<String, KnownRef>,
    /// All refs were seen once; before that a ref that is not here may be an old one.
    pub complete: bool,
    /// The last change of the repository as a whole that an event told of. The same does not happen twice without another one
    /// between.
    pub changed: Option<RepositoryChanged>,
}

/// What is known of one ref.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KnownRef {
    /// The commit that it points to, tags peeled; hexadecimal. Empty for one that was deleted, until refs are compared.
    pub commit: String,
    /// The commit where the last step began, if events left a gap there: what lies in it may come late. Of a deleted ref the
    /// last commit. Empty where there is no gap.
    pub before: String,
    /// Commits that comparing refs told of and that no delivery has told of yet, the oldest first; at most
    /// [`KnownRef::MOST_FOUND`]. The delivery that comes late is then no second event.
    pub found: Vec<String>,
}

impl KnownRef {
    /// How many found commits are remembered.
    pub const MOST_FOUND: usize = 16;
}
