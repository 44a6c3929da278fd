//! The device flow: a person enters a code at the forge, and the daemon polls at the forge's pace.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bindery_client::{
    ConfirmRequest, LinkRequest,
    proto::v1::{AuthMethodKind, Host, Link, Permission, observed_state::Stage},
};
use bindery_tests::{forge::GitHubForge, github::Decision};
use tokio::time::timeout;

use crate::{story::clones, world::World};

/// Where the daemon polls.
const TOKEN: &str = "/login/oauth/access_token";
/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

type GitHubWorld = World<GitHubForge>;

/// Ways to link that the host's operator allows; none named leaves it to the daemon.
async fn allow(world: &GitHubWorld, methods: &[AuthMethodKind]) -> Result<Host> {
    let update = Host {
        name: "hosts/forge".to_owned(),
        allowed_methods: methods.iter().map(|&method| method.into()).collect(),
        ..Default::default()
    };
    let mask = ["allowed_methods"];
    Ok(world.client.update_host(update, mask).await?)
}

async fn world() -> Result<GitHubWorld> {
    let world = World::new(GitHubForge::start(false, None).await?).await?;
    allow(&world, &[AuthMethodKind::DeviceFlow]).await?;
    Ok(world)
}

fn ask() -> LinkRequest {
    LinkRequest::device_flow("namespaces/acme", "hosts/forge").permissions([Permission::ReadCode])
}

/// Starts a link, and returns its name and the code for the person.
async fn start(world: &GitHubWorld) -> Result<(String, String)> {
    let created = world.client.create_link(ask()).await?;
    let told = created.authorization.context("no authorization")?;
    ensure!(
        told.authorization_uri == format!("{}login/device", world.forge.standin.web_url()),
        "another page: {}",
        told.authorization_uri
    );
    Ok((created.link.context("no link")?.name, told.user_code))
}

async fn decide(world: &GitHubWorld, code: &str, decision: Decision) -> Result<()> {
    let (github, octo) = (&world.forge.standin, world.forge.person());
    let mut browser = github.browser();
    github
        .let_device_in(&mut browser, octo, code, decision)
        .await
}

/// Waits until the daemon has asked the forge so often, and has the answers.
async fn polled(world: &GitHubWorld, times: usize) -> Result<()> {
    let answered = async {
        loop {
            let polls = world.forge.standin.requests(TOKEN);
            if polls.iter().filter(|poll| poll.status.is_some()).count() >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, answered).await.context("no poll comes")
}

/// Waits until a link is as far as that, and gives up when it goes no further.
async fn reach(world: &GitHubWorld, name: &str, there: fn(&Link) -> bool) -> Result<Link> {
    let mut watch = world.client.watch_link(name);
    let watching = async {
        while let Some(watched) = watch.next().await? {
            if there(&watched.link) {
                return Ok(watched.link);
            }
        }
        world.get(name).await
    };
    let link = timeout(PATIENCE, watching).await;
    let link = link.context("it takes for ever")??;
    ensure!(there(&link), "it ended elsewhere: {link:?}");
    Ok(link)
}

fn is_over(link: &Link) -> bool {
    link.observed.clone().unwrap_or_default().stage() == Stage::Unlinked
}

/// Somebody agreed, and waits to be confirmed.
fn waits(link: &Link) -> bool {
    let observed = link.observed.clone().unwrap_or_default();
    let flow = link.flow.as_ref();
    let known = flow.is_some_and(|flow| flow.pending_identity.is_some());
    observed.stage() == Stage::PendingConfirmation && known
}

/// O11: the device flow is not offered unless the operator of the host names it.
#[tokio::test(flavor = "multi_thread")]
async fn o11_the_device_flow_is_offered_where_the_host_allows_it() -> Result<()> {
    let world = world().await?;
    for methods in [&[][..], &[AuthMethodKind::OauthCode]] {
        allow(&world, methods).await?;
        let refused = world.client.create_link(ask()).await;
        ensure!(
            matches!(&refused, Err(error) if error.reason() == "METHOD_NOT_SUPPORTED"),
            "{refused:?}"
        );
    }
    let host = allow(&world, &[AuthMethodKind::DeviceFlow]).await?;
    ensure!(
        host.allowed_methods().collect::<Vec<_>>() == [AuthMethodKind::DeviceFlow],
        "{host:?}"
    );
    start(&world).await?;
    Ok(())
}

/// The person agrees while the daemon polls, is told to slow down, and is killed with -9: it goes on at the forge's pace
/// after the restart, and the link waits for its confirmation before anything is handed out.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_flow_survives_a_crash_and_slows_down() -> Result<()> {
    let mut world = world().await?;
    let (link, code) = start(&world).await?;
    polled(&world, 1).await?;
    world.crash().await?;
    // For the forge the second poll comes too early.
    world.forge.standin.set_clock_offset(-10);
    polled(&world, 2).await?;
    decide(&world, &code, Decision::Agree).await?;
    let pending = reach(&world, &link, waits).await?;
    let polls = world.forge.standin.requests(TOKEN).len();
    ensure!(polls == 3, "{polls} polls: the pace is not the forge's");
    let flow = pending.flow.context("no flow")?;
    let who = flow.pending_identity.context("nobody agreed")?;
    ensure!(who.login == "octo", "{who:?}");
    ensure!(world.fetch(&link).await.is_err(), "handed out unconfirmed");
    let confirm = ConfirmRequest::new(&link).identity(who.stable_id);
    world.client.confirm(confirm).await?;
    clones(&world, &world.fetch(&link).await?)
}

/// A code that nobody entered in time ends the link, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_code_ends_the_link() -> Result<()> {
    let world = world().await?;
    let (link, _) = start(&world).await?;
    world.forge.standin.set_clock_offset(901);
    let ended = reach(&world, &link, is_over).await?;
    let observed = ended.observed.context("no state")?;
    ensure!(observed.message.contains("in time"), "{observed:?}");
    Ok(())
}

/// A person who refuses ends the link, and nothing is granted.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_code_ends_the_link() -> Result<()> {
    let world = world().await?;
    let (link, code) = start(&world).await?;
    decide(&world, &code, Decision::Refuse).await?;
    let ended = reach(&world, &link, is_over).await?;
    let observed = ended.observed.context("no state")?;
    ensure!(observed.message.contains("did not agree"), "{observed:?}");
    ensure!(
        world.forge.standin.live_tokens().is_empty(),
        "a token lives"
    );
    Ok(())
}
