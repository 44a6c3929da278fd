//! How a link by an app ends: suspended and uninstalled by its owner, or unlinked, alone or shared.

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Error, UnlinkRequest,
    proto::v1::{
        Link, ObservedState, WhoMustAct,
        cleanup_step::{Kind, Outcome},
        observed_state::{Cause, Stage},
    },
};

use crate::apps::{AppWorld, for_hello};

fn state(link: Option<Link>) -> Result<ObservedState> {
    link.context("no link")?.observed.context("no state")
}

async fn checked(app: &AppWorld, link: &str) -> Result<ObservedState> {
    state(app.world.client.check_link(link).await?.link)
}

/// A suspended installation is trouble, not death: the link stays bound, says who resumes it, and works again by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_installation_is_trouble() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let installation = app.install()?;
    let link = app.bind("namespaces/acme", installation).await?.name;
    let github = &app.world.forge.standin;
    github.suspend_installation(installation, true)?;
    let observed = checked(&app, &link).await?;
    ensure!(
        (observed.stage(), observed.cause()) == (Stage::Bound, Cause::AppSuspended),
        "{observed:?}"
    );
    ensure!(
        observed.who_must_act() == WhoMustAct::OrganizationOwner,
        "{observed:?}"
    );
    ensure!(
        app.world
            .client
            .read_credential(&for_hello(&link))
            .await
            .is_err(),
        "a suspended app hands out"
    );
    github.suspend_installation(installation, false)?;
    let observed = checked(&app, &link).await?;
    ensure!(observed.cause() == Cause::Unspecified, "{observed:?}");
    app.world.client.read_credential(&for_hello(&link)).await?;
    Ok(())
}

/// An uninstalled app is the end of the grant: the link says so, and asks to be authorized again.
#[tokio::test(flavor = "multi_thread")]
async fn an_uninstalled_app_needs_reauthorization() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let installation = app.install()?;
    let link = app.bind("namespaces/acme", installation).await?.name;
    app.world.forge.standin.uninstall(installation)?;
    let fetched = app.world.client.read_credential(&for_hello(&link)).await;
    ensure!(
        matches!(&fetched, Err(Error::NeedsReauthorization { cause, .. }) if cause == "APP_UNINSTALLED"),
        "{fetched:?}"
    );
    let observed = state(Some(app.world.get(&link).await?))?;
    ensure!(
        (observed.stage(), observed.cause())
            == (Stage::NeedsReauthorization, Cause::AppUninstalled),
        "{observed:?}"
    );
    Ok(())
}

/// The same is seen by a check alone, without anybody who fetches.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_sees_an_uninstalled_app() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let installation = app.install()?;
    let link = app.bind("namespaces/acme", installation).await?.name;
    app.world.forge.standin.uninstall(installation)?;
    let observed = checked(&app, &link).await?;
    ensure!(
        (observed.stage(), observed.cause())
            == (Stage::NeedsReauthorization, Cause::AppUninstalled),
        "{observed:?}"
    );
    Ok(())
}

/// The last link of an installation takes the app off the account.
#[tokio::test(flavor = "multi_thread")]
async fn unlinking_the_last_link_uninstalls_the_app() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let installation = app.install()?;
    let link = app.bind("namespaces/acme", installation).await?.name;
    let receipt = app.world.client.unlink(UnlinkRequest::new(&link)).await?;
    ensure!(receipt.complete, "{receipt:?}");
    ensure!(
        receipt
            .steps
            .iter()
            .any(|step| (step.kind(), step.outcome()) == (Kind::RevokeGrant, Outcome::Done)),
        "{receipt:?}"
    );
    ensure!(
        app.world.forge.standin.installations().is_empty(),
        "the app is still installed"
    );
    Ok(())
}

/// "Every token dies with the grant" is said before it is done: a link that shares its installation names the other and
/// changes nothing; who accepts uninstalls, and the other says that its grant is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_shared_installation_is_named_before_it_goes() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let installation = app.install()?;
    let one = app.bind("namespaces/acme", installation).await?.name;
    app.add_namespace("beta").await?;
    let two = app.bind("namespaces/beta", installation).await?.name;
    let client = &app.world.client;
    let refused = client.unlink(UnlinkRequest::new(&one)).await;
    let Err(error) = refused else {
        anyhow::bail!("it was unlinked")
    };
    ensure!(error.reason() == "GRANT_SHARED", "{error:?}");
    ensure!(
        error.to_string().contains(&two),
        "the other is not named: {error}"
    );
    ensure!(
        app.world.forge.standin.installations() == [installation],
        "it was uninstalled all the same"
    );
    client.read_credential(&for_hello(&one)).await?;
    let accepted = UnlinkRequest::new(&one).accept_shared_grant(true);
    let receipt = client.unlink(accepted).await?;
    ensure!(receipt.affected_links == [two.clone()], "{receipt:?}");
    ensure!(
        app.world.forge.standin.installations().is_empty(),
        "the app is still installed"
    );
    let other = state(Some(app.world.get(&two).await?))?;
    ensure!(other.stage() == Stage::NeedsReauthorization, "{other:?}");
    Ok(())
}

/// Without acceptance, a shared installation outlives the link: only its own tokens end.
#[tokio::test(flavor = "multi_thread")]
async fn keeping_a_shared_installation_ends_only_the_link() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let installation = app.install()?;
    let one = app.bind("namespaces/acme", installation).await?.name;
    app.add_namespace("beta").await?;
    let two = app.bind("namespaces/beta", installation).await?.name;
    let client = &app.world.client;
    let token = client.read_credential(&for_hello(&one)).await?.token;
    client
        .unlink(UnlinkRequest::new(&one).keep_shared_grant(true))
        .await?;
    let status = app
        .api("GET", "/installation/repositories", token.expose())
        .await?;
    ensure!(
        status == http::StatusCode::UNAUTHORIZED,
        "a lease lives: {status}"
    );
    ensure!(
        app.world.forge.standin.installations() == [installation],
        "the other's app was uninstalled"
    );
    client.read_credential(&for_hello(&two)).await?;
    Ok(())
}
