//! Tokens that are for less than all that a person reaches: GitHub's fine-grained ones, and those of groups, projects,
//! workspaces and repositories, which are nobody's. Each binds without a person, clones, watches, and ends.

use anyhow::{Context, Result, ensure};
use bindery_client::{
    CredentialRequest, LinkRequest, SourceRequest, Token, UnlinkRequest,
    proto::v1::{
        Link, Permission, Receipt, Source,
        cleanup_step::{Kind as Step, Outcome},
        identity::Kind,
        observed_state::Stage,
        organization::AccessState,
    },
};
use bindery_tests::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    forge::{Forge, GitHubForge, TwinForge},
    github::{OrgOptions, Pat, PatKind, Role as OrgRole},
    inside::{Inside, OnTwin},
};
use bindery_twins::{
    Twin,
    bitbucket::{cloud, data_center},
    gitlab::GitLab,
    world::Owner,
};

use super::{ask, bind, now_ms};
use crate::{story::clones_from, world::World};

const HELLO: &str = "octo/hello";
const TOOLS: &str = "works/tools";
const FILES: &[(&str, &str)] = &[("README.md", "hello\n")];
const MONTH: i64 = 30 * 86_400;

/// Puts a repository into a group, and returns the ids of both.
fn add_tools<F: OnTwin>(world: &World<F>) -> Result<(u64, u64)> {
    let front = world.forge.front();
    let now = now_ms()?;
    let group = front.with(|twin| twin.state_mut().world.add_group("works", None, now));
    let tools = front.add_repository(Owner::Group(group), "tools", FILES)?;
    Ok((group, tools))
}

/// Binds a token, clones and watches with it.
async fn serves<F: Inside>(
    world: &World<F>,
    request: LinkRequest,
    repository: &str,
) -> Result<Link> {
    let all = [Permission::ReadCode, Permission::Webhooks];
    let link = bind(world, request.permissions(all)).await?;
    let observed = link.observed.clone().unwrap_or_default();
    ensure!(observed.stage() == Stage::Bound, "{link:?}");
    let wanted = CredentialRequest::new(&link.name).repository(repository);
    let credential = world.client.read_credential(&wanted).await?;
    let url = world.forge.clone_url().replace(HELLO, repository);
    clones_from(&url, &credential)?;
    watches(world, &link.name, repository).await?;
    ensure!(hooks(world) == 1, "{} hooks", hooks(world));
    Ok(link)
}

async fn watches<F: Forge>(
    world: &World<F>,
    link: &str,
    repository: &str,
) -> Result<Source, bindery_client::Error> {
    let request = SourceRequest::new(link, repository);
    world.client.create_source(request).await
}

fn hooks<F: Inside>(world: &World<F>) -> usize {
    let ours = format!("{}/hooks/", world.daemon.web_url());
    world.forge.hooks_pointing_at(&ours)
}

/// Nobody's: the identity is a machine's, and nothing is said of a person on whom an organization's builds would hang.
async fn is_nobodys<F: Forge>(world: &World<F>, link: &Link) -> Result<()> {
    let identity = link.identity.clone().context("no identity")?;
    ensure!(identity.kind() == Kind::Bot, "{identity:?}");
    let checked = world.client.check_link(&link.name).await?;
    let mut findings = checked.findings.iter();
    ensure!(
        findings.all(|one| one.reason != "PERSONAL_ACCOUNT"),
        "{checked:?}"
    );
    Ok(())
}

/// The hook goes, and the token ends or the page is named where somebody ends it.
async fn ends<F: Inside>(world: &mut World<F>, link: &str, token: &Token) -> Result<Receipt> {
    let receipt = world.client.unlink(UnlinkRequest::new(link)).await?;
    ensure!(hooks(world) == 0, "a hook is left: {receipt:?}");
    let mut steps = receipt.steps.iter();
    let step = steps.find(|step| step.kind() == Step::RevokeGrant);
    let step = step.context("no word of the token")?;
    let lives = world.forge.accepts(token.expose()).await?;
    match step.outcome() {
        Outcome::Done => ensure!(!lives, "said to be dead: {step:?}"),
        Outcome::Impossible => {
            ensure!(lives, "said to live: {step:?}");
            let page = step.action_uri.starts_with(&world.forge.web_url());
            ensure!(page, "no page: {step:?}");
        }
        _ => anyhow::bail!("neither dead nor said to live: {step:?}"),
    }
    Ok(receipt)
}

