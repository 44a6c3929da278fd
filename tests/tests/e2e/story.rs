//! The story: a registry binds its namespace to a forge, gets a token, clones, and unbinds.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Result, ensure};
use bindery_client::{
    Credential, Error, RepositoryQuery, UnlinkRequest,
    names::{LinkName, RepositoryName},
    proto::v1::{cleanup_step, observed_state::Stage},
};
use bindery_tests::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    forge::{Forge, GitHubForge, GiteaForge, TwinForge, outlive},
    gitea::Gitea,
};
use bindery_twins::{Twin as _, gitea, gitee, gitlab};

use crate::world::World;

/// On the stand-in for GitHub, with tokens that expire: the daemon is killed with -9 between its steps.
#[tokio::test(flavor = "multi_thread")]
async fn github_with_expiring_tokens() -> Result<()> {
    story(GitHubForge::start(true, None).await?).await
}

/// On the stand-in for GitHub, with tokens that never expire.
#[tokio::test(flavor = "multi_thread")]
async fn github_with_tokens_without_end() -> Result<()> {
    story(GitHubForge::start(false, None).await?).await
}

/// On the twin of GitLab, under a relative root: every refresh kills the old pair at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_of_gitlab() -> Result<()> {
    story(TwinForge::<gitlab::GitLab>::start(true).await?).await
}

/// On a real Gitea, whose refresh tokens work once: consent, git, expiry and revocation are its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_gitea_with_rotation() -> Result<()> {
    if let Err(reason) = Gitea::available() {
        bindery_tests::not_run(&reason);
        return Ok(());
    }
    story(GiteaForge::start(20, true).await?).await
}

/// On a real Gitea that keeps its refresh tokens.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_gitea_without_rotation() -> Result<()> {
    if let Err(reason) = Gitea::available() {
        bindery_tests::not_run(&reason);
        return Ok(());
    }
    story(GiteaForge::start(20, false).await?).await
}

/// On the twin of Gitea, whose old refresh tokens go on working.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_of_gitea() -> Result<()> {
    story(TwinForge::<gitea::Gitea>::start(true).await?).await
}

/// On the twin of Gitea with `INVALIDATE_REFRESH_TOKENS`: a refresh token works once.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_of_gitea_that_rotates() -> Result<()> {
    let forge = TwinForge::<gitea::Gitea>::start(true).await?;
    forge.served.with(|twin| {
        let lifetime = twin.state().oauth.rules.access_ms;
        twin.set_invalidates_refresh_tokens(true);
        twin.state_mut().oauth.rules.access_ms = lifetime;
    });
    story(forge).await
}

/// On the twin of Gitee: every refresh kills the old pair at once, and no endpoint revokes.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_of_gitee() -> Result<()> {
    story(TwinForge::<gitee::Gitee>::start(true).await?).await
}

async fn story<F: Forge>(forge: F) -> Result<()> {
    let mut world = World::new(forge).await?;
    world.crash().await?;

    let (link, page) = world.start_link().await?;
    world.crash().await?;
    ensure!(
        matches!(world.fetch(&link).await, Err(Error::NotBound { .. })),
        "a pending link hands out a token"
    );
    let done = world.person_links(&page).await?;
    ensure!(
        done.body.contains("octo"),
        "the last page does not say who was bound"
    );
    let bound = world
        .client
        .wait_until_bound(&link, Duration::from_secs(30), |_| {})
        .await?;
    ensure!(
        bound
            .identity
            .is_some_and(|identity| identity.login == "octo"),
        "another identity is bound"
    );

    world.crash().await?;
    looks_around(&world, &link).await?;
    let credential = world.fetch(&link).await?;
    clones(&world, &credential)?;

    if world.forge.lifetime().is_some() {
        refreshes(&mut world, &link).await?;
    }
    disables(&mut world, &link).await?;
    unlinks(&mut world, &link).await
}

