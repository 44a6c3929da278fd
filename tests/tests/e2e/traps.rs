//! The traps that providers have in common, set for the whole daemon by a twin that goes by other rules.
//!
//! The twin ends access tokens before their time. The next call to the forge finds that out, and refreshes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Error, LinkRequest, RepositoryQuery, SourceRequest,
    proto::v1::{Permission, observed_state::Stage},
};
use bindery_tests::forge::{Forge, TwinForge};
use bindery_twins::{
    Twin,
    gitlab::GitLab,
    knobs::{Fault, ReplicaLag},
    oauth::{Refreshing, Reuse, Rotation, Rules, Shape},
    world::{Owner, Role},
};

use crate::{story::clones, world::World};

/// The twin whose rules are changed.
type GitLabForge = TwinForge<GitLab>;

/// The token endpoint's path at the twin.
const TOKEN: &str = "/gitlab/oauth/token";
/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A daemon that is linked to a twin with these rules.
async fn linked(rules: impl FnOnce(&mut Rules)) -> Result<(World<GitLabForge>, String)> {
    let forge = GitLabForge::start(false).await?;
    forge
        .served
        .with(|twin| rules(&mut twin.state_mut().oauth.rules));
    let mut world = World::new(forge).await?;
    let link = world.link().await?;
    Ok((world, link))
}

fn rotating(rotation: Rotation, old_access_dies: bool) -> Refreshing {
    Refreshing {
        shape: Shape::opaque("", 64),
        idle_ms: None,
        rotation,
        old_access_dies,
    }
}

async fn stage(world: &World<GitLabForge>, link: &str) -> Result<Option<Stage>> {
    let observed = world.get(link).await?.observed;
    Ok(observed.map(|observed| observed.stage()))
}

/// How many repositories there are.
async fn list(world: &World<GitLabForge>, link: &str) -> Result<usize, Error> {
    let all = world
        .client
        .list_repositories(link, RepositoryQuery::default());
    all.all().await.map(|all| all.len())
}

/// The forge ends the access token that is in use.
async fn end_token(world: &World<GitLabForge>, link: &str) -> Result<String> {
    let token = world.token(link).await?;
    world
        .forge
        .served
        .with(|twin| twin.state_mut().oauth.end_access(&token));
    Ok(token)
}

/// Three refreshes in a row, one of them after kill -9: each brings a good token, and the forge refuses nothing.
async fn follows(rotation: Rotation, old_access_dies: bool) -> Result<()> {
    let (mut world, link) =
        linked(|rules| rules.refreshing = Some(rotating(rotation, old_access_dies))).await?;
    for refresh in 1..=3 {
        end_token(&world, &link).await?;
        if refresh == 2 {
            world.crash().await?;
        }
        ensure!(list(&world, &link).await? == 1, "other repositories");
        let token = world.token(&link).await?;
        ensure!(
            world.forge.accepts(&token).await?,
            "a dead token is handed out"
        );
        let refreshes = world.forge.refreshes().await?;
        ensure!(refreshes == refresh, "{refreshes} refreshes");
    }
    let refused = world.forge.served.with(|twin| {
        let calls = twin.state().requests(TOKEN);
        calls.iter().any(|call| call.status != Some(200))
    });
    ensure!(!refused, "the forge refused a refresh");
    Ok(())
}

/// A forge that keeps the refresh token and repeats it.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_1_no_rotation() -> Result<()> {
    follows(Rotation::Never { repeated: true }, false).await
}

/// A forge that keeps the refresh token and does not send it again: the old one is kept.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_1_no_rotation_and_not_repeated() -> Result<()> {
    follows(Rotation::Never { repeated: false }, false).await
}

/// A forge without any grace.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_1_rotation_without_grace() -> Result<()> {
    let reuse = Reuse::Refused;
    follows(Rotation::Always { reuse }, true).await
}

/// A forge at which a second use would kill the family.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_1_rotation_that_punishes_a_second_use() -> Result<()> {
    let reuse = Reuse::KillsFamily;
    follows(Rotation::Always { reuse }, false).await
}

/// A forge at which the old token works for ten more minutes.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_1_rotation_with_grace() -> Result<()> {
    let reuse = Reuse::Grace { ms: 600_000 };
    follows(Rotation::Always { reuse }, false).await
}

