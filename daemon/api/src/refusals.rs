//! Refused calls in the audit log: the first of a caller, a call and a reason at once, and how often it came again once
//! a minute. So nobody fills the disk with what is refused to them, and nothing that was refused is missing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bindery_core::{
    audit::{Audit, Deed, Survives},
    problem::Problem,
};
use tokio::sync::watch;

/// How long repetitions are counted before they are written.
const WINDOW: Duration = Duration::from_secs(60);

/// Callers, calls and reasons that are told apart; what is more is counted together.
const KINDS: usize = 16_384;

/// Who, which call, and why not.
type Kind = (String, String, String);

/// The refusals of the last minute. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Refusals {
    inner: Arc<Inner>,
}

struct Inner {
    audit: Arc<dyn Audit>,
    stopping: watch::Receiver<bool>,
    window: Mutex<Duration>,
    counted: Mutex<HashMap<Kind, Counted>>,
}

#[derive(Default)]
struct Counted {
    repeats: u64,
    /// The resource of the last one.
    resource: String,
}

impl Refusals {
    /// They are written to `audit`, the last ones when `stopping` turns true.
    pub(crate) fn new(audit: Arc<dyn Audit>, stopping: watch::Receiver<bool>) -> Self {
        Self {
            inner: Arc::new(Inner {
                audit,
                stopping,
                window: Mutex::new(WINDOW),
                counted: Mutex::default(),
            }),
        }
    }

    /// Another time than a minute.
    pub(crate) fn set_window(&self, window: Duration) {
        let own = &self.inner.window;
        *own.lock().unwrap_or_else(PoisonError::into_inner) = window;
    }

    /// Writes a refusal, or counts it.
    ///
    /// Fails with `AUDIT_UNAVAILABLE` where the first one can't be written.
    pub(crate) async fn write(&self, mut deed: Deed) -> Result<(), Problem> {
        let Some(kind) = self.inner.count(&mut deed) else {
            return Ok(());
        };
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.tell_later(kind).await });
        self.inner.audit.record(deed, Survives::Daemon).await
    }
}

impl Inner {
    /// Counts a refusal; its kind where it is the first one.
    fn count(&self, deed: &mut Deed) -> Option<Kind> {
        let mut counted = self.counted();
        let mut kind = kind(deed);
        if counted.len() >= KINDS && !counted.contains_key(&kind) {
            "others".clone_into(&mut deed.actor);
            "refused".clone_into(&mut deed.action);
            kind = self::kind(deed);
        }
        if let Some(known) = counted.get_mut(&kind) {
            known.repeats += 1;
            known.resource.clone_from(&deed.resource);
            return None;
        }
        counted.insert(kind.clone(), Counted::default());
        Some(kind)
    }

    /// Writes how often it came again, when the time is over or the daemon stops.
    async fn tell_later(&self, kind: Kind) {
        let mut stopping = self.stopping.clone();
        let window = *self.window.lock().unwrap_or_else(PoisonError::into_inner);
        // A sender that is gone is an end as well.
        let _ = tokio::time::timeout(window, stopping.wait_for(|stop| *stop)).await;
        let Some(counted) = self.counted().remove(&kind) else {
            return;
        };
        if counted.repeats == 0 {
            return;
        }
        let deed = summary(kind, counted);
        if let Err(error) = self.audit.record(deed, Survives::Daemon).await {
            tracing::error!(%error, "Repeated refusals are not in the audit log");
        }
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<Kind, Counted>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind(deed: &Deed) -> Kind {
    let reason = format!("{} {}", deed.code, deed.reason);
    (deed.actor.clone(), deed.action.clone(), reason)
}

fn summary((actor, action, why): Kind, counted: Counted) -> Deed {
    let (code, reason) = why.split_once(' ').unwrap_or((&why, ""));
    Deed {
        actor,
        action,
        resource: counted.resource,
        code: code.to_owned(),
        reason: reason.to_owned(),
        facts: [("repeats".to_owned(), counted.repeats.to_string())].into(),
        ..Deed::default()
    }
}