fn fine_grained(world: &World<GitHubForge>, owner: &str, permissions: &[&str]) -> Result<Token> {
    let kind = PatKind::FineGrained { owner, permissions };
    let pat = Pat {
        kind,
        expires_in: Some(MONTH),
    };
    Ok(Token::from(world.forge.standin.add_pat("octo", &pat)?))
}

/// A fine-grained token of a person: its permissions are named nowhere, so what it lacks shows when it is used.
#[tokio::test(flavor = "multi_thread")]
async fn a_fine_grained_token_serves_its_owner() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let all = ["metadata:read", "contents:read", "repository_hooks:write"];
    let token = fine_grained(&world, "octo", &all)?;
    let link = serves(&world, ask(&token), HELLO).await?;
    let told = link.token.context("nothing about the token")?.expire_time;
    ensure!(told.is_some(), "no end is told");
    ends(&mut world, &link.name, &token).await?;

    let less = fine_grained(&world, "octo", &["metadata:read", "contents:read"])?;
    let link = bind(&world, ask(&less).permissions([Permission::ReadCode])).await?;
    world.token(&link.name).await?;
    let refused = watches(&world, &link.name, HELLO).await;
    let refused = refused.err().context("a hook was made without the right")?;
    ensure!(
        refused.to_string().contains("repository_hooks"),
        "{refused}"
    );
    ensure!(hooks(&world) == 0, "a hook is there");
    Ok(())
}

/// A fine-grained token for an organization reaches what is its own, and nothing of the person's.
#[tokio::test(flavor = "multi_thread")]
async fn a_fine_grained_token_of_an_organization_reaches_no_other() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let standin = &world.forge.standin;
    standin.add_org("works", OrgOptions::default());
    standin.add_member("works", "octo", OrgRole::Owner)?;
    standin.add_repo("works", "tools", true, FILES)?;
    let all = ["metadata:read", "contents:read", "repository_hooks:write"];
    let token = fine_grained(&world, "works", &all)?;
    let link = serves(&world, ask(&token), TOOLS).await?;
    let refused = watches(&world, &link.name, HELLO).await;
    ensure!(refused.is_err(), "it reaches {HELLO}: {refused:?}");
    ends(&mut world, &link.name, &token).await?;
    Ok(())
}

async fn gitlab() -> Result<World<TwinForge<GitLab>>> {
    World::new(TwinForge::<GitLab>::start(false).await?).await
}

/// A project's token acts for a bot, and ends itself at the unlink.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_token_of_gitlab_serves_its_project() -> Result<()> {
    let mut world = gitlab().await?;
    add_tools(&world)?;
    let (hello, now) = (world.forge.hello, now_ms()?);
    let token = world
        .forge
        .served
        .with(|twin| twin.make_project_token(hello, &["api"], now));
    let token = Token::from(token);
    let link = serves(&world, ask(&token), HELLO).await?;
    is_nobodys(&world, &link).await?;
    let refused = watches(&world, &link.name, TOOLS).await;
    ensure!(refused.is_err(), "it reaches {TOOLS}: {refused:?}");
    let receipt = ends(&mut world, &link.name, &token).await?;
    ensure!(receipt.complete, "{receipt:?}");
    Ok(())
}

/// A group's token acts for a bot, which is in the group and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_token_of_gitlab_serves_its_group() -> Result<()> {
    let mut world = gitlab().await?;
    let (group, _) = add_tools(&world)?;
    let now = now_ms()?;
    let token = world
        .forge
        .served
        .with(|twin| twin.make_group_token(group, &["api"], now));
    let token = Token::from(token);
    let link = serves(&world, ask(&token), TOOLS).await?;
    is_nobodys(&world, &link).await?;
    let groups = world.client.list_organizations(&link.name).all().await?;
    let told: Vec<_> = groups
        .iter()
        .map(|one| (one.login.as_str(), one.access()))
        .collect();
    ensure!(told == [("works", AccessState::Granted)], "{groups:?}");
    let refused = watches(&world, &link.name, HELLO).await;
    ensure!(refused.is_err(), "it reaches {HELLO}: {refused:?}");
    let receipt = ends(&mut world, &link.name, &token).await?;
    ensure!(receipt.complete, "{receipt:?}");
    Ok(())
}

const CLOUD_SCOPES: &[&str] = &["repository", "webhook"];

