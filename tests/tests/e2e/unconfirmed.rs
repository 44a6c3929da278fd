//! Consent that nobody confirms: after ten minutes the link is gone and its grant revoked, at every forge.
//!
//! `binderyd-hasty` has a clock that runs ahead as far as the test says, so that nobody waits for the ten minutes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    names::LinkName,
    proto::v1::{ObservedState, observed_state::Stage},
};
use bindery_tests::{forge::consent_in_browser, inside::Inside};

use crate::{rows::at_every_forge, world::World};

/// The daemon sees to it within this time, or it never does.
const PATIENCE: Duration = Duration::from_secs(60);

at_every_forge! {
    /// Until it is confirmed a link is pending and hands out nothing. Nine minutes after the consent it can still be confirmed;
    /// after ten it is over, and the forge has revoked what it granted, or the receipt says where a person does that.
    consent_that_nobody_confirms_ends: super::ends
}

async fn ends<F: Inside>(forge: F) -> Result<()> {
    let mut world = World::hasty(forge).await?;
    world.forge.lengthen()?;
    let (link, uri) = world.start_link().await?;
    let mut browser = world.forge.browser();
    let page = consent_in_browser(&mut world.forge, &mut browser, &uri).await?;
    let mut forms = page.forms().into_iter();
    let confirm = forms.find(|form| form.action.path().ends_with("/confirm"));
    let confirm = confirm.context("no confirm form")?;
    is_pending(&world, &link).await?;
    ensure!(world.forge.alive() > 0, "nothing was granted");

    world.ahead(Duration::from_secs(9 * 60))?;
    let shown = browser.open(&page.url).await?;
    ensure!(shown.status.is_success(), "over too soon: {}", shown.status);
    is_pending(&world, &link).await?;

    world.ahead(Duration::from_secs(10 * 60 + 1))?;
    let late = browser.submit(&confirm).await?;
    ensure!(!late.status.is_success(), "confirmed too late");
    let started = Instant::now();
    while state(&world, &link).await?.stage() != Stage::Unlinked {
        ensure!(started.elapsed() < PATIENCE, "it stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(world.fetch(&link).await.is_err(), "a token is handed out");
    let receipt = link.parse::<LinkName>()?.receipt();
    let receipt = world.client.get_receipt(&receipt).await?;
    let revokes = world.forge.revokes_by_api();
    ensure!(receipt.complete == revokes, "{receipt:?}");
    let left = world.forge.alive();
    ensure!(!revokes || left == 0, "{left} are left: {receipt:?}");
    Ok(())
}

async fn state<F: Inside>(world: &World<F>, link: &str) -> Result<ObservedState> {
    world.get(link).await?.observed.context("no state")
}

async fn is_pending<F: Inside>(world: &World<F>, link: &str) -> Result<()> {
    let observed = state(world, link).await?;
    ensure!(
        observed.stage() == Stage::PendingConfirmation && observed.until_time.is_some(),
        "{observed:?}"
    );
    ensure!(world.fetch(link).await.is_err(), "handed out unconfirmed");
    Ok(())
}
