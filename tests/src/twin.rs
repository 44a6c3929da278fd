//! A twin of a forge (`bindery-twins`) on a real socket, with git beside it
//!
//! The twin decides; this only carries. Requests reach it one at a time, at the time of the real clock, and git reaches
//! its repositories once the twin has said who may. Faults that are set in the twin's knobs happen on the socket: a
//! connection that closes, an answer that never comes.

mod browsing;
mod front;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bindery_twins::{
    Twin,
    world::{Owner, Ref},
};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::browser::Wire;
use crate::repositories::{self, Repositories};
use crate::serve::serve;

/// A twin that can be reached; it ends when this is dropped
pub struct Served<T> {
    inner: Arc<Inner<T>>,
    _stop: watch::Sender<()>,
}

/// What all requests share
struct Inner<T> {
    twin: Mutex<T>,
    repositories: Repositories,
    web: String,
    wire: Arc<Wire>,
}

impl<T: Twin> std::fmt::Debug for Served<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Served");
        shown.field("web", &self.inner.web).finish_non_exhaustive()
    }
}

impl<T: Twin + Send + 'static> Served<T> {
    /// Starts a twin on a free port of 127.0.0.1, under a relative root as `/root`, or `` for none
    ///
    /// # Errors
    ///
    /// When there is no port, or no room for repositories.
    pub async fn start(root: &str, mut twin: T) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let web = format!("http://{}{root}", listener.local_addr()?);
        twin.set_web(&web);
        let inner = Arc::new(Inner {
            twin: Mutex::new(twin),
            repositories: Repositories::new()?,
            web,
            wire: Arc::new(Wire::plain()?),
        });
        let (stop, stopped) = watch::channel(());
        let front = front::Front::new(Arc::clone(&inner));
        tokio::spawn(serve(listener, None, stopped, front));
        Ok(Self { inner, _stop: stop })
    }

    /// Its URL for people, without a slash at the end
    #[must_use]
    pub fn web_url(&self) -> &str {
        &self.inner.web
    }

    /// Looks at the twin, or changes it, between two requests
    pub fn with<R>(&self, does: impl FnOnce(&mut T) -> R) -> R {
        does(&mut self.inner.twin())
    }

    /// Makes a private repository with these files on `main`, a branch `develop` and the tags `v0.9.0` and `v1.0.0`
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn add_repository(
        &self,
        owner: Owner,
        path: &str,
        files: &[(&str, &str)],
    ) -> anyhow::Result<u64> {
        let id = self.with(|twin| {
            let world = &mut twin.state_mut().world;
            world.add_repository(owner, path, now_ms())
        });
        self.inner.repositories.init(id, files)?;
        self.inner.tell_refs(id)?;
        Ok(id)
    }

    /// Commits one file to a branch that exists, and returns the commit's hash
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn commit(&self, id: u64, branch: &str, file: (&str, &str)) -> anyhow::Result<String> {
        let hash = self.inner.repositories.commit(id, branch, file)?;
        self.inner.tell_refs(id)?;
        Ok(hash)
    }
}

impl<T: Twin> Inner<T> {
    fn twin(&self) -> MutexGuard<'_, T> {
        // A test that panicked has failed already; what others see is still whole.
        self.twin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the twin which branches and tags git has
    fn tell_refs(&self, id: u64) -> anyhow::Result<()> {
        let refs = self.repositories.all_refs(id)?;
        let refs = refs.into_iter().map(known).collect();
        self.twin().state_mut().world.set_refs(id, refs);
        Ok(())
    }
}

fn known(found: repositories::Ref) -> Ref {
    Ref {
        tag_object: (found.kind == "tag").then_some(found.object),
        name: found.name,
        commit: found.commit,
    }
}

/// Milliseconds since 1970
fn now_ms() -> u64 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH);
    real.map_or(0, |real| {
        u64::try_from(real.as_millis()).unwrap_or(u64::MAX)
    })
}
