//! The second step: what a person sees before a link is bound, chooses and confirms; and accounts that a team may hang on.

use anyhow::{Context, Result, ensure};
use bindery_client::{
    ConfirmRequest, LinkRequest, Token,
    proto::v1::{Namespace, Permission, namespace, observed_state::Stage},
};
use bindery_tests::{
    browser::{Browser, Form, Page},
    forge::{Forge, GitHubForge, consent_in_browser},
    github::{Pat, PatKind},
};

use crate::world::World;

type GitHubWorld = World<GitHubForge>;

async fn world() -> Result<GitHubWorld> {
    World::new(GitHubForge::start(false, None).await?).await
}

/// A registry instance, as on the reference page.
async fn add_instance(world: &GitHubWorld) -> Result<()> {
    let instance = Namespace {
        kind: namespace::Kind::Instance.into(),
        instance_type: "enterprise".to_owned(),
        region: "eu-central-1".to_owned(),
        ..Default::default()
    };
    world.client.create_namespace("registry", instance).await?;
    Ok(())
}

/// A person has agreed at the forge: the link, the browser, and the page that it shows.
async fn consented(world: &mut GitHubWorld, parent: &str) -> Result<(String, Browser, Page)> {
    let request = LinkRequest::oauth(parent, "hosts/forge").permissions([Permission::ReadCode]);
    let created = world.client.create_link(request).await?;
    let uri = created.authorization.context("no page")?.authorization_uri;
    let mut browser = world.forge.browser();
    let page = consent_in_browser(&mut world.forge, &mut browser, &uri).await?;
    Ok((created.link.context("no link")?.name, browser, page))
}

fn form(page: &Page) -> Result<Form> {
    let mut forms = page.forms().into_iter();
    let found = forms.find(|form| form.action.path().ends_with("/confirm"));
    found.context("no confirm form")
}

/// The code that the page shows to the one who consented.
fn code(page: &Page) -> Result<Token> {
    let fields = form(page)?.fields;
    let found = fields.into_iter().find(|(name, _)| name == "code");
    Ok(Token::from(found.context("no code")?.1))
}

async fn stage(world: &GitHubWorld, link: &str) -> Result<Stage> {
    let observed = world.get(link).await?.observed;
    Ok(observed.context("no state")?.stage())
}

/// O1: the page shows namespace, instance type and region, and what is confirmed must be what was shown; a page that says
/// another region binds nothing.
#[tokio::test(flavor = "multi_thread")]
async fn o1_what_is_confirmed_is_what_was_shown() -> Result<()> {
    let mut world = world().await?;
    add_instance(&world).await?;
    let (link, mut browser, page) = consented(&mut world, "namespaces/registry").await?;
    for shown in ["octo", "registry", "enterprise", "eu-central-1"] {
        ensure!(page.body.contains(shown), "{shown} is not shown");
    }
    ensure!(
        stage(&world, &link).await? == Stage::PendingConfirmation,
        "not pending"
    );
    let elsewhere = form(&page)?.set("region", "us-east-1");
    let answer = browser.submit(&elsewhere).await?;
    ensure!(
        !answer.status.is_success(),
        "another region: {}",
        answer.status
    );
    ensure!(
        stage(&world, &link).await? == Stage::PendingConfirmation,
        "bound all the same"
    );
    browser.submit(&form(&page)?).await?;
    ensure!(stage(&world, &link).await? == Stage::Bound, "not bound");
    Ok(())
}

/// By API: region and identity must fit, and a namespace can be chosen; the link keeps its id.
#[tokio::test(flavor = "multi_thread")]
async fn o1_the_starter_chooses_the_namespace() -> Result<()> {
    let mut world = world().await?;
    add_instance(&world).await?;
    let (link, _, page) = consented(&mut world, "namespaces/acme").await?;
    let code = code(&page)?;
    let choose = || {
        ConfirmRequest::new(&link)
            .code(&code)
            .namespace("namespaces/registry")
    };
    let wrong = world.client.confirm(choose().region("us-east-1")).await;
    ensure!(wrong.is_err(), "another region: {wrong:?}");
    let wrong = world.client.confirm(choose().identity("1")).await;
    ensure!(
        matches!(&wrong, Err(error) if error.reason() == "IDENTITY_MISMATCH"),
        "{wrong:?}"
    );
    let without = world
        .client
        .confirm(ConfirmRequest::new(&link).code(&Token::from("guessed")))
        .await;
    ensure!(without.is_err(), "a guessed code: {without:?}");
    let right = choose().instance_type("enterprise").region("eu-central-1");
    let bound = world.client.confirm(right).await?;
    let id = link.rsplit('/').next().unwrap_or_default();
    ensure!(
        bound.name == format!("namespaces/registry/links/{id}"),
        "{}",
        bound.name
    );
    world.fetch(&bound.name).await?;
    ensure!(
        world.get(&link).await.is_err(),
        "the old name is still there"
    );
    Ok(())
}

