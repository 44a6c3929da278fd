//! A registry that follows what happens to a repository.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Client, EventWatch, LinkRequest, SourceRequest,
    proto::v1::{CatchUpSourceResponse, Event, Permission, Source, event::Change, hook},
};
use bindery_tests::{daemon::Options, forge::Forge};

use super::expected::{Seen, seen};
use crate::world::World;

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(150);

/// A consumer of the events of a namespace.
pub(super) struct Registry(EventWatch);

impl Registry {
    /// From the first event on.
    pub(super) fn of(client: &Client, namespace: &str) -> Self {
        let events = client.events(namespace);
        Self(events.consumer("builder").oldest().watch())
    }

    /// The next events that are about refs, each acknowledged.
    pub(super) async fn next(&mut self, count: usize) -> Result<Vec<Event>> {
        self.next_within(count, PATIENCE).await
    }

    /// As [`Registry::next`], where it may take longer.
    pub(super) async fn next_within(
        &mut self,
        count: usize,
        patience: Duration,
    ) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        while events.len() < count {
            let event = tokio::time::timeout(patience, self.0.next())
                .await
                .with_context(|| format!("only {:?} of {count} came", seen(&events)))??;
            self.0.ack(&event).await?;
            if Seen::of(&event).is_some() {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// The next firing of a trigger; what is about refs must not come before.
    pub(super) async fn next_firing(&mut self) -> Result<Event> {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.0.next())
                .await
                .context("no trigger was fired")??;
            self.0.ack(&event).await?;
            ensure!(Seen::of(&event).is_none(), "{event:?}");
            if matches!(event.change, Some(Change::TriggerFired(_))) {
                return Ok(event);
            }
        }
    }

    /// Exactly these come, in this order.
    pub(super) async fn expect(&mut self, wanted: &[Seen]) -> Result<()> {
        let came = seen(&self.next(wanted.len()).await?);
        ensure!(came == wanted, "{came:#?} came instead of {wanted:#?}");
        Ok(())
    }

    /// Exactly these come, in whatever order.
    pub(super) async fn expect_all(&mut self, mut wanted: Vec<Seen>) -> Result<()> {
        let mut came = seen(&self.next(wanted.len()).await?);
        came.sort();
        wanted.sort();
        ensure!(came == wanted, "{came:#?} came instead of {wanted:#?}");
        Ok(())
    }

    /// What comes up to a commit of a branch, each event going on where the one before it ended: none is lost, and none
    /// doubled. Returns how many there are.
    pub(super) async fn expect_chain(&mut self, first: &str, last: &str) -> Result<usize> {
        let (mut at, mut count) = (first.to_owned(), 0);
        while at != last {
            let came = seen(&self.next(1).await?).remove(0);
            let Seen::Pushed { before, after, .. } = &came else {
                anyhow::bail!("{came:?} is no push");
            };
            ensure!(*before == at, "{came:?} does not go on at {at}");
            at.clone_from(after);
            count += 1;
        }
        Ok(count)
    }
}

/// A bound link that may manage webhooks.
pub(super) async fn linked<F: Forge>(world: &mut World<F>, namespace: &str) -> Result<String> {
    let request = LinkRequest::oauth(namespace, "hosts/forge")
        .permissions([Permission::ReadCode, Permission::Webhooks]);
    let created = world.client.create_link(request).await?;
    let told = created.authorization.context("no authorization")?;
    world.person_links(&told.authorization_uri).await?;
    Ok(created.link.context("no link")?.name)
}

/// A daemon, a forge whose `octo/hello` is a source of it, and a registry that follows that.
pub(super) struct Followed<F> {
    pub(super) world: World<F>,
    pub(super) source: Source,
    pub(super) registry: Registry,
}

impl<F: Forge> Followed<F> {
    /// Refs are compared this often by themselves; never for 0.
    pub(super) async fn start(forge: F, minutes: u32) -> Result<Self> {
        let hooks = format!("[hooks]\nreconcile_interval_minutes = {minutes}\n");
        Self::configured(forge, hooks).await
    }

    /// With these lines in the configuration.
    pub(super) async fn configured(forge: F, extra: String) -> Result<Self> {
        let options = Options {
            plugins: vec![F::PLUGIN],
            extra,
            ..Options::default()
        };
        Self::with(forge, options).await
    }

    /// With a daemon that is started in this way.
    pub(super) async fn with(forge: F, options: Options) -> Result<Self> {
        let mut world = World::with(forge, options).await?;
        world.forge.lengthen()?;
        let link = linked(&mut world, "namespaces/acme").await?;
        let request = SourceRequest::new(&link, "octo/hello");
        let source = world.client.create_source(request).await?;
        let registry = Registry::of(&world.client, "namespaces/acme");
        Ok(Self {
            world,
            source,
            registry,
        })
    }

    /// Asks for what was missed since an hour ago.
    pub(super) async fn catch_up(&self) -> Result<CatchUpSourceResponse> {
        let since = SystemTime::now() - Duration::from_secs(3600);
        let client = &self.world.client;
        Ok(client
            .catch_up_source(&self.source.name, Some(since))
            .await?)
    }
}

/// The hook has proven itself by a delivery.
pub(super) async fn verified(client: &Client, source: &str) -> Result<()> {
    let started = Instant::now();
    loop {
        let hook = client.get_source(source).await?.hook.context("no hook")?;
        if hook.state() == hook::State::Verified {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "{hook:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
