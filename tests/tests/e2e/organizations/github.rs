//! What GitHub keeps from a link, and that it opens once those whom the link names have acted on the pages that it names.

use anyhow::{Context, Result, ensure};
use bindery_client::{
    LinkRequest, Token,
    proto::v1::{Organization, Permission, WhoMustAct, organization::AccessState},
};
use bindery_tests::{
    browser::{Browser, Page},
    forge::GitHubForge,
    github::{OrgOptions, Pat, PatKind, Person, Role, Sso},
};
use url::Url;

use super::listed;
use crate::{apps::AppWorld, world::World};

type GitHubWorld = World<GitHubForge>;

/// `octo` is a member of one organization, shows that to everybody, and `boss` owns it.
async fn member_of(options: OrgOptions) -> Result<(GitHubWorld, Person)> {
    let forge = GitHubForge::start(false, None).await?;
    forge.standin.add_org("works", options);
    forge.standin.add_member("works", "octo", Role::Member)?;
    forge.standin.publicize_membership("works", "octo")?;
    let boss = forge.standin.add_user("boss");
    forge.standin.add_member("works", "boss", Role::Owner)?;
    Ok((World::new(forge).await?, boss))
}

/// What is told of the organization, and whether the list is marked as one that leaves something out.
async fn works(world: &GitHubWorld, link: &str) -> Result<(Organization, bool)> {
    let (found, notice) = listed(world, link).await?;
    let one = found.into_iter().find(|one| one.login == "works");
    Ok((one.context("it is not listed")?, notice.is_some()))
}

/// Somebody signs in and opens a page.
async fn opens(world: &GitHubWorld, who: &Person, page: &str) -> Result<(Browser, Page)> {
    let mut browser = world.forge.standin.browser();
    world.forge.standin.sign_in(&mut browser, who).await?;
    let page = browser.open(&Url::parse(page)?).await?;
    ensure!(page.status.is_success(), "{} is no page", page.url);
    Ok((browser, page))
}

/// A member asks for the application on the page that is named, and an owner lets it in on the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_asks_and_an_owner_approves() -> Result<()> {
    let restricted = OrgOptions {
        restricted: true,
        sso: None,
    };
    let (mut world, boss) = member_of(restricted).await?;
    let link = world.link_with_organizations().await?;
    let (found, _) = works(&world, &link).await?;
    ensure!(
        found.access() == AccessState::RestrictedByPolicy,
        "{found:?}"
    );
    ensure!(
        found.who_must_act() == WhoMustAct::OrganizationOwner,
        "{found:?}"
    );
    let octo = world.forge.person().clone();
    let (mut browser, page) = opens(&world, &octo, &found.action_uri).await?;
    let asks = page.form_with("org")?.press("org", "works");
    browser.submit(&asks).await?;
    // Nobody is told that it is pending.
    let (found, _) = works(&world, &link).await?;
    ensure!(
        found.access() == AccessState::RestrictedByPolicy,
        "{found:?}"
    );
    let mut words = found.message.split_whitespace();
    let policy = words.find(|word| word.ends_with("/oauth_application_policy"));
    let policy = policy.context("no page for the owner")?;
    let (mut browser, page) = opens(&world, &boss, policy).await?;
    let grants = page.form_with("decision")?.press("decision", "grant");
    browser.submit(&grants).await?;
    let (found, partial) = works(&world, &link).await?;
    ensure!(found.access() == AccessState::Granted, "{found:?}");
    ensure!(!partial, "a whole list is marked");
    Ok(())
}

/// Single sign-on for a token that a person made: the list is marked, the organization has the page of the session, and once the
/// person went there, both are well.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_on_for_a_token() -> Result<()> {
    signs_on(Sso::PersonalTokens, async |world| {
        let kind = PatKind::Classic {
            scopes: &["repo", "read:org", "read:user"],
        };
        let pat = Pat {
            kind,
            expires_in: None,
        };
        let token = Token::from(world.forge.standin.add_pat("octo", &pat)?);
        let request = LinkRequest::token("namespaces/acme", "hosts/forge", &token)
            .permissions([Permission::Organizations, Permission::ReadCode]);
        let created = world.client.create_link(request).await?;
        Ok(created.link.context("no link")?.name)
    })
    .await
}