/// Where the old refresh token still works, a reply that is lost costs nothing: the link works again by itself.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_1_a_lost_reply_with_grace_costs_nothing() -> Result<()> {
    let reuse = Reuse::Grace { ms: 600_000 };
    let (mut world, link) = linked(|rules| {
        rules.refreshing = Some(rotating(Rotation::Always { reuse }, false));
    })
    .await?;
    lose_a_reply(&world, &link).await?;
    let started = Instant::now();
    while list(&world, &link).await.is_err() {
        ensure!(started.elapsed() < PATIENCE, "it never works again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let token = world.token(&link).await?;
    ensure!(
        world.forge.accepts(&token).await?,
        "a dead token is handed out"
    );
    ensure!(
        stage(&world, &link).await? == Some(Stage::Bound),
        "the link is given up"
    );
    Ok(())
}

/// Where there is no grace, a reply that is lost loses the grant, and the link says so: nothing is silent.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_1_a_lost_reply_without_grace_is_said() -> Result<()> {
    let (world, link) = linked(|_| {}).await?;
    lose_a_reply(&world, &link).await?;
    let started = Instant::now();
    while stage(&world, &link).await? != Some(Stage::NeedsReauthorization) {
        let listed = list(&world, &link).await;
        ensure!(listed.is_err(), "the twin has a grace");
        ensure!(started.elapsed() < PATIENCE, "nothing is said: {listed:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let refused = world.fetch(&link).await;
    ensure!(
        matches!(refused, Err(Error::NeedsReauthorization { .. })),
        "another answer: {refused:?}"
    );
    Ok(())
}

/// The forge rotates, and its answer gets lost.
async fn lose_a_reply(world: &World<GitLabForge>, link: &str) -> Result<()> {
    end_token(world, link).await?;
    world.forge.served.with(|twin| {
        let knobs = &mut twin.state_mut().knobs;
        knobs.fail_next(TOKEN, Fault::CommitThenClose);
    });
    // Where the old refresh token still works, the daemon has used it again by now.
    let _ = list(world, link).await;
    ensure!(
        world
            .forge
            .served
            .with(|twin| twin.state().knobs.pending() == 0),
        "no refresh was tried"
    );
    Ok(())
}

/// Tokens of 2,600 characters go all the way: stored, refreshed, handed out, taken by git.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_2_tokens_longer_than_2500_characters() -> Result<()> {
    let long = Shape::opaque("", 2_600);
    let (world, link) = linked(|rules| {
        rules.access_shape = long;
        if let Some(refreshing) = &mut rules.refreshing {
            refreshing.shape = long;
        }
    })
    .await?;
    let old = end_token(&world, &link).await?;
    ensure!(list(&world, &link).await? == 1, "other repositories");
    let credential = world.fetch(&link).await?;
    let token = credential.token.expose();
    ensure!(
        token.len() == 2_600 && token != old,
        "{} characters",
        token.len()
    );
    clones(&world, &credential)
}

/// A refresh that brings the same access token, byte by byte, is no error.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_12_the_same_token_after_a_refresh() -> Result<()> {
    let forge = GitLabForge::start(false).await?;
    forge.served.with(|twin| {
        let state = twin.state_mut();
        // All that is made is made in the same second.
        state.knobs.stopped_at = Some(1_790_000_000_000);
        state.oauth.rules.access_shape = Shape::Jwt;
        state.oauth.rules.refreshing = Some(rotating(Rotation::Never { repeated: true }, false));
    });
    let mut world = World::new(forge).await?;
    let link = world.link().await?;
    let first = end_token(&world, &link).await?;
    ensure!(list(&world, &link).await? == 1, "other repositories");
    ensure!(
        world.forge.refreshes().await? == 1,
        "it was not refreshed once"
    );
    ensure!(
        world.token(&link).await? == first,
        "the twin does not set the trap"
    );
    ensure!(
        stage(&world, &link).await? == Some(Stage::Bound),
        "the link is given up"
    );
    Ok(())
}

/// A replica that refuses a new token for a while kills no link.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_12_refused_right_after_a_refresh() -> Result<()> {
    let (mut world, link) = linked(|_| {}).await?;
    world.forge.served.with(|twin| {
        let knobs = &mut twin.state_mut().knobs;
        knobs.replica_lag = ReplicaLag { calls: 1, ms: 0 };
    });
    end_token(&world, &link).await?;
    let listed = list(&world, &link).await;
    ensure!(listed.is_err(), "the twin does not set the trap");
    ensure!(
        list(&world, &link).await? == 1,
        "it does not work when the replica knows"
    );
    ensure!(
        world.forge.refreshes().await? == 1,
        "it was not refreshed once"
    );
    ensure!(
        stage(&world, &link).await? == Some(Stage::Bound),
        "the link is given up"
    );
    Ok(())
}

