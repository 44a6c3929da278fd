//! What others did at the forge: seen by a check, and shown in the link.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bindery_client::proto::v1::{
    CheckLinkResponse, Namespace, ObservedState, Severity, namespace,
    observed_state::{Cause, Stage},
};
use bindery_tests::{
    forge::GitHubForge,
    github::{OrgOptions, Role},
};

use crate::{
    apps::{AppWorld, for_hello},
    world::World,
};

#[path = "detection/rows.rs"]
mod rows;
#[path = "detection/unasked.rs"]
mod unasked;

/// How long is waited for what the daemon does by itself.
const PATIENCE: Duration = Duration::from_secs(30);

type GitHubWorld = World<GitHubForge>;

async fn linked() -> Result<(GitHubWorld, String)> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let link = world.link().await?;
    Ok((world, link))
}

async fn check(world: &GitHubWorld, link: &str) -> Result<(CheckLinkResponse, ObservedState)> {
    let checked = world.client.check_link(link).await?;
    let shown = world.get(link).await?.observed.context("no state")?;
    Ok((checked, shown))
}

fn found(checked: &CheckLinkResponse, reason: &str) -> Result<String> {
    let mut findings = checked.findings.iter();
    let finding = findings.find(|finding| finding.reason == reason);
    let finding = finding.with_context(|| format!("{reason} is not in {checked:?}"))?;
    Ok(finding.message.clone())
}

/// A grant that the person took back at the forge.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_was_revoked_is_seen() -> Result<()> {
    let (world, link) = linked().await?;
    let host = world.client.get_host("hosts/forge").await?;
    let client_id = host.oauth_client.context("no client")?.client_id;
    let (github, octo) = (&world.forge.standin, world.forge.person());
    let mut browser = github.browser();
    github.sign_in(&mut browser, octo).await?;
    github.revoke_grant(&mut browser, &client_id).await?;
    let (_, shown) = check(&world, &link).await?;
    ensure!(shown.stage() == Stage::NeedsReauthorization, "{shown:?}");
    ensure!(
        matches!(shown.cause(), Cause::GrantRevoked | Cause::TokenRefused),
        "{shown:?}"
    );
    ensure!(
        world.fetch(&link).await.is_err(),
        "a dead token is handed out"
    );
    Ok(())
}

/// A person who is suspended is in the way, not dead: the link works again when they are let in again.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_person_is_seen() -> Result<()> {
    let (world, link) = linked().await?;
    world.forge.standin.suspend_user("octo", true);
    let (_, shown) = check(&world, &link).await?;
    ensure!(shown.cause() == Cause::IdentitySuspended, "{shown:?}");
    ensure!(shown.stage() == Stage::Bound, "{shown:?}");
    world.forge.standin.suspend_user("octo", false);
    let (_, shown) = check(&world, &link).await?;
    ensure!(shown.cause() == Cause::Unspecified, "{shown:?}");
    let token = world.token(&link).await?;
    let live = world.forge.standin.live_tokens();
    ensure!(live.iter().any(|one| one.secret == token), "a dead token");
    Ok(())
}

/// A repository that credentials were asked for by name and that is called otherwise now: told by its stable id.
#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_repository_is_seen() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let installation = app.install()?;
    let link = app.bind("namespaces/acme", installation).await?.name;
    app.world.client.read_credential(&for_hello(&link)).await?;
    check(&app.world, &link).await?;
    app.world.forge.standin.rename("octo/hello", "goodbye")?;
    let (checked, _) = check(&app.world, &link).await?;
    let message = found(&checked, "REPOSITORY_RENAMED")?;
    ensure!(
        message.contains("octo/hello") && message.contains("octo/goodbye"),
        "{message}"
    );
    Ok(())
}

/// An organization that the identity has left, or was put out of.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_organization_is_seen() -> Result<()> {
    let forge = GitHubForge::start(false, None).await?;
    forge.standin.add_org("acme", OrgOptions::default());
    forge.standin.add_member("acme", "octo", Role::Member)?;
    let mut world = World::new(forge).await?;
    let link = world.link_with_organizations().await?;
    let (checked, _) = check(&world, &link).await?;
    ensure!(found(&checked, "ORGANIZATION_LOST").is_err(), "{checked:?}");
    world.forge.standin.remove_member("acme", "octo")?;
    let (checked, _) = check(&world, &link).await?;
    let message = found(&checked, "ORGANIZATION_LOST")?;
    ensure!(message.contains("acme"), "{message}");
    Ok(())
}

/// What a check by the daemon itself found is in the link, although it works and nobody called `CheckLink`: a call that does
/// not find a repository which a credential was given for has it look.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_repository_shows_in_the_link_by_itself() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let installation = app.install()?;
    let link = app.bind("namespaces/acme", installation).await?.name;
    let client = &app.world.client;
    client.read_credential(&for_hello(&link)).await?;
    ensure!(app.world.get(&link).await?.findings.is_empty(), "too early");
    app.world.forge.standin.delete_repo("octo/hello")?;
    let hello = format!("{link}/repositories/octo%2Fhello");
    ensure!(client.get_repository(hello).await.is_err(), "still there");
    let started = Instant::now();
    let shown = loop {
        let shown = app.world.get(&link).await?;
        if !shown.findings.is_empty() {
            break shown;
        }
        ensure!(started.elapsed() < PATIENCE, "nothing shows: {shown:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let finding = &shown.findings[0];
    ensure!(finding.reason == "REPOSITORY_LOST", "{finding:?}");
    ensure!(finding.severity() == Severity::Error, "{finding:?}");
    ensure!(finding.message.contains("octo/hello"), "{finding:?}");
    let observed = shown.observed.context("no state")?;
    ensure!(observed.stage() == Stage::Bound, "{observed:?}");
    ensure!(shown.check_time.is_some(), "not checked");
    Ok(())
}

/// GitHub keeps ten tokens for a person, an app and the same scopes: the eleventh ends the first, and its link says so.
#[tokio::test(flavor = "multi_thread")]
async fn trap_2_the_eleventh_token_ends_the_first() -> Result<()> {
    let (mut world, first) = linked().await?;
    for n in 2..=10 {
        link_in(&mut world, n).await?;
    }
    let (_, shown) = check(&world, &first).await?;
    ensure!(shown.stage() == Stage::Bound, "{shown:?}");
    let last = link_in(&mut world, 11).await?;
    let (_, shown) = check(&world, &first).await?;
    ensure!(shown.stage() == Stage::NeedsReauthorization, "{shown:?}");
    ensure!(
        world.fetch(&first).await.is_err(),
        "a dead token is handed out"
    );
    let (_, shown) = check(&world, &last).await?;
    ensure!(shown.stage() == Stage::Bound, "{shown:?}");
    Ok(())
}

/// One more registry links the same person.
async fn link_in(world: &mut GitHubWorld, n: u32) -> Result<String> {
    let id = format!("registry-{n}");
    let organization = Namespace {
        kind: namespace::Kind::Organization.into(),
        ..Namespace::default()
    };
    world.client.create_namespace(&id, organization).await?;
    let (link, uri) = world.start_link_in(&format!("namespaces/{id}")).await?;
    world.person_links(&uri).await?;
    Ok(link)
}
