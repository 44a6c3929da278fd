//! Hooks: one webhook for each repository, made, proven, put right, given new secrets, and taken away.
//!
//! What is to happen at the provider is written down before it is asked for ([`Hook::step`]), so that a death in between, or
//! an answer that was lost, neither doubles a hook nor leaves one behind.
//!
//! | Module | What it does |
//! |---|---|
//! | `change` | writes a hook, and tells its sources of a new state |
//! | `act` | who asks the provider: the first source's link that works |
//! | `app`, `served` | the hook of a host's app, and the repositories that need none beside it |
//! | `moved` | a repository's own hook goes once the app's serves it |
//! | `settle` | brings the provider to what the journal says |
//! | `away` | takes a hook away |
//! | `judge` | what is to be said of a hook, from what the provider shows and what came in |
//! | `check` | compares a hook with what the provider has, and puts right what is safe |
//! | `repository` | a repository that has another path, or is gone |
//! | `verify` | the same at once, with a ping; repair |
//! | `rotate` | gives many hooks new secrets |
//! | `orphans` | finds hooks of ours that belong to no source |
//! | `watch` | when each hook is looked at by itself |

mod act;
mod app;
mod away;
mod change;
mod check;
mod judge;
mod moved;
mod orphans;
mod repository;
mod rotate;
mod served;
mod settle;
mod verify;
mod watch;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    hook::{Hook, HookSecrets},
    name::{HookId, HostName},
    port::{Key, Record},
    problem::{Problem, Reason},
    provider::{HookSupport, SignatureKind},
    secret::Secret,
};
use data_encoding::{BASE64, HEXLOWER};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch as tell};

pub(crate) use self::{
    act::{Through, refuses},
    away::{Gone, absent, deletion, forgotten},
    change::state_events,
    judge::{UNTOLD, untold},
    repository::{is_known_gone, put_name},
    served::{is_installed, put_served},
    settle::by_id,
};
pub use self::{app::AppHookSetUp, orphans::Orphan, rotate::Rotate};
use crate::{Engine, flight::lock, refresh::Schedule};

/// Time between two looks at a hook where the operator says nothing.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// Time between two comparisons of a repository's refs where neither operator nor source says anything.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// How long an old secret is accepted beside a new one where nobody says.
pub const OVERLAP: Duration = Duration::from_secs(3600);

/// Places that are kept although nobody holds them; more are given up.
const IDLE_PLACES: usize = 1024;

/// A repository at a host.
type At = (HostName, String);

/// What is known about hooks beside their records.
pub(crate) struct Hooks {
    /// One at a time changes what the provider has for one repository.
    places: Mutex<HashMap<At, Arc<AsyncMutex<()>>>>,
    /// When each hook is looked at next.
    schedule: Schedule<HookId>,
    /// A hook was written.
    stirred: tell::Sender<()>,
    /// Rotations that are not finished.
    rotations: Mutex<HashSet<rotate::Whose>>,
    /// Rotations that are gone on with at this moment.
    rotating: Mutex<HashSet<rotate::Whose>>,
    /// What the last stop left of rotations was looked for.
    rotations_known: AtomicBool,
    check_ms: AtomicU64,
    reconcile_ms: AtomicU64,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            places: Mutex::default(),
            schedule: Schedule::default(),
            stirred: tell::Sender::new(()),
            rotations: Mutex::default(),
            rotating: Mutex::default(),
            rotations_known: AtomicBool::new(false),
            check_ms: AtomicU64::new(ms(CHECK_INTERVAL)),
            reconcile_ms: AtomicU64::new(ms(RECONCILE_INTERVAL)),
        }
    }
}

impl Hooks {
    /// Waits until nobody else changes what the provider has for this repository.
    pub(crate) async fn place(&self, host: &HostName, repository: &str) -> OwnedMutexGuard<()> {
        let place = {
            let mut places = lock(&self.places);
            if places.len() > IDLE_PLACES {
                places.retain(|_, place| Arc::strong_count(place) > 1);
            }
            let at = (host.clone(), repository.to_owned());
            Arc::clone(places.entry(at).or_default())
        };
        place.lock_owned().await
    }

    /// Wakes those who wait for a hook to change.
    pub(crate) fn stir(&self) {
        self.stirred.send_replace(());
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Engine {
    /// Sets the time between two looks at a hook; zero for none.
    pub fn set_hook_check_interval(&self, interval: Duration) {
        self.hooks().check_ms.store(ms(interval), Ordering::SeqCst);
    }

    /// Sets the time between two comparisons of refs for sources that say nothing; zero for none.
    pub fn set_reconcile_interval(&self, interval: Duration) {
        let reconcile = &self.hooks().reconcile_ms;
        reconcile.store(ms(interval), Ordering::SeqCst);
    }

    /// Time between two comparisons of refs for sources that say nothing; zero for none.
    #[must_use]
    pub fn reconcile_interval(&self) -> Duration {
        Duration::from_millis(self.hooks().reconcile_ms.load(Ordering::SeqCst))
    }

    pub(crate) fn hook_check_interval(&self) -> Duration {
        Duration::from_millis(self.hooks().check_ms.load(Ordering::SeqCst))
    }

    /// Where deliveries of a hook go.
    #[must_use]
    pub fn hook_url(&self, id: &HookId) -> String {
        format!("{}{id}", self.hook_prefix())
    }

    /// What the URLs of all hooks of this daemon begin with.
    pub(crate) fn hook_prefix(&self) -> String {
        format!("{}/hooks/", self.config().public_url)
    }

    /// A hook that does not exist yet.
    pub(crate) fn new_hook_id(&self) -> Result<HookId, Problem> {
        HookId::parse(&self.new_id())
            .map_err(|error| Problem::new(Reason::Internal, error.to_string()))
    }

    /// A new secret for a signature scheme: 256 random bits, in the form that the scheme asks for.
    pub(crate) fn new_hook_secret(&self, support: &HookSupport, scheme: &str) -> Secret {
        let bytes = self.random::<32>();
        Secret::new(if standard(support, scheme) {
            format!("whsec_{}", BASE64.encode(&bytes))
        } else {
            HEXLOWER.encode(&bytes)
        })
    }
}

/// Whether a scheme is that of Standard Webhooks, whose secrets have a form of their own.
pub(crate) fn standard(support: &HookSupport, scheme: &str) -> bool {
    let known = support.scheme(scheme);
    known.is_some_and(|scheme| scheme.kind == SignatureKind::StandardWebhooks)
}

/// A second copy of a hook's secrets, for a write.
pub(crate) fn duplicate(secrets: &HookSecrets) -> HookSecrets {
    let previous = secrets.previous.as_ref();
    HookSecrets {
        current: secrets.current.duplicate(),
        previous: previous.map(|(secret, until)| (secret.duplicate(), *until)),
        next: secrets.next.as_ref().map(Secret::duplicate),
    }
}

/// Writes the secrets of a hook. The place must be held: nobody else writes them.
pub(crate) fn put_secrets(hook: &HookId, secrets: &HookSecrets) -> bindery_core::port::Change {
    crate::records::change(
        Key::HookSecrets(hook.clone()),
        bindery_core::port::Expect::Any,
        Some(Record::HookSecrets(duplicate(secrets))),
    )
}

pub(crate) fn as_hook(record: Record) -> Option<Hook> {
    if let Record::Hook(hook) = record {
        Some(hook)
    } else {
        None
    }
}