/// The same for a link by consent, where the person had no session then.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_on_after_consent() -> Result<()> {
    signs_on(Sso::AllTokens, async |world| {
        world.link_with_organizations().await
    })
    .await
}

async fn signs_on(
    sso: Sso,
    links: impl AsyncFnOnce(&mut GitHubWorld) -> Result<String>,
) -> Result<()> {
    let options = OrgOptions {
        restricted: false,
        sso: Some(sso),
    };
    let (mut world, _) = member_of(options).await?;
    let by_consent = sso == Sso::AllTokens;
    let link = links(&mut world).await?;
    let (_, notice) = listed(&world, &link).await?;
    let notice = notice.context("the list is not marked")?;
    ensure!(notice.message.contains("single sign-on"), "{notice:?}");
    let page = notice.url.context("no page")?;
    ensure!(page.ends_with("/settings/organizations"), "{page}");
    if by_consent {
        let (found, _) = works(&world, &link).await?;
        ensure!(found.access() == AccessState::SsoRequired, "{found:?}");
        ensure!(found.who_must_act() == WhoMustAct::User, "{found:?}");
        let octo = world.forge.person().clone();
        let (mut browser, page) = opens(&world, &octo, &found.action_uri).await?;
        let goes_on = page.form_with("continue")?.press("continue", "1");
        browser.submit(&goes_on).await?;
    } else {
        let token = world.token(&link).await?;
        world.forge.standin.authorize_sso(&token, "works")?;
    }
    let (found, partial) = works(&world, &link).await?;
    ensure!(found.access() == AccessState::Granted, "{found:?}");
    ensure!(!partial, "a whole list is marked");
    Ok(())
}

/// A person whose token is an app's: an organization is open where the app is installed, and elsewhere the page where its owner
/// installs it is named.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_not_installed_is_told() -> Result<()> {
    let (world, _) = member_of(OrgOptions::default()).await?;
    let mut app = AppWorld::with(world, &["contents:read", "members:read"]).await?;
    let link = app.world.link_with_organizations().await?;
    let (found, _) = works(&app.world, &link).await?;
    ensure!(found.access() == AccessState::NotInstalled, "{found:?}");
    ensure!(
        found.who_must_act() == WhoMustAct::OrganizationOwner,
        "{found:?}"
    );
    ensure!(
        found.action_uri.ends_with("/installations"),
        "{}",
        found.action_uri
    );
    let id = app.app.app_id;
    let installed = app.world.forge.standin.install(id, "works", &[])?;
    let (found, _) = works(&app.world, &link).await?;
    ensure!(found.access() == AccessState::Granted, "{found:?}");
    app.world
        .forge
        .standin
        .suspend_installation(installed, true)?;
    let (found, _) = works(&app.world, &link).await?;
    ensure!(
        found.access() == AccessState::RestrictedByPolicy,
        "{found:?}"
    );
    ensure!(found.message.contains("suspended"), "{found:?}");
    Ok(())
}

/// An installation has one account: the organization that it is on.
#[tokio::test(flavor = "multi_thread")]
async fn an_installation_tells_its_own_organization() -> Result<()> {
    let (world, _) = member_of(OrgOptions::default()).await?;
    let app = AppWorld::with(world, &["contents:read", "members:read"]).await?;
    let standin = &app.world.forge.standin;
    let installed = standin.install(app.app.app_id, "works", &[])?;
    let link = app.bind("namespaces/acme", installed).await?.name;
    let (found, notice) = listed(&app.world, &link).await?;
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.login.as_str(), one.access()))
        .collect();
    ensure!(told == [("works", AccessState::Granted)], "{found:?}");
    ensure!(notice.is_none(), "{notice:?}");
    Ok(())
}
