//! Kill -9 at each step of a refresh and of an unlink: nothing is lost silently, and what was begun goes on.
//!
//! `binderyd-mortal` counts what its engine does outside of itself (a commit, a request), and dies before or after the one
//! that the test chooses. The same round is repeated with the next step, until a round ends before its step comes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bindery_client::{
    Error, LinkRequest, SourceRequest, UnlinkRequest,
    names::LinkName,
    proto::v1::{
        Permission, Receipt,
        cleanup_step::{Kind, Outcome},
        observed_state::Stage,
    },
};
use bindery_tests::{
    artifacts::artifacts,
    bitbucket::BitbucketCloudForge,
    daemon::Options,
    forge::{Forge, GitHubForge, TwinForge},
    inside::Inside,
};
use bindery_twins::gitlab;

use crate::{apps::AppWorld, world::World};

/// A refresh or an unlink has no more steps than this, or it never ends.
const MOST_STEPS: u32 = 200;

/// The daemon has found out what is left of a link within this time, or it never does.
const PATIENCE: Duration = Duration::from_secs(120);

/// R2, R3, R4: a daemon that dies at any step of a refresh, at a forge where every refresh kills the old pair, comes back
/// with a link that works, or that says why it does not: never with a token that the forge refuses.
#[tokio::test(flavor = "multi_thread")]
async fn r3_no_step_of_a_strict_refresh_loses_a_link_silently() -> Result<()> {
    refreshes(GitHubForge::start(true, None).await?).await?;
    Ok(())
}

/// R2: at a forge that takes the old refresh token for a while, no death at any step of a refresh costs a link.
#[tokio::test(flavor = "multi_thread")]
async fn r2_no_step_of_a_graceful_refresh_costs_a_link() -> Result<()> {
    let stated = refreshes(BitbucketCloudForge::start().await?).await?;
    ensure!(stated == 0, "{stated} links need their person again");
    Ok(())
}

/// O10: a daemon that dies at any step of an unlink goes on with it by itself, to the same receipt: the webhook of its source is
/// gone, and so is the grant.
#[tokio::test(flavor = "multi_thread")]
async fn o10_an_unlink_goes_on_after_a_death_at_any_step() -> Result<()> {
    let world = mortal(GitHubForge::start(false, None).await?).await?;
    unlinks(world, by_consent).await
}

/// O10: as above, at a forge with a revocation endpoint that ends a pair token by token.
#[tokio::test(flavor = "multi_thread")]
async fn o10_an_unlink_by_endpoint_goes_on_after_a_death_at_any_step() -> Result<()> {
    let world = mortal(TwinForge::<gitlab::GitLab>::start(false).await?).await?;
    unlinks(world, by_consent).await
}

/// O10: as above, at a forge where a person does the last step.
#[tokio::test(flavor = "multi_thread")]
async fn o10_an_unlink_without_revocation_goes_on_after_a_death_at_any_step() -> Result<()> {
    let world = mortal(BitbucketCloudForge::start().await?).await?;
    unlinks(world, by_consent).await
}

/// O10: as above, by an app, whose tokens are leases that end before the app is taken off the account.
#[tokio::test(flavor = "multi_thread")]
async fn o10_an_unlink_of_an_app_goes_on_after_a_death_at_any_step() -> Result<()> {
    let world = mortal(GitHubForge::start(false, None).await?).await?;
    let app = AppWorld::with(world, &["contents:write", "repository_hooks:write"]).await?;
    let id = app.app.app_id;
    unlinks(app.world, async |world| {
        let installation = world.forge.standin.install(id, "octo", &[])?.to_string();
        let request =
            LinkRequest::app_installation("namespaces/acme", "hosts/forge", Some(&installation))
                .permissions([Permission::ReadCode, Permission::Webhooks]);
        let created = world.client.create_link(request).await?;
        Ok(created.link.context("no link")?.name)
    })
    .await
}

async fn by_consent<F: Forge>(world: &mut World<F>) -> Result<String> {
    world.link_with_hooks().await
}

/// Returns how many links said that a person must act.
async fn refreshes<F: Forge>(forge: F) -> Result<usize> {
    let mut world = mortal(forge).await?;
    world.forge.lengthen()?;
    let (mut works, mut stated) = (0, 0);
    for step in 0..MOST_STEPS {
        let link = world.link().await?;
        arm(&world, step)?;
        let refreshed = world.client.check_link_refreshed(&link).await;
        if disarm(&mut world, refreshed).await?.is_some() {
            println!("{step} deaths: {works} links work, {stated} say why they don't");
            return Ok(stated);
        }
        let verdict = verdict(&mut world, &link).await;
        match verdict.with_context(|| format!("step {step}"))? {
            Verdict::Works => works += 1,
            Verdict::Stated => stated += 1,
        }
        let gone = UnlinkRequest::new(&link).force(true);
        world.client.unlink(gone).await?;
    }
    bail!("a refresh has more than {MOST_STEPS} steps")
}