/// Repositories and branches, with the commit that git knows.
async fn looks_around<F: Forge>(world: &World<F>, link: &str) -> Result<()> {
    let repositories = world
        .client
        .list_repositories(link, RepositoryQuery::default())
        .all()
        .await?;
    let hello = repositories
        .iter()
        .find(|repository| repository.full_name == "octo/hello");
    let hello =
        hello.ok_or_else(|| anyhow::anyhow!("octo/hello is not listed: {repositories:?}"))?;
    ensure!(
        !hello.stable_id.is_empty(),
        "a repository without a stable id"
    );
    let refs = world.client.list_refs(&hello.name, None).all().await?;
    let main = refs
        .iter()
        .find(|found| found.r#ref == "refs/heads/main" || found.r#ref == "main");
    let main = main.ok_or_else(|| anyhow::anyhow!("main is not listed: {refs:?}"))?;
    ensure!(main.commit_id.len() == 40, "no commit: {main:?}");
    Ok(())
}

/// `git clone` works with what was handed out.
pub(crate) fn clones<F: Forge>(world: &World<F>, credential: &Credential) -> Result<()> {
    clones_from(&world.forge.clone_url(), credential)
}

/// As [`clones`], another repository with the same file.
pub(crate) fn clones_from(url: &str, credential: &Credential) -> Result<()> {
    let target = tempfile::tempdir()?;
    let mut url = url::Url::parse(url)?;
    ensure!(
        url.set_username(&credential.git_username).is_ok(),
        "no user name"
    );
    ensure!(
        url.set_password(Some(credential.token.expose())).is_ok(),
        "no password"
    );
    let output = Command::new("git")
        .args([
            "-c",
            "credential.helper=",
            "clone",
            "--quiet",
            url.as_str(),
            ".",
        ])
        .current_dir(target.path())
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()?;
    ensure!(
        output.status.success(),
        "git clone: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(
        read(target.path().join("README.md"))? == "hello\n",
        "another file was cloned"
    );
    Ok(())
}

fn read(path: impl AsRef<Path>) -> Result<String> {
    Ok(std::fs::read_to_string(path)?)
}

/// The forge itself ends the token: the daemon has refreshed by itself or does so at the next fetch, also after a crash,
/// and the new one clones.
async fn refreshes<F: Forge>(world: &mut World<F>, link: &str) -> Result<()> {
    for crash in [true, false] {
        let before = world.forge.refreshes().await?;
        if crash {
            world.expire(link).await?;
            world.crash().await?;
            world.client.enable_link(link, "").await?;
        } else {
            let old = world.token(link).await?;
            outlive(&mut world.forge, &old).await?;
            world.forge.lengthen()?;
        }
        let fresh = world.token(link).await?;
        ensure!(
            world.forge.refreshes().await? > before,
            "it was not refreshed"
        );
        ensure!(
            world.forge.accepts(&fresh).await?,
            "the forge refuses the new token"
        );
    }
    clones(world, &world.fetch(link).await?)
}

/// Disable stops hand-out and revokes nothing; enable brings it back.
async fn disables<F: Forge>(world: &mut World<F>, link: &str) -> Result<()> {
    let token = world.token(link).await?;
    world.client.disable_link(link, "audit").await?;
    world.crash().await?;
    ensure!(
        matches!(world.fetch(link).await, Err(Error::LinkDisabled(_))),
        "a disabled link hands out a token"
    );
    ensure!(
        world.forge.accepts(&token).await?,
        "disabling revoked the token"
    );
    world.client.enable_link(link, "").await?;
    let back = world.token(link).await?;
    ensure!(
        world.forge.accepts(&back).await?,
        "enabling did not bring it back"
    );
    Ok(())
}

/// Unlink revokes where the forge can, erases, and says the rest.
async fn unlinks<F: Forge>(world: &mut World<F>, link: &str) -> Result<()> {
    let token = world.token(link).await?;
    let receipt = world.client.unlink(UnlinkRequest::new(link)).await?;
    ensure!(receipt.finish_time.is_some(), "not finished: {receipt:?}");
    ensure!(
        receipt.complete == world.forge.revokes_by_api(),
        "the receipt is wrong about what is left behind: {receipt:?}"
    );
    world.crash().await?;
    let again = world.client.get_receipt(&receipt.name).await?;
    ensure!(again == receipt, "the receipt changed");
    let revoke = again
        .steps
        .iter()
        .find(|step| step.kind() == cleanup_step::Kind::RevokeGrant);
    let revoke = revoke.ok_or_else(|| anyhow::anyhow!("no revocation in {again:?}"))?;
    if world.forge.revokes_by_api() {
        ensure!(
            revoke.outcome() == cleanup_step::Outcome::Done,
            "not revoked: {revoke:?}"
        );
        ensure!(
            !world.forge.accepts(&token).await?,
            "the token outlived the unlink"
        );
    } else {
        ensure!(
            revoke.outcome() == cleanup_step::Outcome::Impossible,
            "not said: {revoke:?}"
        );
        ensure!(
            revoke.action_uri.starts_with(&world.forge.web_url()),
            "no page: {revoke:?}"
        );
    }
    ensure!(
        world.fetch(link).await.is_err(),
        "an unlinked link hands out a token"
    );
    let stage = world
        .get(link)
        .await?
        .observed
        .map(|observed| observed.stage());
    ensure!(stage == Some(Stage::Unlinked), "another stage: {stage:?}");
    Ok(())
}

/// On the twin of Bitbucket Cloud: scopes of the consumer, tokens of 2,600 characters, no PKCE, no revocation.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_of_bitbucket_cloud() -> Result<()> {
    story(BitbucketCloudForge::start().await?).await
}

