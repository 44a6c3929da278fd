//! Links by tokens that people make: what the reference page asks for, what is missing in it, and how it is replaced.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Error, LinkRequest, Token,
    proto::v1::{Link, Permission, observed_state::Stage},
};
use bindery_tests::{
    bitbucket::BitbucketCloudForge,
    forge::{Forge, GitHubForge, TwinForge},
    github::{Pat, PatKind},
    twin::Served,
};
use bindery_twins::{Twin, gitlab::GitLab, world::NewToken};

use crate::{story::clones, world::World};

#[path = "personal_tokens/kinds.rs"]
mod kinds;

const DAY_MS: u64 = 86_400_000;
const ROTATE: &str = "/gitlab/api/v4/personal_access_tokens/self/rotate";

type GitLabWorld = World<TwinForge<GitLab>>;

fn now_ms() -> Result<u64> {
    let real = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(real.as_millis())?)
}

/// Less than a day away, as GitLab ends its tokens: at midnight UTC.
fn next_midnight() -> Result<u64> {
    Ok((now_ms()? / DAY_MS + 1) * DAY_MS)
}

fn ask(token: &Token) -> LinkRequest {
    LinkRequest::token("namespaces/acme", "hosts/forge", token)
}

async fn gitlab() -> Result<GitLabWorld> {
    World::new(TwinForge::<GitLab>::start(false).await?).await
}

/// A token of `octo` at a twin.
fn personal<T: Twin + Send + 'static>(
    served: &Served<T>,
    scopes: &[&str],
    expires: Option<u64>,
) -> Result<Token> {
    let now = now_ms()?;
    served.with(|twin| {
        let state = twin.state_mut();
        let secret = state.mint.secret("glpat-", 20);
        let person = state.world.person("octo").context("no octo")?.id;
        let new = NewToken {
            person,
            name: "bindery",
            scopes,
            expires,
        };
        let id = state.world.id();
        state.world.tokens.add(id, secret.clone(), &new, now);
        Ok(Token::from(secret))
    })
}

async fn bind<F: Forge>(world: &World<F>, request: LinkRequest) -> Result<Link> {
    let created = world.client.create_link(request).await?;
    created.link.context("no link")
}

/// Asks the daemon to keep a link's token up by itself.
async fn let_rotate(world: &GitLabWorld, link: &str) -> Result<()> {
    let wish = Link {
        name: link.to_owned(),
        rotate_token: true,
        ..Link::default()
    };
    world.client.update_link(wish, ["rotate_token"]).await?;
    Ok(())
}

/// The reference page: URL, user name and a personal access token with the scope `api`, and no person in between. The
/// link is bound when the call returns, says when its token ends, and clones.
#[tokio::test(flavor = "multi_thread")]
async fn gitlab_by_url_user_name_and_token() -> Result<()> {
    let world = gitlab().await?;
    let ends = now_ms()? / DAY_MS * DAY_MS + 20 * DAY_MS;
    let token = personal(&world.forge.served, &["api"], Some(ends))?;
    let all = [Permission::ReadCode, Permission::Webhooks];
    let request = ask(&token).username("octo").permissions(all);
    let link = bind(&world, request).await?;
    let observed = link.observed.clone().unwrap_or_default();
    ensure!(observed.stage() == Stage::Bound, "{link:?}");
    let told = link.token.context("nothing about the token")?.expire_time;
    let told = told.context("no end")?.seconds;
    ensure!(u64::try_from(told)? * 1000 == ends, "ends at {told}");
    clones(&world, &world.fetch(&link.name).await?)
}

/// The user name of the reference page is checked: a token of somebody else is refused.
#[tokio::test(flavor = "multi_thread")]
async fn o7_gitlab_token_of_another_user_name() -> Result<()> {
    let world = gitlab().await?;
    let token = personal(&world.forge.served, &["api"], None)?;
    let refused = world
        .client
        .create_link(ask(&token).username("mallory"))
        .await;
    ensure!(
        matches!(&refused, Err(error) if error.reason() == "IDENTITY_MISMATCH"),
        "{refused:?}"
    );
    Ok(())
}