/// The forge answers "not there" where something is forbidden; its person is shut out, or let in again.
fn hide(world: &World<GitLabForge>, suspended: bool) -> Result<()> {
    world.forge.served.with(|twin| {
        let state = twin.state_mut();
        state.knobs.hides_forbidden = true;
        let octo = state.world.person("octo").map(|person| person.id);
        state.world.suspend(octo.context("nobody")?, suspended);
        Ok(())
    })
}

/// What a check finds, by reason.
async fn reasons(world: &World<GitLabForge>, link: &str) -> Result<Vec<String>> {
    let findings = world.client.check_link(link).await?.findings;
    Ok(findings.into_iter().map(|one| one.reason).collect())
}

/// What is forbidden may be said not to be there. A person who is shut out for a while is then not taken for one who is gone:
/// the check says that something is wrong, the link stays bound, and it works when they are let in again.
#[tokio::test(flavor = "multi_thread")]
async fn trap_2_forbidden_said_as_absent_kills_no_link() -> Result<()> {
    let (world, link) = linked(|_| {}).await?;
    let before = reasons(&world, &link).await?;
    hide(&world, true)?;
    ensure!(list(&world, &link).await.is_err(), "the trap is not set");
    let told = reasons(&world, &link).await?;
    ensure!(told.len() > before.len(), "nothing is said: {told:?}");
    ensure!(
        stage(&world, &link).await? == Some(Stage::Bound),
        "the link is given up: {told:?}"
    );
    let hidden = world.forge.served.with(|twin| {
        let calls = twin.state().requests("/gitlab/api/v4/");
        calls.iter().any(|call| call.status == Some(404))
            && calls.iter().all(|call| call.status != Some(403))
    });
    ensure!(hidden, "the twin does not set the trap");
    hide(&world, false)?;
    ensure!(list(&world, &link).await? == 1, "it does not work again");
    let after = reasons(&world, &link).await?;
    ensure!(after == before, "still wrong: {after:?}");
    Ok(())
}

/// A webhook that is forbidden, said not to be there: no source comes of it and no hook stays, and with the right it works.
#[tokio::test(flavor = "multi_thread")]
async fn trap_2_a_forbidden_hook_said_as_absent_makes_no_source() -> Result<()> {
    let forge = GitLabForge::start(false).await?;
    let (octo, acme) = forge.served.with(|twin| {
        let world = &mut twin.state_mut().world;
        let octo = world.person("octo").map(|person| person.id);
        (octo, world.add_group("acme", None, 1_790_000_000_000))
    });
    let octo = octo.context("nobody")?;
    let join = |forge: &GitLabForge, role| {
        forge
            .served
            .with(|twin| twin.state_mut().world.join(octo, acme, role));
    };
    join(&forge, Role::Read);
    let files = [("README.md", "hello\n")];
    let owner = Owner::Group(acme);
    let api = forge.served.add_repository(owner, "api", &files)?;
    let mut world = World::new(forge).await?;
    let request = LinkRequest::oauth("namespaces/acme", "hosts/forge")
        .permissions([Permission::ReadCode, Permission::Webhooks]);
    let created = world.client.create_link(request).await?;
    let uri = created.authorization.context("no page")?.authorization_uri;
    world.person_links(&uri).await?;
    let link = created.link.context("no link")?.name;
    hide(&world, false)?;
    let hooks = |world: &World<GitLabForge>| {
        let count = |twin: &mut GitLab| twin.state().hooks.of(api).count();
        world.forge.served.with(count)
    };
    let refused = world
        .client
        .create_source(SourceRequest::new(&link, "acme/api"))
        .await;
    ensure!(refused.is_err(), "a source without a hook: {refused:?}");
    ensure!(hooks(&world) == 0, "a hook stays");
    ensure!(
        stage(&world, &link).await? == Some(Stage::Bound),
        "the link is given up: {refused:?}"
    );
    join(&world.forge, Role::Admin);
    world
        .client
        .create_source(SourceRequest::new(&link, "acme/api"))
        .await?;
    ensure!(hooks(&world) == 1, "no hook");
    Ok(())
}