async fn bitbucket_cloud() -> Result<World<BitbucketCloudForge>> {
    World::new(BitbucketCloudForge::start().await?).await
}

fn access_token(world: &World<BitbucketCloudForge>, place: cloud::Place<'_>) -> Result<Token> {
    let now = now_ms()?;
    let served = &world.forge.served;
    Ok(Token::from(served.with(|twin| {
        twin.make_access_token(place, CLOUD_SCOPES, now)
    })))
}

/// A repository's token does not tell what it is for: who hands it over says so as its user name, and without that it is refused.
/// It may not ask about the workspace, so the list of those is said not to be whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_token_of_bitbucket_cloud_serves_its_repository() -> Result<()> {
    let mut world = bitbucket_cloud().await?;
    add_tools(&world)?;
    let hello = [world.forge.hello];
    let token = access_token(&world, cloud::Place::Repositories(&hello))?;
    let refused = world.client.create_link(ask(&token)).await;
    let refused = refused.err().context("taken without its place")?;
    ensure!(refused.to_string().contains("user name"), "{refused}");
    let link = serves(&world, ask(&token).username(HELLO), HELLO).await?;
    is_nobodys(&world, &link).await?;
    let mut workspaces = world.client.list_organizations(&link.name);
    let found = workspaces.collect().await?;
    ensure!(found.is_empty(), "{found:?}");
    let notice = workspaces.notice().context("the list is not marked")?;
    ensure!(notice.message.contains("one repository's"), "{notice:?}");
    let refused = watches(&world, &link.name, TOOLS).await;
    ensure!(refused.is_err(), "it reaches {TOOLS}: {refused:?}");
    ends(&mut world, &link.name, &token).await?;
    Ok(())
}

/// A project's token goes by the workspace, and reaches the project's repositories there.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_token_of_bitbucket_cloud_serves_its_project() -> Result<()> {
    let mut world = bitbucket_cloud().await?;
    let (group, tools) = add_tools(&world)?;
    let served = &world.forge.served;
    let more = served.add_repository(Owner::Group(group), "more", FILES)?;
    served.add_repository(Owner::Group(group), "other", FILES)?;
    let token = access_token(&world, cloud::Place::Repositories(&[tools, more]))?;
    let link = serves(&world, ask(&token).username("works"), TOOLS).await?;
    is_nobodys(&world, &link).await?;
    let refused = watches(&world, &link.name, "works/other").await;
    ensure!(refused.is_err(), "it reaches another project: {refused:?}");
    ends(&mut world, &link.name, &token).await?;
    Ok(())
}

/// A workspace's token reaches all of it, and knows no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_token_of_bitbucket_cloud_serves_its_workspace() -> Result<()> {
    let mut world = bitbucket_cloud().await?;
    let (group, _) = add_tools(&world)?;
    let token = access_token(&world, cloud::Place::Workspace(group))?;
    let link = serves(&world, ask(&token).username("works"), TOOLS).await?;
    is_nobodys(&world, &link).await?;
    let found = world.client.list_organizations(&link.name).all().await?;
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.login.as_str(), one.access()))
        .collect();
    ensure!(told == [("works", AccessState::Granted)], "{found:?}");
    let refused = watches(&world, &link.name, HELLO).await;
    ensure!(refused.is_err(), "it reaches {HELLO}: {refused:?}");
    ends(&mut world, &link.name, &token).await?;
    Ok(())
}

/// HTTP access tokens of a project, and of one repository in it, act for an account that no list shows.
#[tokio::test(flavor = "multi_thread")]
async fn place_tokens_of_bitbucket_data_center_serve_their_place() -> Result<()> {
    let mut world = World::new(BitbucketDataCenterForge::start().await?).await?;
    let (works, tools) = add_tools(&world)?;
    for place in [
        data_center::Place::Project(works),
        data_center::Place::Repository(tools),
    ] {
        let now = now_ms()?;
        let token = world
            .forge
            .served
            .with(|twin| twin.make_place_token(place, "REPO_ADMIN", now));
        let token = Token::from(token);
        let link = serves(&world, ask(&token), TOOLS).await;
        let link = link.with_context(|| format!("{place:?}"))?;
        is_nobodys(&world, &link).await?;
        let refused = watches(&world, &link.name, HELLO).await;
        ensure!(refused.is_err(), "it reaches {HELLO}: {refused:?}");
        ends(&mut world, &link.name, &token).await?;
    }
    Ok(())
}