/// "This is not me": the grant is revoked at the forge, and the link is gone.
#[tokio::test(flavor = "multi_thread")]
async fn o1_a_declined_grant_is_revoked() -> Result<()> {
    let mut world = world().await?;
    let (link, mut browser, page) = consented(&mut world, "namespaces/acme").await?;
    let mut forms = page.forms().into_iter();
    let decline = forms.find(|form| form.action.path().ends_with("/decline"));
    browser.submit(&decline.context("no decline form")?).await?;
    let mut watch = world.client.watch_link(&link);
    while let Some(watched) = watch.next().await? {
        let observed = watched.link.observed.unwrap_or_default();
        if observed.stage() == Stage::Unlinked {
            break;
        }
    }
    ensure!(stage(&world, &link).await? == Stage::Unlinked, "not over");
    ensure!(
        world.forge.standin.live_tokens().is_empty(),
        "a token lives"
    );
    Ok(())
}

/// A team that requires a service account refuses a personal one, by token and by consent, unless somebody says so; then
/// every check warns that its builds hang on one person.
#[tokio::test(flavor = "multi_thread")]
async fn a_team_requires_a_service_account() -> Result<()> {
    let mut world = world().await?;
    let team = Namespace {
        kind: namespace::Kind::Organization.into(),
        require_service_account: true,
        ..Default::default()
    };
    world.client.create_namespace("team", team).await?;
    let kind = PatKind::Classic { scopes: &["repo"] };
    let pat = Pat {
        kind,
        expires_in: None,
    };
    let token = Token::from(world.forge.standin.add_pat("octo", &pat)?);
    let by_token = || {
        LinkRequest::token("namespaces/team", "hosts/forge", &token)
            .permissions([Permission::ReadCode])
    };
    let refused = world.client.create_link(by_token()).await;
    ensure!(
        matches!(&refused, Err(error) if error.reason() == "SERVICE_ACCOUNT_REQUIRED"),
        "{refused:?}"
    );
    let (link, _, page) = consented(&mut world, "namespaces/team").await?;
    let confirm =
        || -> Result<ConfirmRequest> { Ok(ConfirmRequest::new(&link).code(&code(&page)?)) };
    let refused = world.client.confirm(confirm()?).await;
    ensure!(
        matches!(&refused, Err(error) if error.reason() == "SERVICE_ACCOUNT_REQUIRED"),
        "{refused:?}"
    );
    world
        .client
        .confirm(confirm()?.allow_personal_account())
        .await?;
    let checked = world.client.check_link(&link).await?;
    ensure!(
        checked
            .findings
            .iter()
            .any(|finding| finding.reason == "PERSONAL_ACCOUNT"),
        "{checked:?}"
    );
    Ok(())
}

/// An account that is said to be one for machines is taken without an override, and no check warns.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_is_taken() -> Result<()> {
    let world = world().await?;
    let team = Namespace {
        kind: namespace::Kind::Organization.into(),
        require_service_account: true,
        ..Default::default()
    };
    world.client.create_namespace("team", team).await?;
    let kind = PatKind::Classic { scopes: &["repo"] };
    let pat = Pat {
        kind,
        expires_in: None,
    };
    let token = Token::from(world.forge.standin.add_pat("octo", &pat)?);
    let request = LinkRequest::token("namespaces/team", "hosts/forge", &token)
        .permissions([Permission::ReadCode])
        .service_account();
    let link = world.client.create_link(request).await?.link;
    let link = link.context("no link")?;
    ensure!(link.service_account, "{link:?}");
    let checked = world.client.check_link(&link.name).await?;
    ensure!(
        checked
            .findings
            .iter()
            .all(|finding| finding.reason != "PERSONAL_ACCOUNT"),
        "{checked:?}"
    );
    Ok(())
}
