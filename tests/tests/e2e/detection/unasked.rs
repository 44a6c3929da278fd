//! What others did shows in the link within one check interval, although nobody asks for a check.
//!
//! `binderyd-hasty` has a clock that runs ahead as far as the test says.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bindery_client::{
    SourceRequest,
    proto::v1::{Link, ObservedState, observed_state::Cause},
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
    shows(&world, async || {
        let link = world.get(&link).await?;
        let cause = link.observed.as_ref().map(ObservedState::cause);
        let mut findings = link.findings.iter();
        // That it is a person's account is said of each such link.
        let found = findings.any(|finding| finding.reason != "PERSONAL_ACCOUNT");
        Ok(found || cause.is_some_and(|cause| cause != Cause::Unspecified))
    })
    .await
}

async fn new_name<F: Inside>(forge: F) -> Result<()> {
    let mut world = hasty(forge).await?;
    let link = world.link_with_hooks().await?;
    let request = SourceRequest::new(&link, "octo/hello");
    let source = world.client.create_source(request).await?.name;
    world.client.check_link(&link).await?;
    world.forge.rename("goodbye")?;
    // The look at its hook takes the new name over; where the check of the link was faster, that tells of it.
    shows(&world, async || {
        let source = world.client.get_source(&source).await?;
        let named = source.repository_full_name == "octo/goodbye";
        Ok(named || tells(&world.get(&link).await?, "REPOSITORY_RENAMED"))
    })
    .await
}

async fn organization<F: Inside>(forge: F) -> Result<()> {
    let mut world = hasty(forge).await?;
    world.forge.add_team("team")?;
    let link = world.link_with_organizations().await?;
    world.client.check_link(&link).await?;
    world.forge.leave_team("team")?;
    shows(&world, async || {
        Ok(tells(&world.get(&link).await?, "ORGANIZATION_LOST"))
    })
    .await
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
async fn shows<F: Inside>(world: &World<F>, there: impl AsyncFn() -> Result<bool>) -> Result<()> {
    ensure!(!there().await?, "it shows before it was looked for");
    world.ahead(INTERVAL)?;
    let started = Instant::now();
    while !there().await? {
        ensure!(started.elapsed() < PATIENCE, "nothing shows");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
