//! What others did, at every forge: seen by a check and by fetches that fail, and shown in the link.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Error, SourceRequest,
    proto::v1::{
        CheckLinkResponse, ObservedState,
        observed_state::{Cause, Stage},
    },
};
use bindery_tests::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    forge::{Forge, GitHubForge, TwinForge},
    inside::Inside,
};
use bindery_twins::{gitea::Gitea, gitee::Gitee, gitlab::GitLab};

use crate::{rows::at_every_forge, world::World};

/// Two verdicts that make a grant dead are a minute apart (THREATS R5).
const TO_THE_NEXT_VERDICT: Duration = Duration::from_secs(61);

at_every_forge! {
    /// A grant that the person took back: the link says that it must be authorized anew, and hands out nothing.
    a_revoked_grant_is_seen_by_checks: super::revoked
}

at_every_forge! {
    /// The same without any check, once the tokens that were handed out have ended.
    a_revoked_grant_is_seen_by_fetches: super::revoked_and_fetched
}

at_every_forge! {
    /// A person who is suspended is in the way, not dead: the link works again when they are let in again.
    a_suspended_person_is_seen: super::suspended
}

at_every_forge! {
    /// A repository that is called otherwise now, told by its stable id.
    a_renamed_repository_is_seen: super::renamed
}

at_every_forge! {
    /// A repository that belongs to others now.
    a_transferred_repository_is_seen: super::transferred
}

at_every_forge! {
    /// A repository that went where the link does not reach.
    a_repository_out_of_reach_is_seen: super::out_of_reach
}

at_every_forge! {
    /// An organization that the identity was put out of, and came back to.
    a_lost_organization_is_seen: super::organization_lost
}

/// How a forge tells that somebody is suspended.
#[derive(Eq, PartialEq)]
pub(super) enum Suspension {
    /// It says so.
    Told,
    /// It takes no token of theirs.
    TokensRefused,
    /// It says that something is forbidden, and not why.
    Unexplained,
}

pub(super) trait Suspends: Inside {
    const SUSPENSION: Suspension;
}

impl Suspends for GitHubForge {
    const SUSPENSION: Suspension = Suspension::Told;
}
impl Suspends for TwinForge<GitLab> {
    const SUSPENSION: Suspension = Suspension::Told;
}
impl Suspends for TwinForge<Gitea> {
    const SUSPENSION: Suspension = Suspension::Told;
}
impl Suspends for TwinForge<Gitee> {
    const SUSPENSION: Suspension = Suspension::Unexplained;
}
impl Suspends for BitbucketCloudForge {
    const SUSPENSION: Suspension = Suspension::TokensRefused;
}
impl Suspends for BitbucketDataCenterForge {
    const SUSPENSION: Suspension = Suspension::Told;
}

async fn world<F: Inside>(forge: F) -> Result<World<F>> {
    let mut world = World::new(forge).await?;
    world.forge.lengthen()?;
    Ok(world)
}

async fn check<F: Forge>(world: &World<F>, link: &str) -> Result<CheckLinkResponse> {
    Ok(world.client.check_link(link).await?)
}

async fn state<F: Forge>(world: &World<F>, link: &str) -> Result<ObservedState> {
    world.get(link).await?.observed.context("no state")
}

async fn revoked<F: Inside>(forge: F) -> Result<()> {
    let mut world = World::hasty(forge).await?;
    world.forge.lengthen()?;
    let link = world.link().await?;
    world.forge.take_back();
    let mut ahead = TO_THE_NEXT_VERDICT;
    // A token that is only just there is looked at again before a refresh is tried; then there are two verdicts.
    for _ in 0..4 {
        check(&world, &link).await?;
        let shown = state(&world, &link).await?;
        if shown.stage() == Stage::NeedsReauthorization {
            break;
        }
        ensure!(shown.cause() != Cause::Unspecified, "nothing is shown");
        world.ahead(ahead)?;
        ahead += TO_THE_NEXT_VERDICT;
    }
    is_given_up(&world, &link).await
}

async fn revoked_and_fetched<F: Inside>(forge: F) -> Result<()> {
    let mut world = World::hasty(forge).await?;
    world.forge.shorten()?;
    let link = world.link().await?;
    world.token(&link).await?;
    world.forge.take_back();
    let mut ahead = TO_THE_NEXT_VERDICT;
    for _ in 0..4 {
        world.ahead(ahead)?;
        ahead += TO_THE_NEXT_VERDICT;
        let outcome = world.fetch(&link).await;
        ensure!(outcome.is_err(), "a dead grant gives {outcome:?}");
    }
    is_given_up(&world, &link).await
}

