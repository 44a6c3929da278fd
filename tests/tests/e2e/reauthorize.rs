//! A link that is authorized anew: same id, and the old grant works until the new one is bound.

use anyhow::{Context, Result, ensure};
use bindery_client::{
    ReauthorizeRequest,
    proto::v1::{Link, Permission, observed_state::Stage},
};
use bindery_tests::{
    browser::{Browser, Page},
    forge::{Forge, GitHubForge},
    github::{Decision, Person},
};
use url::Url;

use crate::world::World;

#[path = "reauthorize/sources.rs"]
mod sources;

type GitHubWorld = World<GitHubForge>;

/// A link that `octo` is bound to.
async fn linked() -> Result<(GitHubWorld, String)> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let link = world.link().await?;
    Ok((world, link))
}

/// Starts it, and returns the page for the person.
async fn start(world: &GitHubWorld, request: ReauthorizeRequest) -> Result<String> {
    let started = world.client.reauthorize_link(request).await?;
    let told = started.authorization.context("no authorization")?;
    Ok(told.authorization_uri)
}

/// Somebody goes to the forge and agrees; returns the page that Bindery shows them then.
async fn agree(
    world: &GitHubWorld,
    browser: &mut Browser,
    who: &Person,
    start: &str,
) -> Result<Page> {
    let page = browser.open(&Url::parse(start)?).await?;
    let mut forms = page.forms().into_iter();
    let form = forms.find(|form| form.action.path().ends_with("/start"));
    let leaving = browser.submit(&form.context("no start form")?).await?;
    let github = &world.forge.standin;
    let back = github
        .decide(browser, who, leaving, Decision::Agree)
        .await?;
    browser.follow(back).await
}

async fn confirm(browser: &mut Browser, page: &Page) -> Result<Page> {
    let mut forms = page.forms().into_iter();
    let form = forms.find(|form| form.action.path().ends_with("/confirm"));
    let answer = browser.submit(&form.context("no confirm form")?).await?;
    browser.follow(answer).await
}

fn login(link: &Link) -> &str {
    link.identity.as_ref().map_or("", |who| &who.login)
}

fn stage(link: &Link) -> Stage {
    link.observed.clone().unwrap_or_default().stage()
}

/// O7: another identity than before is refused, and the link stays with its own; where the change is allowed, the new one
/// takes its place under the same name.
#[tokio::test(flavor = "multi_thread")]
async fn o7_another_identity_needs_permission() -> Result<()> {
    let (world, link) = linked().await?;
    let before = world.token(&link).await?;
    let mallory = world.forge.standin.add_user("mallory");
    let page = start(&world, ReauthorizeRequest::new(&link)).await?;
    let mut browser = world.forge.browser();
    let shown = agree(&world, &mut browser, &mallory, &page).await?;
    if shown.status.is_success() {
        confirm(&mut browser, &shown).await?;
    }
    let after = world.get(&link).await?;
    ensure!(
        (login(&after), stage(&after)) == ("octo", Stage::Bound),
        "{after:?}"
    );
    ensure!(world.token(&link).await? == before, "another token");

    if after.flow.is_some() {
        world.client.cancel_link(&link).await?;
    }
    let allowed = ReauthorizeRequest::new(&link).allow_identity_change();
    let page = start(&world, allowed).await?;
    let mut browser = world.forge.browser();
    let shown = agree(&world, &mut browser, &mallory, &page).await?;
    confirm(&mut browser, &shown).await?;
    let after = world.get(&link).await?;
    ensure!(login(&after) == "mallory", "{after:?}");
    ensure!(after.name == link, "another name: {}", after.name);
    Ok(())
}

/// Stepping up for webhooks asks for more on the same link; the old grant works until the new one is bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_keeps_the_link_and_its_grant() -> Result<()> {
    let (world, link) = linked().await?;
    let before = world.token(&link).await?;
    let more = [Permission::ReadCode, Permission::Webhooks];
    let page = start(&world, ReauthorizeRequest::new(&link).permissions(more)).await?;
    ensure!(world.token(&link).await? == before, "the old grant is gone");
    let octo = world.forge.person().clone();
    let mut browser = world.forge.browser();
    let shown = agree(&world, &mut browser, &octo, &page).await?;
    ensure!(
        world.token(&link).await? == before,
        "the new grant is used before it is confirmed"
    );
    confirm(&mut browser, &shown).await?;
    let after = world.get(&link).await?;
    ensure!(
        after.name == link && stage(&after) == Stage::Bound,
        "{after:?}"
    );
    ensure!(
        after
            .granted_scopes
            .iter()
            .any(|one| one == "admin:repo_hook"),
        "{:?}",
        after.granted_scopes
    );
    ensure!(after.missing_scopes.is_empty(), "{after:?}");
    ensure!(world.token(&link).await? != before, "the old grant is used");
    Ok(())
}

/// A reauthorization that is cancelled leaves the link as it was, before consent and after it, also over a crash.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_reauthorization_changes_nothing() -> Result<()> {
    let (mut world, link) = linked().await?;
    let before = world.token(&link).await?;
    for consent in [false, true] {
        let page = start(&world, ReauthorizeRequest::new(&link)).await?;
        if consent {
            let octo = world.forge.person().clone();
            let mut browser = world.forge.browser();
            agree(&world, &mut browser, &octo, &page).await?;
            world.crash().await?;
        }
        world.client.cancel_link(&link).await?;
        let after = world.get(&link).await?;
        ensure!(
            stage(&after) == Stage::Bound && after.flow.is_none(),
            "{after:?}"
        );
        let token = world.token(&link).await?;
        ensure!(token == before, "another token");
        ensure!(world.forge.accepts(&token).await?, "its token is dead");
    }
    Ok(())
}
