//! GitLab's rules of OAuth, at the library that GitLab runs.

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Error, UnlinkRequest,
    proto::v1::{cleanup_step, observed_state::Stage},
};
use bindery_tests::{doorkeeper::Doorkeeper, forge::Forge};
use url::Url;

use crate::world::World;

/// Long enough for the steps of a link, short enough to wait for.
const SHORT: u64 = 8;

/// As many as ask at once.
const CALLERS: usize = 100;

const CALLBACK: &str = "http://127.0.0.1:9/callback";

/// A server, or none where the library is missing.
async fn doorkeeper() -> Result<Option<Doorkeeper>> {
    if let Err(reason) = Doorkeeper::available() {
        bindery_tests::not_run(&reason);
        return Ok(None);
    }
    Doorkeeper::start(SHORT).await.map(Some)
}

/// PROVIDERS 1.1 and 3: what the plugin's description says of GitLab is so. A refresh token works once, its second use is
/// `invalid_grant` at once, and the old access token ends with the refresh.
#[tokio::test(flavor = "multi_thread")]
async fn trap_1_1_a_refresh_ends_the_old_pair_at_once() -> Result<()> {
    let Some(mut forge) = doorkeeper().await? else {
        return Ok(());
    };
    let (access, refresh) = pair(&mut forge).await?;
    ensure!(forge.accepts(&access).await?, "a new token is refused");
    let (status, fresh) = forge.refresh(&refresh).await?;
    ensure!(status.is_success(), "not refreshed: {status}");
    ensure!(
        fresh["refresh_token"] != refresh.as_str(),
        "the refresh token did not change"
    );
    ensure!(
        !forge.accepts(&access).await?,
        "the old access token is still good"
    );
    let (status, refused) = forge.refresh(&refresh).await?;
    ensure!(
        status == 400 && refused["error"] == "invalid_grant",
        "a second use is {status}: {refused}"
    );
    Ok(())
}

/// Access and refresh token, got without Bindery.
async fn pair(forge: &mut Doorkeeper) -> Result<(String, String)> {
    let client = forge.register(CALLBACK).await?;
    let mut url = Url::parse(&format!("{}/oauth/authorize", forge.web_url()))?;
    url.query_pairs_mut().extend_pairs([
        ("client_id", client.id.as_str()),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "read_api"),
    ]);
    let mut browser = forge.browser();
    let page = browser.get(&url).await?;
    let back = page.location()?.context("no redirect")?;
    let code = back.query_pairs().find(|(name, _)| name == "code");
    let (_, code) = code.with_context(|| format!("no code in {back}"))?;
    let tokens = forge.exchange(&code, CALLBACK).await?;
    let text = |name: &str| tokens[name].as_str().map(str::to_owned);
    let both = text("access_token").zip(text("refresh_token"));
    both.with_context(|| format!("no tokens in {tokens}"))
}

/// The way of a link with the GitLab plugin, below a path of the host: consent, kill -9, refresh, disable, enable.
#[tokio::test(flavor = "multi_thread")]
async fn gitlab_at_a_real_doorkeeper() -> Result<()> {
    let Some(forge) = doorkeeper().await? else {
        return Ok(());
    };
    let mut world = World::new(forge).await?;
    let link = world.link().await?;
    let bound = world.get(&link).await?;
    let login = bound.identity.map(|identity| identity.login);
    ensure!(login.as_deref() == Some("octo"), "{login:?} is bound");
    let credential = world.fetch(&link).await?;
    ensure!(
        credential.git_username == "oauth2",
        "git is told to sign in as {}",
        credential.git_username
    );
    survives_a_crash(&mut world, &link).await?;
    refreshes_once(&mut world, &link).await?;
    disables(&mut world, &link).await
}

/// A refresh after kill -9 works, and the pair that it brought is there after the next one.
async fn survives_a_crash(world: &mut World<Doorkeeper>, link: &str) -> Result<()> {
    world.expire(link).await?;
    world.crash().await?;
    world.client.enable_link(link, "").await?;
    let fresh = world.token(link).await?;
    ensure!(
        world.forge.accepts(&fresh).await?,
        "the forge refuses the new token"
    );
    world.crash().await
}

/// R1: many callers on an expired link cause one refresh, which a forge without a time of grace forgives nobody.
async fn refreshes_once(world: &mut World<Doorkeeper>, link: &str) -> Result<()> {
    world.forge.lengthen()?;
    world.expire(link).await?;
    let before = world.forge.refreshes().await?;
    world.client.enable_link(link, "").await?;
    let fetches = (0..CALLERS).map(|_| world.token(link));
    let mut tokens = futures_util::future::try_join_all(fetches).await?;
    tokens.dedup();
    ensure!(tokens.len() == 1, "{} different tokens", tokens.len());
    let refreshes = world.forge.refreshes().await? - before;
    ensure!(refreshes == 1, "{refreshes} refreshes");
    let calls = world.forge.calls().await?;
    ensure!(
        calls.iter().all(|call| call.ends_with(" 200")),
        "something was refused: {calls:?}"
    );
    Ok(())
}

/// Disabled means kept, not used, and not revoked.
async fn disables(world: &mut World<Doorkeeper>, link: &str) -> Result<()> {
    let token = world.token(link).await?;
    world.client.disable_link(link, "audit").await?;
    ensure!(
        matches!(world.fetch(link).await, Err(Error::LinkDisabled(_))),
        "a disabled link hands out a token"
    );
    ensure!(
        world.forge.accepts(&token).await?,
        "disabling revoked the token"
    );
    world.client.enable_link(link, "").await?;
    Ok(())
}

/// PROVIDERS 3 and RFC 7009: unlinking revokes at the endpoint of the forge, which then takes the token no more.
#[tokio::test(flavor = "multi_thread")]
async fn gitlab_unlinks_at_the_revocation_endpoint() -> Result<()> {
    let Some(forge) = doorkeeper().await? else {
        return Ok(());
    };
    let mut world = World::new(forge).await?;
    world.forge.lengthen()?;
    let link = world.link().await?;
    let token = world.token(&link).await?;
    let receipt = world.client.unlink(UnlinkRequest::new(&link)).await?;
    let mut steps = receipt.steps.iter();
    let revoke = steps.find(|step| step.kind() == cleanup_step::Kind::RevokeGrant);
    let revoke = revoke.with_context(|| format!("no revocation in {receipt:?}"))?;
    ensure!(
        revoke.outcome() == cleanup_step::Outcome::Done,
        "not revoked: {revoke:?}"
    );
    ensure!(
        !world.forge.accepts(&token).await?,
        "the token outlived the unlink"
    );
    let calls = world.forge.calls().await?;
    ensure!(
        calls.iter().any(|call| call == "revoke 200"),
        "the forge was not asked to revoke: {calls:?}"
    );
    let observed = world.get(&link).await?.observed;
    let stage = observed.map(|observed| observed.stage());
    ensure!(stage == Some(Stage::Unlinked), "another stage: {stage:?}");
    Ok(())
}
