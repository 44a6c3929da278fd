//! Whom an answer is for.
//!
//! A grant may be shared over the borders of namespaces. Who asks in one must learn that, and how many others there are; the
//! others' names they learn only where they may read them.

use std::{fmt, sync::Arc};

use bindery_core::{link::Link, name::NamespaceName};

type MayRead = dyn Fn(&NamespaceName) -> bool + Send + Sync;

/// Which namespaces' links may be named to whoever asks.
#[derive(Clone, Default)]
pub struct Audience(Option<Arc<MayRead>>);

impl Audience {
    /// Whoever may read the namespaces that `may_read` says. Without it, as for deeds of the daemon, the namespace that is
    /// asked about is the only one.
    pub fn new(may_read: impl Fn(&NamespaceName) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(may_read)))
    }

    /// Whether `other` may be named where `link` is asked about.
    pub(crate) fn may_know(&self, link: &Link, other: &Link) -> bool {
        self.0.as_ref().map_or_else(
            || other.namespace == link.namespace,
            |may_read| may_read(&other.namespace),
        )
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audience").finish_non_exhaustive()
    }
}
