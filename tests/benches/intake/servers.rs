//! A daemon with one hook, which stores what comes in, or does not.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result};
use bindery_client::{
    EventQuery, EventWatch, LinkRequest, SourceRequest,
    proto::v1::{Permission, event::Change},
};
use bindery_tests::{
    artifacts::{Plugin, artifacts},
    daemon::{Daemon, Options},
    forge::GitHubForge,
    pushes::{Delivery, Hooked, Pushed},
};

use crate::{
    posting::{self, Seen},
    report::Run,
    world::World,
};

pub(crate) const NAMESPACE: &str = "namespaces/acme";
const REPOSITORY: &str = "octo/hello";
/// Bytes of a delivery.
const BODY: usize = 8 << 10;
/// Nothing is refused because it is too much, and nothing is compared.
const HOOKS: &str = "[hooks]\nreconcile_interval_minutes = 0\ndeliveries_per_second = 1000000\n\
                     deliveries_per_second_in_all = 1000000\nmax_waiting = 1000000\n";

/// One of the two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// `binderyd`.
    Stores,
    /// `binderyd-forgetful`.
    Forgets,
}

/// A daemon, and what it takes.
pub(crate) struct Server {
    side: Side,
    world: World<GitHubForge>,
    hook: Hooked,
    /// Where its bodies come from.
    origin: &'static str,
    /// Deliveries that were made.
    made: usize,
    watch: EventWatch,
}

impl Server {
    pub(crate) async fn start(side: Side) -> Result<Self> {
        let binary = match side {
            Side::Stores => None,
            Side::Forgets => Some(artifacts().control("forgetful", "binderyd-forgetful")?),
        };
        let options = Options {
            plugins: vec![Plugin::GitHub],
            api: "requests_per_second = 0\n".to_owned(),
            binary,
            extra: HOOKS.to_owned(),
            ..Options::default()
        };
        let mut world = World::with(GitHubForge::start(false, None).await?, options).await?;
        let link = linked(&mut world).await?;
        world
            .client
            .create_source(SourceRequest::new(&link, REPOSITORY))
            .await?;
        world.forge.standin.deliveries_done().await;
        let (hook, origin) = filled(Hooked::of(&world.forge.standin, REPOSITORY)?)?;
        let watch = world.client.events(NAMESPACE).oldest().watch();
        Ok(Self {
            side,
            world,
            hook,
            origin,
            made: 0,
            watch,
        })
    }

    /// Posts so many deliveries, and waits until all that are stored have become events.
    pub(crate) async fn run(&mut self, connections: u8, deliveries: usize) -> Result<Run> {
        let all = self.deliveries(deliveries);
        let began = Instant::now();
        let seen = self.post(connections, all).await?;
        let told = match self.side {
            Side::Stores => Some({
                self.told(deliveries).await?;
                began.elapsed()
            }),
            Side::Forgets => None,
        };
        Ok(Run::new(&seen, told))
    }

    pub(crate) async fn post(&self, connections: u8, all: Vec<Delivery>) -> Result<Seen> {
        posting::post(&self.daemon().web_url(), connections, all).await
    }

    /// Pushes that nobody has told of, signed.
    pub(crate) fn deliveries(&mut self, count: usize) -> Vec<Delivery> {
        let from = self.made;
        self.made += count;
        let push = |n: usize| {
            let commit = format!("{:040x}", n + 1);
            // A branch that is made anew each time: what is known of the repository stays as small as it is.
            let push = Pushed {
                branch: "main",
                before: None,
                after: &commit,
            };
            self.hook.push(&commit, push)
        };
        (from..self.made).map(push).collect()
    }

    /// Deliveries that nobody signed, or not so.
    pub(crate) fn forgeries(&self, bytes: usize) -> Vec<Delivery> {
        self.hook.forgeries(bytes)
    }

    /// Waits until so many more have become events.
    pub(crate) async fn told(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let event = self.watch.next().await?;
            left -= usize::from(matches!(event.change, Some(Change::Push(_))));
        }
        Ok(())
    }

    /// Number of the newest event.
    pub(crate) async fn newest(&self) -> Result<i64> {
        let query = EventQuery {
            newest_first: true,
            ..EventQuery::default()
        };
        let mut events = self.world.client.list_events(NAMESPACE, query);
        Ok(events.next().await?.map_or(0, |event| event.sequence))
    }

    pub(crate) const fn daemon(&self) -> &Daemon {
        &self.world.daemon
    }

    /// Process id.
    pub(crate) fn id(&self) -> Result<u32> {
        self.daemon().id().context("binderyd does not run")
    }

    /// Where it stores.
    pub(crate) fn folder(&self) -> PathBuf {
        self.daemon().path("")
    }

    /// What it is sent.
    pub(crate) fn about(&self) -> String {
        let push = Pushed {
            branch: "main",
            before: None,
            after: "",
        };
        let bytes = self.hook.push("", push).size();
        format!("Deliveries of {bytes} bytes: {}", self.origin)
    }
}

async fn linked(world: &mut World<GitHubForge>) -> Result<String> {
    let request = LinkRequest::oauth(NAMESPACE, "hosts/forge")
        .permissions([Permission::ReadCode, Permission::Webhooks]);
    let created = world.client.create_link(request).await?;
    let told = created.authorization.context("no authorization")?;
    world.person_links(&told.authorization_uri).await?;
    Ok(created.link.context("no link")?.name)
}

/// A recorded push where there is one, as long as its kind is.
fn filled(hook: Hooked) -> Result<(Hooked, &'static str)> {
    let Some(corpus) = std::env::var_os("BINDERY_CORPUS") else {
        return Ok((hook.filled_to(BODY), "GitHub's members that somebody reads"));
    };
    let file = PathBuf::from(corpus).join("github/webhooks/go-scm.push.json");
    let body = serde_json::from_slice(&std::fs::read(file)?)?;
    Ok((
        hook.with_body(body).filled_to(BODY),
        "a recorded push of GitHub, of this repository",
    ))
}