/// Nothing is handed out any more, and the link says why.
async fn is_given_up<F: Forge>(world: &World<F>, link: &str) -> Result<()> {
    let refused = world.fetch(link).await;
    ensure!(
        matches!(refused, Err(Error::NeedsReauthorization { .. })),
        "{refused:?}"
    );
    is_said(world, link).await
}

/// The link says why, and that its person must act.
async fn is_said<F: Forge>(world: &World<F>, link: &str) -> Result<()> {
    let shown = state(world, link).await?;
    let dead = matches!(shown.cause(), Cause::GrantRevoked | Cause::TokenRefused);
    ensure!(dead && !shown.message.is_empty(), "{shown:?}");
    Ok(())
}

async fn suspended<F: Suspends>(forge: F) -> Result<()> {
    let mut world = world(forge).await?;
    let link = world.link().await?;
    world.forge.suspend(true)?;
    let checked = check(&world, &link).await?;
    let shown = state(&world, &link).await?;
    ensure!(!checked.findings.is_empty(), "nothing is found");
    match F::SUSPENSION {
        Suspension::Told => ensure!(
            (shown.stage(), shown.cause()) == (Stage::Bound, Cause::IdentitySuspended),
            "{shown:?}"
        ),
        Suspension::TokensRefused => {
            ensure!(shown.cause() == Cause::TokenRefused, "{shown:?}");
        }
        Suspension::Unexplained => {}
    }
    world.forge.suspend(false)?;
    check(&world, &link).await?;
    let shown = state(&world, &link).await?;
    ensure!(
        (shown.stage(), shown.cause()) == (Stage::Bound, Cause::Unspecified),
        "{shown:?}"
    );
    let token = world.token(&link).await?;
    ensure!(world.forge.accepts(&token).await?, "a dead token");
    Ok(())
}

/// A link with a source.
async fn watching<F: Inside>(forge: F) -> Result<(World<F>, String)> {
    let mut world = world(forge).await?;
    world.forge.add_team("team")?;
    let link = world.link_with_hooks().await?;
    let request = SourceRequest::new(&link, "octo/hello");
    world.client.create_source(request).await?;
    let checked = check(&world, &link).await?;
    ensure!(
        found(&checked, "REPOSITORY_").is_none(),
        "found before it happened: {checked:?}"
    );
    Ok((world, link))
}

/// Reason and message of the finding whose reason begins so.
fn found(checked: &CheckLinkResponse, reason: &str) -> Option<(String, String)> {
    let mut findings = checked.findings.iter();
    let found = findings.find(|finding| finding.reason.starts_with(reason))?;
    Some((found.reason.clone(), found.message.clone()))
}

async fn renamed<F: Inside>(forge: F) -> Result<()> {
    let (mut world, link) = watching(forge).await?;
    world.forge.rename("goodbye")?;
    is_called(&world, &link, "octo/goodbye").await
}

async fn transferred<F: Inside>(forge: F) -> Result<()> {
    let (mut world, link) = watching(forge).await?;
    world.forge.transfer("team")?;
    is_called(&world, &link, "team/hello").await
}

/// The check tells both names.
async fn is_called<F: Inside>(world: &World<F>, link: &str, name: &str) -> Result<()> {
    let checked = check(world, link).await?;
    let (reason, message) =
        found(&checked, "REPOSITORY_").with_context(|| format!("not seen: {checked:?}"))?;
    ensure!(reason == "REPOSITORY_RENAMED", "{reason}: {message}");
    ensure!(
        message.contains("octo/hello") && message.contains(name),
        "{message}"
    );
    Ok(())
}

async fn out_of_reach<F: Inside>(forge: F) -> Result<()> {
    let (mut world, link) = watching(forge).await?;
    world.forge.transfer("team")?;
    world.forge.leave_team("team")?;
    let checked = check(&world, &link).await?;
    let (reason, message) =
        found(&checked, "REPOSITORY_").with_context(|| format!("not seen: {checked:?}"))?;
    ensure!(reason == "REPOSITORY_LOST", "{reason}: {message}");
    ensure!(message.contains("octo/hello"), "{message}");
    Ok(())
}

async fn organization_lost<F: Inside>(forge: F) -> Result<()> {
    let mut world = world(forge).await?;
    world.forge.add_team("team")?;
    let link = world.link_with_organizations().await?;
    let checked = check(&world, &link).await?;
    ensure!(found(&checked, "ORGANIZATION_").is_none(), "{checked:?}");
    world.forge.leave_team("team")?;
    let checked = check(&world, &link).await?;
    let (reason, message) =
        found(&checked, "ORGANIZATION_").with_context(|| format!("not seen: {checked:?}"))?;
    ensure!(reason == "ORGANIZATION_LOST", "{reason}: {message}");
    ensure!(message.contains("team"), "{message}");
    Ok(())
}
