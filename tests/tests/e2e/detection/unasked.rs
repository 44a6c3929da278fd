//! What others did shows in the link within one check interval, although nobody asks for a check.
//!
//! `binderyd-hasty` has a clock that runs ahead as far as the test says.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bindery_client::{
    SourceRequest,
    proto::v1::{Link, observed_state::Cause},
};
use bindery_tests::inside::Inside;

use super::{PATIENCE, rows::Suspends};
use crate::{rows::at_every_forge, world::World};

/// What stands between two checks of a link where the operator says nothing (`linking.check_interval_minutes`).
const INTERVAL: Duration = Duration::from_secs(6 * 3600);

at_every_forge! {
    /// A person who is suspended.
    a_suspension_shows: super::suspension
}

at_every_forge! {
    /// A repository of a source that is called otherwise now.
    a_new_name_shows: super::new_name
}

at_every_forge! {
    /// An organization that the identity was put out of.
    a_lost_organization_shows: super::organization
}

async fn suspension<F: Suspends>(forge: F) -> Result<()> {
    let mut world = hasty(forge).await?;
    let link = world.link().await?;
    world.client.check_link(&link).await?;
    world.forge.suspend(true)?;
    shows(&world, &link, |link| {
        let cause = link.observed.as_ref().map(|observed| observed.cause());
        cause.is_some_and(|cause| cause != Cause::Unspecified) || !link.findings.is_empty()
    })
    .await
}

async fn new_name<F: Inside>(forge: F) -> Result<()> {
    let mut world = hasty(forge).await?;
    let link = world.link_with_hooks().await?;
    let request = SourceRequest::new(&link, "octo/hello");
    world.client.create_source(request).await?;
    world.client.check_link(&link).await?;
    world.forge.rename("goodbye")?;
    shows(&world, &link, |link| tells(link, "REPOSITORY_RENAMED")).await
}

async fn organization<F: Inside>(forge: F) -> Result<()> {
    let mut world = hasty(forge).await?;
    world.forge.add_team("team")?;
    let link = world.link_with_organizations().await?;
    world.client.check_link(&link).await?;
    world.forge.leave_team("team")?;
    shows(&world, &link, |link| tells(link, "ORGANIZATION_LOST")).await
}

async fn hasty<F: Inside>(forge: F) -> Result<World<F>> {
    let mut world = World::hasty(forge).await?;
    world.forge.lengthen()?;
    Ok(world)
}

fn tells(link: &Link, reason: &str) -> bool {
    link.findings.iter().any(|finding| finding.reason == reason)
}

/// It is not there before the interval is over, and there when it is.
async fn shows<F: Inside>(
    world: &World<F>,
    link: &str,
    there: impl Fn(&Link) -> bool,
) -> Result<()> {
    let before = world.get(link).await?;
    ensure!(!there(&before), "it shows before it was looked for");
    world.ahead(INTERVAL)?;
    let started = Instant::now();
    loop {
        let shown = world.get(link).await?;
        if there(&shown) {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "nothing shows: {shown:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