/// On the twin of Bitbucket Data Center, below a context path: PKCE, and revocation at the endpoint of RFC 7009.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_of_bitbucket_data_center() -> Result<()> {
    story(BitbucketDataCenterForge::start().await?).await
}

/// A link by access token is bound at once, and one that lacks a scope is refused with the scope's name.
#[tokio::test(flavor = "multi_thread")]
async fn github_by_access_token() -> Result<()> {
    use bindery_client::{LinkRequest, Token, proto::v1::Permission};
    use bindery_tests::github::{Pat, PatKind};

    let world = World::new(GitHubForge::start(false, None).await?).await?;
    let pat = |scopes: &'static [&'static str]| {
        let pat = Pat {
            kind: PatKind::Classic { scopes },
            expires_in: None,
        };
        world.forge.standin.add_pat("octo", &pat).map(Token::from)
    };
    let ask = |token: &Token| {
        LinkRequest::token("namespaces/acme", "hosts/forge", token)
            .permissions([Permission::ReadCode])
    };
    let small = world.client.create_link(ask(&pat(&["read:user"])?)).await;
    match small {
        Err(Error::ScopeMissing { scopes, .. }) => {
            ensure!(scopes == ["repo"], "other scopes: {scopes:?}")
        }
        other => anyhow::bail!("a small token was taken: {other:?}"),
    }
    let link = world
        .client
        .create_link(ask(&pat(&["repo", "read:user"])?))
        .await?
        .link;
    let name = link.ok_or_else(|| anyhow::anyhow!("no link"))?.name;
    looks_around(&world, &name).await?;
    clones(&world, &world.fetch(&name).await?)
}

/// The stable id of a repository survives names: it is asked for by `RepositoryName` as well as by listing.
#[tokio::test(flavor = "multi_thread")]
async fn github_repository_by_name() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let link: LinkName = world.link().await?.parse()?;
    let listed = world
        .client
        .list_repositories(&link, RepositoryQuery::default())
        .all()
        .await?;
    let hello = listed
        .first()
        .ok_or_else(|| anyhow::anyhow!("nothing is listed"))?;
    let got = world.client.get_repository(&hello.name).await?;
    ensure!(
        got.stable_id == hello.stable_id,
        "two ids for one repository"
    );
    let name = RepositoryName::new(&link, hello.stable_id.clone());
    ensure!(
        world.client.get_repository(name).await?.full_name == "octo/hello",
        "not found by its stable id"
    );
    Ok(())
}
