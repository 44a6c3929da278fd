//! A twin of a forge (`bindery-twins`) on a real socket, with git beside it
//!
//! The twin decides; this only carries. Requests reach it one at a time, at the time of the real clock, and git reaches
//! its repositories once the twin has said who may. Faults that are set in the twin's knobs happen on the socket: a
//! connection that closes, an answer that never comes. What the twin tells webhooks is sent to their URLs for real.

mod browsing;
mod front;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use bindery_twins::{
    Twin,
    hooks::{Change, Push},
    world::Owner,
};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::browser::Wire;
use crate::canary;
use crate::courier::Courier;
use crate::repositories::{Point, Repositories, known};
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
    courier: Arc<Courier>,
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
        if canary::searching() {
            twin.state_mut().mint.set_canary(canary::MARKER);
        }
        let wire = Arc::new(Wire::plain()?);
        let inner = Arc::new(Inner {
            courier: Arc::new(Courier::new(Arc::clone(&wire))),
            twin: Mutex::new(twin),
            repositories: Repositories::new()?,
            web,
            wire,
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
        self.inner.tell_refs(id, None)?;
        Ok(id)
    }

    /// Commits one file to a branch that exists, and returns the commit's hash
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn commit(&self, id: u64, branch: &str, file: (&str, &str)) -> anyhow::Result<String> {
        let hash = self.inner.repositories.commit(id, branch, file)?;
        self.pushed(id)?;
        Ok(hash)
    }

    /// Makes tags at the head of `main` in one push of the owner
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn add_tags(&self, id: u64, names: &[&str], annotated: bool) -> anyhow::Result<()> {
        self.inner.repositories.add_tags(id, names, annotated)?;
        self.pushed(id)
    }

    /// Makes branches at the head of `main` in one push of the owner
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn add_branches(&self, id: u64, names: &[&str]) -> anyhow::Result<()> {
        self.inner.repositories.add_branches(id, names)?;
        self.pushed(id)
    }

    /// Removes branches and tags, by their full names, in one push of the owner
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn remove_refs(&self, id: u64, names: &[&str]) -> anyhow::Result<()> {
        let gone: Vec<_> = names.iter().map(|&name| (name, Point::Nowhere)).collect();
        self.inner.repositories.point(id, &gone)?;
        self.pushed(id)
    }

    /// Lets a branch or tag, by its full name, point to another object: a forced push of the owner
    ///
    /// # Errors
    ///
    /// When git refuses.
    pub fn force(&self, id: u64, name: &str, object: &str) -> anyhow::Result<()> {
        let point = [(name, Point::To(object))];
        self.inner.repositories.point(id, &point)?;
        self.pushed(id)
    }

    /// Does something to a repository that is no push that git knows of, and tells its hooks
    pub fn change(&self, change: &Change) {
        self.inner.twin().change(change, now_ms());
        self.inner.deliver();
    }

    /// Sends what is due by the twin's clock, and waits until every delivery that was begun has an answer
    ///
    /// What is to be tried again later is sent once the clock was moved, and this is asked for again.
    pub async fn deliveries_done(&self) {
        self.inner.deliver();
        self.inner.courier.idle().await;
    }

    fn pushed(&self, id: u64) -> anyhow::Result<()> {
        self.inner.tell_refs(id, None)?;
        self.inner.deliver();
        Ok(())
    }
}

impl<T: Twin> Inner<T> {
    fn twin(&self) -> MutexGuard<'_, T> {
        // A test that panicked has failed already; what others see is still whole.
        self.twin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the twin which branches and tags git has, and who changed them: the owner, unless it says otherwise
    fn tell_refs(&self, id: u64, login: Option<&str>) -> anyhow::Result<()> {
        let mut twin = self.twin();
        let new = self.repositories.all_refs(id)?;
        let new: Vec<_> = new.into_iter().map(known).collect();
        let world = &mut twin.state_mut().world;
        let repository = world.repositories.get(&id);
        let repository = repository.context("there is no such repository")?;
        let refs = self.repositories.changes(id, &repository.refs, &new)?;
        let by = login.and_then(|login| world.person(login));
        let by = by
            .map(|person| person.id)
            .or_else(|| world.keeper(repository));
        let push = Push {
            repository: id,
            by: by.unwrap_or_default(),
            refs,
        };
        if !push.refs.is_empty() {
            twin.change(&Change::Push(push), now_ms());
        }
        Ok(())
    }

    fn deliver(self: &Arc<Self>)
    where
        T: Send + 'static,
    {
        if !Courier::is_able() {
            return;
        }
        let batch = {
            let mut twin = self.twin();
            let clock = twin.state().knobs.clock(now_ms());
            twin.state_mut().hooks.due(clock)
        };
        let this = Arc::clone(self);
        self.courier.carry(batch, move |delivery, outcome| {
            let mut twin = this.twin();
            let clock = twin.state().knobs.clock(now_ms());
            twin.state_mut().hooks.settle(delivery, outcome, clock);
        });
    }
}

/// Milliseconds since 1970
fn now_ms() -> u64 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH);
    real.map_or(0, |real| {
        u64::try_from(real.as_millis()).unwrap_or(u64::MAX)
    })
}