async fn unlinks<F: Inside>(
    mut world: World<F>,
    links: impl AsyncFn(&mut World<F>) -> Result<String>,
) -> Result<()> {
    world.forge.lengthen()?;
    for step in 0..MOST_STEPS {
        let link = links(&mut world).await?;
        let token = world.token(&link).await?;
        let source = SourceRequest::new(&link, "octo/hello");
        world.client.create_source(source).await?;
        ensure!(hooks(&world) == 1, "{} hooks", hooks(&world));
        arm(&world, step)?;
        let unlinked = world.client.unlink(UnlinkRequest::new(&link)).await;
        let over = disarm(&mut world, unlinked).await?.is_some();
        let begun = world.get(&link).await?.observed.unwrap_or_default().stage() != Stage::Bound;
        if !begun {
            world.client.unlink(UnlinkRequest::new(&link)).await?;
        }
        let ended = ends(&mut world, &link, &token).await;
        ended.with_context(|| format!("step {step}"))?;
        if over {
            println!("{step} deaths, and every unlink that was begun has ended");
            return Ok(());
        }
    }
    bail!("an unlink has more than {MOST_STEPS} steps")
}

/// How many hooks the forge has that lead to the daemon.
fn hooks<F: Inside>(world: &World<F>) -> usize {
    let ours = format!("{}/hooks/", world.daemon.web_url());
    world.forge.hooks_pointing_at(&ours)
}

async fn mortal<F: Forge>(forge: F) -> Result<World<F>> {
    let options = Options {
        plugins: vec![F::PLUGIN],
        binary: Some(artifacts().control("mortal", "binderyd-mortal")?),
        ..Options::default()
    };
    World::with(forge, options).await
}

/// The daemon dies at this step from now on.
fn arm<F>(world: &World<F>, step: u32) -> Result<()> {
    Ok(std::fs::write(
        world.daemon.path("data/die-at"),
        step.to_string(),
    )?)
}

/// What a call gave that ended before the step came; `None` after a death, from which the daemon has come back. A step that
/// somebody else took besides may kill it once the call has ended.
async fn disarm<F: Forge, T>(world: &mut World<F>, outcome: Result<T, Error>) -> Result<Option<T>> {
    let survived = match outcome {
        Ok(answer) if world.client.get_host("hosts/forge").await.is_ok() => Some(answer),
        Ok(_) => {
            world.daemon.ended().await?;
            None
        }
        Err(error) => {
            world
                .daemon
                .ended()
                .await
                .with_context(|| format!("it lives, and says: {error}"))?;
            None
        }
    };
    std::fs::remove_file(world.daemon.path("data/die-at"))?;
    if survived.is_none() {
        world.daemon.resume().await?;
        world.connect().await?;
    }
    Ok(survived)
}

/// How a link stands after a death.
enum Verdict {
    /// The forge takes what is handed out.
    Works,
    /// The link says that a person must act, and why.
    Stated,
}

/// Asks until there is a verdict. A token that the forge refuses is none that may be handed out.
async fn verdict<F: Forge>(world: &mut World<F>, link: &str) -> Result<Verdict> {
    let started = Instant::now();
    loop {
        match world.fetch(link).await {
            Ok(credential) => {
                let taken = world.forge.accepts(credential.token.expose()).await?;
                ensure!(taken, "a token was handed out that the forge refuses");
                return Ok(Verdict::Works);
            }
            Err(Error::NeedsReauthorization { cause, .. }) => {
                ensure!(!cause.is_empty(), "no cause");
                return Ok(Verdict::Stated);
            }
            Err(error) if started.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The receipt is complete, the link hands out nothing, and the forge has no hook and does not take its token.
async fn ends<F: Inside>(world: &mut World<F>, link: &str, token: &str) -> Result<()> {
    let receipt = ended(world, link).await?;
    let revokes = world.forge.revokes_by_api();
    ensure!(
        receipt.complete == revokes,
        "the receipt tells something else than what was done: {receipt:?}"
    );
    let mut steps = receipt.steps.iter();
    let hook = steps.find(|step| step.kind() == Kind::DeleteHook && step.subject == "octo/hello");
    let outcome = hook.context("no word of the hook")?.outcome();
    ensure!(
        matches!(outcome, Outcome::Done | Outcome::AlreadyAbsent),
        "{receipt:?}"
    );
    ensure!(hooks(world) == 0, "the hook is left");
    ensure!(
        world.fetch(link).await.is_err(),
        "an unlinked link hands out a token"
    );
    ensure!(
        world.forge.accepts(token).await? != revokes,
        "the token does not stand as the receipt says"
    );
    Ok(())
}

/// The receipt, once it has ended.
async fn ended<F: Forge>(world: &World<F>, link: &str) -> Result<Receipt> {
    let name = link.parse::<LinkName>()?.receipt();
    let started = Instant::now();
    loop {
        let receipt = world.client.get_receipt(&name).await?;
        if receipt.finish_time.is_some() {
            return Ok(receipt);
        }
        ensure!(started.elapsed() < PATIENCE, "the unlink does not go on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