/// What is missing is named before anything is stored, with what does not work without it; a preview says the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_named_before_it_is_stored() -> Result<()> {
    let world = World::new(GitHubForge::start(false, None).await?).await?;
    let kind = PatKind::Classic {
        scopes: &["read:user"],
    };
    let pat = Pat {
        kind,
        expires_in: None,
    };
    let token = Token::from(world.forge.standin.add_pat("octo", &pat)?);
    let hooks = || ask(&token).permissions([Permission::Identity, Permission::Webhooks]);
    let said = "missing admin:repo_hook: webhooks can't be created";
    for request in [hooks().preview(), hooks()] {
        let Err(Error::ScopeMissing {
            scopes, failure, ..
        }) = world.client.create_link(request).await
        else {
            anyhow::bail!("a small token was taken");
        };
        ensure!(scopes == ["admin:repo_hook"], "{scopes:?}");
        ensure!(failure.message.contains(said), "{}", failure.message);
    }
    let links = world.client.list_links("namespaces/acme", "").all().await?;
    ensure!(links.is_empty(), "a link was stored");
    Ok(())
}

/// The same of GitLab's single scope.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_of_gitlab_is_named() -> Result<()> {
    let world = gitlab().await?;
    let token = personal(&world.forge.served, &["read_api"], None)?;
    let all = [Permission::Identity, Permission::Webhooks];
    let refused = world.client.create_link(ask(&token).permissions(all)).await;
    let Err(error) = refused else {
        anyhow::bail!("a small token was taken")
    };
    let said = "missing api: webhooks can't be created";
    ensure!(error.to_string().contains(said), "{error}");
    Ok(())
}

/// A token is replaced only where the link asks for it; the new one is good and survives a crash, and the old one is dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_rotated_where_the_link_asks_for_it() -> Result<()> {
    let mut world = gitlab().await?;
    let token = personal(&world.forge.served, &["api"], Some(next_midnight()?))?;
    let link = bind(&world, ask(&token)).await?.name;
    world.client.check_link_refreshed(&link).await?;
    ensure!(
        world.token(&link).await? == token.expose(),
        "it was rotated without being asked to"
    );
    let_rotate(&world, &link).await?;
    let checked = world.client.check_link_refreshed(&link).await?;
    ensure!(
        checked
            .findings
            .iter()
            .all(|finding| finding.reason == "PERSONAL_ACCOUNT"),
        "{checked:?}"
    );
    let fresh = world.token(&link).await?;
    ensure!(fresh != token.expose(), "it was not rotated");
    ensure!(world.forge.accepts(&fresh).await?, "the new one is dead");
    ensure!(
        !world.forge.accepts(token.expose()).await?,
        "the old one lives"
    );
    world.crash().await?;
    ensure!(world.token(&link).await? == fresh, "it was forgotten");
    Ok(())
}

/// A rotation with a token that was revoked would kill its whole family: it is never sent, and the link says what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn trap_3_a_revoked_token_is_never_rotated() -> Result<()> {
    let world = gitlab().await?;
    let token = personal(&world.forge.served, &["api"], Some(next_midnight()?))?;
    let link = bind(&world, ask(&token)).await?.name;
    let_rotate(&world, &link).await?;
    world.forge.served.with(|twin| {
        let tokens = &mut twin.state_mut().world.tokens;
        let id = tokens.find(token.expose()).map(|found| found.id);
        tokens.revoke(id.unwrap_or_default());
    });
    world.client.check_link_refreshed(&link).await?;
    let fetched = world.fetch(&link).await;
    ensure!(
        matches!(fetched, Err(Error::NeedsReauthorization { .. })),
        "{fetched:?}"
    );
    let served = &world.forge.served;
    let sent = served.with(|twin| twin.state().requests(ROTATE).len());
    ensure!(sent == 0, "{sent} rotations with a revoked token");
    Ok(())
}

/// Bitbucket Cloud's API tokens go with the account's e-mail: without it they are refused, and git gets its own user name.
#[tokio::test(flavor = "multi_thread")]
async fn bitbucket_cloud_by_api_token_and_email() -> Result<()> {
    let world = World::new(BitbucketCloudForge::start().await?).await?;
    let scopes = [
        "read:user:bitbucket",
        "read:workspace:bitbucket",
        "read:repository:bitbucket",
    ];
    let served = &world.forge.served;
    let token = served.with(|twin| -> Result<Token> {
        let state = twin.state_mut();
        let person = state.world.person("octo").context("no octo")?.id;
        let new = NewToken {
            person,
            name: "bindery",
            scopes: &scopes,
            expires: None,
        };
        Ok(Token::from(twin.make_token(&new, now_ms()?)))
    })?;
    let refused = world.client.create_link(ask(&token)).await;
    ensure!(refused.is_err(), "taken without an e-mail: {refused:?}");
    let request = ask(&token)
        .username("octo@example.com")
        .permissions([Permission::ReadCode]);
    let link = bind(&world, request).await?;
    let credential = world.fetch(&link.name).await?;
    ensure!(
        credential.git_username == "x-bitbucket-api-token-auth",
        "{}",
        credential.git_username
    );
    clones(&world, &credential)
}
