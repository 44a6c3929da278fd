//! Deliveries in great numbers, to a daemon that dies, or that is lied to.
//!
//! | Module | What it shows |
//! |---|---|
//! | `kills` | what was answered is an event, once, however often the daemon is killed |
//! | `replays` | what was caught and is sent again is no second event |
//! | `storm` | good deliveries pass while bad ones come as fast as they can |
//! | `senders` | who posts: some again and again, some once |
//! | `ledger` | what they were answered, held against the events |

#[path = "intake/kills.rs"]
mod kills;
#[path = "intake/ledger.rs"]
mod ledger;
#[path = "intake/replays.rs"]
mod replays;
#[path = "intake/senders.rs"]
mod senders;
#[path = "intake/storm.rs"]
mod storm;

use std::time::Duration;

use anyhow::{Context, Result};
use bindery_client::{
    EventQuery, LinkRequest, SourceRequest,
    proto::v1::{Event, Permission, event::Change},
};
use bindery_tests::{artifacts::Plugin, daemon::Options, forge::GitHubForge, pushes::Hooked};

use crate::world::World;

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(600);

/// The namespace whose events are looked at.
const NAMESPACE: &str = "namespaces/acme";

/// Lines of the section `hooks` that let so many deliveries a second in.
fn limits(per_second: u32) -> String {
    format!(
        "deliveries_per_second = {per_second}\ndeliveries_per_second_in_all = {per_second}\nmax_waiting = 20000\n"
    )
}

/// A daemon that takes deliveries of several repositories.
struct Busy {
    world: World<GitHubForge>,
    hooks: Vec<Hooked>,
    /// Names of the sources, one for each hook.
    sources: Vec<String>,
}

impl Busy {
    /// `limits` are lines of the section `hooks`. Refs are compared only where a delivery gives a reason for it.
    async fn start(repositories: usize, limits: &str) -> Result<Self> {
        let options = Options {
            plugins: vec![Plugin::GitHub],
            extra: format!("[hooks]\nreconcile_interval_minutes = 0\n{limits}"),
            ..Options::default()
        };
        let forge = GitHubForge::start(false, None).await?;
        let mut world = World::with(forge, options).await?;
        let link = linked(&mut world).await?;
        let (mut hooks, mut sources) = (Vec::new(), Vec::new());
        for n in 0..repositories {
            let name = format!("busy-{n}");
            let standin = &world.forge.standin;
            standin.add_repo("octo", &name, true, &[("README.md", "busy\n")])?;
            let full_name = format!("octo/{name}");
            let request = SourceRequest::new(&link, &full_name);
            sources.push(world.client.create_source(request).await?.name);
            hooks.push(Hooked::of(standin, &full_name)?);
        }
        world.forge.standin.deliveries_done().await;
        Ok(Self {
            world,
            hooks,
            sources,
        })
    }

    /// All events, in the order of their numbers.
    async fn events(&self) -> Result<Vec<Event>> {
        let query = EventQuery::default();
        Ok(self
            .world
            .client
            .list_events(NAMESPACE, query)
            .all()
            .await?)
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

/// The commit of a push that a delivery told of.
fn delivered(event: &Event) -> Option<&str> {
    match event.change.as_ref()? {
        Change::Push(push) if !event.delivery.is_empty() => Some(&push.after_commit_id),
        _ => None,
    }
}
